"""A student and its teacher: whose word counts how much, what is learned, and what stays as it was."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import Run, parse_run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Hits
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.distillation import Distillation, Teacher, divergence
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.runs import load_best
from hpc_nuvlm.sample import UNLABELLED, Batch, join
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.store.pack import pack
from hpc_nuvlm.training import build_data, build_learner, train

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

ALONE = World(0, 1, 0, 1, torch.device("cpu"))
# Another resolution and another size than the teacher's
VIEW = {"size": [60, 60], "pool": 8, "full_scale": 1020}
AUGMENT = {"symmetries": True, "stretch": 0.2, "shear": 0.05, "shift": [2, 4], "gain": 0.1, "dropout": 0.1}
STUDENT = {"family": "cnn", "widths": [8], "hidden": 8, "dropout": 0.3}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def teacher(drawn_dataset, tmp_path_factory) -> Run:
    """A finished run."""
    run = parse_run(
        {
            "folder": str(tmp_path_factory.mktemp("teacher") / "teacher"),
            "data": {"dataset": str(drawn_dataset)},
            "view": {"size": [112, 112], "pool": 4, "full_scale": 1020},
            "model": {"family": "cnn", "widths": [8, 16], "hidden": 8, "dropout": 0.2},
            "batch": {"global_size": 8, "per_rank": 8},
            "optimizer": {"lr": 5e-3},
            "engine": {"kind": "plain", "threads": 1},
            "schedule": {"epochs": 4},
        },
        where="test",
    )
    assert train(run, ALONE, StopRequest()) == 0
    return run


def student_run(run_fields: dict, teacher: Run | None, **distill) -> Run:
    taught = {"distill": {"teacher": str(teacher.folder), **distill}} if teacher else {}
    return parse_run(run_fields | {"view": VIEW, "augment": AUGMENT, "model": STUDENT} | taught, where="test")


@pytest.fixture
def run(run_fields, teacher) -> Run:
    return student_run(run_fields, teacher, weight=0.7, temperature=3.0)


@pytest.fixture
def task(run) -> Distillation:
    return build_learner(run, 3, ALONE)


def batch_of(run: Run, epoch: int | None = 0) -> Batch:
    _, training, _ = build_data(run, open_dataset(run.data.dataset))
    return training.batch(np.arange(6), np.ones(6, bool), epoch)


def losses(folder: Path) -> list[float]:
    records = map(json.loads, (folder / "records.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["kind"] == "step"]


def newest(run: Run) -> state.Tensors:
    return state.load_checkpoint(state.checkpoints(run.folder)[-1])[0]


def digests(folder: Path) -> dict[str, str]:
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_the_divergence_is_that_of_a_hand_computation():
    """Temperature 2 takes square roots of the probabilities: (0.64, 0.36) -> (4/7, 3/7), (0.5, 0.5) stays."""
    teacher, student = torch.tensor([[0.64, 0.36]]).log(), torch.tensor([[0.5, 0.5]]).log()
    by_hand = 4 * (4 / 7 * math.log(8 / 7) + 3 / 7 * math.log(6 / 7))
    assert float(divergence(teacher, student, 2.0)) == pytest.approx(by_hand, rel=1e-5)
    plain = 0.64 * math.log(1.28) + 0.36 * math.log(0.72)
    assert float(divergence(teacher, student, 1.0)) == pytest.approx(plain, rel=1e-5)
    assert float(divergence(teacher, teacher, 2.0)) == pytest.approx(0, abs=1e-6)


def test_the_gradient_at_a_high_temperature_is_that_of_the_logits_difference():
    """arXiv:1503.02531, equation 4, times T^2: (student - teacher logits) / classes, both with mean 0."""
    generator = torch.Generator().manual_seed(1)
    teacher, student = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    teacher, student = teacher - teacher.mean(1, keepdim=True), student - student.mean(1, keepdim=True)
    student.requires_grad_()
    divergence(teacher, student, 1e4).sum().backward()
    assert torch.allclose(student.grad, (student.detach() - teacher) / 3, atol=1e-3)


def test_the_loss_is_the_weighted_sum_of_both_terms(task, run):
    batch = batch_of(run)
    with evaluating(task):
        told_BC = task.teacher.log_probability(batch).double()
        student_BC = task.predict(batch).log_probability_BC.double()
        soft = [
            np.exp(logs.numpy() / 3) / np.exp(logs.numpy() / 3).sum(1, keepdims=True) for logs in (told_BC, student_BC)
        ]
        apart = 9 * (soft[0] * np.log(soft[0] / soft[1])).sum(1)
        labels = -student_BC[torch.arange(6), batch.label_B].numpy()
        assert task.loss(batch).numpy() == pytest.approx(0.3 * labels + 0.7 * apart, abs=1e-5)


def test_what_is_learned_and_saved_is_the_student_alone(task, run):
    alone = build_task(run, 3)
    assert task.trainable().keys() == alone.trainable().keys()
    assert all(torch.equal(value, alone.trainable()[name]) for name, value in task.trainable().items())
    assert len(list(task.parameters())) == len(list(alone.parameters()))


def test_a_plain_student_is_read_from_the_checkpoint_and_needs_no_teacher(run, teacher, tmp_path):
    train(run, ALONE, StopRequest())
    assert newest(run).values.keys() == build_task(run, 3).trainable().keys()
    without = run.model_copy(update={"distill": run.distill.model_copy(update={"teacher": tmp_path / "gone"})})
    assert type(load_best(without, 3)) is type(build_task(run, 3))
    assert (run.folder / "model" / "model.safetensors").is_file()


def test_the_teacher_is_not_changed_by_a_bit_and_asked_without_dropout(run, teacher):
    before = digests(teacher.folder)
    task = build_learner(run, 3, ALONE)
    values = {name: value.clone() for name, value in task.teacher.task.state_dict().items()}
    batch = batch_of(run)
    optimizer = torch.optim.AdamW(task.trainable().values(), lr=1e-2)
    task.train()
    first = task.teacher.log_probability(batch)
    for _ in range(2):
        task.loss(batch).sum().backward()
        optimizer.step()
    again = task.teacher.log_probability(batch)
    assert torch.equal(first, again) and not again.requires_grad
    assert all(torch.equal(value, values[name]) for name, value in task.teacher.task.state_dict().items())
    assert all(parameter.grad is None for parameter in task.teacher.task.parameters())
    assert digests(teacher.folder) == before


def test_weight_0_is_plain_training_bit_for_bit(run_fields, teacher, tmp_path):
    plain = student_run(run_fields | {"folder": str(tmp_path / "plain")}, None)
    taught = student_run(run_fields | {"folder": str(tmp_path / "taught")}, teacher, weight=0)
    for run in (plain, taught):
        train(run, ALONE, StopRequest())
    assert losses(plain.folder) == losses(taught.folder)
    first, second = newest(plain), newest(taught)
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)


def test_weight_1_does_not_look_at_labels(run_fields, teacher):
    run = student_run(run_fields, teacher, weight=1)
    task, batch = build_learner(run, 3, ALONE), batch_of(run)
    with evaluating(task):
        known = task.loss(batch)
        assert (known > 0).all()
        for labels in (batch.label_B.roll(1), torch.full((6,), UNLABELLED)):
            assert torch.equal(task.loss(replace(batch, label_B=labels)), known)


def test_an_event_without_a_class_is_learned_from_the_teacher_alone(task, run):
    batch = batch_of(run)
    unlabelled = replace(batch, label_B=torch.where(torch.arange(6) < 2, UNLABELLED, batch.label_B))
    with evaluating(task):
        loss, own = task.loss(unlabelled), task.student.loss(unlabelled)
        told_BC = task.teacher.log_probability(batch)
        apart = 0.7 * divergence(told_BC, task.predict(batch).log_probability_BC, 3.0)
        assert (own[:2] == 0).all() and torch.equal(loss[:2], apart[:2])
        assert torch.equal(loss[2:], task.loss(batch)[2:])


def test_a_resumed_run_has_the_losses_of_an_undisturbed_one_bit_for_bit(run, tmp_path):
    whole = run.model_copy(update={"folder": tmp_path / "whole"})
    train(whole, ALONE, StopRequest())
    for stop_after in (3, None):
        schedule = run.schedule.model_copy(update={"stop_after_steps": stop_after})
        train(part := run.model_copy(update={"schedule": schedule}), ALONE, StopRequest())
    assert losses(part.folder) == losses(whole.folder)
    first, second = newest(whole), newest(part)
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)


def test_a_dataset_without_labels_is_learned_from_only_with_a_teacher(run_fields, teacher, cvn_detector, tmp_path):
    labelled = open_dataset(run_fields["data"]["dataset"]).split("train")
    events = [replace(labelled[i], truth=replace(labelled[i].truth, label=None)) for i in range(4)]
    # Other hits, or the dataset would hold events of the first
    events = [replace(event, hits=Hits(event.hits.kind, halved(event.hits))) for event in events]
    pack(iter(events), tmp_path / "more", cvn_detector, split={"train": 1.0}, classes=None, command="test")
    fields = run_fields | {"data": run_fields["data"] | {"more": [{"dataset": str(tmp_path / "more")}]}}
    run = student_run(fields, teacher, weight=0.7)
    _, training, _ = build_data(run, open_dataset(run.data.dataset))
    batch = training.batch(np.arange(len(training) - 6, len(training)), np.ones(6, bool), epoch=0)
    assert (batch.label_B == UNLABELLED).tolist() == [False, False, True, True, True, True]
    assert batch.teacher_image_BVHW.amax((1, 2, 3)).gt(0).all()
    assert torch.isfinite(build_learner(run, 3, ALONE).loss(batch)).all()
    with pytest.raises(ConfigError, match="labelled None"):
        build_data(student_run(fields, None), open_dataset(run.data.dataset))


def halved(hits: Hits) -> dict[str, np.ndarray]:
    """Every second hit."""
    return {name: hits[name][::2] for name in ("plane", "row", "column", "charge")}


def test_the_student_approaches_its_teacher(run_fields, teacher):
    run = student_run(run_fields, teacher, weight=1, temperature=1)
    task, batch = build_learner(run, 3, ALONE), batch_of(run, epoch=None)
    optimizer = torch.optim.AdamW(task.trainable().values(), lr=1e-2)
    seen = []
    for _ in range(30):
        optimizer.zero_grad()
        task.loss(batch).mean().backward()
        optimizer.step()
        with evaluating(task):
            seen.append(float(task.loss(batch).mean()))
    assert seen[-1] < 0.5 * seen[0]


def test_the_teacher_sees_through_its_own_view(run, teacher):
    own, taught = batch_of(teacher, epoch=None), batch_of(run, epoch=None)
    assert torch.equal(taught.teacher_image_BVHW, own.image_BVHW)
    assert taught.image_BVHW.shape == (6, 3, 60, 60) and own.teacher_image_BVHW is None
    validation = build_data(run, open_dataset(run.data.dataset))[2]
    assert validation.batch([0], np.ones(1, bool), None).teacher_image_BVHW is None


def test_both_pictures_of_an_event_are_augmented_alike(run_fields, teacher):
    """With the teacher's view and without blanked pixels, the student's picture is the teacher's."""
    fields = run_fields | {"view": teacher.view.model_dump(), "augment": AUGMENT | {"dropout": 0.0}}
    fields |= {"distill": {"teacher": str(teacher.folder)}}
    batch = batch_of(parse_run(fields, where="test"), epoch=3)
    assert torch.equal(batch.image_BVHW, batch.teacher_image_BVHW)
    assert not torch.equal(batch.image_BVHW, batch_of(teacher, epoch=None).image_BVHW)


