"""What is special to vision-language models. The oracle is the library's own processor and model."""

from itertools import takewhile

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import MllamaForConditionalGeneration

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.models.vlm.mllama import MllamaEyes
from hpc_nuvlm.models.vlm.prompt import build_prompt
from hpc_nuvlm.models.vlm.tiles import build_tiling
from hpc_nuvlm.sample import Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

TILE = 112


@pytest.fixture(scope="module")
def processor():
    return nano.build_processor(nano.read_shape("tiny"))


@pytest.fixture(scope="module")
def model_config(processor):
    return nano.build_config(processor.tokenizer, nano.read_shape("tiny"))


def draw_images(num_events: int, num_views: int, size: int = TILE) -> torch.Tensor:
    generator = np.random.default_rng(num_views)
    return torch.from_numpy(generator.integers(0, 256, (num_events, num_views, size, size), dtype=np.uint8))


def as_pictures(image_VHW: np.ndarray, layout: str) -> list[Image.Image]:
    """The pictures that a person would give the processor: a mosaic of tiles, or one picture a view."""
    if layout == "images":
        return [Image.fromarray(view).convert("RGB") for view in image_VHW]
    rows, columns = {1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 2)}[len(image_VHW)]
    mosaic = np.zeros((rows * TILE, columns * TILE), np.uint8)
    for number, view in enumerate(image_VHW):
        row, column = divmod(number, columns)
        mosaic[row * TILE :, column * TILE :][:TILE, :TILE] = view
    return [Image.fromarray(mosaic).convert("RGB")]


@pytest.mark.parametrize("layout", ["mosaic", "images"])
@pytest.mark.parametrize("num_views", [1, 2, 3, 4])
def test_tiles_equal_what_the_image_processor_makes_of_the_same_picture(processor, model_config, layout, num_views):
    images = draw_images(2, num_views)
    tiling = build_tiling(layout, num_views, (TILE, TILE), model_config, processor.image_processor)
    ours = tiling.inputs(images, torch.full((2,), num_views), torch.float32)
    theirs = processor.image_processor([as_pictures(image.numpy(), layout) for image in images], return_tensors="pt")
    assert torch.allclose(ours["pixel_values"], theirs["pixel_values"].float(), atol=1e-5)
    assert torch.equal(ours["aspect_ratio_ids"], theirs["aspect_ratio_ids"])
    assert torch.equal(ours["aspect_ratio_mask"], theirs["aspect_ratio_mask"])


@pytest.mark.parametrize("layout", ["mosaic", "images"])
def test_text_sees_the_tiles_that_the_processor_says_it_sees(processor, model_config, layout):
    images = draw_images(1, 3)
    tiling = build_tiling(layout, 3, (TILE, TILE), model_config, processor.image_processor)
    text = nano.BEGIN + nano.IMAGE * tiling.num_images + "what is it?"
    theirs = processor(
        images=[as_pictures(images[0].numpy(), layout)], text=[text], add_special_tokens=False, return_tensors="pt"
    )
    tokens = tuple(theirs["input_ids"][0].tolist())
    image_id = processor.tokenizer.convert_tokens_to_ids(nano.IMAGE)
    ours = tiling.cross_attention_mask(torch.tensor([3]), tokens, image_id, len(tokens))
    assert torch.equal(ours, theirs["cross_attention_mask"])


def test_a_mosaic_costs_a_third_of_the_vision_tokens_of_three_images(processor, model_config):
    shapes = {}
    for layout in ("mosaic", "images"):
        tiling = build_tiling(layout, 3, (TILE, TILE), model_config, processor.image_processor)
        shapes[layout] = tiling.inputs(draw_images(1, 3), torch.tensor([3]), torch.float32)["pixel_values"].shape[:3]
    assert shapes["images"].numel() == 3 * shapes["mosaic"].numel()


def test_a_view_that_is_no_tile_is_refused_with_both_sizes(processor, model_config):
    with pytest.raises(
        ConfigError, match=r"view.size is \[125, 125\].*tile of the model is \[112, 112\].*patches of 14"
    ):
        build_tiling("mosaic", 3, (125, 125), model_config, processor.image_processor)


