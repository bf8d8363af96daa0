"""Events into a dataset of zarr shards: split by content, checked, published in one step.

An event goes to the split that its own hits decide, so equal pictures always meet in one split and a
new packing of the same files gives the same splits. Memory holds one open shard per split, and 32
bytes and three short strings an event to find duplicates.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import CHARGE_COLUMN, Event
from hpc_nuvlm.store.folder import PLAN_NAME, locked_folder
from hpc_nuvlm.store.manifest import (
    MANIFEST_NAME,
    SPLIT_NAME,
    UNLABELLED,
    Duplicate,
    Lineage,
    Manifest,
    Shard,
    describe_detector,
    load_manifest,
    new_lineage,
    publish_manifest,
)
from hpc_nuvlm.store.zarr_store import SHARD_NAME, quantize, write_shard

TEST_SPLIT = "test"
# A shard is closed early when it holds this many hits: 120 MB of deposits
LARGEST_SHARD_HITS = 1 << 22


def pack(
    events: Iterable[Event],
    out: Path,
    detector: Detector,
    *,
    test_events: Iterable[Event] = (),
    split: dict[str, float],
    classes: tuple[str, ...] | None,
    shard_events: int = 256,
    command: str,
    source: str | None = None,
    generator: str | None = None,
    on_progress: Callable[[int], None] | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write a dataset to the folder `out` and return its manifest; on any error the folder is as it was before.

    `split` gives the fraction of `events` that each split gets; `test_events` go to the split "test".
    Events with a label outside of `classes` are left out and counted; None keeps all, unlabelled ones too.
    """
    check_split(split)
    out = Path(out)
    with locked_folder(out):
        if (out / MANIFEST_NAME).is_file() and not overwrite:
            raise StoreError(
                f"{out}: holds a dataset already; give another folder, or ask to overwrite it (--overwrite)"
            )
        if (out / PLAN_NAME).is_file():
            raise StoreError(f"{out}: another command makes a dataset here, in parts; give another folder")
        packer = Packer(out, detector, classes, shard_events)
        try:
            for num_read, (event, split_of) in enumerate(assigned(events, test_events, split), start=1):
                packer.add(event, split_of)
                if on_progress:
                    on_progress(num_read)
            return packer.finish(new_lineage(command, source, generator), tuple(split))
        finally:
            sweep(out)


@dataclass
class Seen:
    """What is remembered of a stored event to recognize its duplicates."""

    split: str
    key: str
    source: str
    label: str | None

    @staticmethod
    def of(event: Event, split: str) -> Seen:
        return Seen(split, event.identity.key, event.identity.source, event.truth.label)


@dataclass
class Packer:
    """Takes events one by one and writes shards of them."""

    out: Path
    detector: Detector
    classes: tuple[str, ...] | None
    shard_events: int
    # Number of the first shard of each split
    first_index: int = 0
    shards: list[Shard] = field(default_factory=list)
    seen: dict[bytes, Seen] = field(default_factory=dict)
    # By this events are recognized, in the order of the shards
    contents: list[bytes] = field(default_factory=list)
    open_shards: dict[str, list[Event]] = field(default_factory=dict)
    open_contents: dict[str, list[bytes]] = field(default_factory=dict)
    labels: dict[str, Counter] = field(default_factory=dict)
    left_out: Counter = field(default_factory=Counter)
    duplicates: list[Duplicate] = field(default_factory=list)
    # Kind and column names of the first event, which all others must share
    layout: tuple[str, tuple[str, ...]] | None = None

    def add(self, event: Event, split_of: Callable[[bytes], str]) -> None:
        label = event.truth.label
        if self.classes is not None and label not in self.classes:
            self.left_out[f"label {label or UNLABELLED} is not among the classes {', '.join(self.classes)}"] += 1
            return
        check_hits(event, self.detector)
        self._check_layout(event)
        event = quantize(event, self.detector)
        content = content_of(event)
        name = split_of(content)
        if self._is_duplicate(event, content, name):
            return
        self.labels.setdefault(name, Counter())[label or UNLABELLED] += 1
        buffer = self.open_shards.setdefault(name, [])
        buffer.append(event)
        self.open_contents.setdefault(name, []).append(content)
        if len(buffer) >= self.shard_events or sum(len(held.hits) for held in buffer) >= LARGEST_SHARD_HITS:
            self._close_shard(name)

    def close(self) -> None:
        """Write the shards that are still open."""
        for name in list(self.open_shards):
            self._close_shard(name)

    def finish(self, lineage: Lineage, splits: tuple[str, ...]) -> Manifest:
        self.close()
        if self.layout is None:
            reasons = (
                "; ".join(f"{count} events: {reason}" for reason, count in self.left_out.items()) or "there was none"
            )
            raise StoreError(f"{self.out}: no event is left to store: {reasons}; check the input and the classes")
        order = [*splits, *sorted(set(self.labels) - set(splits))]
        manifest = Manifest(
            kind="zarr",
            hit_kind=self.layout[0],
            hit_columns=self.layout[1],
            detector_name=self.detector.name,
            detector_fields=describe_detector(self.detector),
            lineage=lineage,
            labels={name: dict(sorted(self.labels.get(name, {}).items())) for name in order},
            shards=tuple(sorted(self.shards, key=lambda shard: (order.index(shard.split), shard.file))),
            left_out=dict(self.left_out),
            duplicates=tuple(self.duplicates),
        )
        return publish_manifest(manifest, self.out)

    def _close_shard(self, split: str) -> None:
        events = self.open_shards.pop(split)
        self.contents += self.open_contents.pop(split)
        index = self.first_index + sum(shard.split == split for shard in self.shards)
        self.shards.append(write_shard(events, self.out, self.detector, split, index))

    def _check_layout(self, event: Event) -> None:
        layout = event.hits.kind, tuple(event.hits.columns)
        self.layout = self.layout or layout
        if layout != self.layout:
            raise StoreError(
                f"event {event.identity.key}: hits are {layout}, those before it {self.layout}; "
                "pack the two inputs into datasets of their own"
            )

    def _is_duplicate(self, event: Event, content: bytes, split: str) -> bool:
        new = Seen.of(event, split)
        old = self.seen.setdefault(content, new)
        if old is new:
            return False
        self.duplicates.append(duplicate(old, new))
        return True