def test_a_shift_is_as_far_for_pixels_of_another_size(run_fields, teacher):
    fields = run_fields | {"view": VIEW, "augment": {"shift": [3, 5]}, "distill": {"teacher": str(teacher.folder)}}
    moved, still = (batch_of(parse_run(fields, where="test"), epoch) for epoch in (1, None))

    def first_lit_row(image_BVHW: torch.Tensor) -> torch.Tensor:
        return image_BVHW.amax((1, 3)).gt(0).int().argmax(1)

    rows = first_lit_row(moved.image_BVHW) - first_lit_row(still.image_BVHW)
    teacher_rows = first_lit_row(moved.teacher_image_BVHW) - first_lit_row(still.teacher_image_BVHW)
    assert rows.unique().numel() > 2 and torch.equal(teacher_rows * 4, rows * 8)


def test_batches_keep_the_pictures_of_the_teacher_through_parts_and_joins(run):
    batch = batch_of(run)
    halves = [batch.part(0, 3), batch.part(3, 6)]
    assert torch.equal(join(halves).teacher_image_BVHW, batch.teacher_image_BVHW)
    assert torch.equal(batch.part(4, 8).teacher_image_BVHW[:2], batch.teacher_image_BVHW[4:])


def test_a_teacher_that_is_no_run_or_tells_other_classes_is_refused(run_fields, teacher, tmp_path):
    missing = parse_run(run_fields | {"distill": {"teacher": str(tmp_path / "none")}}, where="test")
    with pytest.raises(ConfigError, match="is no run folder"):
        build_learner(missing, 3, ALONE)
    turned = {"classes": ["nc", "nue_cc", "numu_cc"]}
    other = student_run(run_fields | {"data": run_fields["data"] | turned}, teacher)
    with pytest.raises(ConfigError, match=r"set data\.classes to the teacher's, in its order"):
        build_learner(other, 3, ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("adapters", [None, {"dropout": 0.0}])
def test_a_vision_language_model_gets_the_right_gradient_from_a_small_network(run_fields, teacher, adapters):
    """A small step down the gradient lowers the loss by its length squared: the scorer's cache loses none of it."""
    fields = run_fields | {"model": {"family": "vlm", "base": "untrained:tiny", "lora": adapters}}
    fields |= {"distill": {"teacher": str(teacher.folder), "weight": 1.0, "temperature": 1.0}}
    run = parse_run(fields, where="test")
    task, batch = build_learner(run, 3, ALONE), batch_of(run, epoch=None)
    before = task.loss(batch).mean()
    before.backward()
    learned = [parameter for parameter in task.trainable().values() if parameter.grad is not None]
    length_squared = sum(float(parameter.grad.double().square().sum()) for parameter in learned)
    step = 0.01 * float(before.detach()) / length_squared
    with torch.no_grad():
        for parameter in learned:
            parameter.sub_(step * parameter.grad)
        lowered = float(before - task.loss(batch).mean())
    assert lowered == pytest.approx(step * length_squared, rel=0.1)


@pytest.mark.slow
def test_a_small_network_learns_from_a_vision_language_model(run_fields, tmp_path):
    fields = run_fields | {"folder": str(tmp_path / "vlm"), "model": {"family": "vlm", "base": "untrained:tiny"}}
    vlm = parse_run(fields | {"schedule": {"epochs": 1}}, where="test")
    train(vlm, ALONE, StopRequest())
    run = student_run(run_fields, vlm, weight=0.5)
    assert train(run, ALONE, StopRequest()) == 0
    assert all(map(math.isfinite, losses(run.folder)))


def test_the_teacher_is_no_part_of_the_module(teacher):
    task = load_best(teacher, 3)
    taught = Distillation(load_best(teacher, 3), Teacher(task), 0.5, 2.0)
    assert list(dict(taught.named_children())) == ["student"]
    taught.double()
    assert next(task.parameters()).dtype == torch.float32


@pytest.mark.slow
def test_every_engine_on_two_ranks_gives_the_losses_of_the_plain_one(run_fields, teacher, tmp_path):
    """Uneven shares, accumulation, and a resume in the middle are part of it."""
    run = student_run(run_fields | {"batch": {"global_size": 5, "per_rank": 2}}, teacher, weight=0.7)
    fields = run.model_dump(mode="json")
    fields["model"]["dropout"] = 0.0  # ranks would draw other masks than one process
    (tmp_path / "run.json").write_text(json.dumps(fields))
    command = [Path(sys.executable).parent / "torchrun", "--nproc-per-node", "2", "--master-port", "29617"]
    command += [Path(__file__).parent / "distillation_program.py", tmp_path / "run.json", tmp_path]
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    alone = parse_run(fields | {"folder": str(tmp_path / "alone")}, where="test")
    train(alone, ALONE, StopRequest())
    for engine in ("plain", "zero-1", "zero-2", "zero-3"):
        assert losses(tmp_path / engine) == pytest.approx(losses(alone.folder)[:4], abs=1e-5), engine
