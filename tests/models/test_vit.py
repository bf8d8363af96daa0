import pytest
import torch
from transformers import MllamaVisionModel, ViTModel

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.models.vit import VitTask
from hpc_nuvlm.sample import Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

PLAIN = {"patch_size": 28, "hidden": 24, "layers": 2, "heads": 2, "dropout": 0.0}
TOWER = {"tower": "untrained:tiny", "patches": 40, "dropout": 0.0}


def make_batch(num_views: int = 3, size: int = 112) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (4, num_views, size, size), dtype=torch.uint8, generator=generator)
    lit = torch.rand(image.shape, generator=generator) < 0.05
    return Batch(image * lit, torch.tensor([0, 1, 2, 0]), torch.ones(4, dtype=torch.bool), tuple("abcd"))


def build(num_views: int = 3, size: int = 112, precision: str = "fp32", **settings) -> VitTask:
    fields = {
        "folder": "runs/x",
        "data": {"dataset": "d"},
        "view": {"size": [size, size]},
        "model": {"family": "vit"} | settings,
        "engine": {"precision": precision},
    }
    return build_task(parse_run(fields, where="test"), num_views).eval()


def probabilities(task: VitTask, batch: Batch) -> torch.Tensor:
    with evaluating(task):
        return task.predict(batch).log_probability_BC


def with_image(batch: Batch, image_BVHW: torch.Tensor) -> Batch:
    return Batch(image_BVHW, batch.label_B, batch.valid_B, batch.keys)


def test_a_plain_one_has_tokens_of_each_view_and_one_of_the_class():
    task, tokens = build(**PLAIN), []
    task.members[0].tower.register_forward_hook(lambda _, __, output: tokens.append(output.last_hidden_state.shape))
    probabilities(task, make_batch())
    assert isinstance(task.members[0].tower, ViTModel)
    assert tokens == [(4, 1 + 3 * 4 * 4, 24)]


def test_no_patch_mixes_views_and_the_places_of_views_are_their_own():
    task, batch = build(**PLAIN), make_batch()
    network = task.members[0]
    seen = []
    network.tower.embeddings.patch_embeddings.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    changed = batch.image_BVHW.clone()
    changed[:, 1] = 0
    for image in (batch.image_BVHW, changed):
        probabilities(task, with_image(batch, image))
    views = [
        (before - after).abs().amax((0, 2)) > 0 for before, after in zip(seen[0].split(16, 1), seen[1].split(16, 1))
    ]
    assert [bool(view.any()) for view in views] == [False, True, False] and views[1].all()
    swapped = probabilities(task, with_image(batch, batch.image_BVHW[:, [1, 0, 2]]))
    assert not torch.allclose(swapped, probabilities(task, batch), atol=1e-6)


def test_without_places_a_plain_one_sees_a_set_of_patches():
    task, batch = build(**PLAIN), make_batch()
    with torch.no_grad():
        task.members[0].tower.embeddings.position_embeddings.zero_()
    swapped = with_image(batch, batch.image_BVHW.flip(1))
    assert torch.allclose(probabilities(task, swapped), probabilities(task, batch), atol=1e-5)


def test_black_fills_up_a_picture_that_patches_do_not_divide():
    task, batch = build(size=100, **PLAIN), make_batch(size=100)
    whole = torch.zeros(4, 3, 112, 112, dtype=torch.uint8)
    whole[:, :, :100, :100] = batch.image_BVHW
    assert torch.equal(probabilities(task, batch), probabilities(task, with_image(batch, whole)))


def test_operations_equal_those_counted_by_hand():
    task = build(num_views=2, **PLAIN)
    tokens, width, layers = 1 + 2 * 4 * 4, 24, 2
    patches = 2 * (tokens - 1) * width * 28**2
    # Query, key, value and output, two products of attention, and the two layers that widen by four
    layer = 2 * 4 * tokens * width**2 + 2 * 2 * tokens**2 * width + 2 * 2 * 4 * tokens * width**2
    head = 2 * 2 * width * 3
    assert task.flops(make_batch(num_views=2).part(0, 1)) == patches + layers * layer + head


