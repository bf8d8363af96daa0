"""launch/explain.py: a user's mistakes are one line and code 2."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [([], "is no run folder"), (["--thresholds-from", "dataset"], "dataset: write it as DATASET:SPLIT")],
)
def test_mistakes_are_told(repository, drawn_dataset, tmp_path, options, said):
    command = [
        sys.executable,
        "launch/explain.py",
        tmp_path,
        "--data",
        drawn_dataset,
        "--out",
        tmp_path / "out",
        *options,
    ]
    done = subprocess.run(list(map(str, command)), cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
