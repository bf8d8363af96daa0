"""Batch scripts say what they are to say to srun; a real Slurm is not needed for that."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
SCRIPTS = sorted((REPOSITORY / "slurm").glob("*.sh"))
CLUSTERS = sorted((REPOSITORY / "slurm" / "clusters").glob("*.env"))


def submit(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run the script as sbatch would: a copy of it, elsewhere, with a stand-in for srun that prints its arguments."""
    script = shutil.copy(REPOSITORY / "slurm" / "prepare.sh", tmp_path / "slurm_script")
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\necho "$PWD" "$SRUN_CPUS_PER_TASK"\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(REPOSITORY), **environment}
    command = ["bash", script, *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", [*SCRIPTS, *CLUSTERS], ids=lambda path: path.name)
def test_scripts_are_good_bash(path):
    subprocess.run(["bash", "-n", path], check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "-x", "-s", "bash", path], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    if path.suffix == ".sh":
        assert "set -euo pipefail" in path.read_text() and "\nexec srun " in path.read_text()


def test_there_are_scripts_to_check():
    assert SCRIPTS and CLUSTERS


def test_prepare_starts_the_launcher_with_what_it_was_given(tmp_path):
    done = submit(tmp_path, "configs/a.yaml", "/data/with space", "seed=2", "events=9", SLURM_CPUS_PER_TASK="4")
    place, *words = done.stdout.splitlines()
    assert place == f"{REPOSITORY} 4", done.stderr
    assert words[words.index("python") :] == [
        *("python", "launch/simulate.py", "configs/a.yaml", "--out", "/data/with space", "--jobs", "4"),
        *("seed=2", "events=9"),
    ]


def test_prepare_without_arguments_tells_how_it_is_used(tmp_path):
    done = submit(tmp_path, "configs/a.yaml")
    assert done.returncode == 2 and done.stderr.startswith("usage: sbatch slurm/prepare.sh CONFIG.yaml OUT")


def test_a_cluster_that_has_no_file_is_named(tmp_path):
    done = submit(tmp_path, "a", "b", NUVLM_CLUSTER="nowhere")
    assert done.returncode != 0 and "slurm/clusters/nowhere.env" in done.stderr
