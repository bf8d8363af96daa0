"""Jobs on a real Slurm: through preemption, broken nodes, time limits and killed ranks, as if nothing had happened."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml

from hpc_nuvlm.store import open_dataset
from tests.cluster.conftest import BIN
from tests.cluster.slurm import ENDED
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

TWO_NODES = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1")


def losses(folder: Path) -> list[float]:
    path = folder / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record["loss"] for record in records if record["kind"] == "step"]


def await_steps(folder: Path, number: int) -> None:
    end_s = time.monotonic() + 180
    while len(losses(folder)) < number:
        assert time.monotonic() < end_s, f"{folder}: {len(losses(folder))} steps"
        time.sleep(0.02)


def ends_well(cluster, job: str, tmp_path: Path) -> dict[str, str]:
    fields = cluster.wait(job, *ENDED, timeout_s=400)
    log = "".join(path.read_text() for path in tmp_path.glob(f"*-{job}.log"))
    assert fields["JobState"] == "COMPLETED", log[-4000:]
    return fields | {"log": log}


@pytest.fixture(scope="module")
def undisturbed() -> list[float]:
    """Losses of the first test's run; what every other must give to the last bit."""
    return []


@pytest.fixture
def expected(undisturbed, submit, cluster, config, tmp_path) -> list[float]:
    if not undisturbed:
        folder = tmp_path / "undisturbed"
        job = submit("finetune.sh", config, f"folder={folder}", options=TWO_NODES)
        ends_well(cluster, job, tmp_path)
        undisturbed += losses(folder)
    return undisturbed


def test_two_nodes_train_to_the_end(expected, config):
    assert len(expected) > 300 and expected[-1] < expected[0]


def test_the_shipped_model_is_fine_tuned_on_two_nodes(submit, cluster, drawn_dataset, tmp_path):
    folder = tmp_path / "run"
    changes = (f"folder={folder}", f"data.dataset={drawn_dataset}", "schedule.epochs=1")
    job = submit("finetune.sh", "configs/finetune-nano.yaml", *changes, options=TWO_NODES)
    log = ends_well(cluster, job, tmp_path)["log"]
    assert "2 x cpu" in log and "2 ranks x 16" in log and (folder / "adapter" / "adapter_model.safetensors").is_file()


