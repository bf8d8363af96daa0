from pathlib import Path

import pytest
import yaml

from tests.faults import harness


@pytest.fixture
def config(run_fields, tmp_path) -> Path:
    """A training of 40 steps that saves and validates often."""
    schedule = {"epochs": 10, "checkpoint_every_steps": 3, "validate_every_epochs": 1}
    engine = {"kind": "plain", "threads": 1, "hang_after_s": 20.0}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run_fields | {"schedule": schedule, "engine": engine}))
    return path


@pytest.fixture
def undisturbed(config, tmp_path) -> Path:
    """The run folder of a training that nothing happens to, on two ranks."""
    folder = tmp_path / "undisturbed"
    codes, said = harness.train(config, f"folder={folder}")
    assert codes == [0, 0], said
    return folder
