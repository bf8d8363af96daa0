"""One conformance suite for every model family: what the engine and the evaluation rely on."""

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine.state import MOMENTS, Tensors, load_values
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.models import FAMILIES, build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data

MODELS = {
    "cnn": {"family": "cnn", "widths": [8, 16], "hidden": 8, "dropout": 0.0},
    "cvn": {"family": "cvn", "widths": [16, 16, 16], "depths": [1, 1, 1], "dropout": 0.0},
    "vit": {"family": "vit", "patch_size": 28, "hidden": 24, "layers": 2, "heads": 2, "dropout": 0.0},
    "vit, frozen tower": {"family": "vit", "tower": "untrained:tiny", "patches": 40, "frozen": True, "dropout": 0.0},
    "vlm": {"family": "vlm", "base": "untrained:tiny"},
    "vlm, lit patches": {"family": "vlm", "base": "untrained:tiny", "patches": 24},
    "vlm, NF4 and LoRA": {"family": "vlm", "base": "untrained:tiny", "nf4": True, "lora": {"dropout": 0.0}},
    # Its base is a folder that a fixture makes
    "vlm, Idefics3": {"family": "vlm", "layout": "images"},
    "vlm, Idefics3, NF4 and LoRA": {"family": "vlm", "layout": "images", "nf4": True, "lora": {"dropout": 0.0}},
}


def test_every_family_is_in_the_suite():
    assert {model["family"] for model in MODELS.values()} == set(FAMILIES)


# Without transformers, whose import alone takes seconds
FAST = ("cnn",)


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in MODELS]
)
def model_fields(request):
    fields = MODELS[request.param]
    return fields | {"base": str(request.getfixturevalue("idefics3_folder"))} if "Idefics3" in request.param else fields


@pytest.fixture
def run(model_fields, run_fields):
    return parse_run(run_fields | {"model": model_fields}, where="test")


@pytest.fixture
def task(run):
    torch.set_num_threads(1)
    return build_task(run, num_views=3)


@pytest.fixture
def batch(run):
    _, training, _ = build_data(run, open_dataset(run.data.dataset))
    return training.batch(np.arange(6), np.ones(6, bool), epoch=None)


def test_the_loss_of_each_event_is_finite_and_independent_of_its_batch(task, batch):
    with evaluating(task):
        together = task.loss(batch)
        alone = torch.cat([task.loss(batch.part(i, i + 1)) for i in range(6)])
    assert together.shape == (6,) and torch.isfinite(together).all()
    assert torch.allclose(together, alone, atol=1e-5)


def test_loss_and_scores_together_are_those_of_each(task, batch):
    with evaluating(task):
        loss_B, score_BC = task.loss_and_scores(batch)
        assert torch.allclose(loss_B, task.loss(batch), atol=1e-5)
        assert torch.allclose(score_BC, task.predict(batch).log_probability_BC, atol=1e-6)


def test_the_loss_falls_on_a_batch_seen_again(task, batch):
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(task.trainable().values(), lr=5e-3)
    losses = []
    for _ in range(5):
        loss = task.loss(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_frozen_weights_stay_and_all_trainable_ones_get_a_gradient(task, batch):
    frozen = {name: p.detach().clone() for name, p in task.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW(task.trainable().values(), lr=1e-2)
    # LoRA's A matrices get none before B has left zero: two steps.
    for _ in range(2):
        optimizer.zero_grad()
        task.loss(batch).sum().backward()
        optimizer.step()
    without = [name for name, p in task.trainable().items() if p.grad is None or not p.grad.abs().sum() > 0]
    # The embedding of tile positions that a mosaic does not use has none, nor have gates that multiply zeros.
    assert len(without) <= 0.02 * len(task.trainable()), without
    for name, parameter in task.named_parameters():
        if name in frozen:
            assert torch.equal(parameter, frozen[name]), name


def test_probabilities_sum_to_one_and_do_not_depend_on_the_batch(task, batch):
    with evaluating(task):
        together = task.predict(batch).log_probability_BC
        alone = torch.cat([task.predict(batch.part(i, i + 1)).log_probability_BC for i in range(6)])
    assert together.shape == (6, 3)
    assert torch.allclose(together.exp().sum(1), torch.ones(6), atol=1e-5)
    assert torch.allclose(together, alone, atol=1e-4)


def test_evaluation_in_between_does_not_change_training(task, batch):
    """bitsandbytes once repacked 4-bit weights at the first evaluation, and training was wrong ever after."""

    def gradient():
        task.zero_grad()
        task.loss(batch).sum().backward()
        return torch.cat([p.grad.flatten() for p in task.trainable().values() if p.grad is not None])

    before = gradient()
    with evaluating(task):
        task.predict(batch)
    assert torch.equal(before, gradient())


def test_saved_values_give_the_same_loss_in_a_new_model(run, task, batch):
    with torch.no_grad():
        for parameter in task.trainable().values():
            parameter.add_(0.01)
    values = {name: p.detach().clone() for name, p in task.trainable().items()}
    other = build_task(run, num_views=3)
    load_values(other, Tensors(values, {}).values, run.folder)
    with evaluating(task), evaluating(other):
        assert torch.equal(task.loss(batch), other.loss(batch))


def test_values_of_another_model_are_refused(run, task):
    values = {f"other.{name}": p for name, p in task.trainable().items()}
    with pytest.raises(StoreError, match="other parameters than the model"):
        load_values(task, values, run.folder)


def test_the_same_seed_builds_the_same_weights(run, task):
    again = build_task(run, num_views=3)
    assert all(torch.equal(a, b) for a, b in zip(task.state_dict().values(), again.state_dict().values()))


def test_flops_grow_with_the_batch(task, batch):
    assert task.flops(batch) == 6 * task.flops(batch.part(0, 1)) > 0


def test_moments_have_the_names_that_adamw_uses():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    assert set(optimizer.state[parameter]) == {"step", *MOMENTS}
