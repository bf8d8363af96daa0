"""Reading a dataset's zarr shards: against zarr-python on the same files, against decoding alone, and against MDS.

The peers give columns of hits, and so does the toolkit's reader of columns, with every checksum verified. That is what
targets are for. Whole events, their truth parsed and their hits in millimetres and MeV, are timed beside it. MDS is the
format of MosaicML's streaming, compared where that is installed: it brings packages that this toolkit does without
(pip install --no-deps mosaicml-streaming, and what it then says that it misses).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr
from numcodecs import blosc

from hpc_nuvlm.bench.ratios import Ratio, Turns, exactly
from hpc_nuvlm.event import Hits
from hpc_nuvlm.store import Dataset, Split
from hpc_nuvlm.store.columns import CHECKSUM_BYTES, OpenFiles, ReadOnlyFile, open_columns
from hpc_nuvlm.store.manifest import Shard

NUM_SHARDS, NUM_RANDOM = 4, 256
COLUMNS = ("x_mm", "y_mm", "z_mm", "energy_mev")


def store_ratios(dataset: Dataset, split: str) -> list[Ratio]:
    shards = [shard for shard in dataset.manifest.shards if shard.split == split][:NUM_SHARDS]
    packed = packed_chunks([dataset.folder / shard.file for shard in shards])
    calls = reads_of(dataset, split, shards) | {"decoding alone": lambda: decode(packed)}
    detector, num_events = dataset.manifest.detector, sum(shard.events for shard in shards)
    mds = mds_of(dataset.split(split), num_events, (*(detector.quantum_mm,) * 3, detector.quantum_mev))
    if mds is not None:
        calls["MDS, at random"] = lambda: [mds.dataset[number] for number in some_of(num_events)]
    turns = Turns(calls, rounds=9)
    hits, size = sum(shard.hits for shard in shards), sum(shard.bytes for shard in shards)
    found = [
        exactly("bytes of a hit, events' truth with it", "", size / hits),
        exactly("bytes of a hit, its columns alone", "", sum(len(chunk) for chunk, _ in packed) / hits, at_most=3.6),
        turns.times_as_fast("columns, all", "zarr-python, all", "columns in order", at_least=3),
        turns.times_as_fast("columns, all", "decoding alone", "columns in order", at_least=0.6),
        turns.times_as_fast("columns, at random", "zarr-python, at random", "columns at random", at_least=8),
        turns.times_as_fast("events, all", "zarr-python, all", "whole events in order"),
        turns.times_as_fast("events, all", "decoding alone", "whole events in order"),
        turns.times_as_fast("events, at random", "zarr-python, at random", "whole events at random"),
    ]
    if mds is not None:
        found += [
            turns.times_as_fast("columns, at random", "MDS, at random", "columns at random", at_least=0.5),
            exactly("bytes", "MDS", size / mds.num_bytes, at_most=0.5),
        ]
    return found


def reads_of(dataset: Dataset, split: str, shards: list[Shard]) -> dict[str, Callable[[], object]]:
    """The same events by every reader: all of them in order, and some at random."""
    paths = [dataset.folder / shard.file for shard in shards]
    groups = [zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r") for path in paths]
    num_events = sum(shard.events for shard in shards)
    some = some_of(num_events)
    return {
        "columns, all": lambda: [all_columns(path) for path in paths],
        # Opened anew each time: what was decoded last would still be there
        "events, all": lambda: read(dataset.split(split), range(num_events)),
        "zarr-python, all": lambda: [all_by_zarr(group) for group in groups],
        "columns, at random": columns_at_random(paths, shards, some),
        "events, at random": partial(read, dataset.split(split), some),
        "zarr-python, at random": lambda: at_random_by_zarr(groups, shards, some),
    }


def some_of(num_events: int) -> list[int]:
    return np.random.default_rng(5).permutation(num_events)[:NUM_RANDOM].tolist()


def read(events: Split, numbers: Sequence[int]) -> None:
    for number in numbers:
        events[number]


def all_columns(path: Path) -> list[list[np.ndarray]]:
    """Columns of hits, event by event, by the toolkit's reader."""
    files, (_, columns) = OpenFiles(), open_columns(path)
    offsets = files.rows(path, columns["offsets"], 0, columns["offsets"].num_rows).tolist()
    wanted = [columns[name] for name in COLUMNS]
    return [[files.rows(path, column, start, stop) for column in wanted] for start, stop in pairwise(offsets)]


