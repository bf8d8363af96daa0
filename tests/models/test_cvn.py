import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import RegNetModel

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.families import Cvn
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.cvn import CvnTask, group_normalized
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.sample import Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

SMALL = {"widths": (8, 8, 16), "depths": (1, 1, 1), "dropout": 0.0}


def make_batch(num_views: int = 3, size: int = 48) -> Batch:
    image = torch.randint(
        0, 256, (4, num_views, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Batch(image, torch.tensor([0, 1, 2, 0]), torch.ones(4, dtype=torch.bool), tuple("abcd"))


def build(num_views: int = 3, **settings) -> CvnTask:
    torch.manual_seed(0)
    return CvnTask(Cvn(**SMALL | settings), num_views, 3).eval()


def joined_features(task: CvnTask, batch: Batch) -> tuple[torch.Tensor, ...]:
    """What each tower makes of its view."""
    seen = []
    network = task.members[0]
    handle = network.joint.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with evaluating(task):
        task.predict(batch)
    handle.remove()
    return seen[0].chunk(3, 1)


def swapped(batch: Batch) -> Batch:
    return Batch(batch.image_BVHW[:, [1, 0, 2]], batch.label_B, batch.valid_B, batch.keys)


def test_a_shared_tower_sees_each_view_alike_and_towers_of_their_own_do_not():
    batch = make_batch()
    for shared in (True, False):
        task = build(shared=shared)
        first, second = joined_features(task, batch)[:2]
        other_first, other_second = joined_features(task, swapped(batch))[:2]
        same = torch.allclose(first, other_second, atol=1e-5) and torch.allclose(second, other_first, atol=1e-5)
        assert same == shared


def test_which_view_is_which_is_known_even_to_a_shared_tower():
    task, batch = build(shared=True), make_batch()
    with evaluating(task):
        first, second = (task.predict(b).log_probability_BC for b in (batch, swapped(batch)))
    assert not torch.allclose(first, second, atol=1e-3)


def test_each_view_adds_the_weights_of_a_tower_unless_it_is_shared():
    def weights(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    for num_views in (1, 2, 3):
        apart, shared = (build(num_views, shared=shared).members[0] for shared in (False, True))
        assert len(apart.towers) == num_views and len(shared.towers) == 1
        assert weights(apart) - weights(shared) == (num_views - 1) * weights(shared.towers[0])


def test_the_default_has_less_than_five_million_weights():
    assert sum(p.numel() for p in CvnTask(Cvn(), 3, 3).parameters()) < 5e6


def test_no_batch_normalization_is_left_anywhere():
    modules = list(build().modules())
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules)
    # For each view one of the stem and four of each of two blocks, shortcut included; then four of the joint block
    assert sum(isinstance(module, nn.GroupNorm) for module in modules) == 3 * (1 + 2 * 4) + 4


def test_group_norm_takes_the_place_of_batch_norm_and_all_else_stays():
    inner = nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16))
    module = nn.Sequential(inner, nn.BatchNorm2d(20), nn.BatchNorm1d(4))
    assert group_normalized(module) is module
    assert isinstance(module[0][0], nn.Conv2d) and isinstance(module[2], nn.BatchNorm1d)
    assert (module[0][1].num_groups, module[0][1].num_channels) == (2, 16)
    assert (module[1].num_groups, module[1].num_channels) == (2, 20)


def test_a_batch_in_parts_gives_the_gradient_of_the_whole():
    task, batch = build().train(), make_batch()

    def gradient(parts: list[Batch]) -> torch.Tensor:
        task.zero_grad()
        for part in parts:
            task.loss(part).sum().backward()
        return torch.cat([p.grad.flatten() for p in task.parameters()])

    whole, split = gradient([batch]), gradient([batch.part(0, 3), batch.part(3, 4)])
    assert torch.allclose(whole, split, atol=1e-4)


@pytest.mark.parametrize(("stride", "side"), [(2, 3), (4, 2)])
def test_the_stem_and_every_stage_shrink_the_picture(stride, side):
    # 48 pixels: 24 after a stem of stride 2 (12 of stride 4), then a half for each of three stages
    task, sides = build(stem_stride=stride), []
    task.members[0].joint.register_forward_hook(lambda _, __, output: sides.append(output.last_hidden_state.shape[-1]))
    with evaluating(task):
        task.predict(make_batch())
    assert sides == [side]


def test_blocks_are_those_of_regnet_with_squeeze_and_excitation():
    towers = build().members[0].towers
    assert all(isinstance(tower, RegNetModel) for tower in towers)
    kinds = [type(module).__name__ for module in towers.modules()]
    assert kinds.count("RegNetSELayer") == kinds.count("RegNetYLayer") == 6


def test_each_block_begins_as_its_shortcut():
    tower = build().members[0].towers[0]
    block = tower.encoder.stages[1].layers[0]
    inside = torch.rand(2, 8, 12, 12)
    assert torch.equal(block(inside), torch.relu(block.shortcut(inside)))


def test_a_view_that_is_missing_is_a_blank_one():
    task, batch = build(), make_batch(num_views=2)
    blank = torch.cat([batch.image_BVHW, torch.zeros_like(batch.image_BVHW[:, :1])], 1)
    with evaluating(task):
        fewer = task.predict(batch).log_probability_BC
        whole = task.predict(Batch(blank, batch.label_B, batch.valid_B, batch.keys)).log_probability_BC
    assert torch.equal(fewer, whole)


def test_bf16_weights_give_float32_losses_near_those_of_fp32():
    task, batch = build(), make_batch()
    with evaluating(task):
        exact = task.loss(batch)
        rounded = task.to(torch.bfloat16).loss(batch)
    assert rounded.dtype == torch.float32
    # 8 bits of mantissa, some ten layers deep
    assert torch.allclose(rounded, exact, atol=0.1)


def test_an_export_holds_every_weight(tmp_path):
    task = build(shared=True)
    task.export(tmp_path / "model")
    stored = load_file(tmp_path / "model" / "model.safetensors")
    assert stored.keys() == task.state_dict().keys()
    assert all(torch.equal(stored[name], value) for name, value in task.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": [1, 1]}, "widths has 4 stages, depths 2"),
        ({"separate_stages": 4}, "separate_stages is 4 of 4 stages, and none is left"),
        ({"stem_stride": 3}, r"stem_stride = 3: Input should be 2 or 4"),
        ({"width": [8]}, "model.width: no such key; did you mean 'widths'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message):
    fields = {"folder": "runs/x", "data": {"dataset": "d"}, "model": {"family": "cvn"} | change}
    with pytest.raises(ConfigError, match=message):
        parse_run(fields, where="test")


def test_the_family_is_built_by_its_name():
    fields = {"folder": "runs/x", "data": {"dataset": "d"}, "model": {"family": "cvn"} | SMALL}
    assert isinstance(build_task(parse_run(fields, where="test"), num_views=2), CvnTask)
