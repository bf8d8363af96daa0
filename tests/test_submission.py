"""The chain of jobs, as words; tests/cluster sends one to a real Slurm."""

import subprocess
from pathlib import Path

import pytest

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.submission import Size, chain_of, describe_chain, send_chain


@pytest.fixture
def run(run_fields):
    return parse_run(run_fields | {"data": {"dataset": "/data/with space"}, "folder": "runs/one"}, where="test")


@pytest.fixture
def chain(run):
    size = Size(nodes=4, tasks_per_node=8, gpus_per_task=1, time="12:00:00", options=("--account=neutrino",))
    return chain_of(Path("a.yaml"), ("seed=2",), run, size, Path("s.yaml"), "/data/with space:test")


def test_each_job_waits_for_the_one_before_to_end_well(chain):
    prepare, finetune, evaluate = (job.command(after) for job, after in zip(chain, (None, "7", "8")))
    account = "--account=neutrino"
    assert prepare == ["sbatch", "--parsable", account, "slurm/prepare.sh", "s.yaml", "/data/with space"]
    waits = ["sbatch", "--parsable", "--dependency=afterok:7", "--kill-on-invalid-dep=yes", account]
    size = ["--nodes=4", "--ntasks-per-node=8", "--gpus-per-task=1", "--time=12:00:00"]
    assert finetune == [*waits, *size, "slurm/finetune.sh", "a.yaml", "seed=2"]
    assert evaluate[2] == "--dependency=afterok:8" and "--nodes=4" not in evaluate
    assert evaluate[-6:] == ["slurm/evaluate.sh", "runs/one", "--data", "/data/with space", "--split", "test"]


def test_training_alone_is_a_chain_of_one(run):
    (job,) = chain_of(Path("a.yaml"), (), run, Size(), None, None)
    assert job.command(None) == ["sbatch", "--parsable", "slurm/finetune.sh", "a.yaml"]


def test_what_is_printed_is_what_a_shell_would_run(chain, repository, tmp_path):
    """With a stand-in for sbatch that prints its arguments, a line each."""
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >&2\necho 41\n')
    sbatch.chmod(0o755)
    text = describe_chain(chain, repository)
    calls, _, scripts = text.partition("\n\n")
    done = subprocess.run(
        ["bash", "-c", f'PATH="{tmp_path}:$PATH"\n{calls}'], capture_output=True, text=True, check=True
    )
    said = done.stderr.split("--parsable\n")[1:]
    for words, job, after in zip(said, chain, (None, "41", "41"), strict=True):
        assert words.splitlines() == job.command(after)[2:]
    for job in chain:
        assert (repository / job.script).read_text().rstrip() in scripts


def test_mistakes_are_refused(run, chain, repository, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="--score test: write it as DATASET:SPLIT"):
        chain_of(Path("a.yaml"), (), run, Size(), None, "test")
    with pytest.raises(UserError, match="from the folder of the checkout"):
        describe_chain(chain, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch: no such program"):
        send_chain(chain, repository)


def test_a_job_that_slurm_refuses_leaves_none_in_the_queue(chain, repository, tmp_path, monkeypatch):
    cancelled = tmp_path / "cancelled"
    sbatch = '#!/bin/sh\ncase "$*" in *finetune.sh*) echo "Invalid account" >&2; exit 1;; esac\necho 12\n'
    scancel = f'#!/bin/sh\necho "$@" > {cancelled}\n'
    for name, text in {"sbatch": sbatch, "scancel": scancel}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(UserError, match="finetune: Slurm refuses it: Invalid account"):
        send_chain(chain, repository)
    assert cancelled.read_text() == "12\n"