def columns_at_random(paths: list[Path], shards: list[Shard], numbers: list[int]) -> Callable[[], None]:
    files, tables = OpenFiles(), [open_columns(path)[1] for path in paths]
    offsets = [
        files.rows(path, table["offsets"], 0, table["offsets"].num_rows)
        for path, table in zip(paths, tables, strict=True)
    ]

    def read():
        for which, place in map(place_of(shards), numbers):
            start, stop = offsets[which][place : place + 2].tolist()
            for name in COLUMNS:
                files.rows(paths[which], tables[which][name], start, stop)

    return read


def place_of(shards: list[Shard]) -> Callable[[int], tuple[int, int]]:
    """Event of all shards -> which shard, and event of that."""
    ends = np.cumsum([shard.events for shard in shards])

    def place(number: int) -> tuple[int, int]:
        which = int(np.searchsorted(ends, number, side="right"))
        return which, number - int(ends[which]) + shards[which].events

    return place


def all_by_zarr(group: zarr.Group) -> list[dict[str, np.ndarray]]:
    """As fast as it goes: whole columns, cut into events."""
    offsets = group["offsets"][:].tolist()
    columns = {name: group[name][:] for name in COLUMNS}
    return [{name: column[start:stop] for name, column in columns.items()} for start, stop in pairwise(offsets)]


def at_random_by_zarr(groups: list[zarr.Group], shards: list[Shard], numbers: list[int]) -> None:
    offsets = [group["offsets"][:] for group in groups]
    for which, place in map(place_of(shards), numbers):
        start, stop = offsets[which][place : place + 2].tolist()
        for name in COLUMNS:
            groups[which][name][start:stop]


def packed_chunks(paths: list[Path]) -> list[tuple[bytes, np.ndarray]]:
    """The compressed chunks of the columns of hits, in memory, each with a place to decode it to."""
    found = []
    for path in paths:
        file, (_, columns) = ReadOnlyFile(path), open_columns(path)
        for name in COLUMNS:
            rows = np.empty(columns[name].chunk_rows, columns[name].dtype)
            extents = columns[name].chunks.tolist()
            found += [(file.read(first, size)[:-CHECKSUM_BYTES], rows) for first, size in extents]
    return found


def decode(packed: list[tuple[bytes, np.ndarray]]) -> None:
    for chunk, rows in packed:
        blosc.decompress(chunk, rows)


class Mds:
    """The same events as an MDS dataset: one array of four columns each, two bytes a number, as in the shards."""

    def __init__(self, events: Split, num_events: int, quanta: tuple[float, ...]):
        from streaming import MDSWriter, StreamingDataset

        self._folder = tempfile.TemporaryDirectory()
        with MDSWriter(out=self._folder.name, columns={"hits": "ndarray"}) as writer:
            for number in range(num_events):
                writer.write({"hits": two_bytes(events[number].hits, quanta)})
        self.num_bytes = sum(path.stat().st_size for path in Path(self._folder.name).rglob("*.mds"))
        self.dataset = StreamingDataset(local=self._folder.name, batch_size=1)


def two_bytes(hits: Hits, quanta: tuple[float, ...]) -> np.ndarray:
    """(4, hits) counts of quanta, modulo 2^16; one hit of zeros where there is none, which MDS does not take."""
    counts = [np.rint(hits[name].astype(np.float64) / quantum) for name, quantum in zip(COLUMNS, quanta, strict=True)]
    return np.stack(counts).astype(np.int64).astype(np.uint16) if len(hits) else np.zeros((len(COLUMNS), 1), np.uint16)


def mds_of(events: Split, num_events: int, quanta: tuple[float, ...]) -> Mds | None:
    try:
        return Mds(events, num_events, quanta)
    except ImportError:
        return None
