"""How costs grow: with the events of a dataset, and with the hits of an event; the smallest case is the peer."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from itertools import count, islice, takewhile
from pathlib import Path

import numpy as np

from hpc_nuvlm.bench.ratios import Ratio, Turns, exactly
from hpc_nuvlm.config import View
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.engine.memory import resident_bytes
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event, Hits, Identity
from hpc_nuvlm.store import Dataset, Split, open_dataset
from hpc_nuvlm.store.manifest import Manifest, Shard, publish_manifest
from hpc_nuvlm.store.plan import Plan
from hpc_nuvlm.store.zarr_store import quantize, write_shard
from hpc_nuvlm.views.image import ImageView

LEAST_EVENTS = 1_000
NUM_HITS = (100, 1_000, 10_000, 100_000)
# Of an event where events are many
FEW_HITS, SHARD_EVENTS, BATCH = 100, 250, 32
VIEW = View(size=(512, 512), pool=1, crop="centroid", full_scale=25.5)


def growth_ratios(dataset: Dataset, split: str, most_events: int) -> list[Ratio]:
    return [*of_events(dataset, split, sizes_to(most_events)), *of_hits(dataset, split)]


def sizes_to(most_events: int) -> tuple[int, ...]:
    """Numbers of events, ten times as many each, up to this one; ConfigError if there is nothing to compare."""
    if most_events < 10 * LEAST_EVENTS:
        raise ConfigError(f"--most {most_events}: growth is measured from {LEAST_EVENTS} events to ten times as many")
    return tuple(takewhile(lambda size: size <= most_events, (LEAST_EVENTS * 10**power for power in count())))


def of_events(dataset: Dataset, split: str, sizes: tuple[int, ...]) -> list[Ratio]:
    """Opening, memory, and a shuffled read, of ever larger datasets, against the smallest."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        reads, opens, memory = {}, {}, {}
        for size in sizes:
            path = write_many(dataset, split, size, Path(folder) / str(size))
            before, started_s = resident_bytes(), time.perf_counter()
            events = open_dataset(path).split("train")
            opens[size] = time.perf_counter() - started_s
            # Every shard is opened once
            for index in range(0, size, SHARD_EVENTS):
                events[index]
            memory[size] = resident_bytes() - before
            reads[f"{size:,}"] = next_of(events)
        turns = Turns(reads, rounds=7)
        least = f"{sizes[0]:,}"
        for size in sizes:
            found.append(exactly(f"seconds to open {size:,} events", "", opens[size]))
            found.append(exactly(f"bytes of memory an event, of {size:,} all opened", "", memory[size] / size))
        for size in sizes[1:]:
            found.append(turns.times_as_long(f"{size:,}", (least,), f"a shuffled read of {size:,} events"))
    return found


def of_hits(dataset: Dataset, split: str) -> list[Ratio]:
    """Time of a hit, rasterized to 8 bits, in ever larger events, against the event of 1,000."""
    detector = dataset.manifest.detector
    view = ImageView(VIEW, detector)
    everything = joined(list(islice(dataset.split(split), 256)))
    calls = {}
    for size in NUM_HITS:
        event = thinned(everything, size)
        calls[f"{size:,}"] = lambda event=event: view.render([event])
    turns = Turns(calls, rounds=7)
    return [
        turns.times_as_long(f"{size:,}", ("1,000",), f"2 x 512 x 512 pixels of an event of {size:,} hits")
        for size in NUM_HITS
    ]


def next_of(events: Split):
    """A call that reads the next events of a training's order."""
    plan, seen = Plan(events.fingerprint, 0, len(events), BATCH), 0

    def read():
        nonlocal seen
        _, indices = plan.global_batch(seen)
        seen = plan.following(seen)
        return [events[int(index)] for index in indices]

    return read


def write_many(dataset: Dataset, split: str, num_events: int, folder: Path) -> Path:
    """So many events of few hits, the dataset's own again and again under new numbers."""
    detector = dataset.manifest.detector
    folder.mkdir(parents=True)
    some = [thinned(event, FEW_HITS) for event in islice(dataset.split(split), SHARD_EVENTS)]
    some = [quantize(event, detector) for event in some]
    shards = tuple(write_one(some, start, detector, folder) for start in range(0, num_events, SHARD_EVENTS))
    publish_manifest(manifest_of(dataset.manifest, shards), folder)
    return folder


def write_one(events: list[Event], start: int, detector: Detector, folder: Path) -> Shard:
    numbered = [
        replace(event, identity=Identity(event.identity.source, event=start + place))
        for place, event in enumerate(events)
    ]
    return write_shard(numbered, folder, detector, "train", start // SHARD_EVENTS)


def manifest_of(manifest: Manifest, shards: tuple[Shard, ...]) -> Manifest:
    labels = {"train": {"events": sum(shard.events for shard in shards)}}
    return manifest.model_copy(update={"shards": shards, "labels": labels, "left_out": {}, "duplicates": ()})


def thinned(event: Event, num_hits: int) -> Event:
    """So many of its hits, in their order; all, if there are fewer."""
    some = min(num_hits, len(event.hits))
    chosen = np.sort(np.random.default_rng(num_hits).choice(len(event.hits), some, replace=False))
    return replace(event, hits=Hits(event.hits.kind, {name: one[chosen] for name, one in event.hits.columns.items()}))


def joined(events: list[Event]) -> Event:
    """One event with the hits of all."""
    names = events[0].hits.columns
    columns = {name: np.concatenate([event.hits[name] for event in events]) for name in names}
    return replace(events[0], hits=Hits(events[0].hits.kind, columns))
