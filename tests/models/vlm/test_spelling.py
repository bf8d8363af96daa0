"""Spans of generated tokens. The oracle is the tokenizer's own offsets, which it keeps when it reads a text."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.models.vlm.spelling import Speller
from hpc_nuvlm.rationale import confidences, example_sentences, keep_sure
from hpc_nuvlm.sample import Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

SENTENCES = example_sentences()
letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
texts = st.lists(st.sampled_from(SENTENCES) | letters, max_size=5).map(" ".join)


@pytest.fixture(scope="module")
def tokenizer():
    return nano.build_processor(nano.read_shape("tiny")).tokenizer


@pytest.fixture(scope="module")
def speller(tokenizer):
    return Speller(tokenizer, (tokenizer.eos_token_id,))


@given(text=texts)
@example("12 cm, 350 MeV")
@example("νμ → μ⁻ über 1 µs 🙂")
@example("")
def test_spans_are_the_offsets_that_the_tokenizer_reads_the_text_with(tokenizer, speller, text):
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    said = speller.spell(read["input_ids"], range(len(read["input_ids"])))
    assert said.text == text
    assert said.spans == tuple(read["offset_mapping"])
    assert said.log_probabilities == tuple(range(len(said.spans)))


@given(tokens=st.lists(st.integers(3, 1000), max_size=30))
def test_any_tokens_have_spans_in_order_that_cover_the_text(speller, tokens):
    said = speller.spell(tokens, [0.0] * len(tokens))
    touched = np.zeros(len(said.text), bool)
    for start, stop in said.spans:
        assert 0 <= start <= stop <= len(said.text)
        touched[start:stop] = True
    assert touched.all()
    starts = [start for start, _ in said.spans]
    assert starts == sorted(starts)


def test_nothing_is_said_after_the_end_and_special_tokens_have_no_characters(tokenizer, speller):
    ids = tokenizer.encode("a muon track.", add_special_tokens=False)
    tokens = [*ids[:1], tokenizer.pad_token_id, *ids[1:], tokenizer.eos_token_id, *ids]
    said = speller.spell(tokens, range(len(tokens)))
    assert said.text == "a muon track." and len(said.spans) == len(said.log_probabilities) == len(ids) + 1
    start, stop = said.spans[1]
    assert start == stop


def test_confidences_are_those_of_the_tokens_of_the_value(tokenizer, speller):
    text = "The event has 2 tracks, 1 proton. I classify the pixel maps as NuE CC."
    ids = tokenizer.encode(text, add_special_tokens=False)
    doubtful = [number for number, token in enumerate(ids) if tokenizer.decode([token]).strip() == "2"]
    said = speller.spell(ids, [float(np.log(0.3)) if number in doubtful else 0.0 for number in range(len(ids))])
    assert [round(sure, 3) for _, sure in confidences(*vars(said).values())] == [0.3, 1.0]
    assert keep_sure(*vars(said).values(), 0.5) == "The event has 1 proton. I classify the pixel maps as NuE CC."


@pytest.mark.slow
def test_log_probabilities_are_those_of_one_full_call_over_the_generated_tokens(run_fields):
    """Tokens are read back from the text, so no call shares the cache of the generation."""
    torch.set_num_threads(1)
    run = parse_run(run_fields | {"model": {"family": "vlm", "base": "untrained:tiny"}}, where="test")
    task = build_task(run, num_views=3)
    generator = np.random.default_rng(0)
    image = torch.from_numpy(generator.integers(0, 256, (2, 3, 112, 112), dtype=np.uint8))
    batch = Batch(image, torch.tensor([0, 2]), torch.ones(2, dtype=torch.bool), ("a", "b"))
    spelled = []
    spell = task.speller.spell
    task.speller.spell = lambda tokens, logs: spelled.append(tokens) or spell(tokens, logs)
    with evaluating(task):
        said = task.predict(batch, explain=True).said
        losses_BT, _ = task._told(
            batch, task.eyes.see(task.model, batch), task.asked(batch, task.explained), list(map(tuple, spelled))
        )
    for row, one in zip(losses_BT, said):
        length = len(one.log_probabilities)
        assert length > 20
        assert torch.allclose(-row[:length], torch.tensor(one.log_probabilities), atol=1e-4)
