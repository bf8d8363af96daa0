"""Fixtures: a running Slurm, and jobs on it."""

import sys
from pathlib import Path

import pytest
import yaml

from tests.cluster.slurm import ENDED, Cluster, why_not

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Two nodes; where none can be started, tests are skipped with the reason."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    running = Cluster(tmp_path_factory.mktemp("slurm") / "slurm")
    try:
        yield running.open()
    finally:
        running.close()


@pytest.fixture
def submitting(cluster, tmp_path) -> dict[str, str]:
    """The environment of a person who submits."""
    return cluster.environment | {"NUVLM_CLUSTER": "ci", "NUVLM_BIN": str(BIN), "NUVLM_LOCAL": str(tmp_path)}


@pytest.fixture
def submit(cluster, submitting, repository, tmp_path):
    """sbatch, as a person calls it: submit(SCRIPT, ARGUMENT..., options=(...)) -> number of the job."""
    numbers = []

    def call(script: str, *arguments: object, options: tuple[str, ...] = (), **environment: str) -> str:
        output = f"--output={tmp_path}/%x-%j.log"
        words = ["sbatch", "--parsable", output, *options, f"slurm/{script}", *map(str, arguments)]
        numbers.append(cluster.command(*words, cwd=repository, env=submitting | environment))
        return numbers[-1]

    yield call
    # A job that its test gave up would keep the nodes from the next
    cluster.command("scancel", *numbers, check=False)
    for number in numbers:
        cluster.wait(number, *ENDED)


@pytest.fixture
def config(run_fields, tmp_path) -> Path:
    """A training of some 400 short steps."""
    fields = run_fields | {"schedule": {"epochs": 100, "validate_every_epochs": 25, "checkpoint_every_steps": 50}}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path
