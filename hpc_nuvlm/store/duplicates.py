"""Equal events in different parts of a dataset: found by 16 bytes an event, judged by reading the two, and dropped."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate
from pathlib import Path

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.event import Event
from hpc_nuvlm.store.manifest import UNLABELLED, Duplicate
from hpc_nuvlm.store.pack import Seen, duplicate
from hpc_nuvlm.store.sidecar import Part
from hpc_nuvlm.store.zarr_store import ZarrShard, shard_number, write_shard


def without_duplicates(parts: list[Part], folder: Path, detector: Detector) -> dict[int, Part]:
    """Parts, by number, that had to be written again without events that an earlier part has.

    A pair with different labels, or in different splits, is a StoreError as it is in pack.
    """
    digests = [part.digests() for part in parts]
    ends = [0, *accumulate(map(len, digests))]
    dropped: dict[int, dict[int, Duplicate]] = defaultdict(dict)
    for pair in equal_pairs(np.concatenate(digests)):
        places = [(number := bisect_right(ends, row) - 1, row - ends[number]) for row in pair]
        (kept, kept_row), (number, row) = places
        old = _seen(parts[kept], kept_row, folder, detector)
        dropped[number][row] = duplicate(old, _seen(parts[number], row, folder, detector))
    return {number: _rewritten(parts[number], found, folder, detector) for number, found in dropped.items()}


def equal_pairs(digests: np.ndarray) -> list[tuple[int, int]]:
    """(first, later) rows of (n, 2) uint64 that are equal and not zero, in the order of the later ones."""
    order = np.lexsort(digests.T)  # stable: equal rows stay in order
    ordered = digests[order]
    repeated = np.zeros(len(digests), bool)
    repeated[1:] = (ordered[1:] == ordered[:-1]).all(axis=1) & ordered[1:].any(axis=1)
    first = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(digests))))
    later = np.flatnonzero(repeated)
    pairs = zip(order[first[later]].tolist(), order[later].tolist(), strict=True)
    return sorted(pairs, key=lambda pair: pair[1])


def _seen(part: Part, row: int, folder: Path, detector: Detector) -> Seen:
    for shard in part.shards:
        if row < shard.events:
            return Seen.of(ZarrShard(folder / shard.file, shard, detector).read(row), shard.split)
        row -= shard.events
    raise AssertionError(f"part {part.name} has more contents than events")


def _rewritten(part: Part, dropped: dict[int, Duplicate], folder: Path, detector: Detector) -> Part:
    """The part without some of its events. Its old shards stay until the dataset is published."""
    labels = {name: Counter(histogram) for name, histogram in part.labels.items()}
    shards, start = [], 0
    for shard in part.shards:
        rows = range(start, start + shard.events)
        start = rows.stop
        if dropped.keys().isdisjoint(rows):
            shards.append(shard)
            continue
        reader = ZarrShard(folder / shard.file, shard, detector)
        left: list[Event] = []
        for row in rows:
            event = reader.read(row - rows.start)
            if row in dropped:
                labels[shard.split][event.truth.label or UNLABELLED] -= 1
            else:
                left.append(event)
        if left:
            shards.append(write_shard(left, folder, detector, shard.split, shard_number(shard)))
    return part.model_copy(
        update={
            "shards": tuple(shards),
            "labels": {name: dict(+histogram) for name, histogram in labels.items()},
            "duplicates": (*part.duplicates, *dropped.values()),
            "contents": base64.b64encode(np.delete(part.digests(), list(dropped), axis=0).tobytes()).decode(),
        }
    )
