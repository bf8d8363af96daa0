from pathlib import Path

import pytest

from hpc_nuvlm.bench.benchmark import load_bench
from hpc_nuvlm.config import load_run

REPOSITORY = Path(__file__).parent.parent.parent
CONFIGS = sorted((REPOSITORY / "configs" / "bench").glob("*.yaml"))


def test_there_are_benchmarks():
    assert {path.stem for path in CONFIGS} >= {"families", "llama32-11b", "scaling"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_case_is_a_run_that_could_be_made(path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    bench = load_bench(path, ())
    for case in bench.cases:
        run = load_run(case.config, tuple(f"{key}={value}" for key, value in case.set.items()))
        # A run of its own has its dataset in its folder
        assert case.run is not None or run.data.dataset == bench.dataset
        assert case.asked != "explain" or run.model.family == "vlm"
