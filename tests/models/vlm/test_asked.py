"""Questions that say something of each event: a row of a batch gets what it would get alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.models.vlm.asked import fill
from hpc_nuvlm.sample import Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

PAD = 9
# Of 1, 2 and 3 fields: questions of three lengths
LINES = ("Known: hits 12e2.", "Known: hits 12e2, charge 74e3.", "Known: hits unknown, charge unknown, mode FHC.")


def test_questions_are_filled_where_they_begin_to_differ():
    asked = fill([(1, 2, 5), (1, 2, 6, 7, 8), (1, 2, 6, 7)], PAD)
    assert asked.questions == ((1, 2, PAD, PAD, 5), (1, 2, 6, 7, 8), (1, 2, PAD, 6, 7))
    assert asked.first == (1, 2, PAD, PAD, 5)


def test_what_fills_is_not_looked_at_and_takes_no_place():
    inputs = fill([(1, 2, 5), (1, 2, 6, 7, 8)], PAD).inputs(0, 6, torch.device("cpu"))
    assert inputs["attention_mask"].tolist() == [[1, 1, 0, 0, 1, 1], [1] * 6]
    assert inputs["position_ids"][1].tolist() == [0, 1, 2, 3, 4, 5]
    assert inputs["position_ids"][0, [0, 1, 4, 5]].tolist() == [0, 1, 2, 3]
    later = fill([(1, 2, 5), (1, 2, 6, 7, 8)], PAD).inputs(5, 7, torch.device("cpu"))
    assert later["attention_mask"].shape == (2, 7) and later["position_ids"].tolist() == [[3, 4], [5, 6]]


def test_equally_long_questions_are_left_as_they_are():
    asked = fill([(1, 2, 5), (1, 2, 6)], PAD)
    assert asked.questions == ((1, 2, 5), (1, 2, 6)) and asked.inputs(0, 3, torch.device("cpu")) == {}


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 112, 112), dtype=np.uint8)
    told = ("", "One track is seen.", "A long track is seen.")
    labels, valid = torch.tensor([0, 2, 1]), torch.ones(3, dtype=torch.bool)
    return Batch(torch.from_numpy(images), labels, valid, ("a", "b", "c"), rationale=told, context=LINES)


@pytest.fixture
def task(run_fields):
    torch.set_num_threads(1)
    model = {"family": "vlm", "base": "untrained:tiny", "rationale_weight": 1.0}
    return build_task(parse_run(run_fields | {"model": model}, where="test"), num_views=3)


def test_the_line_stands_after_the_question_which_is_as_ever_without_one(task):
    for prompt in (task.prompt, task.explained):
        tokenizer = task.processor.tokenizer
        asked = tokenizer.decode(prompt.question)
        assert prompt.ask("") == prompt.question
        assert tokenizer.decode(prompt.ask(LINES[0])) == f"{asked.removesuffix(chr(10))} {LINES[0]}\n"
        assert asked.startswith(f"{nano.BEGIN}{nano.IMAGE}")


def test_without_lines_the_model_is_called_as_ever(task, batch):
    calls = []
    task.model.register_forward_pre_hook(lambda module, args, inputs: calls.append(inputs), with_kwargs=True)
    with evaluating(task):
        task.predict(replace(batch, context=None))
    assert len(calls) == 2 and all({"attention_mask", "position_ids"}.isdisjoint(inputs) for inputs in calls)
    shown = [list(task.prompt.question + task.prompt.shared)] * 3
    assert calls[0]["input_ids"].tolist() == shown


@pytest.fixture(params=["mllama", "idefics3"])
def either(request, run_fields):
    """A task whose text looks at pictures, and one whose pictures stand among the words."""
    torch.set_num_threads(1)
    model = {"family": "vlm", "base": "untrained:tiny", "rationale_weight": 1.0}
    if request.param == "idefics3":
        model |= {"base": str(request.getfixturevalue("idefics3_folder")), "layout": "images"}
    return build_task(parse_run(run_fields | {"model": model}, where="test"), num_views=3)


@pytest.mark.slow
def test_loss_and_scores_of_a_row_do_not_depend_on_the_lines_of_others(either, batch):
    task = either
    assert len({len(task.prompt.ask(line)) for line in LINES}) == 3
    rows = [batch.part(row, row + 1) for row in range(3)]
    with evaluating(task):
        together = task.loss(batch), task.predict(batch).log_probability_BC
        alone = torch.cat([task.loss(row) for row in rows])
        assert torch.allclose(together[0], alone, atol=1e-5)
        scored = torch.cat([task.predict(row).log_probability_BC for row in rows])
        assert torch.allclose(together[1], scored, atol=1e-5)
        # And the lines are read
        assert (task.loss(replace(batch, context=LINES[::-1])) - together[0])[[0, 2]].abs().min() > 1e-4


@pytest.mark.slow
def test_what_is_said_of_a_row_does_not_depend_on_the_lines_of_others(either, batch, monkeypatch):
    task = either
    monkeypatch.setattr("hpc_nuvlm.models.vlm.task.MAX_EXPLANATION_TOKENS", 12)
    with evaluating(task):
        together = task.predict(batch, explain=True).said
        alone = [task.predict(batch.part(row, row + 1), explain=True).said[0] for row in range(3)]
    assert [one.text for one in together] == [one.text for one in alone]
    for ours, theirs in zip(together, alone):
        assert np.allclose(ours.log_probabilities, theirs.log_probabilities, atol=1e-4)
