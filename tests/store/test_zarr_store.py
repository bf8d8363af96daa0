"""Zarr shards: equal to what zarr-python reads, and never silently wrong, whatever happens to the file."""

import multiprocessing
import pickle
import shutil
import threading
import zipfile
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import ZipStore

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import LABELS, Hits
from hpc_nuvlm.store import open_dataset, verify, zarr_zip
from hpc_nuvlm.store.columns import CHUNK_ROWS
from hpc_nuvlm.store.manifest import Shard, load_manifest, publish_manifest
from hpc_nuvlm.store.pack import pack
from hpc_nuvlm.store.zarr_store import ZarrShard, encode_shard, quantize, shard_name


def write_shard(folder: Path, events: list, detector) -> tuple[Path, Shard]:
    data = encode_shard(events, detector, "train", 0)
    digest = sha256(data).hexdigest()
    num_hits = sum(len(event.hits) for event in events)
    shard = Shard(
        file=shard_name("train", 0, digest),
        split="train",
        events=len(events),
        hits=num_hits,
        bytes=len(data),
        sha256=digest,
    )
    (folder / shard.file).write_bytes(data)
    return folder / shard.file, shard


def shard_paths(dataset: Path) -> list[Path]:
    return [dataset / shard.file for shard in load_manifest(dataset).shards]


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize("sizes", [[1], [0], [0, 0], [0, 5, 0], [CHUNK_ROWS], [CHUNK_ROWS - 1, 3, 2 * CHUNK_ROWS + 1]])
def test_pixels_come_back_exactly(tmp_path, cvn, pixels, same, sizes):
    events = [pixels(number, num_hits) for number, num_hits in enumerate(sizes)]
    shard = ZarrShard(*write_shard(tmp_path, events, cvn), cvn)
    for index in reversed(range(len(events))):
        same(shard.read(index), events[index])


def test_deposits_come_back_as_quantized(tmp_path, lartpc, deposits, same):
    originals = [deposits(number, num_hits) for number, num_hits in enumerate([300, 0, 1])]
    events = [quantize(event, lartpc) for event in originals]
    shard = ZarrShard(*write_shard(tmp_path, events, lartpc), lartpc)
    for index, event in enumerate(events):
        same(shard.read(index), event)
        order = np.argsort(event.hits["track_id"])  # the order before quantizing
        for name, quantum in (("x_mm", 0.75), ("y_mm", 0.75), ("z_mm", 0.75), ("energy_mev", 0.001)):
            error = np.abs(event.hits[name][order].astype(float) - originals[index].hits[name])
            assert (error <= quantum / 2 * 1.001).all()
        assert np.array_equal(event.hits["time_us"][order], originals[index].hits["time_us"])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_quantizing_twice_changes_nothing(lartpc, deposits, same, positions):
    event = deposits(0, len(positions))
    event = replace(event, hits=Hits("deposits", event.hits.columns | {"y_mm": np.float32(positions)}))
    once = quantize(event, lartpc)
    same(quantize(once, lartpc), once)
    assert once.content_hash == quantize(once, lartpc).content_hash


def test_neighbours_in_space_are_neighbours_in_the_file(lartpc, deposits):
    event = quantize(deposits(1, 2000), lartpc)

    def mean_step(hits: Hits) -> float:
        positions = np.stack([hits[axis] for axis in ("x_mm", "y_mm", "z_mm")])
        return float(np.linalg.norm(np.diff(positions, axis=1), axis=0).mean())

    assert mean_step(event.hits) < mean_step(deposits(1, 2000).hits) / 4


@pytest.mark.parametrize(("name", "value"), [("x_mm", 1e12), ("energy_mev", 1e30), ("z_mm", np.inf), ("y_mm", np.nan)])
def test_a_value_beyond_the_integers_is_refused_with_its_hit(lartpc, deposits, name, value):
    event = deposits(1)
    event.hits[name][7] = value
    with pytest.raises(StoreError, match=f"hit 7: {name} = "):
        quantize(event, lartpc)


def test_fractional_charges_stay_exact(tmp_path, cvn, pixels, same):
    event = pixels(1)
    event.hits["charge"][:] = np.random.default_rng(0).exponential(3.0, len(event.hits))
    same(ZarrShard(*write_shard(tmp_path, [event], cvn), cvn).read(0), event)


