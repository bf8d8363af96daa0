"""Idefics3 behind the same seam. The oracle is the library's own processor and model."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.sample import UNLABELLED, Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

TILE, VIEWS = 112, 3
QUESTION = "Classify the attached pixel maps as NuE CC, NuMu CC, or Neutral Current."


def idefics3_run(run_fields, folder, **fields):
    model = {"family": "vlm", "base": str(folder), "layout": "images"} | fields.pop("model", {})
    return parse_run(run_fields | {"model": model, **fields}, where="test")


@pytest.fixture(scope="module")
def processor(idefics3_folder):
    return AutoProcessor.from_pretrained(idefics3_folder)


@pytest.fixture
def task(run_fields, idefics3_folder):
    torch.set_num_threads(1)
    return build_task(idefics3_run(run_fields, idefics3_folder), num_views=VIEWS)


@pytest.fixture
def batch():
    images = np.random.default_rng(4).integers(0, 256, (2, VIEWS, TILE, TILE), dtype=np.uint8)
    # A view without charge, which the model must not take for a missing picture
    images[1, 1] = 0
    return Batch(torch.from_numpy(images), torch.tensor([0, 2]), torch.ones(2, dtype=torch.bool), ("a", "b"))


def by_the_library(processor, batch: Batch, text: str, splitting: bool = False):
    """Tokens and pixels that the model's own processor makes of these words and pictures."""
    pictures = [[Image.fromarray(view).convert("RGB") for view in event] for event in batch.image_BVHW.numpy()]
    options = {"add_special_tokens": False, "do_image_splitting": splitting, "return_tensors": "pt"}
    return processor(images=pictures, text=[text] * len(pictures), **options)


def question_text(processor) -> str:
    """The question as the chat template writes it, with a token a picture."""
    content = [{"type": "image"}] * VIEWS + [{"type": "text", "text": QUESTION}]
    return processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)


@pytest.mark.parametrize("splitting", [False, True])
def test_pixels_equal_what_the_image_processor_makes_of_the_same_pictures(processor, task, batch, splitting):
    theirs = by_the_library(processor, batch, "<image>" * VIEWS, splitting)
    ours = task.eyes.pixels(batch.image_BVHW, torch.float32)
    assert ours.shape == (2, VIEWS, 3, TILE, TILE)
    assert torch.allclose(ours, theirs["pixel_values"], atol=1e-6)
    assert theirs["pixel_attention_mask"].all()


@pytest.mark.parametrize("splitting", [False, True])
def test_a_question_becomes_the_tokens_that_the_processor_makes_of_it(processor, task, batch, splitting):
    theirs = by_the_library(processor, batch, question_text(processor), splitting)["input_ids"]
    assert theirs.tolist() == [list(task.prompt.question)] * 2
    assert task.prompt.question.count(task.model.config.image_token_id) == VIEWS * 16


def test_the_templates_header_may_stand_before_the_pictures_and_its_ending_is_learned(processor, task):
    question = processor.tokenizer.decode(task.prompt.question)
    assert question.startswith("<|begin_of_text|>User:<fake_token_around_image><global-img><image>")
    assert question.endswith(f"{QUESTION}<end_of_utterance>\nAssistant:")
    told = [processor.tokenizer.decode(answer) for answer in task.prompt.answers]
    assert told[1] == " I classify the pixel maps as NuMu CC.<end_of_utterance>\n"
    explained = task.explained.tokens("A long track is seen.", 1)
    assert processor.tokenizer.decode(explained) == f" A long track is seen.{told[1]}"
    alone = task.explained.tokens("A long track is seen.", UNLABELLED)
    assert processor.tokenizer.decode(alone) == " A long track is seen.<end_of_utterance>\n"


def test_an_explanation_ends_where_the_template_ends_an_answer(processor, task):
    ids = processor.tokenizer.convert_tokens_to_ids(["<|end_of_text|>", "<end_of_utterance>"])
    assert list(task.explained.stops) == ids


