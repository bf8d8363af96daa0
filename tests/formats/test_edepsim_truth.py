"""edep-sim particle guns: ROOT primaries and HDF5 segments of real files belong together."""

import h5py
import numpy as np
import pytest

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats.edepsim_truth import read_segments, read_shots


@pytest.fixture
def folder(test_data):
    return test_data / "edepsim_larndsim"


@pytest.mark.parametrize(("name", "pdg", "kinetic_mev"), [("electron", 11, 600.0), ("muon", 13, 10.0)])
def test_primaries_are_the_gun_that_was_shot(folder, name, pdg, kinetic_mev):
    shots = list(read_shots(folder / f"{name}.edepsim.root"))
    assert [shot.number for shot in shots] == list(range(10))
    for shot in shots:
        np.testing.assert_array_equal(shot.primaries.pdg, [pdg])
        mass = np.sqrt(shot.primaries.energy_mev**2 - (shot.primaries.momentum_mev**2).sum(1))
        assert shot.primaries.energy_mev - mass == pytest.approx(kinetic_mev, rel=1e-4)
        assert shot.vertex_mm == (0, 0, 0)
        assert shot.parent[0] == -1 and (shot.parent[1:] >= 0).all()


def test_every_segment_belongs_to_a_trajectory_of_its_event(folder):
    segments = read_segments(folder / "electron.edepsim.h5")
    for shot in read_shots(folder / "electron.edepsim.root"):
        mine = segments[shot.number]
        assert set(mine.track) <= set(shot.track)
        assert 300 < mine.energy_mev.sum() < 600.5
        species = dict(zip(shot.track, shot.pdg, strict=True))
        assert all(species[track] == pdg for track, pdg in zip(mine.track, mine.pdg, strict=True))


def test_a_file_without_primaries_is_refused(folder, tmp_path):
    (tmp_path / "a.root").write_bytes(b"no ROOT")
    with pytest.raises(FormatError, match="no edep-sim file"):
        list(read_shots(tmp_path / "a.root"))
    with pytest.raises(FormatError, match="no HDF5 file"):
        read_segments(tmp_path / "a.root")


def test_a_table_without_a_needed_column_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as content:
        content["other"] = np.zeros(3)
    with pytest.raises(FormatError, match="no table 'segments'"):
        read_segments(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as content:
        ends = [(f"{axis}_{end}", "f4") for axis in "xyz" for end in ("start", "end")]
        content["segments"] = np.zeros(3, [("eventID", "i4"), *ends])
    with pytest.raises(FormatError, match="no column traj_id or trackID"):
        read_segments(tmp_path / "a.h5")
