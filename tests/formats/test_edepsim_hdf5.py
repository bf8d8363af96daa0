"""edep-sim HDF5 in both spellings: real files, synthetic 2x2 files with truth, and every refusal."""

import math

import h5py
import numpy as np
import pytest

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats import FORMATS, detect, read_events

SEGMENTS = np.dtype(
    [(name, "u4") for name in ("event_id", "traj_id")]
    + [("pdg_id", "i4")]
    + [(name, "f4") for name in ("x", "y", "z", "dE", "t")]
    + [("t0", "f8")]
)
HEADER = np.dtype(
    [
        ("event_id", "u4"),
        *((name, "?") for name in ("isCC", "isQES", "isMEC", "isRES", "isDIS", "isCOH")),
        *((name, "i4") for name in ("nu_pdg", "lep_pdg")),
        # x and y are Bjorken's variables here, not a position
        *((name, "f4") for name in ("Enu", "Elep", "x", "y")),
    ]
)
VERTICES = np.dtype([("event_id", "u4"), ("x_vert", "f4"), ("y_vert", "f4"), ("z_vert", "f4"), ("t_vert", "f8")])


def segments(*events: int) -> np.ndarray:
    rows = np.zeros(len(events), SEGMENTS)
    rows["event_id"] = events
    for column, start in (("x", 1), ("y", 2), ("z", 3), ("dE", 0.5), ("t0", 7), ("traj_id", 4)):
        rows[column] = start + np.arange(len(events))
    rows["pdg_id"] = -13
    return rows


def header(event: int, **fields) -> np.ndarray:
    row = np.zeros(1, HEADER)
    values = {"event_id": event, "Enu": 2500, "Elep": 1500, "nu_pdg": 14, "lep_pdg": 13, "isCC": True} | fields
    for name, value in values.items():
        row[name] = value
    return row


@pytest.fixture
def write(tmp_path):
    def write_tables(**tables):
        path = tmp_path / "events.h5"
        with h5py.File(path, "w") as file:
            for name, rows in tables.items():
                file[name] = rows
        return path

    return write_tables


@pytest.mark.parametrize("particle", ["electron", "muon"])
def test_a_real_file_gives_its_segments_in_mm_and_mev(test_data, particle):
    path = test_data / "edepsim_larndsim" / f"{particle}.edepsim.h5"
    with h5py.File(path) as file:
        expected = file["segments"][:]
    events = list(read_events([path]))
    assert [event.identity.event for event in events] == list(range(10))
    for event in events:
        rows = expected[expected["eventID"] == event.identity.event]
        for ours, theirs, factor in (
            ("x_mm", "x", 10),
            ("z_mm", "z", 10),
            ("energy_mev", "dE", 1),
            ("time_us", "t", 1),
        ):
            np.testing.assert_allclose(event.hits[ours], rows[theirs] * factor, rtol=1e-6)
        assert np.array_equal(event.hits["pdg"], rows["pdgId"])
        assert event.truth.label is None and math.isnan(event.truth.vertex_mm[0])


def test_a_real_file_without_segments_gives_no_event(test_data):
    assert list(read_events([test_data / "edepsim_larndsim" / "no_segments.edepsim.h5"])) == []


def test_a_forced_format_never_reads_nothing_in_silence(test_data, tmp_path):
    with pytest.raises(FormatError, match=r"electron.larndsim.h5: segments: is None"):
        list(read_events([test_data / "edepsim_larndsim" / "electron.larndsim.h5"], name="edepsim_hdf5"))
    for name in FORMATS:
        with pytest.raises(FormatError, match="holds no"):
            list(read_events([tmp_path], name=name))


def test_files_of_later_steps_of_the_chain_are_not_taken_for_edepsim(test_data):
    folder = test_data / "edepsim_larndsim"
    for name in ("electron.evd.h5", "electron.larndsim.h5", "electron.edepsim.root"):
        with pytest.raises(FormatError, match=f"{name}: holds none of the formats"):
            detect([folder / name])
    assert detect([folder]).default_detector == "paper_lartpc"


