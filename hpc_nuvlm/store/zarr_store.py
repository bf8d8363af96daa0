"""Zarr shards: a few hundred events in one file, a zarr v3 group in an uncompressed zip.

The hits of all events lie end to end, one array a column; `offsets[i] : offsets[i + 1]` are those of
event i. Positions and energies are integers, counted in the detector's quanta (group attribute
`quanta`), which is what makes them small: a hit of a DUNE CVN map takes 2.1 bytes.
`records` holds a line of JSON per event, cut by `record_offsets`; `label` is the class number, -1 if unknown.

Hit order is not kept: deposits follow a Morton curve, pixels go by plane, row and column. All columns
of an event are reordered alike. `zarr.open_group(zarr.storage.ZipStore(FILE))` reads it without this toolkit.
"""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import COLUMNS, LABELS, Event, Hits
from hpc_nuvlm.store.columns import DAMAGE, OpenFiles, open_columns
from hpc_nuvlm.store.folder import write_atomically
from hpc_nuvlm.store.manifest import Shard, check_size
from hpc_nuvlm.store.record import read_key, read_record, write_record
from hpc_nuvlm.store.zarr_zip import zip_of

# Two types of the counts of a column, of which a shard has the first that holds all of its own
SIGNED, UNSIGNED = (np.int16, np.int32), (np.uint16, np.uint32)
QUANTIZED = {"x_mm": SIGNED, "y_mm": SIGNED, "z_mm": SIGNED, "energy_mev": UNSIGNED}
# Largest integer up to which float32, the type of a charge, holds every integer
LARGEST_EXACT_FLOAT32 = 1 << 24
MORTON_BITS = 21
SHARD_NAME = re.compile(r"[a-z][a-z0-9_]*-\d{5,}-[0-9a-f]{8}\.zarr\.zip")


def quantize(event: Event, detector: Detector) -> Event:
    """The event as a zarr shard gives it back: rounded to the detector's quanta, hits in stored order."""
    columns = dict(event.hits.columns)
    for name, quantum in _quanta(event.hits.kind, detector).items():
        columns[name] = (_counts(name, columns[name], quantum, event.identity.key) * quantum).astype(np.float32)
    if event.hits.kind == "deposits":
        steps = (columns[axis] / detector.quantum_mm for axis in ("x_mm", "y_mm", "z_mm"))
        order = np.argsort(_morton_code(*steps), kind="stable")
    else:
        order = np.lexsort((columns["column"], columns["row"], columns["plane"]))
    return replace(event, hits=Hits(event.hits.kind, {name: column[order] for name, column in columns.items()}))


def encode_shard(events: list[Event], detector: Detector, split: str, index: int) -> bytes:
    """The file that holds the events, which `quantize` has made; all have the same hit columns."""
    kind = events[0].hits.kind
    quanta = _quanta(kind, detector)
    records = [write_record(event) for event in events]
    arrays = {
        "offsets": np.array([0, *accumulate(len(event.hits) for event in events)], np.int64),
        "record_offsets": np.array([0, *accumulate(map(len, records))], np.int64),
        "records": np.frombuffer(b"".join(records), np.uint8),
        "label": np.array([_label_number(event) for event in events], np.int8),
    }
    for name in events[0].hits.columns:
        column = np.concatenate([event.hits[name] for event in events])
        if name in quanta:
            arrays[name] = _smallest(np.rint(column.astype(np.float64) / quanta[name]), QUANTIZED[name])
        else:
            arrays[name] = _narrowed(name, column)
    attributes = {
        "split": split,
        "index": index,
        "detector": detector.name,
        "hit_kind": kind,
        "quanta": quanta,
        "labels": LABELS,
    }
    return zip_of(arrays, attributes)


def write_shard(events: list[Event], folder: Path, detector: Detector, split: str, index: int) -> Shard:
    """Write the shard that holds the events, which `quantize` has made; the file is whole or absent."""
    data = encode_shard(events, detector, split, index)
    digest = sha256(data).hexdigest()
    shard = Shard(
        file=shard_name(split, index, digest),
        split=split,
        events=len(events),
        hits=sum(len(event.hits) for event in events),
        bytes=len(data),
        sha256=digest,
    )
    write_atomically(folder / shard.file, data)
    return shard


