"""Packing: what goes where, what is refused, and that a failure leaves the folder as it was."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import Identity, Truth
from hpc_nuvlm.formats import read_events
from hpc_nuvlm.store import open_dataset, verify
from hpc_nuvlm.store.pack import pack


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def stored(folder: Path) -> dict[int, str]:
    """Event number -> split."""
    data = open_dataset(folder)
    return {event.identity.event: name for name in data.splits for event in data.split(name)}


def test_every_event_is_stored_once_and_the_manifest_counts_it(tmp_path, cvn, pixels, options, same):
    events = [pixels(number, label="nue_cc" if number % 2 else None) for number in range(40)]
    seen = []
    manifest = pack(iter(events), tmp_path / "out", cvn, on_progress=seen.append, **options)
    assert seen == list(range(1, 41))
    data = open_dataset(tmp_path / "out")
    read = {event.identity.event: event for name in data.splits for event in data.split(name)}
    assert sorted(read) == list(range(40))
    for event in events:
        same(read[event.identity.event], event)
    for name in data.splits:
        counted = Counter(label or "unlabelled" for label in data.split(name).labels())
        assert manifest.labels[name] == counted
        assert manifest.num_events(name) == len(data.split(name))
    assert names(tmp_path / "out") == {"manifest.json", *(shard.file for shard in manifest.shards)}
    assert all(shard.events <= 8 for shard in manifest.shards)


def test_splits_follow_the_content_and_not_order_or_name(tmp_path, cvn, pixels, options):
    events = [pixels(number) for number in range(60)]
    pack(events, tmp_path / "a", cvn, **options)
    pack(reversed(events), tmp_path / "b", cvn, **options)
    first = stored(tmp_path / "a")
    assert first == stored(tmp_path / "b")
    assert 30 <= Counter(first.values())["train"] <= 54
    pack(events, tmp_path / "c", cvn, **options | {"split": {"train": 0.7, "val": 0.1, "test": 0.2}})
    wider = stored(tmp_path / "c")
    assert all(wider[number] == "train" for number, name in first.items() if name == "train")


def test_the_same_events_give_the_same_fingerprint(tmp_path, cvn, pixels, options):
    events = [pixels(number) for number in range(10)]
    first, second = (pack(events, tmp_path / name, cvn, **options) for name in "ab")
    assert first.fingerprint == second.fingerprint
    assert pack(events[1:], tmp_path / "c", cvn, **options).fingerprint != first.fingerprint


def test_separate_test_events_become_the_test_split(tmp_path, cvn, pixels, options):
    tests = [pixels(number) for number in range(50, 53)]
    manifest = pack([pixels(number) for number in range(10)], tmp_path / "out", cvn, test_events=tests, **options)
    assert manifest.splits == ("train", "val", "test")
    assert {number for number, name in stored(tmp_path / "out").items() if name == "test"} == {50, 51, 52}
    with pytest.raises(StoreError, match="use one of the two"):
        pack([], tmp_path / "b", cvn, test_events=tests, **options | {"split": {"train": 0.5, "test": 0.5}})


def test_labels_outside_of_the_classes_are_left_out_and_counted(tmp_path, cvn, pixels, options):
    labels = ["nc", "nue_cc", "nutau_cc", None, "nutau_cc"]
    events = [pixels(number, label=label) for number, label in enumerate(labels)]
    manifest = pack(events, tmp_path / "out", cvn, **options | {"classes": ("nc", "nue_cc")})
    assert sorted(stored(tmp_path / "out")) == [0, 1]
    assert [(reason.split()[1], count) for reason, count in manifest.left_out.items()] == [
        ("nutau_cc", 2),
        ("unlabelled", 1),
    ]
    with pytest.raises(StoreError, match="no event is left to store: 2 events: label nutau_cc"):
        pack(events[2::2], tmp_path / "none", cvn, **options | {"classes": ("nc",)})


def test_an_exact_duplicate_is_dropped_and_reported(tmp_path, cvn, pixels, options):
    event = pixels(1)
    copy = replace(event, identity=Identity("cd" * 32, 9))
    manifest = pack([event, pixels(2), copy], tmp_path / "out", cvn, **options)
    (duplicate,) = manifest.duplicates
    assert (duplicate.kept, duplicate.dropped) == (event.identity.key, copy.identity.key)
    assert sorted(stored(tmp_path / "out")) == [1, 2]


def test_duplicates_that_differ_less_than_the_quanta_are_found(tmp_path, lartpc, deposits, options):
    event = deposits(1)
    nearly = replace(event, hits=replace(event.hits, columns=event.hits.columns | {"x_mm": event.hits["x_mm"] + 1e-5}))
    assert event.content_hash != nearly.content_hash
    manifest = pack([event, replace(nearly, identity=Identity("cd" * 32, 9))], tmp_path / "out", lartpc, **options)
    assert len(manifest.duplicates) == 1


def test_a_duplicate_across_splits_is_refused_with_both_files(tmp_path, cvn, pixels, options):
    event = pixels(1)
    copy = replace(event, identity=Identity("cd" * 32, 9))
    with pytest.raises(StoreError, match=f"(?s){event.identity.source}.*{'cd' * 32}.*'test'") as error:
        pack([event], tmp_path / "out", cvn, test_events=[copy], **options)
    assert event.identity.key in str(error.value) and copy.identity.key in str(error.value)
    assert not (tmp_path / "out").exists()


def test_equal_hits_with_different_labels_are_refused(tmp_path, cvn, pixels, options):
    event = pixels(1)
    with pytest.raises(StoreError, match="labels nc and nue_cc; correct the wrong label"):
        pack([event, replace(event, truth=Truth("nue_cc"))], tmp_path / "out", cvn, **options)


def test_events_without_hits_are_no_duplicates_of_each_other(tmp_path, cvn, pixels, options):
    pack(
        [pixels(number, 0, label) for number, label in enumerate(["nc", "nue_cc", "nc"])],
        tmp_path / "out",
        cvn,
        **options,
    )
    assert sorted(stored(tmp_path / "out")) == [0, 1, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_charge_that_is_no_charge_is_refused_with_its_hit(tmp_path, cvn, pixels, options, value):
    event = pixels(3)
    event.hits["charge"][7] = value
    with pytest.raises(StoreError, match=f"{event.identity.key}: hit 7: charge is {value}; it must"):
        pack([pixels(1), event], tmp_path / "out", cvn, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("x_mm", np.nan), ("z_mm", -np.inf), ("energy_mev", -0.1), ("time_us", np.nan)]
)
def test_a_deposit_that_is_nowhere_is_refused_with_its_hit(tmp_path, lartpc, deposits, options, name, value):
    event = deposits(3)
    event.hits[name][5] = value
    with pytest.raises(StoreError, match=f"hit 5: {name} is"):
        pack([event], tmp_path / "out", lartpc, **options)


@pytest.mark.parametrize(("name", "value"), [("plane", 3), ("row", 500), ("column", 65535)])
def test_a_pixel_outside_of_the_readout_is_refused_with_its_hit(tmp_path, cvn, pixels, options, name, value):
    event = pixels(3)
    event.hits[name][0] = value
    with pytest.raises(StoreError, match=f"hit 0: {name} is {value}; it must be below .* dune_fd_cvn"):
        pack([event], tmp_path / "out", cvn, **options)


def test_kinds_of_hits_are_not_mixed(tmp_path, cvn, lartpc, pixels, deposits, options):
    with pytest.raises(StoreError, match="datasets of their own"):
        pack([deposits(1), pixels(2)], tmp_path / "out", cvn, **options)


@pytest.mark.parametrize("split", [{}, {"train": 0.5}, {"train": 1.2, "val": -0.2}, {"train": np.nan}, {"../up": 1.0}])
def test_impossible_splits_are_refused(tmp_path, cvn, pixels, options, split):
    with pytest.raises(StoreError, match="split"):
        pack([pixels(1)], tmp_path / "out", cvn, **options | {"split": split})
    assert not (tmp_path / "out").exists()


def test_a_dataset_is_overwritten_only_on_request(dataset, cvn, pixels, options):
    before = stored(dataset)
    with pytest.raises(StoreError, match=r"holds a dataset already.*--overwrite"):
        pack([pixels(99)], dataset, cvn, **options)
    assert stored(dataset) == before
    manifest = pack([pixels(99)], dataset, cvn, overwrite=True, **options)
    assert list(stored(dataset)) == [99]
    assert names(dataset) == {"manifest.json", *(shard.file for shard in manifest.shards)}


def failing(events, number: int, error: BaseException):
    yield from islice(events, number)
    raise error


@pytest.mark.parametrize("error", [OSError("input is gone"), KeyboardInterrupt()])
def test_a_failure_leaves_no_folder_or_the_old_dataset(tmp_path, dataset, cvn, pixels, options, error):
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    for out in (tmp_path / "new", dataset):
        with pytest.raises(type(error)):
            pack(failing(map(pixels, range(100, 200)), 50, error), out, cvn, overwrite=True, **options)
    assert not (tmp_path / "new").exists()
    assert {path.name: path.read_bytes() for path in dataset.iterdir()} == before


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path, cvn, pixels, options):
    out = tmp_path / "out"
    out.mkdir()
    for name in (
        "train-00000-0123abcd.zarr.zip",
        ".train-00001-0123abcd.zarr.zip.partial",
        "mine.zarr.zip",
        "notes.txt",
    ):
        (out / name).write_bytes(b"left over")
    manifest = pack([pixels(1)], out, cvn, **options)
    assert names(out) == {"manifest.json", "mine.zarr.zip", "notes.txt", *(shard.file for shard in manifest.shards)}


PACK_IN_A_PROCESS = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from hpc_nuvlm.detector import load_detector
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import Event, Hits, Identity, Truth
from hpc_nuvlm.store.pack import pack

def events():
    generator = np.random.default_rng(3)
    for number in range(20):
        flat = generator.choice(750_000, 20_000, replace=False)
        plane, row, column = np.unravel_index(flat, (3, 500, 500))
        hits = Hits("pixels", {"plane": plane, "row": row, "column": column, "charge": generator.random(20_000)})
        yield Event(hits, Truth("nc"), Identity("ab" * 32, number))
        print("event", number, flush=True)
        if number == PAUSE_AFTER:
            sys.stdin.readline()

try:
    detector = load_detector("dune_fd_cvn", Path(DETECTORS))
    pack(events(), Path(OUT), detector, split={"train": 1.0}, classes=None, command="t", shard_events=4, overwrite=True)
except StoreError as error:
    print("StoreError:", error)
"""