def test_truth_comes_from_mc_hdr_and_the_vertex_from_vertices(write):
    vertices = np.array([(3, 1, 2, 3, 0)], VERTICES)
    (event,) = read_events([write(segments=segments(3, 3), mc_hdr=header(3, isRES=True), vertices=vertices)])
    truth = event.truth
    assert (truth.label, truth.nu_pdg, truth.is_cc, truth.mode) == ("numu_cc", 14, True, "res")
    assert (truth.nu_energy_gev, truth.lepton_energy_gev) == (2.5, 1.5)
    assert truth.vertex_mm == (10, 20, 30)
    assert event.hits["x_mm"].tolist() == [10, 20] and event.hits["energy_mev"].tolist() == [0.5, 1.5]
    assert event.hits["time_us"].tolist() == [7, 8] and event.hits["track_id"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("fields", "label", "mode"),
    [
        ({"nu_pdg": 12, "lep_pdg": 11, "isQES": True}, "nue_cc", "qe"),
        ({"nu_pdg": 16, "lep_pdg": 15, "isDIS": True}, "nutau_cc", "dis"),
        ({"nu_pdg": -14, "lep_pdg": -13, "isCC": False, "isMEC": True}, "numu_cc", "mec"),
        ({"lep_pdg": 14, "isCC": False, "isCOH": True, "isQES": True}, "nc", "coh"),
        ({}, "numu_cc", "other"),
    ],
)
def test_flags_and_lepton_give_label_and_mode(write, fields, label, mode):
    (event,) = read_events([write(segments=segments(3), mc_hdr=header(3, **fields))])
    assert (event.truth.label, event.truth.mode) == (label, mode)


def test_an_event_with_several_interactions_has_no_truth(write):
    (event,) = read_events([write(segments=segments(3), mc_hdr=np.concatenate([header(3), header(3)]))])
    assert event.truth.label is None


def test_an_event_of_mc_hdr_without_segments_has_zero_hits(write):
    events = list(read_events([write(segments=segments(5), mc_hdr=np.concatenate([header(2), header(5)]))]))
    assert [(event.identity.event, len(event.hits), event.truth.label) for event in events] == [
        (2, 0, "numu_cc"),
        (5, 1, "numu_cc"),
    ]


def test_a_vertex_of_unknown_unit_stays_unknown(write):
    old = VERTICES.descr[:-1]
    vertices = np.array([(3, 1, 2, 3)], old)
    (event,) = read_events([write(segments=segments(3), vertices=vertices)])
    assert math.isnan(event.truth.vertex_mm[0])


@pytest.mark.parametrize("column", ["event_id", "x", "y", "z", "dE", "traj_id", "pdg_id"])
def test_a_missing_column_is_named(write, column):
    rows = segments(3)
    kept = [name for name in SEGMENTS.names if name != column]
    with pytest.raises(FormatError, match=f"events.h5: segments: has no column .*{column}"):
        list(read_events([write(segments=np.rec.fromarrays([rows[name] for name in kept], names=kept))]))


def test_a_missing_truth_column_is_named(write):
    kept = [name for name in HEADER.names if name != "isRES"]
    rows = np.rec.fromarrays([header(3)[name] for name in kept], names=kept)
    with pytest.raises(FormatError, match="mc_hdr: has no column isRES"):
        list(read_events([write(segments=segments(3), mc_hdr=rows)]))


def test_rows_of_one_event_that_are_apart_are_refused(write):
    with pytest.raises(FormatError, match="3 runs, 2 events"):
        list(read_events([write(segments=segments(1, 2, 1))]))


def test_a_table_of_objects_or_of_another_shape_is_refused(tmp_path, write):
    with pytest.raises(FormatError, match="one-dimensional table"):
        list(FORMATS["edepsim_hdf5"].read(write(segments=np.zeros((2, 2)))))
    path = tmp_path / "object.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("segments", 3, np.dtype([("event_id", "u4"), ("note", h5py.string_dtype())]))
    with pytest.raises(FormatError, match="references or strings"):
        list(FORMATS["edepsim_hdf5"].read(path))


@pytest.mark.parametrize("options", [{}, {"chunks": (1024,), "compression": "gzip"}])
def test_a_declared_shape_that_the_file_cannot_hold_is_refused_before_allocation(tmp_path, options):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("segments", (10**12,), SEGMENTS, **options)
    assert path.stat().st_size < 100_000
    with pytest.raises(FormatError, match="declares 1000000000000 rows"):
        list(read_events([path]))


def test_rows_in_another_file_are_refused(tmp_path):
    path = tmp_path / "external.h5"
    with h5py.File(path, "w") as file:
        size = 4 * SEGMENTS.itemsize
        file.create_dataset("segments", (4,), SEGMENTS, external=[(str(tmp_path / "other.raw"), 0, size)])
    with pytest.raises(FormatError, match="in other files"):
        list(read_events([path]))


def test_a_truncated_file_is_refused_by_name(write):
    path = write(segments=segments(*range(1000)))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FormatError, match=r"events.h5"):
        list(FORMATS["edepsim_hdf5"].read(path))
