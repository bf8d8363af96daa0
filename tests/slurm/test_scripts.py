"""Batch scripts with stand-ins for srun and scontrol: what they say to them. tests/cluster has the real ones."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
SCRIPTS = sorted((REPOSITORY / "slurm").glob("*.sh"))
CLUSTERS = sorted((REPOSITORY / "slurm" / "clusters").glob("*.env"))
# Prints what it was given, and ends as it was told
SRUN = """#!/bin/sh
echo "$PWD" "$SRUN_CPUS_PER_TASK" "$MASTER_ADDR" "$MASTER_PORT" "$NUVLM_NODES"
printf "%s\\n" "$@"
sleep "${SRUN_SECONDS:-0}"
exit "${SRUN_CODE:-0}"
"""
# To requeue a job ends its shell
SCONTROL = """#!/bin/sh
case "$1 $2" in
  "show hostnames") printf "node7\\nnode9\\n" ;;
  "show job") echo "JobId=41 JobState=${STATE:-RUNNING} Reason=None" ;;
  "requeue "*) echo "requeued $2"; kill -KILL $PPID ;;
esac
"""


@pytest.fixture
def submit(tmp_path):
    """Start a script as Slurm does: a copy of it, elsewhere."""
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def start(name: str, *arguments: str, **environment: str) -> subprocess.Popen:
        script = shutil.copy(REPOSITORY / "slurm" / name, tmp_path / "slurm_script")
        job = {"SLURM_SUBMIT_DIR": str(REPOSITORY), "SLURM_JOB_ID": "41", "SLURM_JOB_NODELIST": "node[7,9]"}
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **job, **environment}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["bash", script, *arguments], cwd=tmp_path, env=environment, **pipes)

    return start


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("path", [*SCRIPTS, *CLUSTERS], ids=lambda path: path.name)
def test_scripts_are_good_bash(path):
    subprocess.run(["bash", "-n", path], check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "-x", "-s", "bash", path], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    if path.suffix == ".sh" and path.name != "job.sh":
        assert "set -euo pipefail" in path.read_text() and "--requeue" in path.read_text()


def test_there_are_scripts_to_check():
    assert {path.name for path in SCRIPTS} >= {
        "benchmark.sh",
        "evaluate.sh",
        "finetune.sh",
        "job.sh",
        "prepare.sh",
    } and CLUSTERS


def test_prepare_starts_the_launcher_with_what_it_was_given(submit):
    arguments = ("configs/a.yaml", "/data/with space", "seed=2", "events=9")
    code, out, err = finish(submit("prepare.sh", *arguments, SLURM_CPUS_PER_TASK="4"))
    place, *words = out.splitlines()
    assert code == 0 and place.split() == [str(REPOSITORY), "4"], err
    assert words[words.index("python") :] == [
        *("python", "launch/simulate.py", "configs/a.yaml", "--out", "/data/with space", "--jobs", "4"),
        *("seed=2", "events=9"),
    ]


def test_finetune_tells_the_ranks_where_they_meet(submit):
    code, out, err = finish(submit("finetune.sh", "configs/a.yaml", "folder=/with space"))
    place, *words = out.splitlines()
    assert code == 0 and place == f"{REPOSITORY} 1 node7 10041 node7 node9", err
    assert words[words.index("python") :] == ["python", "launch/train.py", "configs/a.yaml", "folder=/with space"]


def test_benchmark_starts_the_launcher_with_what_it_was_given(submit):
    arguments = ("configs/bench/a.yaml", "--out", "/with space/a.json", "num_events=8")
    code, out, err = finish(submit("benchmark.sh", *arguments))
    words = out.splitlines()
    assert code == 0 and words[words.index("python") :] == ["python", "launch/benchmark.py", *arguments], err
    code, _, err = finish(submit("benchmark.sh"))
    assert code == 2 and "usage: sbatch slurm/benchmark.sh" in err


def test_finetune_alone_trains_the_shipped_model(submit):
    out = finish(submit("finetune.sh"))[1]
    assert out.splitlines()[-2:] == ["launch/train.py", "configs/finetune-nano.yaml"]


def test_a_container_wraps_python_and_not_srun(submit):
    out = finish(submit("finetune.sh", NUVLM_CLUSTER="apptainer", NUVLM_IMAGE="/images/nuvlm.sif"))[1]
    words = out.splitlines()
    assert words[words.index("apptainer") :][:3] == ["apptainer", "exec", "--nv"]
    assert words[words.index("python") - 1] == "/images/nuvlm.sif"
    code, _, err = finish(submit("finetune.sh", NUVLM_CLUSTER="apptainer"))
    assert code != 0 and "NUVLM_IMAGE: names no image" in err


@pytest.mark.parametrize(
    ("srun_code", "restarts", "requeued"),
    [(0, 0, False), (2, 0, False), (73, 0, False), (75, 99, True), (137, 4, True), (70, 0, True), (137, 5, False)],
)
def test_the_exit_code_decides_what_becomes_of_the_job(submit, srun_code, restarts, requeued):
    environment = {"SRUN_CODE": str(srun_code), "SLURM_RESTART_COUNT": str(restarts)}
    code, out, err = finish(submit("finetune.sh", **environment))
    assert ("requeued 41" in out) == requeued, err
    assert code == (-signal.SIGKILL if requeued else srun_code)


def test_a_job_that_was_cancelled_is_not_put_back(submit):
    code, out, _ = finish(submit("finetune.sh", SRUN_CODE="75", STATE="CANCELLED"))
    assert code == 75 and "requeued" not in out


def test_of_an_array_the_one_task_is_put_back(submit):
    task = {"SLURM_ARRAY_JOB_ID": "41", "SLURM_ARRAY_TASK_ID": "3", "SRUN_CODE": "75"}
    assert "requeued 41_3\n" in finish(submit("prepare.sh", "a", "b", **task))[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_does_not_end_the_shell_before_the_ranks(submit, number):
    process = submit("finetune.sh", SRUN_SECONDS="1.5", SRUN_CODE="2")
    time.sleep(0.7)
    process.send_signal(number)
    assert finish(process)[0] == 2


@pytest.mark.parametrize(("name", "words"), [("prepare.sh", ("a",)), ("evaluate.sh", ("a", "--data"))])
def test_a_script_without_its_arguments_tells_how_it_is_used(submit, name, words):
    code, _, err = finish(submit(name, *words))
    assert code == 2 and err.startswith(f"usage: sbatch slurm/{name}")


def test_a_cluster_that_has_no_file_is_named(submit):
    code, _, err = finish(submit("prepare.sh", "a", "b", NUVLM_CLUSTER="nowhere"))
    assert code != 0 and "slurm/clusters/nowhere.env" in err