def start_pack(repository: Path, out: Path, pause_after: int = -1, limit: str = "") -> subprocess.Popen:
    settings = f"DETECTORS, OUT, PAUSE_AFTER = {str(repository / 'configs/detectors')!r}, {str(out)!r}, {pause_after}\n"
    environment = os.environ | {"PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", limit + settings + PACK_IN_A_PROCESS]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_a_file_size_limit_is_reported_and_the_old_dataset_stays(repository, dataset):
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    limit = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    )
    output, _ = start_pack(repository, dataset, limit=limit).communicate(timeout=60)
    assert "StoreError" in output and "file-size limit is reached" in output
    assert "train-00000" in output and "bytes are needed" in output and "are free" in output
    assert {path.name: path.read_bytes() for path in dataset.iterdir()} == before


@pytest.mark.slow
def test_a_second_writer_is_refused_and_a_dead_one_is_told_from_it(repository, dataset, cvn, pixels, options):
    before = stored(dataset)
    process = start_pack(repository, dataset, pause_after=10)
    while process.stdout.readline() != "event 10\n":
        pass
    with pytest.raises(StoreError, match=f"\\.lock: process {process.pid} on .* is writing here"):
        pack([pixels(1)], dataset, cvn, overwrite=True, **options)
    assert stored(dataset) == before
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(StoreError, match=f"left by process {process.pid}.*delete this file"):
        pack([pixels(1)], dataset, cvn, overwrite=True, **options)
    assert stored(dataset) == before and verify(dataset) == []
    (dataset / ".lock").unlink()
    manifest = pack([pixels(1)], dataset, cvn, overwrite=True, **options)
    assert names(dataset) == {"manifest.json", *(shard.file for shard in manifest.shards)}


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1, "host": "another-node"}'])
def test_a_lock_that_cannot_be_judged_is_respected(tmp_path, cvn, pixels, options, content):
    (tmp_path / ".lock").write_text(content)
    with pytest.raises(StoreError, match=r"\.lock: .*delete this file"):
        pack([pixels(1)], tmp_path, cvn, **options)
    assert (tmp_path / ".lock").read_text() == content