def test_more_views_than_a_mosaic_holds_are_refused(processor, model_config):
    with pytest.raises(ConfigError, match=r"holds up to 4 views, the detector has 5; set model\.layout=images"):
        build_tiling("mosaic", 5, (TILE, TILE), model_config, processor.image_processor)


def vlm_run(run_fields, **model):
    return parse_run(run_fields | {"model": {"family": "vlm", "base": "untrained:tiny", **model}}, where="test")


@pytest.fixture(scope="module")
def one_image(processor, model_config):
    return MllamaEyes(build_tiling("mosaic", 3, (TILE, TILE), model_config, processor.image_processor), 0)


def test_the_answers_differ_only_after_a_shared_beginning(processor, one_image, run_fields):
    run = vlm_run(run_fields)
    prompt = build_prompt(run.model, run.data.classes, processor, one_image)
    question = processor.tokenizer.decode(prompt.question)
    assert question == f"{nano.BEGIN}{nano.IMAGE}{run.model.question}\n"
    told = [processor.tokenizer.decode(answer) for answer in prompt.answers]
    assert told == [
        f"I classify the pixel maps as {name}.{nano.END}" for name in ("NuE CC", "NuMu CC", "Neutral Current")
    ]
    assert processor.tokenizer.decode(prompt.shared) == "I classify the pixel maps as"


def test_an_answer_without_its_class_is_refused(processor, one_image, run_fields):
    run = vlm_run(run_fields, answer="I do not know.")
    with pytest.raises(ConfigError, match=r"must contain \{label\}"):
        build_prompt(run.model, run.data.classes, processor, one_image)


def test_a_template_that_puts_words_before_the_picture_is_refused(processor, one_image, run_fields):
    run = vlm_run(run_fields)
    template = "{% for part in messages[0]['content'] | reverse %}{{ part.get('text', '<|image|>') }}{% endfor %}"

    class Reversed:
        image_token, tokenizer = processor.image_token, processor.tokenizer

        @staticmethod
        def apply_chat_template(messages, **options):
            return processor.apply_chat_template(messages, chat_template=template, **options)

    with pytest.raises(ConfigError, match="images must come first"):
        build_prompt(run.model, run.data.classes, Reversed, one_image)


@pytest.fixture(params=["mosaic", "images"])
def task(request, run_fields):
    torch.set_num_threads(1)
    return build_task(vlm_run(run_fields, layout=request.param), num_views=3)


@pytest.fixture
def batch():
    return Batch(draw_images(2, 3), torch.tensor([0, 2]), torch.ones(2, dtype=torch.bool), ("a", "b"))


def plain_log_probabilities(task, batch: Batch) -> torch.Tensor:
    """(B, C) summed log-probability of each class's answer from where answers differ, by one full library call each."""
    scores = []
    begun = len(list(takewhile(lambda ids: len(set(ids)) == 1, zip(*task.prompt.answers))))
    for answer in task.prompt.answers:
        tokens = torch.tensor([task.prompt.question + answer] * len(batch.keys))
        mask = task.eyes.tiling.cross_attention_mask(
            batch.views_B, task.prompt.question, task.eyes.image_id, tokens.shape[1]
        )
        inputs = task.eyes.tiling.inputs(batch.image_BVHW, batch.views_B, torch.float32)
        logits = task.model(input_ids=tokens, cross_attention_mask=mask, **inputs).logits
        log_probability = logits.log_softmax(-1)[:, :-1].gather(2, tokens[:, 1:, None].clamp(max=logits.shape[-1] - 1))
        scores.append(log_probability[:, begun - len(answer) :, 0].sum(1))
    return torch.stack(scores, 1)


def test_scores_equal_those_of_one_full_call_per_class(task, batch):
    with evaluating(task):
        ours = task.predict(batch).log_probability_BC
        theirs = plain_log_probabilities(task, batch).log_softmax(-1)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_the_loss_is_that_of_the_answer_from_where_answers_differ_and_of_nothing_else(task, batch):
    with evaluating(task):
        loss = task.loss(batch)
        told = plain_log_probabilities(task, batch)
    assert torch.allclose(loss, -told[torch.arange(2), batch.label_B], atol=1e-4)