def test_zarr_alone_reads_the_same(tmp_path, lartpc, deposits):
    events = [quantize(deposits(number, 3000), lartpc) for number in range(6)]
    path, _ = write_shard(tmp_path, events, lartpc)
    group = zarr.open_group(ZipStore(path, mode="r"), mode="r")
    offsets = group["offsets"][:]
    for index, event in enumerate(events):
        rows = slice(int(offsets[index]), int(offsets[index + 1]))
        for name, column in event.hits.columns.items():
            quantum = group.attrs["quanta"].get(name, 1)
            assert np.array_equal((group[name][rows] * quantum).astype(column.dtype), column)
    assert [group.attrs["labels"][number] for number in group["label"][:]] == ["numu_cc"] * 6


def test_equal_events_give_equal_bytes(cvn, pixels):
    first, second = (encode_shard([pixels(1), pixels(2)], cvn, "train", 0) for _ in range(2))
    assert first == second


def test_labels_are_read_without_hits(dataset, monkeypatch):
    monkeypatch.setattr(ZarrShard, "read", None)
    data = open_dataset(dataset)
    labels = [label for name in data.splits for label in data.split(name).labels()]
    assert sorted(labels) == sorted(LABELS * 10)


def test_a_split_is_a_sequence_of_its_events(dataset):
    train = open_dataset(dataset).split("train")
    events = list(train)
    assert len(events) == len(train) > 8
    assert train[-1].identity == train[len(train) - 1].identity == train[np.int64(len(train) - 1)].identity
    assert train.labels() == [event.truth.label for event in events]
    for index in (len(train), -len(train) - 1):
        with pytest.raises(IndexError, match="events, number"):
            train[index]
    with pytest.raises(StoreError, match="no split 'dev'; there are train, val"):
        open_dataset(dataset).split("dev")


def test_splits_have_fingerprints_of_their_own(dataset):
    data = open_dataset(dataset)
    assert len({data.manifest.fingerprint, *(data.split(name).fingerprint for name in data.splits)}) == 3
    assert data.split("val").fingerprint == open_dataset(dataset).split("val").fingerprint


def test_a_split_never_touches_files_of_another(dataset):
    for shard in load_manifest(dataset).shards:
        if shard.split != "train":
            (dataset / shard.file).unlink()
    train = open_dataset(dataset).split("train")
    assert len(list(train)) == len(train.labels())
    with pytest.raises(StoreError, match=r"val-00000.*missing"):
        open_dataset(dataset).split("val")


def test_processes_and_threads_may_share_a_split(dataset, same):
    train = open_dataset(dataset).split("train")
    expected = list(train)
    for index, event in enumerate(pickle.loads(pickle.dumps(train))):
        same(event, expected[index])
    failures = []

    def read_all():
        try:
            for index in np.random.default_rng().permutation(len(train)):
                same(train[index], expected[index])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_forked_processes_may_share_a_split(dataset):
    train = open_dataset(dataset).split("train")
    expected = [event.content_hash for event in train]

    def read_all(connection):
        connection.send([train[index].content_hash for index in range(len(train))])

    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(3)]
    processes = [context.Process(target=read_all, args=(pipe[1],)) for pipe in pipes]
    for process in processes:
        process.start()
    assert all(pipe[0].recv() == expected for pipe in pipes)
    for process in processes:
        process.join()


def test_no_flipped_bit_is_read_as_another_event(tmp_path, cvn, pixels, same):
    events = [pixels(number, 2000) for number in range(12)]
    path, shard = write_shard(tmp_path, events, cvn)
    original = path.read_bytes()
    generator = np.random.default_rng(5)
    num_detected = 0
    for bit in generator.integers(0, 8 * len(original), 60):
        path.write_bytes(original)
        flip(path, int(bit))
        for index in generator.permutation(len(events))[:4]:
            try:
                same(ZarrShard(path, shard, cvn).read(int(index)), events[index])
            except StoreError as error:
                num_detected += 1
                assert path.name in str(error) and "restore the shard" in str(error)
    assert num_detected > 40


def test_no_flipped_bit_of_the_zip_directory_is_read_as_another_event(tmp_path, cvn, pixels, same):
    events = [pixels(0, 30), pixels(1, 20)]
    path, shard = write_shard(tmp_path, events, cvn)
    original = path.read_bytes()
    directory = original.index(b"PK\1\2")
    for position in range(directory, len(original), 11):
        path.write_bytes(original)
        flip(path, 8 * position + position % 8)
        with suppress(StoreError):
            same(ZarrShard(path, shard, cvn).read(1), events[1])


def test_verify_names_the_shard_of_every_flipped_bit(dataset, same):
    generator = np.random.default_rng(7)
    paths = shard_paths(dataset)
    expected = {name: list(open_dataset(dataset).split(name)) for name in ("train", "val")}
    assert verify(dataset) == []
    for _ in range(30):
        path = paths[generator.integers(len(paths))]
        original = path.read_bytes()
        flip(path, int(generator.integers(0, 8 * len(original))))
        (problem,) = verify(dataset)
        assert problem.file == path.name and path.name in str(problem)
        readable = 0
        for name, events in expected.items():
            split = open_dataset(dataset).split(name)
            for index, event in enumerate(events):
                try:
                    same(split[index], event)
                    readable += 1
                except StoreError as error:
                    assert path.name in str(error)
        assert readable + len(problem.unreadable) == 40
        path.write_bytes(original)


