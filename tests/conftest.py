"""Fixtures for all tests."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from hpc_nuvlm.detector import Detector, load_detector
from hpc_nuvlm.event import Event, Hits, Identity, Truth
from hpc_nuvlm.store.pack import pack
from nuvlm_kernels.cache import drop_stale

# Fixed examples: a failure in CI is the same failure at home. No deadline: machines are shared.
settings.register_profile("nuvlm", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("nuvlm")

REPOSITORY = Path(__file__).parent.parent
drop_stale()


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with real event files by other groups: NUVLM_TEST_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("NUVLM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "SOURCES.md").is_file():
        message = f"{folder} holds no event files; set NUVLM_TEST_DATA to the folder that does"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def cvn_detector(repository: Path) -> Detector:
    return load_detector("dune_fd_cvn", repository / "configs" / "detectors")


def draw_event(number: int) -> Event:
    """A picture that tells its class: a long line (numu_cc), a fuzzy cone (nue_cc), or a few spots (nc)."""
    generator = np.random.default_rng(number)
    label = ("nue_cc", "numu_cc", "nc")[number % 3]
    num_hits = {"nue_cc": 300, "numu_cc": 160, "nc": 30}[label]
    planes = []
    for plane in range(3):
        along = generator.uniform(0, 40 if label == "nc" else 180, num_hits)
        width = {"nue_cc": 0.15 * along, "numu_cc": 0.0, "nc": 15.0}[label]
        across = generator.uniform(-1, 1) * along * 0.3 + generator.normal(0, 1, num_hits) * width
        row, column = 200 + along, 250 + across
        planes.append(np.stack([np.full(num_hits, plane), row, column, generator.integers(20, 256, num_hits)]))
    plane, row, column, charge = np.concatenate(planes, 1).astype(int)
    hits = Hits("pixels", {"plane": plane, "row": row, "column": column, "charge": charge})
    return Event(hits, Truth(label=label), Identity("cd" * 32, number))


@pytest.fixture(scope="session")
def drawn_dataset(tmp_path_factory, cvn_detector) -> Path:
    """45 drawn events: some 30 to train, some 8 to validate, 12 to test."""
    folder = tmp_path_factory.mktemp("drawn") / "dataset"
    options = {"split": {"train": 0.8, "val": 0.2}, "classes": None, "command": "test", "shard_events": 16}
    training, test = map(draw_event, range(36)), map(draw_event, range(36, 48))
    pack(training, folder, cvn_detector, test_events=test, **options)
    return folder


@pytest.fixture
def run_fields(drawn_dataset, tmp_path) -> dict:
    """A complete small run on the drawn dataset, as a configuration file would hold it."""
    return {
        "folder": str(tmp_path / "run"),
        "data": {"dataset": str(drawn_dataset)},
        "view": {"size": [112, 112], "pool": 4, "full_scale": 1020},
        "model": {"family": "cnn", "widths": [8, 16], "hidden": 8, "dropout": 0.0},
        "batch": {"global_size": 8, "per_rank": 4},
        "engine": {"kind": "plain", "threads": 1},
        "schedule": {"epochs": 2},
    }