def test_a_preempted_job_comes_back_by_itself(expected, submit, cluster, config, tmp_path):
    folder = tmp_path / "run"
    job = submit("finetune.sh", config, f"folder={folder}", options=TWO_NODES)
    await_steps(folder, 120)
    other = cluster.command(
        *("sbatch", "--parsable", "--partition=high", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=64"),
        *(f"--output={tmp_path}/high.log", "--wrap", "sleep 2"),
    )
    cluster.wait(other, "COMPLETED")
    assert ends_well(cluster, job, tmp_path)["Restarts"] == "1"
    assert losses(folder) == expected


def test_a_node_that_breaks_costs_the_steps_since_the_last_checkpoint(expected, submit, cluster, config, tmp_path):
    folder = tmp_path / "run"
    job = submit("finetune.sh", config, f"folder={folder}", options=TWO_NODES)
    await_steps(folder, 120)
    cluster.cut_power(2)
    try:
        cluster.wait(job, "PENDING", "REQUEUED", "COMPLETING", timeout_s=30)
    finally:
        cluster.start_node(2)
    assert ends_well(cluster, job, tmp_path)["Restarts"] == "1"
    assert losses(folder) == expected


def test_a_killed_rank_sends_the_job_back_into_the_queue(expected, submit, cluster, config, tmp_path):
    folder = tmp_path / "run"
    job = submit("finetune.sh", config, f"folder={folder}", "engine.hang_after_s=20", options=TWO_NODES)
    await_steps(folder, 120)
    os.kill(rank_processes(folder)[-1], signal.SIGKILL)
    fields = ends_well(cluster, job, tmp_path)
    assert fields["Restarts"] == "1" and "exit code 137; back into the queue" in fields["log"]
    assert losses(folder) == expected


def test_a_job_that_fails_again_and_again_is_given_up(submit, cluster, config, tmp_path):
    job = submit("finetune.sh", config, "--no-such-option", options=TWO_NODES)
    assert cluster.wait(job, *ENDED)["JobState"] == "FAILED"
    assert cluster.job(job)["Restarts"] == "0", "a mistake is not tried again"


def test_at_its_time_limit_a_job_saves_and_comes_back_until_it_is_done(submit, cluster, config, tmp_path):
    """Slurm knows no limit below a minute, and looks every half; so the signal comes within that half.

    Stopped among its steps, it gets more time: on a slow machine, half a minute is not much more than a start takes.
    """
    folder = tmp_path / "run"
    limits = ("--time=1", "--signal=USR1@60")
    long = ("schedule.epochs=500", "schedule.validate_every_epochs=100")
    job = submit("finetune.sh", config, f"folder={folder}", *long, options=(*TWO_NODES, *limits))
    await_steps(folder, 1)
    before = int(cluster.job(job)["Restarts"])
    end_s = time.monotonic() + 60
    while int(cluster.job(job)["Restarts"]) == before:
        assert time.monotonic() < end_s, cluster.logs()
        time.sleep(0.1)
    cluster.command("scontrol", "update", f"jobid={job}", "timelimit=20")
    fields = ends_well(cluster, job, tmp_path)
    restarts = int(fields["Restarts"])
    assert restarts >= 1 and fields["log"].count("(SIGUSR1); the same command continues here") == restarts
    assert fields["log"].count("stopped in good order; back into the queue") == restarts
    steps = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert [one["step"] for one in steps if one["kind"] == "step"] == list(range(1, 2001))


def test_a_job_that_its_owner_cancels_stays_so(submit, cluster, config, tmp_path):
    folder = tmp_path / "run"
    job = submit("finetune.sh", config, f"folder={folder}", "schedule.epochs=100000", options=TWO_NODES)
    await_steps(folder, 20)
    cluster.command("scancel", job)
    assert cluster.wait(job, *ENDED)["JobState"] == "CANCELLED"
    time.sleep(3)
    assert cluster.job(job)["JobState"] == "CANCELLED"


def test_an_array_of_four_prepares_the_dataset_that_one_task_does(submit, cluster, repository, tmp_path):
    datasets = {name: tmp_path / name for name in ("one", "four")}
    settings = ("configs/simulate-demo.yaml", "events=24", "shard_events=4")
    for (name, folder), options in zip(datasets.items(), ((), ("--array=0-3",))):
        job = submit("prepare.sh", settings[0], folder, *settings[1:], options=("--ntasks=1", *options))
        names = [f"{job}_{task}" for task in range(4)] if name == "four" else [job]
        for one in names:
            assert cluster.wait(one, *ENDED)["JobState"] == "COMPLETED", list(tmp_path.glob("*.log"))
    manifests = [open_dataset(folder).manifest for folder in datasets.values()]
    assert manifests[0].fingerprint == manifests[1].fingerprint
    assert [shard.sha256 for shard in manifests[0].shards] == [shard.sha256 for shard in manifests[1].shards]


def rank_processes(folder: Path) -> list[int]:
    """The processes that train into a folder, the youngest last."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"folder={folder}".encode() in words and words[1:2] == [b"launch/train.py"]:
            found.append(int(path.parent.name))
    return sorted(found)


def test_a_chain_simulates_trains_and_scores(cluster, submitting, repository, tmp_path):
    dataset, folder = tmp_path / "dataset", tmp_path / "run"
    simulation, training = tmp_path / "simulation.yaml", tmp_path / "training.yaml"
    settings = yaml.safe_load((repository / "configs" / "simulate-demo.yaml").read_text())
    simulation.write_text(yaml.safe_dump(settings | {"events": 60, "shard_events": 16}))
    fields = yaml.safe_load((repository / "configs" / "cnn-dune.yaml").read_text())
    changes = {"folder": str(folder), "data": {"dataset": str(dataset)}, "schedule": {"epochs": 1}}
    training.write_text(yaml.safe_dump(fields | changes | {"engine": {"kind": "plain", "threads": 1}}))
    options = [f"--option=--output={tmp_path}/%x-%j.log", "--option=--cpus-per-task=1"]
    command = [BIN / "nuvlm", "submit", training, "--simulate", simulation, "--score", f"{dataset}:test", *options]
    printed = cluster.command(*command, cwd=repository, env=submitting)
    assert printed.count("--dependency=afterok:") == 2 and cluster.command("squeue", "-h") == ""
    said = cluster.command(*command, "--go", cwd=repository, env=submitting)
    jobs = dict(line.split() for line in said.splitlines())
    assert list(jobs) == ["prepare", "finetune", "evaluate"]
    for job in jobs.values():
        ends_well(cluster, job, tmp_path)
    assert (folder / "evaluation-test" / "scores.json").is_file()


def test_a_node_with_another_checkout_is_named_before_the_first_step(cluster, submit, config, tmp_path):
    """The second node finds other code under the same name, as after an update that did not get there."""
    folder = tmp_path / "run"
    wrapper = tmp_path / "bin" / "python"
    wrapper.parent.mkdir()
    older = shutil.copytree(REPOSITORY / "hpc_nuvlm", tmp_path / "older" / "hpc_nuvlm")
    (older / "metrics.py").write_text((older / "metrics.py").read_text() + "\n# another line\n")
    wrapper.write_text(
        f'#!/bin/sh\n[ "$(hostname)" = node2 ] && export PYTHONPATH={older.parent}:{REPOSITORY}/kernels\n'
        f'exec {BIN}/python "$@"\n'
    )
    wrapper.chmod(0o755)
    job = submit("finetune.sh", config, f"folder={folder}", options=TWO_NODES, NUVLM_BIN=str(wrapper.parent))
    assert cluster.wait(job, *ENDED)["JobState"] == "FAILED"
    log = (tmp_path / f"finetune-{job}.log").read_text()
    assert re.search(r"preflight: code: rank [01] on node[12]: ", log) and "Traceback" not in log
    assert losses(folder) == [] and cluster.job(job)["Restarts"] == "0"


def test_a_rank_that_does_not_come_is_named_with_its_node_within_a_minute(cluster, submit, config, tmp_path):
    wrapper = tmp_path / "bin" / "python"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\n[ "$(hostname)" = node2 ] && exec sleep 300\nexec {BIN}/python "$@"\n')
    wrapper.chmod(0o755)
    folder, within = tmp_path / "run", "engine.meet_within_s=5"
    job = submit("finetune.sh", config, f"folder={folder}", within, options=TWO_NODES, NUVLM_BIN=str(wrapper.parent))
    end_s = time.monotonic() + 60
    log = tmp_path / f"finetune-{job}.log"
    while not log.exists() or "did not come to" not in log.read_text():
        assert time.monotonic() < end_s, log.read_text() if log.exists() else "no log"
        time.sleep(0.2)
    assert "1 of 2 ranks did not come to node1:" in log.read_text() and "rank 1 on node2;" in log.read_text()
    cluster.command("scancel", job)
    cluster.wait(job, *ENDED)