def test_a_view_that_is_missing_is_a_blank_one():
    task, batch = build(**PLAIN), make_batch(num_views=2)
    blank = torch.cat([batch.image_BVHW, torch.zeros_like(batch.image_BVHW[:, :1])], 1)
    assert torch.equal(probabilities(task, batch), probabilities(task, with_image(batch, blank)))


@pytest.mark.parametrize("settings", [PLAIN, pytest.param(TOWER, marks=pytest.mark.slow)], ids=["plain", "tower"])
def test_bf16_weights_give_float32_losses_near_those_of_fp32(settings):
    batch = make_batch()
    exact, rounded = build(**settings), build(precision="bf16", **settings).to(torch.bfloat16)
    with evaluating(exact), evaluating(rounded):
        loss = rounded.loss(batch)
        assert loss.dtype == torch.float32
        # 8 bits of mantissa, some ten layers deep
        assert torch.allclose(loss, exact.loss(batch), atol=0.1)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_tower_has_no_gradient_and_a_free_one_does(frozen):
    task = build(frozen=frozen, **TOWER).train()
    task.loss(make_batch()).sum().backward()
    learned = {name for name, p in task.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert learned <= set(task.trainable())
    parts = {"head"} if frozen else {"head", "tower"}
    assert {name.split(".")[2] for name in learned} == {name.split(".")[2] for name in task.trainable()} == parts


def test_the_text_tower_is_left_behind():
    task = build(**TOWER)
    assert isinstance(task.members[0].tower, MllamaVisionModel)
    assert {name.split(".")[2] for name, _ in task.named_parameters()} == {"tower", "head"}


def test_a_tower_is_pooled_by_the_mean_of_what_it_looked_at():
    task, batch, seen = build(**TOWER), make_batch(num_views=2), []
    network = task.members[0]
    network.tower.register_forward_hook(lambda _, __, output: seen.append(output.last_hidden_state))
    pooled = []
    network.head.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    probabilities(task, batch)
    assert seen[0].shape[:4] == (4, 1, 1, 4 + 40)  # class tokens of four tiles, and lit patches
    assert torch.allclose(pooled[0], seen[0][:, 0, 0].mean(1), atol=1e-5)


def test_a_tower_that_looks_at_everything_ignores_tiles_beyond_the_picture():
    task, batch, seen, pooled = build(tower="untrained:tiny", dropout=0.0), make_batch(), [], []
    network = task.members[0]
    network.tower.register_forward_hook(lambda _, __, output: seen.append(output.last_hidden_state))
    network.head.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    probabilities(task, batch)
    assert seen[0].shape[1:4] == (1, 4, 65)
    assert torch.allclose(pooled[0], seen[0][:, 0, :3].mean((1, 2)), atol=1e-5)


def test_views_are_shown_as_a_mosaic_or_as_images():
    batch = make_batch()
    mosaic, images = (probabilities(build(layout=layout, **TOWER), batch) for layout in ("mosaic", "images"))
    assert mosaic.shape == images.shape == (4, 3) and not torch.allclose(mosaic, images, atol=1e-4)


@pytest.mark.parametrize("tower", ["no/such/folder", "untrained:huge"])
def test_an_unknown_tower_is_refused(tower):
    with pytest.raises(ConfigError, match=f"model.tower = '{tower}'"):
        build(tower=tower)


def test_a_tower_of_other_tiles_than_the_views_is_refused():
    with pytest.raises(ConfigError, match=r"view.size is \[125, 125\], but a tile of the model is \[112, 112\]"):
        build(size=125, **TOWER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frozen": True}, "frozen and patches are for a model's tower"),
        ({"patches": 12}, "frozen and patches are for a model's tower"),
        ({"hidden": 100}, "hidden is 100, which 3 heads do not divide"),
        ({"layer": 3}, "model.layer: no such key; did you mean 'layers'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        build(**change)
