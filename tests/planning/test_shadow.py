"""Shadows against what torch does with memory behind its tensors, and against sums that one can do by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.operations import counting_operations
from hpc_nuvlm.models.task import Prediction, Task
from hpc_nuvlm.planning.shadow import NF4_BYTES, count_weights, hollow, step
from hpc_nuvlm.sample import Batch
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data

WIDTH, EVENTS = 32, 4


class Chain(Task):
    """Two linear layers without bias around a rectifier: nothing else is kept or computed."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))

    def loss(self, batch):
        pixels = batch.image_BVHW.to(self.first.weight.dtype).flatten(1)
        return self.second(torch.relu(self.first(pixels))).sum(1)

    def predict(self, batch, explain=False):
        return Prediction(self.loss(batch)[:, None], None)

    def export(self, folder):
        raise NotImplementedError


def draw_batch(shape) -> Batch:
    label_B, valid_B = torch.zeros(shape[0], dtype=torch.long), torch.ones(shape[0], dtype=torch.bool)
    keys = [f"event-{number}" for number in range(shape[0])]
    return Batch(image_BVHW=torch.ones(shape, dtype=torch.uint8), label_B=label_B, valid_B=valid_B, keys=keys)


def test_a_chain_of_two_layers_takes_what_one_counts_by_hand():
    task = hollow(Chain)
    assert all(parameter.device.type == "meta" for parameter in task.parameters())
    found = step(task, draw_batch((EVENTS, 1, 1, WIDTH)), "fp32")
    weight, row = 4 * WIDTH**2, 4 * EVENTS * WIDTH
    # Pixels, what the rectifier gave, and in backward gradients of both layers beside one of their input
    assert found.gradient_bytes == 2 * weight
    assert 2 * weight + 2 * row <= found.peak_bytes <= 2 * weight + 6 * row
    # Forward twice, backward three times: nobody asks for the gradient of pixels
    assert found.flops == 5 * 2 * EVENTS * WIDTH**2


def test_half_the_width_of_numbers_takes_half_the_memory():
    sizes = [
        step(hollow(Chain), draw_batch((EVENTS, 1, 1, WIDTH)), precision).peak_bytes for precision in ("fp32", "bf16")
    ]
    assert sizes[0] == pytest.approx(2 * sizes[1], rel=0.02)


def test_fused_attention_counts_as_its_products_and_once_more_what_backward_does_again():
    def operations(backend: SDPBackend) -> tuple[int, int]:
        query = torch.randn(2, 4, 64, 16, requires_grad=True)
        with sdpa_kernel(backend), counting_operations() as counted:
            out = scaled_dot_product_attention(query, query, query).sum()
            forward = counted.get_total_flops()
            out.backward()
        return forward, counted.get_total_flops() - forward

    # Query with key, and that with values: 2 products of 64 x 64 x 16 for 2 x 4 heads; backward has 4, fused 5
    forward = 2 * 2 * (2 * 4) * 64 * 64 * 16
    assert operations(SDPBackend.MATH) == (forward, 2 * forward)
    assert operations(SDPBackend.FLASH_ATTENTION) == (forward, 5 * forward // 2)


@pytest.fixture
def batch_of(drawn_dataset):
    def make(run, num_events=4):
        _, training, _ = build_data(run, open_dataset(drawn_dataset))
        return training.batch(np.arange(num_events), np.ones(num_events, bool), 0)

    return make


MODELS = {
    "cnn": {"family": "cnn"},
    "cvn": {"family": "cvn", "widths": [8, 16], "depths": [1, 1], "separate_stages": 1},
    "vit": {"family": "vit", "layers": 2, "hidden": 48},
    "tower": {"family": "vit", "tower": "untrained:tiny"},
    "vlm": {"family": "vlm", "base": "untrained:tiny"},
    "adapters": {"family": "vlm", "base": "untrained:tiny", "lora": {"rank": 4, "alpha": 8}},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_shadow_has_the_weights_and_operations_of_the_model(name, run_fields, batch_of):
    run = parse_run(run_fields | {"model": MODELS[name]}, where="test")
    batch = batch_of(run)
    real, shadow = build_task(run, 3), hollow(lambda: build_task(run, 3))
    numbers = count_weights(shadow, nf4=False)
    assert numbers.learned == sum(parameter.numel() for parameter in real.trainable().values())
    assert numbers.learned + numbers.frozen == sum(parameter.numel() for parameter in real.parameters())
    with counting_operations() as counted:
        real.train()
        real.loss(batch).sum().backward()
    found = step(shadow, batch, "fp32")
    assert found.flops == counted.get_total_flops() > 0
    assert found.gradient_bytes == 4 * numbers.learned


@pytest.mark.slow
def test_activations_grow_with_events_and_weights_do_not(run_fields, batch_of):
    run = parse_run(run_fields | {"model": {"family": "cnn"}}, where="test")
    found = [step(hollow(lambda: build_task(run, 3)), batch_of(run, number), "fp32") for number in (4, 8, 12)]
    assert len({one.gradient_bytes for one in found}) == 1
    grown = [later.peak_bytes - earlier.peak_bytes for earlier, later in pairwise(found)]
    assert grown[0] == pytest.approx(grown[1], rel=0.01) and grown[0] == pytest.approx(found[0].peak_bytes, rel=0.15)


@pytest.mark.slow
def test_packed_weights_are_counted_as_bitsandbytes_packs_them(run_fields):
    fields = {"family": "vlm", "base": "untrained:tiny", "lora": {"rank": 4, "alpha": 8}}
    run = parse_run(run_fields | {"model": fields | {"nf4": True}}, where="test")
    real = build_task(run, 3)
    numbers = count_weights(hollow(lambda: build_task(run, 3)), nf4=True)
    # An adapter's wrapper shows the weight of the layer in it
    weights = {id(module.weight): module.weight for module in real.modules() if type(module).__name__ == "Linear4bit"}
    stored = sum(weight.numel() for weight in weights.values())
    states = [weight.quant_state for weight in weights.values()]
    scales = sum(state.absmax.nbytes + state.state2.absmax.nbytes for state in states)
    # Small layers end in the middle of a block of scales
    assert numbers.nf4 == 2 * stored and numbers.nf4 * NF4_BYTES == pytest.approx(stored + scales, rel=0.03)
