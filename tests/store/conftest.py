"""Small synthetic events and datasets of both kinds of hits."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hpc_nuvlm.detector import Detector, load_detector
from hpc_nuvlm.event import LABELS, Event, Hits, Identity, Truth
from hpc_nuvlm.store.pack import pack

SOURCE = "ab" * 32


def make_pixels(number: int, num_hits: int = 40, label: str | None = "nc") -> Event:
    generator = np.random.default_rng(number)
    flat = np.sort(generator.choice(3 * 500 * 500, num_hits, replace=False))
    plane, row, column = np.unravel_index(flat, (3, 500, 500))
    hits = Hits(
        "pixels", {"plane": plane, "row": row, "column": column, "charge": generator.integers(1, 256, num_hits)}
    )
    return Event(hits, Truth(label=label), Identity(SOURCE, number))


def make_deposits(number: int, num_hits: int = 40) -> Event:
    generator = np.random.default_rng(number)
    columns = {axis: generator.uniform(-900, 900, num_hits) for axis in ("x_mm", "y_mm", "z_mm")}
    columns |= {"energy_mev": generator.exponential(0.5, num_hits), "time_us": generator.uniform(0, 10, num_hits)}
    columns |= {"track_id": np.arange(num_hits), "pdg": np.full(num_hits, -13)}
    known = {"vertex_mm": (1.0, 2.0, 3.0), "counts": {"proton": 2}, "particles": ((-13, 1.25), (211, 0.5))}
    truth = Truth("numu_cc", -14, True, "coh", 2.5, 1.25, **known)
    return Event(Hits("deposits", columns), truth, Identity(SOURCE, number, run=1, subrun=2))


@pytest.fixture(scope="session")
def pixels():
    return make_pixels


@pytest.fixture(scope="session")
def deposits():
    return make_deposits


@pytest.fixture(scope="session")
def cvn(repository: Path) -> Detector:
    return load_detector("dune_fd_cvn", repository / "configs" / "detectors")


@pytest.fixture(scope="session")
def lartpc(repository: Path) -> Detector:
    return load_detector("paper_lartpc", repository / "configs" / "detectors")


OPTIONS = {"split": {"train": 0.7, "val": 0.3}, "classes": None, "command": "test", "shard_events": 8}


@pytest.fixture
def options() -> dict:
    return dict(OPTIONS)


@pytest.fixture(scope="session")
def packed(tmp_path_factory, cvn: Detector) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "dataset"
    pack((make_pixels(number, label=LABELS[number % 4]) for number in range(40)), folder, cvn, **OPTIONS)
    return folder


@pytest.fixture
def dataset(tmp_path: Path, packed: Path) -> Path:
    """40 events of 4 labels in shards of 8; the test's own copy."""
    return shutil.copytree(packed, tmp_path / "dataset")


def assert_same(ours: Event, expected: Event) -> None:
    assert ours.identity == expected.identity
    assert repr(ours.truth) == repr(expected.truth)  # NaN differs from NaN, its text does not
    assert ours.hits.kind == expected.hits.kind
    assert ours.hits.columns.keys() == expected.hits.columns.keys()
    for name, column in ours.hits.columns.items():
        assert column.dtype == expected.hits[name].dtype
        assert np.array_equal(column, expected.hits[name]), name


@pytest.fixture(scope="session")
def same():
    return assert_same
