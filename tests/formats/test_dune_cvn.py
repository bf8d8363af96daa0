"""DUNE CVN maps: real files against an independent reading of them, and every refusal."""

import csv
import gzip
import pickle
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats import FORMATS, detect, read_events
from hpc_nuvlm.formats.dune_cvn import COLUMNS, MAP_BYTES, MAP_SHAPE

ROW = {
    "path": "event7.gz",
    "flavour": "1",
    "interaction": "0",
    "is_antinu": "0",
    "protons": "1",
    "pions": "0",
    "pizeros": "0",
    "neutrons": "3",
}
INFO = [4, 2.5, 2.0, 0, 0, 0, 0.1, 12, 1, 0, 0, 8, 1, 1, 900]


def a_map() -> bytes:
    pixels = np.zeros(MAP_SHAPE, np.uint8)
    pixels[2, 499, 0] = 255
    pixels[0, 3, 5] = 7
    return pixels.tobytes()


def write_labels(folder: Path, *rows: dict, columns=COLUMNS) -> None:
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "event7.gz").write_bytes(zlib.compress(a_map()))
    write_labels(tmp_path, ROW)
    return tmp_path


def read_one(path: Path):
    (event,) = read_events([path])
    return event


def test_a_map_becomes_its_lit_pixels_and_the_row_its_truth(folder):
    event = read_one(folder)
    assert event.hits.kind == "pixels"
    assert {name: column.tolist() for name, column in event.hits.columns.items()} == {
        "plane": [0, 2],
        "row": [3, 499],
        "column": [5, 0],
        "charge": [7.0, 255.0],
    }
    truth = event.truth
    assert (truth.label, truth.nu_pdg, truth.is_cc, truth.mode) == ("nue_cc", 12, True, "qe")
    assert truth.counts == {"proton": 1, "pion": 0, "pi0": 0, "neutron": 3}
    assert np.isnan(truth.nu_energy_gev)
    assert event.identity.event == 7


def test_real_maps_are_read_pixel_by_pixel(test_data):
    folder = test_data / "dune_cvn" / "highstats" / "nue"
    events = list(FORMATS["dune_cvn"].read(folder))
    assert [event.identity.event for event in events] == list(range(100))
    for event in events[:10]:
        expected = np.frombuffer(zlib.decompress((folder / f"event{event.identity.event}.gz").read_bytes()), np.uint8)
        image = np.zeros(MAP_SHAPE, np.uint8)
        image[event.hits["plane"], event.hits["row"], event.hits["column"]] = event.hits.charge
        assert np.array_equal(image.ravel(), expected)
        assert event.truth.label == "nue_cc"


def test_labels_are_found_for_a_subfolder_and_for_a_single_map(test_data):
    map_path = test_data / "dune_cvn" / "with_info" / "nutau" / "event1.gz"
    event = read_one(map_path)
    assert (event.truth.label, event.truth.nu_pdg, event.truth.mode) == ("nutau_cc", 16, "qe")
    assert event.truth.nu_energy_gev == 28.5353
    assert event.truth.lepton_energy_gev == 28.2648
    assert detect([map_path, map_path.parent]).default_detector == "dune_fd_cvn"


def test_info_files_alone_give_the_truth_and_counts_stop_at_three(folder):
    (folder / "labels.csv").unlink()
    (folder / "event7.info").write_text("\n".join(map(str, INFO)) + "\n")
    truth = read_one(folder).truth
    assert (truth.label, truth.mode, truth.nu_energy_gev) == ("nue_cc", "qe", 2.5)
    assert truth.counts == {"proton": 1, "pion": 0, "pi0": 0, "neutron": 3}


def test_maps_without_any_label_have_unknown_truth(folder):
    (folder / "labels.csv").unlink()
    assert read_one(folder).truth.label is None


