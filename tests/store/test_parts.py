"""Datasets in parts: whose parts a folder holds, who publishes, and what happens to equal events of two parts."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import Identity, Truth
from hpc_nuvlm.store import open_dataset, verify
from hpc_nuvlm.store.duplicates import equal_pairs
from hpc_nuvlm.store.manifest import load_manifest
from hpc_nuvlm.store.pack import content_of, pack
from hpc_nuvlm.store.parts import Blueprint, PartsFolder
from hpc_nuvlm.store.sidecar import Part, encode_contents
from hpc_nuvlm.store.zarr_store import quantize, write_shard

SPLITS = ("train", "val")


@pytest.fixture
def blueprint(cvn):
    names = [f"{split}-{index}" for split in SPLITS for index in range(2)]
    return Blueprint("zarr", cvn, SPLITS, names, command="make", settings='{"seed": 1}')


def add(folder: PartsFolder, name: str, events: list) -> Part:
    split, index = name.split("-")
    detector = folder.blueprint.detector
    events = [quantize(event, detector) for event in events]
    shards = (write_shard(events, folder.folder, detector, split, int(index)),) if events else ()
    part = Part(
        name=name,
        layout=(events[0].hits.kind, tuple(events[0].hits.columns)) if events else None,
        shards=shards,
        labels={split: Counter(event.truth.label for event in events)},
        contents=encode_contents(map(content_of, events)),
    )
    folder.add(part)
    return part


def fill(folder: PartsFolder, pixels, **changed) -> None:
    """Four parts of five events; `changed` gives other events for some."""
    folder.join()
    for place, name in enumerate(folder.blueprint.parts):
        events = [pixels(number) for number in range(5 * place, 5 * place + 5)]
        add(folder, name, changed.get(name.replace("-", "_"), events))


def numbers(folder: Path) -> dict[str, list[int]]:
    data = open_dataset(folder)
    return {name: [event.identity.event for event in data.split(name)] for name in data.splits}


def test_nothing_is_published_until_every_part_is_there(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path / "out", blueprint)
    assert folder.join() is None and folder.missing() == 4
    for left, name in zip((3, 2, 1), blueprint.parts):
        add(folder, name, [pixels(left)])
        assert folder.missing() == left and folder.publish() is None
        assert not (folder.folder / "manifest.json").exists()
    add(folder, blueprint.parts[3], [pixels(9)])
    manifest = folder.publish()
    assert numbers(folder.folder) == {"train": [3, 2], "val": [1, 9]}
    assert {path.name for path in folder.folder.iterdir()} == {
        "manifest.json",
        *(shard.file for shard in manifest.shards),
    }
    assert manifest.lineage.settings == '{"seed": 1}' and manifest.lineage.command == "make"
    assert folder.join() == folder.publish() == manifest == load_manifest(folder.folder)


def test_the_order_in_which_parts_are_made_changes_nothing(tmp_path, blueprint, pixels):
    manifests = []
    for order in (1, -1):
        folder = PartsFolder(tmp_path / str(order), blueprint)
        folder.join()
        for name in blueprint.parts[::order]:
            add(folder, name, [pixels(blueprint.parts.index(name))])
        manifests.append(folder.publish())
    assert manifests[0].fingerprint == manifests[1].fingerprint and manifests[0].shards == manifests[1].shards


def test_parts_of_another_dataset_are_refused_unless_given_up(tmp_path, blueprint, pixels):
    first = PartsFolder(tmp_path, blueprint)
    first.join()
    add(first, "train-0", [pixels(1)])
    other = PartsFolder(tmp_path, replace(blueprint, settings='{"seed": 2}', command="make other"))
    with pytest.raises(StoreError, match=r"unfinished parts of another dataset \(`make`\); .*--overwrite"):
        other.join()
    assert first.join() is None and first.find("train-0") is not None
    other.join(overwrite=True)
    assert other.find("train-0") is None and other.missing() == 4
    fill(other, pixels)
    add(first, "train-1", [pixels(3)])
    manifest = other.publish()
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", *(shard.file for shard in manifest.shards)}


def test_a_writer_whose_parts_were_given_up_is_told(tmp_path, blueprint, pixels):
    first = PartsFolder(tmp_path, blueprint)
    fill(first, pixels)
    PartsFolder(tmp_path, replace(blueprint, settings="{}")).join(overwrite=True)
    with pytest.raises(StoreError, match="given up while this process wrote some; start again"):
        first.publish()


@pytest.mark.parametrize(
    "change",
    [
        {"settings": "{}"},
        {"source": "other files"},
        {"kind": "webdataset"},
        {"detector": None},
    ],
)
def test_another_dataset_is_never_taken_for_this_one(tmp_path, blueprint, pixels, lartpc, change):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels)
    folder.publish()
    change = change if "detector" not in change else {"detector": lartpc}
    other = PartsFolder(tmp_path, replace(blueprint, **change))
    with pytest.raises(StoreError, match="holds another dataset already"):
        other.join()


def test_a_packed_dataset_is_replaced_on_request_only(dataset, blueprint, pixels):
    before = numbers(dataset)
    folder = PartsFolder(dataset, blueprint)
    with pytest.raises(StoreError, match=r"holds another dataset already.*--overwrite"):
        folder.join()
    folder.join(overwrite=True)
    assert numbers(dataset) == before, "until all is there, the old dataset is"
    fill(folder, pixels)
    manifest = folder.publish()
    assert {path.name for path in dataset.iterdir()} == {"manifest.json", *(shard.file for shard in manifest.shards)}
    assert verify(dataset) == []


def test_pack_keeps_out_of_a_folder_in_which_parts_are_made(tmp_path, blueprint, cvn, pixels, options):
    folder = PartsFolder(tmp_path, blueprint)
    folder.join()
    add(folder, "train-0", [pixels(1)])
    with pytest.raises(StoreError, match="another command makes a dataset here, in parts"):
        pack([pixels(1)], tmp_path, cvn, overwrite=True, **options)
    assert folder.find("train-0") is not None


def test_a_plan_that_is_damaged_is_refused_by_name(tmp_path, blueprint):
    folder = PartsFolder(tmp_path, blueprint)
    folder.join()
    (tmp_path / ".plan.json").write_text("{")
    with pytest.raises(StoreError, match=r"\.plan\.json: is damaged; delete this file"):
        folder.join()


def test_a_folder_that_cannot_be_made_is_reported(blueprint):
    with pytest.raises(StoreError, match="/proc/none: cannot be made"):
        PartsFolder(Path("/proc/none"), blueprint).join()


def test_a_manifest_without_settings_is_still_readable(dataset):
    """Datasets packed before manifests had settings: the key is absent, and the fingerprint was taken without it."""
    path = dataset / "manifest.json"
    fields = json.loads(path.read_text())
    assert fields["lineage"].pop("settings") is None
    path.write_text(json.dumps(fields))
    manifest = load_manifest(dataset)
    content = json.loads(manifest.model_dump_json(exclude={"fingerprint": True, "lineage": {"created", "settings"}}))
    assert manifest.fingerprint == sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def test_a_part_without_events_is_a_part(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels, train_1=[])
    assert folder.publish().num_events("train") == 5
    empty = PartsFolder(tmp_path / "empty", blueprint)
    fill(empty, pixels, **{name.replace("-", "_"): [] for name in blueprint.parts})
    with pytest.raises(StoreError, match="no event is left to store"):
        empty.publish()
    assert not (tmp_path / "empty" / ".lock").exists()


def test_hits_of_two_layouts_are_refused(tmp_path, blueprint, pixels, deposits):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels, val_1=[deposits(1)])
    with pytest.raises(StoreError, match=r"hits of part val-1 are .*deposits.* those of train-0"):
        folder.publish()


def copy_of(event, **changes):
    return replace(event, identity=Identity("cd" * 32, 100 + event.identity.event), **changes)


def test_an_event_that_an_earlier_part_has_is_dropped_and_its_shard_written_again(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path, blueprint)
    later = [pixels(5), copy_of(pixels(3)), pixels(6), copy_of(pixels(0)), copy_of(pixels(3))]
    fill(folder, pixels, train_1=later)
    manifest = folder.publish()
    assert numbers(tmp_path)["train"] == [0, 1, 2, 3, 4, 5, 6]
    assert [(pair.kept[17:], pair.dropped[17:]) for pair in manifest.duplicates] == [
        ("x-x-3", "x-x-103"),
        ("x-x-0", "x-x-100"),
        ("x-x-3", "x-x-103"),
    ]
    assert manifest.labels["train"] == {"nc": 7} and verify(tmp_path) == []
    without = PartsFolder(tmp_path / "without", blueprint)
    fill(without, pixels, train_1=[pixels(5), pixels(6)])
    assert without.publish().shards == manifest.shards
    assert {path.name for path in tmp_path.iterdir()} == {
        "without",
        "manifest.json",
        *(shard.file for shard in manifest.shards),
    }


def test_a_part_that_only_repeats_leaves_no_shard(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels, val_1=[copy_of(pixels(10))])
    manifest = folder.publish()
    assert len(manifest.shards) == 3 and len(manifest.duplicates) == 1 and numbers(tmp_path)["val"] == [*range(10, 15)]


def test_an_equal_event_in_another_split_is_refused_with_both_files(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels, val_0=[copy_of(pixels(2))])
    with pytest.raises(StoreError, match=f"{'ab' * 32}.*{'cd' * 32}.*splits 'train' and 'val'"):
        folder.publish()
    assert not (tmp_path / "manifest.json").exists() and folder.missing() == 0


def test_an_equal_event_with_another_label_is_refused(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels, train_1=[copy_of(pixels(2), truth=Truth("nue_cc"))])
    with pytest.raises(StoreError, match="labels nc and nue_cc"):
        folder.publish()


def test_equal_rows_are_found_like_in_a_dictionary():
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 12, (300, 2)).astype(np.uint64)
    seen, expected = {}, []
    for place, row in enumerate(map(tuple, rows.tolist())):
        if any(row) and row in seen:
            expected.append((seen[row], place))
        seen.setdefault(row, place)
    assert equal_pairs(rows) == expected and len(expected) > 100
    assert equal_pairs(np.zeros((5, 2), np.uint64)) == [] == equal_pairs(np.empty((0, 2), np.uint64))


PUBLISH = """
import sys, time
from pathlib import Path
from hpc_nuvlm.detector import load_detector
from hpc_nuvlm.store.parts import Blueprint, PartsFolder
detector = load_detector("dune_fd_cvn", Path(DETECTORS))
names = [f"{split}-{index}" for split in ("train", "val") for index in range(2)]
folder = PartsFolder(Path(OUT), Blueprint("zarr", detector, ("train", "val"), names, command="make", settings=SETTINGS))
print("ready", flush=True)
sys.stdin.readline()
manifest = folder.publish()
print(manifest.fingerprint if manifest else "another does it")
"""


@pytest.mark.slow
def test_writers_that_publish_at_once_publish_one_dataset(tmp_path, blueprint, pixels, repository):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels, train_1=[pixels(5), copy_of(pixels(3))])
    names = {"DETECTORS": str(repository / "configs/detectors"), "OUT": str(tmp_path), "SETTINGS": '{"seed": 1}'}
    program = "".join(f"{name} = {value!r}\n" for name, value in names.items()) + PUBLISH
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([sys.executable, "-c", program], **pipes) for _ in range(4)]
    assert all(writer.stdout.readline() == "ready\n" for writer in writers)
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [writer.communicate(timeout=60)[0].strip() for writer in writers]
    assert all(writer.returncode == 0 for writer in writers), said
    manifest = load_manifest(tmp_path)
    assert set(said) <= {manifest.fingerprint, "another does it"} and manifest.fingerprint in said
    assert verify(tmp_path) == [] and len(manifest.duplicates) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", *(shard.file for shard in manifest.shards)}


def test_a_publisher_that_was_killed_is_told_and_its_lock_named(tmp_path, blueprint, pixels):
    folder = PartsFolder(tmp_path, blueprint)
    fill(folder, pixels)
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / ".lock").write_text(json.dumps({"pid": ended.pid, "host": host}))
    with pytest.raises(StoreError, match=r"\.lock: was left by process .* delete this file"):
        folder.publish()
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": "another-node"}))
    assert folder.publish() is None, "another node publishes it now"
    (tmp_path / ".lock").unlink()
    assert folder.publish() is not None
