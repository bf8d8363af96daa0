from pathlib import Path

import pytest
import yaml


@pytest.fixture
def bench_fields(run_fields, drawn_dataset, tmp_path) -> dict:
    """A benchmark of a small CNN on drawn events, as a configuration file would hold it."""
    config = tmp_path / "cnn.yaml"
    config.write_text(yaml.safe_dump(run_fields))
    return {
        "title": "A small CNN",
        "dataset": str(drawn_dataset),
        "split": "test",
        "num_events": 8,
        "rule": {"warm_up": 1, "least_seconds": 0.0, "least_calls": 2, "repeats": 3},
        "price": {"per_device_hour": 2.0},
        "cases": [
            {"name": "single", "config": str(config), "scenario": "single"},
            {"name": "offline", "config": str(config), "batches": [2, 4]},
            {"name": "train", "config": str(config), "asked": "train", "batches": [4]},
        ],
    }


@pytest.fixture
def bench_file(bench_fields, tmp_path) -> Path:
    path = tmp_path / "bench.yaml"
    path.write_text(yaml.safe_dump(bench_fields))
    return path
