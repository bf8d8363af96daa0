import json
import math
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import Optimizer, load_run, parse_run
from hpc_nuvlm.engine import loop, state
from hpc_nuvlm.engine.loop import learning_rate, pause
from hpc_nuvlm.engine.plain import digest_of
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import CheckpointError, StoreError, UserError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.cnn import CnnTask
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data, shuffled, train

ALONE = World(0, 1, 0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def losses(folder: Path) -> list[float]:
    records = map(json.loads, (folder / "records.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["kind"] == "step"]


def run_with(fields: dict, **schedule):
    return parse_run(fields | {"schedule": fields["schedule"] | schedule}, where="test")


def test_a_run_leaves_all_that_is_needed_to_repeat_it(run_fields):
    run = run_with(run_fields)
    assert train(run, ALONE, StopRequest()) == 0
    assert load_run(run.folder / "run.yaml") == run
    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__ and environment["world_size"] == 1
    assert list((run.folder / "tensorboard").iterdir())
    assert (run.folder / "model" / "model.safetensors").is_file()
    plan, _, _ = build_data(run, open_dataset(run.data.dataset))
    assert len(losses(run.folder)) == 2 * plan.steps_per_epoch


def test_a_resumed_run_has_the_losses_of_an_undisturbed_one_bit_for_bit(run_fields, tmp_path):
    whole = run_with(run_fields | {"folder": str(tmp_path / "whole")})
    train(whole, ALONE, StopRequest())
    for stop_after in (3, 5, None):
        part = run_with(run_fields | {"folder": str(tmp_path / "part")}, stop_after_steps=stop_after)
        train(part, ALONE, StopRequest())
    assert losses(part.folder) == losses(whole.folder)
    first, second = (state.load_checkpoint(state.checkpoints(run.folder)[-1])[0] for run in (whole, part))
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)


def test_without_epochs_the_model_is_validated_once_and_kept_as_it_comes(run_fields):
    run = run_with(run_fields, epochs=0)
    for _ in ("a first time", "again"):
        assert train(run, ALONE, StopRequest()) == 0
    assert losses(run.folder) == []
    assert [record["step"] for record in records(run.folder) if record["kind"] == "validation"] == [0]
    kept, position = state.load_checkpoint(state.checkpoints(run.folder, state.BEST)[-1])
    as_it_comes = build_task(run, 3).named_parameters()
    assert position.best_step == 0
    assert all(torch.equal(kept.values[name], values) for name, values in as_it_comes)


def test_a_signal_stops_at_the_next_step_with_the_code_that_means_run_again(run_fields, tmp_path):
    whole = run_with(run_fields | {"folder": str(tmp_path / "whole")})
    train(whole, ALONE, StopRequest())
    run = run_with(run_fields)
    stop = StopRequest()
    stop.received = signal.SIGUSR1
    assert train(run, ALONE, stop) == EXIT_REQUEUE
    assert len(losses(run.folder)) == 1
    assert train(run, ALONE, StopRequest()) == 0
    assert losses(run.folder) == losses(whole.folder)


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def without_times(folder: Path) -> list[dict]:
    """What does not depend on the machine; peak memory is told at each end of the run's lives."""
    told = (one for one in records(folder) if one["kind"] != "memory")
    return [{name: value for name, value in one.items() if name != "seconds"} for one in told]


@pytest.mark.parametrize("at_batch", [1, 2])
def test_a_signal_while_validating_stops_there_and_it_is_validated_before_the_next_step(
    run_fields, tmp_path, monkeypatch, at_batch
):
    whole = run_with(run_fields | {"folder": str(tmp_path / "whole")})
    train(whole, ALONE, StopRequest())
    run, stop, calls = run_with(run_fields), StopRequest(), []

    def ask(job, position):
        calls.append(position.step)
        if len(calls) == at_batch:
            stop.received = signal.SIGUSR1
        return pause(job, position)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "pause", ask)
        assert train(run, ALONE, stop) == EXIT_REQUEUE
    assert len(calls) == at_batch and not any(one["kind"] == "validation" for one in records(run.folder))
    assert train(run, ALONE, StopRequest()) == 0
    assert without_times(run.folder) == without_times(whole.folder)


def test_a_run_stopped_in_its_last_validation_is_not_done(run_fields, tmp_path, monkeypatch):
    """As when another rank got the signal."""
    run = run_with(run_fields, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "pause", lambda job, position: True)
        assert train(run, ALONE, StopRequest()) == EXIT_REQUEUE
    assert not (run.folder / "model").exists()
    assert train(run, ALONE, StopRequest()) == 0
    assert (run.folder / "model").is_dir()


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_the_one_before_is_continued(
    run_fields, tmp_path, monkeypatch
):
    whole = run_with(run_fields | {"folder": str(tmp_path / "whole")})
    train(whole, ALONE, StopRequest())
    run, write = run_with(run_fields, checkpoint_every_steps=2), state.save_checkpoint

    def full_disk(folder, tensors, position):
        if folder.name == "step-00000004":
            raise CheckpointError(f"{folder}: the checkpoint could not be written")
        write(folder, tensors, position)

    with monkeypatch.context() as patch:
        patch.setattr(state, "save_checkpoint", full_disk)
        with pytest.raises(CheckpointError, match="step-00000004: the checkpoint could not be written") as caught:
            train(run, ALONE, StopRequest())
    assert caught.value.exit_code == 73
    assert len(losses(run.folder)) < len(losses(whole.folder)), "it must not go on for long without saving"
    assert [path.name for path in state.checkpoints(run.folder)] == ["step-00000002"]
    assert train(run, ALONE, StopRequest()) == 0
    assert losses(run.folder) == losses(whole.folder)


def test_a_rank_with_other_weights_than_the_others_is_named_and_nothing_is_saved(run_fields, monkeypatch):
    told = [("node1", "a"), ("node2", "b"), ("node3", "a")]
    monkeypatch.setattr(World, "gather", lambda self, item: told if isinstance(item, tuple) and item[1] else [item])
    run = run_with(run_fields)
    with pytest.raises(CheckpointError, match="rank 1 on node2: other weights than the other ranks'"):
        train(run, ALONE, StopRequest())
    assert not state.checkpoints(run.folder)


@pytest.mark.parametrize("kind", ["bit", "order"])
def test_the_digest_of_weights_changes_with_any_bit(run_fields, kind):
    task = build_task(run_with(run_fields), 3)
    before = digest_of(task)
    weight = next(iter(task.trainable().values()))
    with torch.no_grad():
        if kind == "bit":
            weight.view(torch.int32).view(-1)[5] ^= 1
        else:
            weight.view(-1)[:2] = weight.view(-1)[[1, 0]]
    assert digest_of(task) != before


def test_a_signal_is_remembered_not_obeyed_at_once():
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        stop = StopRequest().install()
        signal.raise_signal(signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def test_training_never_opens_the_test_split(run_fields, drawn_dataset, tmp_path):
    """The test shards are not even there."""
    folder = tmp_path / "without_test"
    folder.mkdir()
    for path in drawn_dataset.iterdir():
        if not path.name.startswith("test"):
            (folder / path.name).symlink_to(path)
    run = run_with(run_fields | {"data": {"dataset": str(folder)}})
    assert train(run, ALONE, StopRequest()) == 0
    with pytest.raises(StoreError, match="test"):
        open_dataset(folder).split("test")


def test_a_loss_that_is_not_finite_stops_before_any_weight_changes(run_fields, monkeypatch):
    run = run_with(run_fields)
    train(replaced := run_with(run_fields, stop_after_steps=2), ALONE, StopRequest())
    before = state.load_checkpoint(state.checkpoints(replaced.folder)[-1])[0]
    monkeypatch.setattr(CnnTask, "loss", lambda task, batch: task.members[0](batch.image_BVHW)[:, 0] * math.nan)
    with pytest.raises(UserError, match=r"step 3: the loss is not finite for events rank 0: cdcdcd"):
        train(run, ALONE, StopRequest())
    after = state.load_checkpoint(state.checkpoints(run.folder)[-1])[0]
    assert all(torch.equal(before.values[name], after.values[name]) for name in before.values)


def test_another_seed_cannot_continue_a_run(run_fields):
    train(run_with(run_fields, stop_after_steps=1), ALONE, StopRequest())
    with pytest.raises(StoreError, match="was trained with seed 1, this run has 2"):
        train(run_with(run_fields | {"seed": 2}), ALONE, StopRequest())


def test_records_after_the_checkpoint_are_taken_again_only_once(run_fields):
    run = run_with(run_fields, checkpoint_every_steps=2, stop_after_steps=3)
    train(run, ALONE, StopRequest())
    # As if killed after step 3 was recorded and before it was saved, in the middle of a line
    newest = state.checkpoints(run.folder)[-1]
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    with (run.folder / "records.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')
    train(run_with(run_fields), ALONE, StopRequest())
    steps = [
        json.loads(line)["step"]
        for line in (run.folder / "records.jsonl").read_text().splitlines()
        if '"step",' in line
    ]
    assert steps == sorted(set(steps))


def test_the_learning_rate_rises_linearly_and_falls_as_half_a_cosine():
    optimizer = Optimizer(lr=2.0, warmup=0.2)
    rates = [learning_rate(optimizer, step, 10) for step in range(10)]
    assert rates[:3] == [1.0, 2.0, 2.0]
    assert rates[6] == pytest.approx(1.0) and all(a >= b for a, b in pairwise(rates[1:]))
    assert learning_rate(optimizer.model_copy(update={"schedule": "constant"}), 9, 10) == 2.0


def test_shuffled_pictures_are_all_used_and_none_is_its_own(run_fields):
    plan, _, _ = build_data(run_with(run_fields), open_dataset(run_fields["data"]["dataset"]))
    for num_events in (2, 3, plan.num_events):
        picture_of = shuffled(replace(plan, num_events=num_events))
        assert sorted(picture_of) == list(range(num_events))
        assert (picture_of != np.arange(num_events)).all()


def test_augmentation_depends_on_seed_epoch_and_event_alone(run_fields):
    fields = run_fields | {"augment": {"symmetries": True, "shift": [5, 2], "dropout": 0.3}}
    _, training, validation = build_data(run_with(fields), open_dataset(fields["data"]["dataset"]))
    valid = np.ones(4, bool)
    images = training.batch([3, 1, 4, 1], valid, epoch=0).image_BVHW
    again = training.batch([1], valid[:1], epoch=0).image_BVHW
    assert torch.equal(images[1], images[3]) and torch.equal(images[1], again[0])
    assert not torch.equal(again[0], training.batch([1], valid[:1], epoch=1).image_BVHW[0])
    plain = validation.batch([0], valid[:1], epoch=None).image_BVHW
    assert torch.equal(plain, validation.batch([0], valid[:1], epoch=None).image_BVHW)
