"""A simulated dataset is the same however many processes make it, and survives whatever stops them."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.engine.place import Worker
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.errors import ConfigError, StoreError, UserError
from hpc_nuvlm.simulate.settings import Simulation
from hpc_nuvlm.simulation import plan_parts, simulation_work
from hpc_nuvlm.store import open_dataset, verify
from hpc_nuvlm.store.parts import PartsFolder
from hpc_nuvlm.workers import do_parts, make_dataset

PROGRAM = Path(__file__).parent / "simulation_program.py"
drawn_work = runpy.run_path(str(PROGRAM))["drawn_work"]


def settings(**changes) -> Simulation:
    return Simulation(detector="dune_fd_cvn", **changes)


def nothing(made: int, kept: int) -> None:
    pass


def simulate_parts(work, out: Path, worker: Worker, on_progress, stop) -> bool:
    """Make a worker's parts in this process; False if `stop` said so. Publishes nothing."""
    counts = {"made": 0, "kept": 0}

    def count(kind: str, number: int) -> bool:
        counts[kind] += number
        on_progress(counts["made"], counts["kept"])
        return not stop()

    numbers = range(worker.number, len(work.ranges), worker.count)
    return do_parts(work, out, numbers, lambda size: count("made", size), lambda size: count("kept", size))


def make(work, out: Path, num_workers: int = 1):
    folder = PartsFolder(out, work.blueprint)
    for number in range(num_workers):
        assert folder.join() is None
        assert folder.publish() is None
        assert simulate_parts(work, out, Worker(number, num_workers), nothing, lambda: False)
    return folder.publish()