def test_a_neutral_current_event_keeps_an_unknown_neutrino(folder):
    write_labels(folder, ROW | {"flavour": "3", "interaction": "-1", "is_antinu": "-1"})
    truth = read_one(folder).truth
    assert (truth.label, truth.nu_pdg, truth.is_cc, truth.mode) == ("nc", None, False, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (zlib.compress(a_map())[:-20], "cut short"),
        (zlib.compress(a_map()) + b"x", "after the end"),
        (zlib.compress(a_map()[:-1]), "inflates to 749999 bytes"),
        (zlib.compress(a_map() + b"\0"), "more than 750000"),
        (gzip.compress(a_map()), "not a zlib stream"),
        (b"", "cut short"),
        (zlib.compress(bytes(200_000_000), 1), "is another kind of file|more than 750000"),
        (b"x" * 2 * MAP_BYTES, "another kind of file"),
    ],
)
def test_a_file_that_is_not_one_map_is_refused_by_name(folder, content, problem):
    (folder / "event7.gz").write_bytes(content)
    with pytest.raises(FormatError, match=f"event7.gz: .*({problem})"):
        read_one(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"flavour": "9"}, "line 2, column 'flavour': is '9'"),
        ({"flavour": ""}, "line 2, column 'flavour'"),
        ({"interaction": "7"}, "line 2, column 'interaction'"),
        ({"is_antinu": "2"}, "line 2, column 'is_antinu'"),
        ({"neutrons": "4"}, "line 2, column 'neutrons'"),
        ({"path": "event8.gz"}, "column 'path' has no row 'event7.gz'"),
    ],
)
def test_a_bad_row_is_refused_with_line_and_column(folder, change, problem):
    write_labels(folder, ROW | change)
    with pytest.raises(FormatError, match=f"labels.csv: {problem}"):
        read_one(folder)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(folder, column):
    write_labels(folder, ROW, columns=[name for name in COLUMNS if name != column])
    with pytest.raises(FormatError, match=f"line 1 has no column {column}"):
        read_one(folder)


def test_a_path_listed_twice_and_a_short_row_are_refused(folder):
    write_labels(folder, ROW, ROW)
    with pytest.raises(FormatError, match=r"line 3.*listed before"):
        read_one(folder)
    (folder / "labels.csv").write_text(",".join(COLUMNS) + "\nevent7.gz,1\n")
    with pytest.raises(FormatError, match="line 2: has another number of columns"):
        read_one(folder)


def test_pixels_that_are_not_those_of_the_catalogue_are_refused(folder):
    write_labels(folder, ROW | {"sha1_pixels": "0123456789abcdef"}, columns=[*COLUMNS, "sha1_pixels"])
    with pytest.raises(FormatError, match="sha1_pixels"):
        read_one(folder)


@pytest.mark.parametrize(
    ("line", "value", "problem"),
    [
        (0, 12, "line 1"),
        (0, 0, "two flavours"),
        (1, "nan", "line 2"),
        (2, "-1", "line 3"),
        (7, 11, "line 8"),
        (8, "x", "line 9"),
        (3, "0 0", "has 16 values"),
    ],
)
def test_a_damaged_info_file_is_refused_with_its_line(folder, line, value, problem):
    values = list(INFO)
    values[line] = value
    (folder / "event7.info").write_text("\n".join(map(str, values)))
    with pytest.raises(FormatError, match=f"event7.info: .*{problem}"):
        read_one(folder)


def test_labels_and_info_that_disagree_are_refused(folder):
    (folder / "event7.info").write_text("\n".join(map(str, [5, *INFO[1:]])))
    with pytest.raises(FormatError, match=r"line 2: says nue_cc, qe.*\.info file says nue_cc, res"):
        read_one(folder)


def test_a_map_without_info_among_maps_with_info_is_refused(folder):
    (folder / "labels.csv").unlink()
    (folder / "event7.info").write_text("\n".join(map(str, INFO)))
    shutil.copy(folder / "event7.gz", folder / "event8.gz")
    with pytest.raises(FormatError, match=r"event8.gz: has no event8.info"):
        list(read_events([folder]))


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickled_partition_is_refused_and_never_loaded(folder):
    canary = folder / "canary"
    (folder / "partition.p").write_bytes(pickle.dumps(Canary(canary)))
    assert read_one(folder).truth.label == "nue_cc"  # labels.csv is there, so the pickle is not needed
    (folder / "labels.csv").unlink()
    for path in (folder, folder / "partition.p"):
        with pytest.raises(FormatError, match=r"partition.p: is a Python pickle.*labels.csv"):
            list(read_events([path]))
    assert not canary.exists()


def test_an_unknown_input_is_refused_with_the_list_of_formats(tmp_path):
    (tmp_path / "notes.txt").write_text("no events")
    with pytest.raises(FormatError, match=r"notes.txt: .*dune_cvn, edepsim_hdf5"):
        list(read_events([tmp_path / "notes.txt"]))
    with pytest.raises(FormatError, match="no such file"):
        list(read_events([tmp_path / "absent"]))
    with pytest.raises(FormatError, match="'larcv' is unknown; use one of"):
        list(read_events([tmp_path], name="larcv"))
    with pytest.raises(FormatError, match="no input"):
        detect([])


def test_reading_is_lazy(folder):
    (folder / "event9.gz").write_bytes(b"broken")
    write_labels(folder, ROW, ROW | {"path": "event9.gz"})
    events = read_events([folder])
    assert next(events).identity.event == 7
    with pytest.raises(FormatError, match=r"event9.gz"):
        next(events)
