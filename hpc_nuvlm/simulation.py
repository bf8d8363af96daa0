"""A simulated dataset: which events are in which part, and how a part is made."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from hpc_nuvlm.detector import Detector, detector_folder, load_detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.settings import Simulation
from hpc_nuvlm.store.manifest import UNLABELLED
from hpc_nuvlm.store.pack import check_hits, check_split
from hpc_nuvlm.store.parts import Blueprint
from hpc_nuvlm.store.sidecar import Part, encode_contents
from hpc_nuvlm.store.zarr_store import quantize, write_shard
from hpc_nuvlm.workers import Make, Tick

GENERATOR = "nuvlm simulate"
# Two events with so few hits may look the same by chance; with more, they are copies and a mistake of ours
FEW_HITS = 16


class EventMaker(Protocol):
    def event(self, number: int) -> Event: ...


@dataclass(frozen=True)
class EventRange:
    """A part: events [start, stop), which are shard `index` of a split."""

    split: str
    index: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"{self.split}-{self.index:05d}"


class EventRanges(Sequence[EventRange]):
    """The parts of a simulated dataset, computed when asked for: 10**8 events take no memory."""

    def __init__(self, settings: Simulation):
        check_split(settings.split)
        self._splits = list(settings.split)
        self._shard_events = settings.shard_events
        # Event numbers at which the splits end. Every split gets a contiguous range, rounded to whole events.
        self._ends = [round(edge * settings.events) for edge in accumulate(settings.split.values())]
        self._ends[-1] = settings.events
        self._starts = [0, *self._ends[:-1]]
        num_events = (end - start for start, end in zip(self._starts, self._ends, strict=True))
        self._last_parts = list(accumulate(-(-number // self._shard_events) for number in num_events))

    def __len__(self) -> int:
        return self._last_parts[-1]

    def __getitem__(self, number: int) -> EventRange:
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} parts, number {number} was asked for")
        split = bisect_right(self._last_parts, number)
        index = number - (self._last_parts[split - 1] if split else 0)
        start = self._starts[split] + index * self._shard_events
        return EventRange(self._splits[split], index, start, min(start + self._shard_events, self._ends[split]))


@dataclass(frozen=True)
class PartNames(Sequence[str]):
    ranges: EventRanges

    def __len__(self) -> int:
        return len(self.ranges)

    def __getitem__(self, number: int) -> str:
        return self.ranges[number].name


def plan_parts(settings: Simulation) -> EventRanges:
    """The parts of the dataset: a function of the settings alone, never of how many processes make them."""
    return EventRanges(settings)


def build_simulator(settings: Simulation, detector: Detector) -> EventMaker:
    """The simulation, reading interactions from the files of another generator where the settings name some."""
    # Imported here: its tables take a second to build, and whoever only looks at the plan has no use for them
    from hpc_nuvlm.simulate.chain import Simulator

    return Simulator(settings, detector, _reader(settings) if settings.interactions.files else None)


@dataclass(frozen=True)
class SimulationWork:
    """The dataset that `settings` describe, as work for many processes."""

    settings: Simulation
    detector: Detector
    command: str = GENERATOR
    build: Callable[[Simulation, Detector], EventMaker] = build_simulator
    verb: str = "simulating"
    unit: str = "events"

    @cached_property
    def ranges(self) -> EventRanges:
        return plan_parts(self.settings)

    @property
    def blueprint(self) -> Blueprint:
        interactions = self.settings.interactions
        flux = interactions.flux
        files = interactions.files or ((flux.file,) if flux.kind == "csv" and flux.file else ())
        return Blueprint(
            kind="zarr",
            detector=self.detector,
            splits=tuple(self.settings.split),
            parts=PartNames(self.ranges),
            command=self.command,
            settings=self.settings.model_dump_json(),
            source=", ".join(f"{path} ({_size(path)} bytes)" for path in files) or None,
            generator=GENERATOR,
        )

    def size(self, number: int) -> int:
        part = self.ranges[number]
        return part.stop - part.start

    def open(self, folder: Path) -> Make:
        simulator = self.build(self.settings, self.detector)
        return lambda number, tick: self._make(self.ranges[number], simulator, folder, tick)

    def _make(self, part: EventRange, simulator: EventMaker, folder: Path, tick: Tick) -> Part | None:
        events, labels, left_out, layout = [], Counter(), Counter(), None
        for number in range(part.start, part.stop):
            event = simulator.event(number)
            if len(event.hits) < self.settings.least_hits:
                left_out[f"fewer than {self.settings.least_hits} hits"] += 1
            else:
                check_hits(event, self.detector)
                event = quantize(event, self.detector)
                layout = layout or (event.hits.kind, tuple(event.hits.columns))
                assert layout == (event.hits.kind, tuple(event.hits.columns)), f"event {number}: hits of another layout"
                labels[event.truth.label or UNLABELLED] += 1
                events.append(event)
            if not tick(1):
                return None
        shards = (write_shard(events, folder, self.detector, part.split, part.index),) if events else ()
        return Part(
            name=part.name,
            layout=layout,
            shards=shards,
            labels={part.split: dict(labels)},
            left_out=dict(left_out),
            contents=encode_contents(map(_picture, events)),
        )


def simulation_work(settings: Simulation, command: str = GENERATOR) -> SimulationWork:
    return SimulationWork(settings, load_detector(settings.detector, detector_folder()), command)


def _reader(settings: Simulation) -> Callable[[int], Interaction]:
    from hpc_nuvlm.formats.genie import read_interaction

    read = read_interaction(settings.interactions.files)
    read(settings.events - 1)  # too few are found out now, and not by the process that comes to the last
    return read


def _picture(event: Event) -> bytes:
    """Digest of the hits as they are stored; empty for few. A copy of an event has them in the same order."""
    if len(event.hits) <= FEW_HITS:
        return b""
    return sha256(b"".join(column.tobytes() for column in event.hits.columns.values())).digest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ConfigError(f"interactions: {path}: cannot be read: {error.strerror}; correct the path") from error
