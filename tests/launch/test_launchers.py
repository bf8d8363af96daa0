"""launch/train.py and launch/evaluate.py as users start them: every launcher, kills, wrong arguments."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from hpc_nuvlm.engine.place import free_port
from hpc_nuvlm.engine.stop import EXIT_HUNG

BIN = Path(sys.executable).parent
TWO_RANKS = {
    "deepspeed": [BIN / "deepspeed", "--num_accelerators", "2", "--master_port", "29611"],
    "torchrun": [BIN / "torchrun", "--nproc-per-node", "2", "--master-port", "29612"],
    "mpirun": [BIN / "mpirun", "-n", "2", "--oversubscribe", sys.executable],
}


def start(command: list, repository: Path, **options) -> subprocess.Popen:
    environment = os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("PYTHONPATH", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, command)), cwd=repository, env=environment, **pipes, **options)


def finish(process: subprocess.Popen, code: int = 0) -> str:
    out, err = process.communicate(timeout=400)
    assert process.returncode == code, out[-3000:] + err[-3000:]
    return out + err


def losses(folder: Path) -> list[float]:
    path = folder / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record["loss"] for record in records if record["kind"] == "step"]


@pytest.fixture
def config(run_fields, tmp_path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run_fields))
    return path


@pytest.fixture
def alone(config, repository, tmp_path) -> list[float]:
    """The losses of one plain process: what every launcher must give."""
    folder = tmp_path / "alone"
    finish(start([sys.executable, "launch/train.py", config, f"folder={folder}"], repository))
    return losses(folder)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", TWO_RANKS)
def test_two_ranks_of_any_launcher_train_as_one_plain_process_does(launcher, config, alone, repository, tmp_path):
    folder = tmp_path / launcher
    command = [
        *TWO_RANKS[launcher],
        "launch/train.py",
        config,
        f"folder={folder}",
        "engine.kind=zero",
        "engine.stage=2",
    ]
    said = finish(start(command, repository))
    assert "2 ranks x 4" in said, said[-2000:]
    assert losses(folder) == pytest.approx(alone, abs=1e-5)
    assert json.loads((folder / "environment.json").read_text())["world_size"] == 2


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(config, repository, tmp_path):
    """kill -9 of one of two ranks at a step that the clock chooses; then resumed, and finished by one rank alone."""
    folders = {name: tmp_path / name for name in ("whole", "killed")}
    command = [
        *TWO_RANKS["torchrun"],
        "launch/train.py",
        config,
        "engine.kind=zero",
        "schedule.checkpoint_every_steps=3",
    ]
    command += ["schedule.epochs=6"]
    finish(start([*command, f"folder={folders['whole']}"], repository))
    victim = start([*command, f"folder={folders['killed']}"], repository)
    while len(losses(folders["killed"])) < 8:
        assert victim.poll() is None, victim.communicate()
        time.sleep(0.02)
    ranks = subprocess.run(["pgrep", "-P", str(victim.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    victim.communicate(timeout=120)
    assert victim.returncode != 0
    killed_at = len(losses(folders["killed"]))
    finish(start([*command, f"folder={folders['killed']}", "schedule.stop_after_steps=15"], repository))
    whole = losses(folders["whole"])
    assert 8 <= killed_at < len(whole)
    assert losses(folders["killed"]) == whole[:15], "the same world must give the same bits"
    finish(
        start([sys.executable, *command[command.index("launch/train.py") :], f"folder={folders['killed']}"], repository)
    )
    assert losses(folders["killed"]) == pytest.approx(whole, abs=1e-5), (
        "another world reads the same events in the same order"
    )


@pytest.mark.slow
def test_the_rank_that_is_left_names_the_one_that_is_gone(config, repository, tmp_path):
    """Ranks started one by one, since a launcher would end the other in a moment."""
    command = [sys.executable, "launch/train.py", config, "engine.kind=zero", "schedule.epochs=50"]
    command += ["engine.hang_after_s=20", f"folder={tmp_path / 'run'}"]
    port = str(free_port())
    ranks = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        ranks.append(start(["env", *(f"{name}={value}" for name, value in place.items()), *command], repository))
    while len(losses(tmp_path / "run")) < 30:
        assert ranks[0].poll() is None, ranks[0].communicate()
        time.sleep(0.02)
    ranks[1].kill()
    killed_s = time.monotonic()
    said = finish(ranks[0], code=EXIT_HUNG)
    assert time.monotonic() - killed_s < 30
    assert "the connection to another rank broke" in said and "stopped or lost: rank 1 on" in said
    assert "Traceback" not in said
    ranks[1].communicate()


@pytest.mark.slow
def test_runs_are_evaluated_side_by_side(config, repository, drawn_dataset, tmp_path):
    folders = [tmp_path / name for name in ("first", "second")]
    for seed, folder in enumerate(folders):
        finish(start([sys.executable, "launch/train.py", config, f"folder={folder}", f"seed={seed}"], repository))
    evaluate = [sys.executable, "launch/evaluate.py", *folders, "--data", drawn_dataset, "--split", "test"]
    table = finish(start([*evaluate, "--markdown", tmp_path / "tables.md"], repository))
    assert "first" in table and "second" in table and "McNemar" in table and "Calibration" in table
    assert "**By class" in (tmp_path / "tables.md").read_text()
    report = folders[0] / "evaluation-test"
    assert {path.name for path in report.iterdir()} == {
        "predictions.parquet",
        "scores.json",
        "confusion.png",
        "roc.png",
        "reliability.png",
    }
    scores = json.loads((report / "scores.json").read_text())
    rows = pq.read_table(report / "predictions.parquet").to_pylist()
    assert len(rows) == scores["scores"]["num_events"] == 12
    right = sum(row["truth"] == row["predicted"] for row in rows)
    assert scores["scores"]["accuracy"]["value"] == pytest.approx(right / 12)
    assert {row["set"] for row in rows} == {"nue_cc|numu_cc|nc"}, "8 events to fit on tell nothing of 90 %"
    options = ["--json", "--priors", "estimate", "--coverage", "0.6", "--sets", "aps"]
    out, _ = start([*evaluate, *options], repository).communicate(timeout=300)
    fields = json.loads(out)["second"]
    assert fields["scores"]["num_events"] == 12 and fields["calibration"]["conformal"]["nominal"] == 0.6
    assert fields["calibration"]["prior_corrected"]["priors"] == "estimate"
    own = [sys.executable, "launch/evaluate.py", folders[0], "--data", drawn_dataset, "--split", "val"]
    said = refused(own[1:], repository)
    assert "events are fitted on and scored too" in said and "--calibrate none" in said
    finish(start([*own, "--calibrate", "none"], repository))
    finish(start([*own, "--calibrate", f"{drawn_dataset}:test"], repository))


def refused(command: list, repository: Path) -> str:
    process = start([sys.executable, *command], repository)
    said = finish(process, code=2)
    assert "Traceback" not in said
    return said


@pytest.mark.slow
def test_a_mistake_in_the_configuration_is_one_line_and_code_2(config, repository, tmp_path):
    said = refused(["launch/train.py", config, "batch.per_ranc=3"], repository)
    assert "batch.per_ranc: no such key; did you mean 'per_rank'?" in said
    said = refused(["launch/train.py", tmp_path / "none.yaml"], repository)
    assert "none.yaml: no such file" in said
    assert not (tmp_path / "run").exists()
    said = refused(["launch/train.py", config, "folder=/proc/none/run"], repository)
    assert "/proc/none/run: cannot be written" in said
    said = refused(["launch/train.py", config, f"data.dataset={tmp_path}"], repository)
    assert str(tmp_path) in said and "manifest.json" in said


@pytest.mark.slow
def test_a_port_that_another_run_has_is_told(config, repository, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, value)
        said = refused(["launch/train.py", config], repository)
    assert f"rank 0 cannot meet the others at 127.0.0.1:{port}" in said and "--master_port" in said


@pytest.mark.slow
def test_evaluating_what_is_no_run_is_refused(repository, drawn_dataset, tmp_path):
    said = refused(["launch/evaluate.py", tmp_path, "--data", drawn_dataset], repository)
    assert "is no run folder" in said
