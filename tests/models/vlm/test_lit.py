"""A tower that looks at lit patches. The oracle is Mllama's own forward, its padding masked from all tokens."""

import pytest
import torch
from transformers.models.mllama import modeling_mllama
from transformers.models.mllama.configuration_mllama import MllamaVisionConfig
from transformers.models.mllama.image_processing_pil_mllama import get_all_supported_aspect_ratios

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.vlm.lit import LitVision
from hpc_nuvlm.sample import Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

SIZE, PATCH, TILES = 32, 8, 3
PATCHES = (SIZE // PATCH) ** 2
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(3)
    config = MllamaVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_global_layers=2,
        attention_heads=2,
        image_size=SIZE,
        patch_size=PATCH,
        max_num_tiles=TILES,
        intermediate_layers_indices=[0, 2],
        vision_output_dim=48,
        supported_aspect_ratios=[list(ratio) for ratio in get_all_supported_aspect_ratios(TILES)],
        attn_implementation="eager",
    )
    tower = modeling_mllama.MllamaVisionModel(config).eval()
    with torch.no_grad():
        # Gates begin at 0, where what they let through would not be tested
        for name, parameter in tower.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(0.7)
    return tower


def pictures(num_tiles: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """8-bit pixels (2, 1, TILES, H, W), most of them dark; ratio ids and mask of the tiles that hold something."""
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (2, 1, TILES, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    dark = torch.rand(pixels.shape, generator=generator) < 0.7
    pixels[dark] = 0
    pixels[:, :, num_tiles:] = 0
    ratios = get_all_supported_aspect_ratios(TILES)
    ids = torch.full((2, 1), ratios.index((1, num_tiles)) + 1)
    return pixels, ids, (torch.arange(TILES) < num_tiles).long().expand(2, 1, -1)


def normalized(pixels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (pixels.float().div(255).unsqueeze(3) - mean) / std * mask[..., None, None, None]


def dense(tower, monkeypatch, pixels, ids, mask) -> torch.Tensor:
    """(2, TILES, 1 + PATCHES, features) of the library's forward, where padding and empty tiles are seen by nobody."""

    def proper_mask(aspect_ratio_mask, num_patches, target_length, dtype):
        seen = aspect_ratio_mask.view(len(aspect_ratio_mask), TILES, 1).repeat(1, 1, target_length)
        seen[:, :, num_patches:] = 0
        hidden = (1 - seen.reshape(len(seen), 1, 1, -1).to(dtype)) * torch.finfo(dtype).min
        return hidden.expand(-1, 1, hidden.shape[-1], -1)

    monkeypatch.setattr(modeling_mllama, "_prepare_aspect_ratio_attention_mask", proper_mask)
    with torch.no_grad():
        return tower(normalized(pixels, mask), ids, mask).last_hidden_state[:, 0]


def lit(tower, num_lit, pixels, ids, mask) -> torch.Tensor:
    """(2, tokens, features) of the same weights, looking at `num_lit` patches."""
    seeing = LitVision(tower.config).eval()
    seeing.load_state_dict(tower.state_dict())
    seeing.look_at(num_lit, MEAN, STD)
    with torch.no_grad():
        return seeing(pixels, ids, mask).last_hidden_state[:, 0, 0]


def test_with_all_patches_it_is_the_librarys_tower(tower, monkeypatch):
    inputs = pictures(num_tiles=TILES)
    ours = lit(tower, TILES * PATCHES, *inputs)
    theirs = dense(tower, monkeypatch, *inputs)
    # Class tokens first, then patches by brightness
    assert torch.allclose(ours[:, :TILES], theirs[:, :, 0], atol=1e-5)
    brightness = inputs[0][:, 0].unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH)).sum((3, 5)).flatten(1)
    order = torch.sort(brightness, dim=1, descending=True, stable=True).indices
    expected = torch.stack([row[places] for row, places in zip(theirs[:, :, 1:].flatten(1, 2), order)])
    assert torch.allclose(ours[:, TILES:], expected, atol=1e-5)


def test_patches_that_are_not_looked_at_change_nothing(tower):
    pixels, ids, mask = pictures(num_tiles=TILES)
    few = lit(tower, 10, pixels, ids, mask)
    assert few.shape == (2, TILES + 10, 3 * 16)
    brightness = pixels.unflatten(4, (-1, PATCH)).unflatten(3, (-1, PATCH)).sum((4, 6)).flatten(1)
    darker = pixels.clone().unflatten(4, (-1, PATCH)).unflatten(3, (-1, PATCH))
    for event, level in enumerate(brightness):
        faint = level < level.sort(descending=True).values[9]
        darker[event] = torch.where(faint.view(1, TILES, 4, 1, 4, 1), 0, darker[event])
    darker = darker.flatten(5, 6).flatten(3, 4)
    assert not torch.equal(darker, pixels)
    assert torch.equal(lit(tower, 10, darker, ids, mask), few)


def test_tiles_beyond_the_picture_are_looked_at_last(tower):
    pixels, _, mask = pictures(num_tiles=2)
    seeing = LitVision(tower.config)
    seeing.look_at(2 * PATCHES, MEAN, STD)
    pixels[:, :, 2] = 255
    chosen = seeing._brightest(seeing._patches(pixels.flatten(0, 1)), mask.flatten(0, 1))
    assert (chosen < 2 * PATCHES).all()


def test_no_more_patches_are_looked_at_than_there_are(tower):
    assert lit(tower, 10_000, *pictures(num_tiles=TILES)).shape[1] == TILES * (1 + PATCHES)


def test_gradients_reach_every_adapter_of_a_4_bit_tower(run_fields):
    torch.set_num_threads(1)
    model = {"family": "vlm", "base": "untrained:tiny", "patches": 24, "nf4": True, "lora": {"dropout": 0.0}}
    task = build_task(parse_run(run_fields | {"model": model}, where="test"), num_views=3)
    images = torch.randint(0, 256, (2, 3, 112, 112), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    losses = task.loss(Batch(images, torch.tensor([0, 1]), torch.ones(2, dtype=torch.bool), ("a", "b")))
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    # A matrices get none while B is zero
    gradients = {name: p.grad for name, p in task.trainable().items() if "vision_model" in name and "lora_B" in name}
    assert len(gradients) == (4 + 2) * 6  # q, k, v, o, fc1 and fc2 of 4 layers and 2 global ones
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.abs().sum() > 0] == []


def test_an_exported_model_is_looked_with_as_it_was_trained_unless_told_otherwise(run_fields, tmp_path):
    def build(**model):
        return build_task(parse_run(run_fields | {"model": {"family": "vlm", **model}}, where="test"), num_views=3)

    trained = build(base="untrained:tiny", patches=24)
    trained.export(tmp_path / "model")
    again, dense = build(base=str(tmp_path / "model")), build(base=str(tmp_path / "model"), patches="all")
    dense.export(tmp_path / "dense")
    after = build(base=str(tmp_path / "dense"))
    assert again.model.model.vision_model.num_lit == 24 and again.eyes.tiling.lit
    for task in (dense, after):
        assert not isinstance(task.model.model.vision_model, LitVision) and not task.eyes.tiling.lit
