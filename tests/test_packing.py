"""Packing and exporting by many processes: the same dataset for any number of them, and the same as by one command."""

import json
import shutil
import signal
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm import packing
from hpc_nuvlm.arguments import content_words, packing_of
from hpc_nuvlm.config import View
from hpc_nuvlm.engine.place import Worker
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.errors import FormatError, StoreError, UserError
from hpc_nuvlm.formats import read_events
from hpc_nuvlm.packing import ImageWork, pack_work, pictures, plan_units
from hpc_nuvlm.store import open_dataset, verify
from hpc_nuvlm.store.pack import pack
from hpc_nuvlm.store.tar_store import export
from hpc_nuvlm.views.image import ImageView
from hpc_nuvlm.workers import do_parts, make_dataset

# Seconds of processes and files
pytestmark = pytest.mark.slow

SPLIT = {"train": 0.7, "val": 0.3}


@pytest.fixture(scope="module")
def maps(test_data, tmp_path_factory) -> Path:
    """30 real maps, and 6 to test with, each with its label."""
    folder = tmp_path_factory.mktemp("maps")
    lines = (test_data / "dune_cvn" / "labels.csv").read_text().splitlines()
    chosen = [line for line in lines if line.startswith("dataset1000,")][:30]
    chosen += [line for line in lines if line.startswith("highstats,")][::50]
    (folder / "labels.csv").write_text("\n".join([lines[0], *chosen]) + "\n")
    for line in chosen:
        path = line.split(",")[1]
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(test_data / "dune_cvn" / path, folder / path)
    return folder


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(packing, "UNIT_FILES", 4)


@pytest.fixture
def work(maps, cvn_detector, small_units):
    return pack_work(
        [maps / "dataset1000"],
        [maps / "highstats"],
        format="dune_cvn",
        detector=cvn_detector,
        split=SPLIT,
        classes=("nue_cc", "numu_cc", "nc"),
        command="test",
    )


def make(work, out: Path, num_workers: int = 1, jobs: int = 1):
    outcomes = [
        make_dataset(work, out, Worker(number, num_workers), jobs, StopRequest()) for number in range(num_workers)
    ]
    assert all(outcome.finished for outcome in outcomes)
    assert [outcome.manifest for outcome in outcomes[:-1]] == [None] * (num_workers - 1)
    return outcomes[-1].manifest


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 5), st.integers(1, 60))
def test_units_hold_every_file_once_in_order_and_within_limits(tmp_path_factory, sizes, most_files, most_bytes):
    folder = tmp_path_factory.mktemp("files")
    files = [folder / f"{place}.h5" for place in range(len(sizes))]
    for file, size in zip(files, sizes):
        file.write_bytes(b"x" * size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "UNIT_FILES", most_files)
        patch.setattr(packing, "UNIT_BYTES", most_bytes)
        units = list(plan_units(files, test=False))
    assert [file for unit in units for file in unit.files] == files
    for unit in units:
        assert 0 < len(unit.files) <= most_files
        assert len(unit.files) == 1 or sum(file.stat().st_size for file in unit.files) <= most_bytes


def test_any_number_of_workers_packs_the_same_and_the_same_events_as_one_command(tmp_path, work, maps, cvn_detector):
    one, three = make(work, tmp_path / "one"), make(work, tmp_path / "three", 3)
    assert one.fingerprint == three.fingerprint and bytes_of(tmp_path / "one") == bytes_of(tmp_path / "three")
    assert verify(tmp_path / "one") == []
    plain = pack(
        read_events([maps / "dataset1000"]),
        tmp_path / "plain",
        cvn_detector,
        test_events=read_events([maps / "highstats"]),
        split=SPLIT,
        classes=work.classes,
        command="test",
    )
    assert one.labels == plain.labels and one.left_out == plain.left_out and one.splits == ("train", "val", "test")
    ours, theirs = open_dataset(tmp_path / "one"), open_dataset(tmp_path / "plain")
    for name in plain.splits:
        assert [event.identity for event in ours.split(name)] == [event.identity for event in theirs.split(name)]
        hashes = [[event.content_hash for event in data.split(name)] for data in (ours, theirs)]
        assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_processes_pack_as_one_does(tmp_path, work):
    assert make(work, tmp_path / "one").fingerprint == make(work, tmp_path / "two", jobs=2).fingerprint
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_a_map_that_two_units_have_is_kept_once(tmp_path, maps, cvn_detector, small_units):
    folder = tmp_path / "maps"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    lines = (maps / "labels.csv").read_text().splitlines()
    copied = [lines[0]]
    for line in lines[1:9]:
        columns = line.split(",")
        for name in "ab":
            if name == "a" or len(copied) % 2:
                shutil.copyfile(maps / columns[1], folder / name / Path(columns[1]).name)
                copied.append(",".join([columns[0], f"{name}/{Path(columns[1]).name}", *columns[2:]]))
    (folder / "labels.csv").write_text("\n".join(copied) + "\n")
    options = {"split": SPLIT, "classes": None, "command": "test"}
    work = pack_work([folder], [], format="dune_cvn", detector=cvn_detector, **options)
    assert len(work.units) > 2
    ours = make(work, tmp_path / "ours")
    plain = pack(read_events([folder]), tmp_path / "plain", cvn_detector, **options)
    assert len(ours.duplicates) == len(plain.duplicates) > 0
    assert {(pair.kept, pair.dropped) for pair in ours.duplicates} == {(p.kept, p.dropped) for p in plain.duplicates}
    assert ours.labels == plain.labels and verify(tmp_path / "ours") == []
    leaking = pack_work([folder / "a"], [folder / "b"], format="dune_cvn", detector=cvn_detector, **options)
    with pytest.raises(StoreError, match="where one would give the other away"):
        make(leaking, tmp_path / "leaking")