def test_counts_take_two_bytes_where_all_of_a_shard_fit(tmp_path, lartpc, deposits, same):
    near = quantize(deposits(0, 40), lartpc)
    far = replace(near, hits=Hits("deposits", near.hits.columns | {"x_mm": near.hits["x_mm"] + 65536.0}))
    for events, kind in (([near], np.int16), ([near, quantize(far, lartpc)], np.int32)):
        path, shard = write_shard(tmp_path, events, lartpc)
        columns = zarr.open_group(ZipStore(path, mode="r"), mode="r")
        assert columns["x_mm"].dtype == kind and columns["y_mm"].dtype == np.int16
        for number, event in enumerate(events):
            same(ZarrShard(path, shard, lartpc).read(number), event)


def test_shards_of_earlier_versions_with_other_chunks_are_read(tmp_path, cvn, pixels, same, monkeypatch):
    events = [pixels(number, 9000) for number in range(3)]
    monkeypatch.setattr(zarr_zip, "CHUNK_ROWS", 8192)
    path, shard = write_shard(tmp_path, events, cvn)
    for number, event in enumerate(events):
        same(ZarrShard(path, shard, cvn).read(number), event)


def test_a_column_has_the_transform_that_makes_it_smaller(monkeypatch):
    """Against zarr-python, which writes both; a grid of voxels is kept whole, a slow rise bit by bit."""
    rng, steps = np.random.default_rng(3), np.arange(3 * CHUNK_ROWS)
    arrays = {
        "on_a_grid": (rng.integers(-30, 30, len(steps)).repeat(8)[: len(steps)] * 7).astype(np.int16),
        "smooth": (steps // 3 + rng.integers(0, 4, len(steps))).astype(np.uint16),
    }
    chosen = {name: zarr_zip.zip_of({name: values}, {}) for name, values in arrays.items()}
    shuffles = {}
    for name, values in arrays.items():
        sizes = {}
        for shuffle in ("bitshuffle", "shuffle"):
            monkeypatch.setattr(zarr_zip, "_best_shuffle", lambda _, shuffle=shuffle: shuffle)
            sizes[shuffle] = len(zarr_zip.zip_of({name: values}, {}))
        assert len(chosen[name]) == min(sizes.values()) < max(sizes.values())
        shuffles[name] = min(sizes, key=sizes.get)
    assert shuffles == {"on_a_grid": "shuffle", "smooth": "bitshuffle"}


def test_an_event_is_its_own_though_chunks_are_kept(tmp_path, cvn, pixels, same):
    path, shard = write_shard(tmp_path, [pixels(0)], cvn)
    reader = ZarrShard(path, shard, cvn)
    first = reader.read(0)
    for column in first.hits.columns.values():
        column[:] = 0
    same(reader.read(0), pixels(0))


def test_a_damaged_event_is_named_with_its_key(tmp_path, cvn, pixels):
    events = [pixels(number, CHUNK_ROWS) for number in range(3)]
    path, shard = write_shard(tmp_path, events, cvn)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("charge/c/0").header_offset + 2000
    flip(path, 8 * start)
    reader = ZarrShard(path, shard, cvn)
    with pytest.raises(
        StoreError, match=f"event 0 \\({events[0].identity.key}\\) cannot be read: column 'charge', chunk 0"
    ):
        reader.read(0)
    assert reader.read(2).identity == events[2].identity


@pytest.mark.parametrize("keep", [0.6, -1, 0])
def test_a_truncated_shard_is_found_when_the_split_is_opened(dataset, keep):
    path = shard_paths(dataset)[0]
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else keep])
    with pytest.raises(StoreError, match=f"{path.name}: shard has .* the manifest says {len(data)}"):
        open_dataset(dataset).split("train")
    (problem,) = verify(dataset)
    assert problem.file == path.name and len(problem.unreadable) == problem.num_events


def test_a_missing_shard_is_found_when_the_split_is_opened(dataset):
    path = shard_paths(dataset)[0]
    path.unlink()
    with pytest.raises(StoreError, match=f"{path.name}: shard is missing \\(8 events\\)"):
        open_dataset(dataset).split("train")
    assert [problem.file for problem in verify(dataset)] == [path.name]