def test_the_picture_matters(task, batch):
    blank = Batch(torch.zeros_like(batch.image_BVHW), batch.label_B, batch.valid_B, batch.keys)
    with evaluating(task):
        assert (task.loss(batch) - task.loss(blank)).abs().min() > 1e-4


@pytest.mark.slow
def test_an_explanation_is_generated_for_each_event(task, batch):
    with evaluating(task):
        text = task.predict(batch, explain=True).text
    assert len(text) == 2 and all(isinstance(line, str) and line for line in text)


def test_nano_is_small_and_its_parts_fit_together(processor, model_config, run_fields):
    task = build_task(vlm_run(run_fields), num_views=3)
    assert 4e6 < sum(p.numel() for p in task.parameters()) < 10e6
    shape = nano.read_shape("nano")
    model = MllamaForConditionalGeneration(nano.build_config(nano.build_processor(shape).tokenizer, shape))
    assert sum(p.numel() for p in model.parameters()) < 12e6
    assert model_config.image_token_index == model_config.text_config.vocab_size == len(processor.tokenizer) - 1


def test_an_exported_model_opens_as_a_base_and_says_the_same(task, batch, run_fields, tmp_path):
    task.export(tmp_path / "model")
    layout = task.eyes.tiling.layout
    again = build_task(vlm_run(run_fields, base=str(tmp_path / "model"), layout=layout), num_views=3)
    with evaluating(task), evaluating(again):
        assert torch.equal(task.loss(batch), again.loss(batch))


@pytest.mark.slow
def test_an_adapter_is_exported_in_plain_peft_form(run_fields, batch, tmp_path):
    from peft import PeftModel

    from hpc_nuvlm.models.vlm.base import open_base

    nano.write_nano(tmp_path / "base", seed=1, shape="tiny")
    run = vlm_run(run_fields, base=str(tmp_path / "base"), nf4=True, lora={"dropout": 0.0})
    task = build_task(run, num_views=3)
    with torch.no_grad():
        for parameter in task.trainable().values():
            parameter.add_(0.02)
    task.export(tmp_path / "adapter")
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    base, _ = open_base(run.model, torch.float32, torch.device("cpu"))
    with evaluating(task):
        expected = task.loss(batch)
        task.model = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
        assert torch.equal(expected, task.loss(batch))


def test_adapters_sit_on_both_towers(run_fields):
    names = build_task(vlm_run(run_fields, nf4=True, lora={}), num_views=3).trainable()
    assert all("lora_" in name for name in names)
    for place in (
        "vision_model",
        "self_attn.q_proj",
        "cross_attn.k_proj",
        "mlp.down_proj",
        "mlp.fc1",
        "multi_modal_projector",
    ):
        assert any(place in name for name in names), place


@pytest.mark.parametrize(
    ("base", "message"),
    [("nowhere", "neither 'nuvlm-nano' nor 'untrained:SHAPE' nor a folder"), ("other", "model_type 'bert'")],
)
def test_a_base_that_cannot_be_used_is_refused(run_fields, tmp_path, base, message):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match=message):
        build_task(vlm_run(run_fields, base=str(tmp_path / base)), num_views=3)


@pytest.mark.slow
def test_the_command_builds_a_base_that_opens_with_the_weights_of_its_seed(run_fields, tmp_path):
    count = nano.write_nano(tmp_path / "nano", seed=1, shape="tiny")
    built = build_task(vlm_run(run_fields, base=str(tmp_path / "nano")), num_views=3)
    embedded = build_task(vlm_run(run_fields), num_views=3)
    assert count == sum(p.numel() for p in built.parameters())
    assert all(torch.equal(a, b) for a, b in zip(built.state_dict().values(), embedded.state_dict().values()))
    with pytest.raises(ConfigError, match="'untrained:huge': no such shape; there are llama32-11b, nano, tiny"):
        build_task(vlm_run(run_fields, base="untrained:huge"), num_views=3)
    with pytest.raises(UserError, match="holds a model already"):
        nano.write_nano(tmp_path / "nano", seed=1)