def test_memory_holds_one_shard_per_split(tmp_path, cvn, pixels, options):
    held = []

    def watched():
        for number in range(40):
            yield pixels(number)
            held.append(len(list((tmp_path / "out").glob("*.zarr.zip"))))

    pack(watched(), tmp_path / "out", cvn, **options)
    assert all(files >= number // 8 - 2 for number, files in enumerate(held))


def test_real_maps_are_packed_and_read_back_pixel_by_pixel(tmp_path, cvn, test_data, options, same):
    folder = test_data / "dune_cvn"
    paths = [
        folder / "highstats" / kind / f"event{number}.gz" for kind in ("nue", "numu", "nc") for number in range(10)
    ]
    manifest = pack(read_events(paths), tmp_path / "out", cvn, **options)
    data = open_dataset(tmp_path / "out")
    read = {event.identity.key: event for name in data.splits for event in data.split(name)}
    originals = list(read_events(paths))
    assert len(read) == len(originals) == 30
    for event in originals:
        same(read[event.identity.key], event)
        assert read[event.identity.key].content_hash == event.content_hash
    total = Counter()
    for histogram in manifest.labels.values():
        total.update(histogram)
    assert total == {"nue_cc": 10, "numu_cc": 10, "nc": 10}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["detector_name"] == "dune_fd_cvn"


@pytest.mark.parametrize("particle", ["electron", "muon"])
def test_real_deposits_come_back_within_half_a_quantum(tmp_path, lartpc, test_data, options, particle):
    path = test_data / "edepsim_larndsim" / f"{particle}.edepsim.h5"
    pack(read_events([path]), tmp_path / "out", lartpc, **options)
    data = open_dataset(tmp_path / "out")
    read = {event.identity.event: event for name in data.splits for event in data.split(name)}
    for original in read_events([path]):
        event = read[original.identity.event]
        assert len(event.hits) == len(original.hits)
        for name, quantum in (("x_mm", 0.75), ("y_mm", 0.75), ("z_mm", 0.75), ("energy_mev", 0.001)):
            ours, theirs = np.sort(event.hits[name]).astype(float), np.sort(original.hits[name])
            assert np.abs(ours - theirs).max() <= quantum / 2 * 1.001
        assert Counter(event.hits["pdg"].tolist()) == Counter(original.hits["pdg"].tolist())