def test_exchanged_shards_are_found_even_if_their_sizes_agree(tmp_path, cvn, pixels):
    manifest = publish_equal_sizes(tmp_path, cvn, pixels)
    first, second = (tmp_path / shard.file for shard in manifest.shards)
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    split = open_dataset(tmp_path).split("train")
    with pytest.raises(StoreError, match="two shards were exchanged"):
        split[0]
    assert len(verify(tmp_path)) == 2


def publish_equal_sizes(folder: Path, detector, pixels):
    """A dataset of two shards, made equal in size by a comment at the end of the zip."""
    pack(
        (pixels(number) for number in range(4)),
        folder / "raw",
        detector,
        split={"train": 1.0},
        classes=None,
        command="test",
        shard_events=2,
    )
    manifest = load_manifest(folder / "raw")
    longest = max(shard.bytes for shard in manifest.shards)
    shards = []
    for index, shard in enumerate(manifest.shards):
        path = folder / "raw" / shard.file
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b"x" * (longest + 10 - shard.bytes)
        data = path.read_bytes()
        digest = sha256(data).hexdigest()
        name = shard_name("train", index, digest)
        (folder / name).write_bytes(data)
        shards.append(shard.model_copy(update={"file": name, "bytes": len(data), "sha256": digest}))
    shutil.rmtree(folder / "raw")
    return publish_manifest(manifest.model_copy(update={"shards": tuple(shards)}), folder)


def rewrite(path: Path, change) -> None:
    """Write the zip anew with `change(name, data)` for each member, None to leave it out; fix no checksum inside."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            changed = change(name, data)
            if changed is not None:
                archive.writestr(name, changed)


@pytest.mark.parametrize(
    "lost", ["charge/c/0", "row/zarr.json", "zarr.json", "offsets/c/0", "label/c/0", "records/c/0"]
)
def test_a_member_missing_in_the_zip_is_an_error_and_not_zeros(tmp_path, cvn, pixels, lost):
    path, shard = write_shard(tmp_path, [pixels(0)], cvn)
    rewrite(path, lambda name, data: None if name == lost else data)
    shard = shard.model_copy(update={"bytes": path.stat().st_size})
    with pytest.raises(StoreError, match=r"cannot be read: .*(missing|zarr.json)"):
        ZarrShard(path, shard, cvn)


def test_a_chunk_missing_in_its_index_is_an_error_and_not_zeros(tmp_path, cvn, pixels):
    path, shard = write_shard(tmp_path, [pixels(0)], cvn)

    def drop_chunk(name, data):
        if name != "charge/c/0":
            return data
        index = b"\xff" * 16
        return data[:-20] + index + google_crc32c.value(index).to_bytes(4, "little")

    rewrite(path, drop_chunk)
    group = zarr.open_group(ZipStore(path, mode="r"), mode="r")
    assert not group["charge"][:].any()  # what zarr makes of it
    with pytest.raises(StoreError, match="column 'charge': chunks are missing"):
        ZarrShard(path, shard, cvn)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"shape": [\n    40\n  ]', b'"shape": [\n    1000000000000\n  ]'),
        (b"16384", b"8589934592"),
        (b"crc32c", b"gzip"),
        (b'"data_type": "uint32"', b'"data_type": "object"'),
    ],
)
def test_a_declared_size_that_the_file_cannot_hold_is_refused(tmp_path, cvn, pixels, old, new):
    path, shard = write_shard(tmp_path, [pixels(0)], cvn)
    rewrite(path, lambda name, data: data.replace(old, new) if name == "charge/zarr.json" else data)
    shard = shard.model_copy(update={"bytes": path.stat().st_size})
    with pytest.raises(StoreError, match="cannot be read"):
        ZarrShard(path, shard, cvn).read(0)


def test_a_blosc_header_that_declares_gigabytes_is_refused(tmp_path, cvn, pixels):
    path, shard = write_shard(tmp_path, [pixels(0)], cvn)

    def inflate(name, data):
        if name != "charge/c/0":
            return data
        block = data[:-20][:-4]
        block = block[:4] + (2**31 - 1).to_bytes(4, "little") + block[8:]
        return block + google_crc32c.value(block).to_bytes(4, "little") + data[-20:]

    rewrite(path, inflate)
    with pytest.raises(StoreError, match="is not a blosc block of 65536 bytes"):
        ZarrShard(path, shard, cvn).read(0)


def test_a_dataset_of_another_detector_is_refused(tmp_path, lartpc, deposits):
    path, shard = write_shard(tmp_path, [quantize(deposits(0), lartpc)], lartpc)
    with pytest.raises(StoreError, match="belongs to another dataset"):
        ZarrShard(path, shard, replace(lartpc, quantum_mm=1.0))