def duplicate(old: Seen, new: Seen) -> Duplicate:
    """The record of two events with equal hits; a StoreError if they contradict each other, or meet across splits."""
    pair = f"events {old.key} (file {old.source}) and {new.key} (file {new.source}) have the same hits"
    if old.label != new.label:
        raise StoreError(
            f"{pair}, but labels {old.label} and {new.label}; correct the wrong label, or remove both events"
        )
    if old.split != new.split:
        raise StoreError(
            f"{pair}, but go to the splits {old.split!r} and {new.split!r}, where one would give the other away; "
            "remove one of them from the input"
        )
    return Duplicate(split=new.split, kept=old.key, dropped=new.key)


def check_hits(event: Event, detector: Detector) -> None:
    """Refuse hits that are not finite, have negative charge, or lie outside of a pixel detector's readout."""
    columns = event.hits.columns
    rules = [(name, np.isfinite(column), "be finite") for name, column in columns.items() if column.dtype.kind == "f"]
    charge = CHARGE_COLUMN[event.hits.kind]
    rules.append((charge, columns[charge] >= 0, "not be negative"))
    if event.hits.kind == "pixels":
        limits = {"plane": detector.num_views, "row": detector.num_rows, "column": detector.num_columns}
        rules += [
            (name, columns[name] < limit, f"be below {limit} in detector {detector.name}")
            for name, limit in limits.items()
        ]
    for name, good, rule in rules:
        if not good.all():
            hit = int(np.argmin(good))
            raise StoreError(
                f"event {event.identity.key}: hit {hit}: {name} is {columns[name][hit]}; "
                f"it must {rule}; correct the input, or name the detector that it was made for"
            )


def assigned(
    events: Iterable[Event], test_events: Iterable[Event], split: dict[str, float]
) -> Iterator[tuple[Event, Callable[[bytes], str]]]:
    """Every event, with the rule that names its split once its content is known."""
    for event in events:
        yield event, lambda content: split_of_content(content, split)
    for event in test_events:
        if TEST_SPLIT in split:
            raise StoreError(
                f"split {TEST_SPLIT!r} gets a fraction of the events ({split[TEST_SPLIT]}) and separate test events; "
                "use one of the two"
            )
        yield event, lambda content: TEST_SPLIT


def split_of_content(content: bytes, split: dict[str, float]) -> str:
    position = int.from_bytes(content[:8], "big") / 2**64
    edge = 0.0
    for name, fraction in split.items():
        edge += fraction
        if position < edge:
            return name
    return next(name for name in reversed(split) if split[name] > 0)  # fractions that sum to 1 less a rounding error


def content_of(event: Event) -> bytes:
    """Digest by which events are compared. Events without hits have no picture to compare and are told apart by key."""
    return bytes.fromhex(event.content_hash) if len(event.hits) else sha256(event.identity.key.encode()).digest()


def check_split(split: dict[str, float]) -> None:
    for name in split:
        if not SPLIT_NAME.fullmatch(name):
            raise StoreError(f"split {name!r}: a name has lower-case letters, digits and _, for instance train")
    if any(not 0 <= part <= 1 for part in split.values()) or not math.isclose(sum(split.values()), 1, abs_tol=1e-6):
        raise StoreError(
            f"split fractions are {split}; each must be in [0, 1] and their sum 1, for instance train=0.8,val=0.2"
        )


def sweep(out: Path) -> None:
    """Remove shards that the manifest does not list: of an overwritten dataset, or of a writer that failed."""
    try:
        listed = {shard.file for shard in load_manifest(out).shards} if (out / MANIFEST_NAME).is_file() else set()
    except StoreError:
        return  # a damaged manifest may yet be restored, and then needs its shards
    for file in out.glob("*.zarr.zip"):
        if SHARD_NAME.fullmatch(file.name) and file.name not in listed:
            file.unlink()
    for file in out.glob(".*.zarr.zip*.partial"):
        file.unlink()