class ZarrShard:
    """One shard, opened for reading. Everything but the data is checked here; the data, when it is read."""

    def __init__(self, path: Path, shard: Shard, detector: Detector, files: OpenFiles | None = None):
        self._path = path
        self._shard = shard
        self._files = files or OpenFiles()
        check_size(path, shard)
        try:
            attributes, self._columns = open_columns(path)
            self._hit_kind = attributes["hit_kind"]
            self._labels = attributes["labels"]
            self._quanta = _quanta(self._hit_kind, detector)
            self._check_layout(attributes)
            self._offsets = self._rows("offsets", 0, shard.events + 1)
            self._record_offsets = self._rows("record_offsets", 0, shard.events + 1)
            for offsets, length in (
                (self._offsets, shard.hits),
                (self._record_offsets, self._columns["records"].num_rows),
            ):
                if offsets[0] != 0 or offsets[-1] != length or (np.diff(offsets) < 0).any():
                    raise ValueError(f"offsets do not rise from 0 to {length}")
        except DAMAGE as error:
            raise StoreError(
                f"{path}: events 0 to {shard.events - 1} cannot be read: {error}; "
                "restore the shard from a copy, or pack the dataset again"
            ) from error

    def __len__(self) -> int:
        return self._shard.events

    def read(self, index: int) -> Event:
        """Event `index` of the shard; a StoreError names shard, event and column if it is damaged."""
        record = b""
        try:
            record = self._rows("records", *self._record_offsets[index : index + 2].tolist()).tobytes()
            start, stop = self._offsets[index : index + 2].tolist()
            columns = {name: self._decode(name, self._rows(name, start, stop)) for name in self._hit_columns}
            return read_record(record, Hits(self._hit_kind, columns))
        except DAMAGE as error:
            raise StoreError(
                f"{self._path}: event {index}{_named(record)} cannot be read: {error}; "
                "restore the shard from a copy, or pack the dataset again"
            ) from error

    def labels(self) -> list[str | None]:
        try:
            numbers = self._rows("label", 0, len(self)).tolist()
            return [None if number < 0 else self._labels[number] for number in numbers]
        except DAMAGE as error:
            raise StoreError(f"{self._path}: labels cannot be read: {error}; restore the shard from a copy") from error

    def event_keys(self) -> list[str]:
        try:
            records = self._rows("records", 0, int(self._record_offsets[-1])).tobytes()
            ends = self._record_offsets.tolist()
            return [read_key(records[start:stop]) for start, stop in pairwise(ends)]
        except DAMAGE as error:
            raise StoreError(f"{self._path}: records cannot be read: {error}; restore the shard from a copy") from error

    def _rows(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._files.rows(self._path, self._columns[name], start, stop)

    @property
    def _hit_columns(self) -> list[str]:
        return [name for name in COLUMNS[self._hit_kind] if name in self._columns]

    def _decode(self, name: str, column: np.ndarray) -> np.ndarray:
        """A column that is the event's own."""
        if name in self._quanta:
            return (column * self._quanta[name]).astype(np.float32)
        return column.astype(COLUMNS[self._hit_kind][name][0])

    def _check_layout(self, attributes: dict) -> None:
        expected = {
            name: self._shard.hits
            for name, (_, required) in COLUMNS[self._hit_kind].items()
            if required or name in self._columns
        }
        expected |= {
            "offsets": self._shard.events + 1,
            "record_offsets": self._shard.events + 1,
            "label": self._shard.events,
        }
        for name, num_rows in expected.items():
            if name not in self._columns or self._columns[name].num_rows != num_rows:
                raise ValueError(
                    f"column {name!r} is missing, or has not the {num_rows} rows that the manifest promises"
                )
        named = shard_name(attributes["split"], attributes["index"], self._shard.sha256)
        if named != self._shard.file:
            raise ValueError(f"the file holds shard {named}: two shards were exchanged")
        if attributes["quanta"] != self._quanta:
            raise ValueError(
                f"quanta are {attributes['quanta']}, not those of the manifest: it belongs to another dataset"
            )


def _named(record: bytes) -> str:
    """The key that a record tells, where it can be read, for messages."""
    try:
        return f" ({read_key(record)})"
    except DAMAGE:
        return ""


def shard_name(split: str, index: int, digest: str) -> str:
    """File name of a shard. A part of its digest is in it, so a new version never overwrites the old one."""
    return f"{split}-{index:05d}-{digest[:8]}.zarr.zip"


def shard_number(shard: Shard) -> int:
    """The index of the shard in its split, from its name."""
    return int(shard.file.split("-")[1])


def _quanta(kind: str, detector: Detector) -> dict[str, float]:
    if kind == "pixels":
        return {}
    return {name: detector.quantum_mev if name == "energy_mev" else detector.quantum_mm for name in QUANTIZED}


def _counts(name: str, column: np.ndarray, quantum: float, key: str) -> np.ndarray:
    counts = np.rint(column.astype(np.float64) / quantum)
    limits = np.iinfo(QUANTIZED[name][-1])
    outside = np.flatnonzero(~((counts >= limits.min) & (counts <= limits.max)))
    if len(outside):
        raise StoreError(
            f"event {key}: hit {outside[0]}: {name} = {column[outside[0]]} cannot be stored in steps of {quantum}; "
            f"it must be in [{limits.min * quantum}, {limits.max * quantum}]; correct the input"
        )
    return counts + 0.0  # -0.0 becomes 0.0, which is what an integer gives back


def _smallest(counts: np.ndarray, types: tuple[type, ...]) -> np.ndarray:
    """The counts in the first type that holds them all; the last one does."""
    low, high = counts.min(initial=0), counts.max(initial=0)
    fits = [kind for kind in types if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max]
    return counts.astype(fits[0])


def _morton_code(*positions: np.ndarray) -> np.ndarray:
    """Interleaved bits of three coordinates: neighbours on this curve are neighbours in space."""
    code = np.zeros(len(positions[0]), np.uint64)
    for axis, position in enumerate(positions):
        steps = np.rint(position).astype(np.int64)
        bits = (steps - steps.min(initial=0)).astype(np.uint64) & np.uint64((1 << MORTON_BITS) - 1)
        # Each step moves half of the bits up until two zeros lie between any two
        for shift, mask in (
            (32, 0x1F00000000FFFF),
            (16, 0x1F0000FF0000FF),
            (8, 0x100F00F00F00F00F),
            (4, 0x10C30C30C30C30C3),
            (2, 0x1249249249249249),
        ):
            bits = (bits | bits << np.uint64(shift)) & np.uint64(mask)
        code |= bits << np.uint64(axis)
    return code


def _label_number(event: Event) -> int:
    return -1 if event.truth.label is None else LABELS.index(event.truth.label)


def _narrowed(name: str, column: np.ndarray) -> np.ndarray:
    """Charges that are all integers (CVN maps) as integers: their upper bits are zero and cost nothing."""
    if name == "charge" and len(column) and column.max() < LARGEST_EXACT_FLOAT32 and (column == np.floor(column)).all():
        return column.astype(np.uint32)
    return column