def test_a_stop_is_heard_between_two_events(tmp_path, work):
    stop = StopRequest()
    stop.received = signal.SIGTERM
    outcome = make_dataset(work, tmp_path / "out", Worker(), 1, stop)
    assert not outcome.finished and outcome.manifest is None
    assert not list((tmp_path / "out").glob("*.zarr.zip"))


def test_other_files_are_another_dataset(tmp_path, work, maps, cvn_detector):
    make(work, tmp_path / "out")
    fewer = pack_work(
        [maps / "dataset1000"],
        [],
        format="dune_cvn",
        detector=cvn_detector,
        split=SPLIT,
        classes=work.classes,
        command="test",
    )
    with pytest.raises(StoreError, match="holds another dataset already"):
        make(fewer, tmp_path / "out")


def test_a_test_split_with_two_sources_is_refused(maps, cvn_detector):
    with pytest.raises(StoreError, match="use one of the two"):
        pack_work(
            [maps],
            [maps],
            format="dune_cvn",
            detector=cvn_detector,
            split={"train": 0.5, "test": 0.5},
            classes=None,
            command="test",
        )


def test_images_are_those_of_an_export_with_one_tar_for_each_shard(tmp_path, drawn_dataset):
    work = ImageWork(drawn_dataset, View(size=(125, 125), pool=4, full_scale=1020.0), "test")
    one, two = make(work, tmp_path / "one"), make(work, tmp_path / "two", 2)
    assert one.fingerprint == two.fingerprint and bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    opened = open_dataset(drawn_dataset)
    assert [(shard.split, shard.events) for shard in one.shards] == [
        (shard.split, shard.events) for shard in opened.manifest.shards
    ]
    view = ImageView(work.view, opened.manifest.detector)
    samples = {name: pictures(opened.split(name), view, range(len(opened.split(name)))) for name in opened.splits}
    plain = export(opened.manifest, samples, tmp_path / "plain", command="test", pool=4)
    assert one.labels == plain.labels and one.detector == plain.detector
    for name in plain.splits:
        for ours, theirs in zip(
            open_dataset(tmp_path / "one").split(name), open_dataset(tmp_path / "plain").split(name)
        ):
            assert ours.identity == theirs.identity and np.array_equal(ours.hits.charge, theirs.hits.charge)


def test_images_go_to_a_folder_without_tars(tmp_path, drawn_dataset):
    (tmp_path / "train-000009.tar").write_text("mine")
    with pytest.raises(StoreError, match="holds tars already"):
        make(ImageWork(drawn_dataset, View(), "test"), tmp_path)


def test_a_tar_is_not_left_when_it_was_stopped_in_the_middle(tmp_path, drawn_dataset):
    work = ImageWork(drawn_dataset, View(), "test")
    assert not do_parts(work, tmp_path, [0], lambda number: False, lambda number: True)
    assert not list(tmp_path.glob(".part-*"))


def asked(**changes) -> Namespace:
    options = {
        "images": None,
        "paths": [],
        "test": [],
        "format": None,
        "detector": None,
        "split": None,
        "classes": None,
    }
    look = {"size": None, "pool": 1, "crop": "fixed", "curve": "linear", "full_scale": 255.0}
    return Namespace(**options | look | changes)


def test_arguments_become_work(maps, drawn_dataset):
    work = packing_of(asked(paths=[maps / "dataset1000"], test=[maps / "highstats"]), ["a", "--jobs", "2", "--out=x"])
    assert work.split == {"train": 0.85, "val": 0.15} and work.detector.name == "dune_fd_cvn"
    assert work.command == "launch/pack.py a" and work.format == "dune_cvn"
    images = packing_of(asked(images=drawn_dataset, pool=4, curve="log"), [])
    assert images.view.size == (125, 125) and images.view.curve == "log"
    assert json.loads(images.blueprint.settings)["dataset"] == open_dataset(drawn_dataset).manifest.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "give either event files"),
        ({"paths": [Path("a")], "images": Path("b")}, "give either event files"),
        ({"paths": [Path("nowhere")]}, "nowhere: no such file"),
        ({"paths": [Path("a")], "format": "dune"}, "--format 'dune': no such format"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        packing_of(asked(**changes), [])


def test_a_pool_of_nothing_is_refused_by_name(drawn_dataset):
    with pytest.raises(UserError, match="pool = 0: Input should be greater than 0"):
        packing_of(asked(images=drawn_dataset, pool=0), [])


def test_a_curve_that_does_not_exist_is_refused_by_name(drawn_dataset):
    with pytest.raises(UserError, match="command line: curve = 'loud'"):
        packing_of(asked(images=drawn_dataset, curve="loud"), [])


def test_where_and_by_how_many_is_no_part_of_what_was_done():
    words = ["a", "--out", "x", "--test", "b", "--jobs=3", "--overwrite", "--jobs", "4", "--out=y", "c"]
    assert content_words(words) == ["a", "--test", "b", "c"]


def test_a_file_that_vanished_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"gone\.h5: cannot be read"):
        list(plan_units([tmp_path / "gone.h5"], test=False))