def plain_log_probabilities(processor, task, batch: Batch) -> torch.Tensor:
    """(B, C) summed log-probability of each class's name and what follows it, by one full library call per class."""
    scores = []
    begun = len(processor.tokenizer.encode(" I classify the pixel maps as", add_special_tokens=False))
    for name in ("NuE CC", "NuMu CC", "Neutral Current"):
        answer = f" I classify the pixel maps as {name}.<end_of_utterance>\n"
        inputs = by_the_library(processor, batch, question_text(processor) + answer)
        chosen = inputs["input_ids"][:, 1:, None]
        given = task.model(**inputs).logits.log_softmax(-1)[:, :-1].gather(2, chosen)[..., 0]
        scores.append(given[:, begun - len(processor.tokenizer.encode(answer, add_special_tokens=False)) :].sum(1))
    return torch.stack(scores, 1)


def test_scores_and_loss_equal_those_of_one_full_call_per_class(processor, task, batch):
    with evaluating(task):
        told = plain_log_probabilities(processor, task, batch)
        scores, loss = task.predict(batch).log_probability_BC, task.loss(batch)
    assert torch.allclose(scores, told.log_softmax(-1), atol=1e-4)
    assert torch.allclose(loss, -told[torch.arange(2), batch.label_B], atol=1e-4)


def test_a_line_of_context_reaches_its_own_event_alone(task, batch):
    told = replace(batch, context=("Energy 3 GeV.", "Horn current reversed, energy 2 GeV, noise high."))
    with evaluating(task):
        together = task.predict(told).log_probability_BC
        alone = torch.cat([task.predict(told.part(row, row + 1)).log_probability_BC for row in range(2)])
        silent = task.predict(batch).log_probability_BC
    assert torch.allclose(together, alone, atol=1e-4)
    assert (together - silent).abs().max(1).values.min() > 1e-4


def test_each_picture_matters_and_so_does_their_order(task, batch):
    with evaluating(task):
        loss = task.loss(batch)
        for view in range(VIEWS):
            images = batch.image_BVHW.clone()
            images[:, view] = 255 - images[:, view]
            changed = task.loss(Batch(images, batch.label_B, batch.valid_B, batch.keys))
            assert (changed - loss).abs().min() > 1e-4
        turned = task.loss(Batch(batch.image_BVHW.flip(1), batch.label_B, batch.valid_B, batch.keys))
        assert (turned - loss).abs().min() > 1e-4


def test_an_explanation_is_generated_for_each_event(task, batch):
    with evaluating(task):
        text = task.predict(batch, explain=True).text
    assert len(text) == 2 and all(isinstance(line, str) and line for line in text)


def test_adapters_sit_on_both_towers_and_between_them(run_fields, idefics3_folder):
    run = idefics3_run(run_fields, idefics3_folder, model={"nf4": True, "lora": {}})
    names = build_task(run, num_views=VIEWS).trainable()
    assert all("lora_" in name for name in names)
    text = [f"self_attn.{part}_proj" for part in "qkvo"] + [f"mlp.{part}_proj" for part in ("gate", "up", "down")]
    vision = [f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")] + ["mlp.fc1", "mlp.fc2"]
    places = [f"model.text_model.layers.2.{part}." for part in text]
    places += [f"model.vision_model.encoder.layers.1.{part}." for part in vision]
    for place in (*places, "model.connector.modality_projection.proj."):
        assert sum(place in name for name in names) == 2, place  # A and B
    assert len(names) == 2 * (3 * len(text) + 2 * len(vision) + 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": {"layout": "mosaic"}}, r"model\.layout = 'mosaic': .* set model\.layout=images"),
        ({"model": {"patches": 8}}, r"model\.patches = 8: .*this is one of 'idefics3'; leave model\.patches out"),
        ({"view": {"size": [125, 125]}}, r"\[125, 125\], .* is \[112, 112\] .*set view\.size=\[112, 112\]"),
    ],
)
def test_what_it_cannot_do_is_refused_with_what_to_set(run_fields, idefics3_folder, fields, message):
    with pytest.raises(ConfigError, match=message):
        build_task(idefics3_run(run_fields, idefics3_folder, **fields), num_views=VIEWS)


def test_a_processor_that_writes_another_number_of_tokens_is_refused(run_fields, idefics3_folder, tmp_path):
    shutil.copytree(idefics3_folder, tmp_path / "model")
    settings = tmp_path / "model" / "processor_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"image_seq_len": 169}))
    with pytest.raises(ConfigError, match=r"writes 169 tokens for a picture, .* makes 16; set image_seq_len to 16"):
        build_task(idefics3_run(run_fields, tmp_path / "model"), num_views=VIEWS)