def content(folder: Path) -> dict[str, bytes]:
    """Every file; of the manifest all but the time of its creation."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(files["manifest.json"])
    manifest["lineage"].pop("created")
    return files | {"manifest.json": json.dumps(manifest).encode()}


@given(
    st.integers(1, 3000),
    st.integers(1, 100),
    st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any),
)
def test_parts_hold_every_event_once_and_splits_are_ranges(num_events, shard_events, weights):
    split = {f"s{place}": weight / sum(weights) for place, weight in enumerate(weights)}
    parts = list(plan_parts(settings(events=num_events, shard_events=shard_events, split=split)))
    numbers = [number for part in parts for number in range(part.start, part.stop)]
    assert numbers == list(range(num_events))
    assert all(0 < part.stop - part.start <= shard_events for part in parts)
    assert len({part.name for part in parts}) == len(parts)
    for name, fraction in split.items():
        held = [part for part in parts if part.split == name]
        assert [part.index for part in held] == list(range(len(held)))
        assert sum(part.stop - part.start for part in held) == pytest.approx(fraction * num_events, abs=1)
        assert all(part.stop - part.start == shard_events for part in held[:-1])


def test_the_plan_of_a_hundred_million_events_takes_no_time():
    parts = plan_parts(settings(events=10**8))
    assert len(parts) == 390626 and parts[len(parts) - 1].stop == 10**8
    with pytest.raises(IndexError):
        parts[len(parts)]


def test_splits_that_do_not_add_up_are_refused():
    with pytest.raises(StoreError, match="split fractions"):
        plan_parts(settings(split={"train": 0.5}))


def test_any_number_of_workers_makes_the_same_bytes(tmp_path):
    work = drawn_work(100)
    one = make(work, tmp_path / "one")
    three = make(work, tmp_path / "three", 3)
    assert one.fingerprint == three.fingerprint
    assert content(tmp_path / "one") == content(tmp_path / "three")
    assert verify(tmp_path / "one") == []
    data = open_dataset(tmp_path / "one")
    numbers = [event.identity.event for name in data.splits for event in data.split(name)]
    assert numbers == list(range(100)) and data.splits == ("train", "val", "test")


def test_the_manifest_tells_all_settings(tmp_path):
    manifest = make(drawn_work(20), tmp_path / "out")
    assert manifest.lineage.generator == "nuvlm simulate" and manifest.lineage.command == "test"
    assert Simulation.model_validate_json(manifest.lineage.settings) == settings(events=20, shard_events=8)


def test_events_with_too_few_hits_are_left_out_and_counted(tmp_path):
    manifest = make(drawn_work(100, least_hits=40), tmp_path / "out", num_workers=2)
    assert manifest.left_out == {"fewer than 40 hits": 20}, "every fifth has none"
    data = open_dataset(tmp_path / "out")
    numbers = [event.identity.event for name in data.splits for event in data.split(name)]
    assert numbers == [number for number in range(100) if number % 5]
    assert manifest.num_events("train") == sum(manifest.labels["train"].values()) == 64


def test_a_part_of_which_nothing_is_left_has_no_shard(tmp_path):
    manifest = make(drawn_work(21, shard_events=1, least_hits=1), tmp_path / "out")
    assert len(manifest.shards) == 16 and manifest.left_out == {"fewer than 1 hits": 5}
    assert verify(tmp_path / "out") == []


def test_a_worker_that_is_told_to_stop_leaves_whole_shards_only(tmp_path):
    work, out = drawn_work(100), tmp_path / "out"
    folder, counts = PartsFolder(out, work.blueprint), []
    folder.join()
    done = simulate_parts(work, out, Worker(), lambda made, kept: counts.append(made), lambda: counts[-1] >= 20)
    assert not done and folder.publish() is None
    assert counts == list(range(1, 21)), "it stops after the event, not after the shard"
    assert len(list(out.glob("*.zarr.zip"))) == len(list(out.glob(".part-*"))) == 2
    make(work, tmp_path / "whole")
    kept = []
    assert simulate_parts(work, out, Worker(), lambda made, old: kept.append((made, old)), lambda: False)
    assert kept[-1] == (84, 16)
    folder.publish()
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "sidecar"])
def test_a_part_that_is_damaged_is_made_again(tmp_path, damage):
    work, out = drawn_work(60), tmp_path / "out"
    folder = PartsFolder(out, work.blueprint)
    folder.join()
    simulate_parts(work, out, Worker(), nothing, lambda: False)
    path = sorted(out.glob(".part-*" if damage == "sidecar" else "*.zarr.zip"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink() if damage == "gone" else path.write_bytes(data[:-9] if damage != "bit" else data)
    counts = []
    assert simulate_parts(work, out, Worker(), lambda made, kept: counts.append((made, kept)), lambda: False)
    made, kept = counts[-1]
    assert made + kept == 60 and 4 <= made <= 8
    folder.publish()
    make(work, tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


def start(*arguments, **environment) -> subprocess.Popen:
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)


def finish(process: subprocess.Popen, code: int) -> str:
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


def wait_for_parts(out: Path, number: int, process: subprocess.Popen) -> None:
    while len(list(out.glob(".part-*"))) < number:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGKILL, -9)])
def test_what_was_stopped_by_a_signal_is_continued_by_the_same_command(tmp_path, number, code):
    out = tmp_path / "out"
    victim = start(out, 200, "--jobs", 2, "--seconds", 0.01)
    wait_for_parts(out, 4, victim)
    victim.send_signal(number)
    said = finish(victim, code)
    assert code != 75 or "finished shards are kept, the same command continues" in said
    deadline = time.monotonic() + 10  # children of a killed parent notice it at their next event
    while time.monotonic() < deadline and len(before := set(out.iterdir())) and time.sleep(0.3) is None:
        if before == set(out.iterdir()):
            break
    said = finish(start(out, 200, "--jobs", 2), 0)
    assert "kept from before" in said and "train 160, val 20, test 20 events" in said
    make(drawn_work(200), tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")
    said = finish(start(out, 200), 0)
    assert "is this very dataset, and was finished before" in said


@pytest.mark.slow
def test_the_tasks_of_an_array_share_the_work(tmp_path):
    out = tmp_path / "out"
    array = {"SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "2"}
    array |= {"SLURM_ARRAY_TASK_STEP": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}
    tasks = [start(out, 100, SLURM_ARRAY_TASK_ID=str(task), **array) for task in range(3)]
    said = "".join(finish(task, 0) for task in tasks)
    assert all(f"worker {number} of 3" in said for number in range(3)), said
    assert said.count("train 80, val 10, test 10 events") >= 1
    make(drawn_work(100), tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(("bad", "message"), [(37, "event 37 is bad"), (-37, "ended by signal 9")])
def test_a_process_that_fails_ends_the_command_and_leaves_what_is_done(tmp_path, bad, message):
    out = tmp_path / "out"
    said = finish(start(out, 100, "--jobs", 2, "--bad", bad), 2)
    assert message in said
    assert any(out.glob(".part-*")) and not (out / "manifest.json").exists()
    said = finish(start(out, 100, "--jobs", 2), 0)
    assert "kept from before" in said
    make(drawn_work(100), tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
def test_a_rank_that_fails_leaves_the_others_alone(tmp_path):
    """Event 37 is in part 4 of 14, which belongs to worker 1 of 3."""
    out = tmp_path / "out"
    environment = {"SLURM_STEP_NUM_TASKS": "3"}
    ranks = [start(out, 100, "--bad", 37, SLURM_PROCID=str(rank), **environment) for rank in range(3)]
    for rank, code in enumerate((0, 2, 0)):
        finish(ranks[rank], code)
    assert len(list(out.glob(".part-*"))) >= 9 and not (out / "manifest.json").exists()
    finish(start(out, 100), 0)
    assert verify(out) == []


@pytest.mark.parametrize(("num_workers", "left"), [(1, False), (2, True)])
def test_a_mistake_found_before_the_first_part_is_not_in_the_way_of_its_correction(tmp_path, num_workers, left):
    wrong, worker = drawn_work(20, bad=0), Worker(0, num_workers)
    with pytest.raises(UserError, match="event 0 is bad"):
        make_dataset(wrong, tmp_path, worker, 1, StopRequest())
    assert (tmp_path / ".plan.json").exists() == left, "another worker may yet finish its parts"
    if not left:
        assert make_dataset(drawn_work(24), tmp_path, worker, 1, StopRequest()).manifest.num_events("train") == 19


def test_a_flux_that_is_not_used_is_no_source(tmp_path):
    files = {name: tmp_path / name for name in ("a.root", "b.csv")}
    for path in files.values():
        path.write_text("x")
    flux = {"kind": "csv", "file": files["b.csv"]}
    both = simulation_work(settings(interactions={"files": [files["a.root"]], "flux": flux}))
    assert "b.csv" not in both.blueprint.source and "a.root (1 bytes)" in both.blueprint.source
    assert "b.csv (1 bytes)" in simulation_work(settings(interactions={"flux": flux})).blueprint.source


def test_files_that_do_not_exist_are_refused_by_name(tmp_path):
    work = simulation_work(settings(interactions={"files": [tmp_path / "none.root"]}))
    with pytest.raises(ConfigError, match=r"interactions: .*none\.root: cannot be read"):
        work.blueprint  # noqa: B018
