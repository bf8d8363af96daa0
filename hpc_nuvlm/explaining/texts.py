"""Texts: what a model says of events. They are kept in a file, and continued there: to say them takes longest.

One JSON object a line: first what decides which texts they are (weights, events), then one event each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpc_nuvlm.engine.predict import Predicted, predict
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.models.task import Said, Task
from hpc_nuvlm.report.predictions import published
from hpc_nuvlm.sample import Batch, Source

# Raised whenever equal weights and events get other texts, so that old and new ones are not mixed
TEXTS_VERSION = 1
# Events between two writes: about half a minute on two cores
EVENTS_AT_A_TIME = 256


@dataclass(frozen=True)
class Chosen:
    """Some events of a source, in an order of their own."""

    source: Source
    index: Sequence[int]

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, indices: Sequence[int], valid: np.ndarray, epoch: int | None) -> Batch:
        return self.source.batch(np.asarray(self.index)[indices], valid, epoch)


@dataclass(frozen=True, eq=False)
class Told:
    """What a model says of N events of a split; one row an event."""

    index: tuple[int, ...]  # in the split
    keys: tuple[str, ...]
    label: np.ndarray  # (N,) int64; UNLABELLED where the event has no class
    log_probability: np.ndarray  # (N, C)
    said: tuple[Said, ...]

    @property
    def texts(self) -> list[str]:
        return [said.text for said in self.said]

    @property
    def predicted(self) -> np.ndarray:
        """(N,) the likeliest class by the scorer, not by the text."""
        return self.log_probability.argmax(1)


@dataclass(frozen=True)
class Speaker:
    """A model, and the ranks that it computes on."""

    task: Task
    world: World
    per_rank: int

    def predict(self, source: Source, explain: bool = False) -> Predicted:
        return predict(self.task, source, self.world, self.per_rank, explain)


def tell(speaker: Speaker, source: Source, index: Sequence[int], kept: Kept) -> Told:
    """What is said of these events of the source; those that are in the file already are taken from there."""
    world = speaker.world
    # Every rank goes by what the first one read
    rows: dict[int, list] = world.gather(kept.read())[0]
    missing = [number for number in index if number not in rows]
    if world.main:
        # Without what another model said, or half a line that an interruption left
        kept.write(rows)
    for start in range(0, len(missing), EVENTS_AT_A_TIME):
        part = missing[start : start + EVENTS_AT_A_TIME]
        new = dict(zip(part, _rows(speaker.predict(Chosen(source, part), explain=True))))
        rows |= new
        if world.main:
            kept.append(new)
    keys, label, log_probability, text, spans, logs = zip(*(rows[number] for number in index))
    said = (Said(one, tuple(map(tuple, span)), tuple(log)) for one, span, log in zip(text, spans, logs))
    return Told(tuple(index), keys, np.array(label), np.array(log_probability), tuple(said))


def _rows(predicted: Predicted):
    if predicted.said is None:
        raise UserError(
            "the run's model writes no texts; explanations are those of vision-language models (family vlm)"
        )
    for key, label, log_probability, said in zip(
        predicted.keys, predicted.truth.tolist(), predicted.log_probability.tolist(), predicted.said
    ):
        yield [key, label, log_probability, said.text, said.spans, said.log_probabilities]


@dataclass(frozen=True)
class Kept:
    """A file of texts, by the number of the event in its split."""

    path: Path
    weights: str
    events: str

    @property
    def header(self) -> dict:
        return {"version": TEXTS_VERSION, "weights": self.weights, "events": self.events}

    def read(self) -> dict[int, list]:
        """Whole lines, if they are of these weights and events."""
        rows = {}
        try:
            first, *lines = self.path.read_text(encoding="utf-8").splitlines()
            if json.loads(first) != self.header:
                return {}
            for line in lines:
                number, row = json.loads(line)
                rows[number] = row
        except (FileNotFoundError, ValueError):
            # None yet, or the last line was interrupted
            pass
        return rows

    def write(self, rows: dict[int, list]) -> None:
        with published(self.path) as file:
            file.write("".join(f"{line}\n" for line in (json.dumps(self.header), *self._lines(rows))).encode())

    def append(self, rows: dict[int, list]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in self._lines(rows))

    def _lines(self, rows: dict[int, list]):
        return (json.dumps(item) for item in rows.items())
