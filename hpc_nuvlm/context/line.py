"""The line of context of each event: fields one after another, those that are masked or missing read "unknown"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.config import Context
from hpc_nuvlm.context.leaks import check_leaks
from hpc_nuvlm.context.measured import MEASURED, UNKNOWN
from hpc_nuvlm.context.table import CELL_TEXT, Table, read_table
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event

# The title of the detector that the dataset is of
DETECTOR = "detector"
# Events that are compared with the truth, and that are looked for in a table
NUM_COMPARED, NUM_LOOKED_FOR = 4000, 64


@dataclass(frozen=True, eq=False)
class ContextLines:
    """Writes the line of each event; `table` holds the fields that are not measured, None: all are."""

    settings: Context
    table: Table | None

    def write(
        self, events: Sequence[Event], detector: Detector, generators: Sequence[np.random.Generator] | None = None
    ) -> tuple[str, ...]:
        """A line for each event. With generators, in training, each field is masked with the probability `dropout`."""
        masked = [set(self.settings.hide) for _ in events]
        for names, generator in zip(masked, generators or ()):
            drawn = generator.random(len(self.settings.fields)) < self.settings.dropout
            names |= {name for name, hidden in zip(self.settings.fields, drawn) if hidden}
        return tuple(self._line(event, detector, names) for event, names in zip(events, masked))

    def _line(self, event: Event, detector: Detector, masked: set[str]) -> str:
        said = [
            f"{_spoken(name)} {UNKNOWN}" if name in masked else self._field(name, event, detector)
            for name in self.settings.fields
        ]
        return f"Known: {', '.join(said)}."

    def _field(self, name: str, event: Event, detector: Detector) -> str:
        if name in MEASURED:
            return MEASURED[name](event.hits, detector)
        if name == DETECTOR:
            return f"{DETECTOR} {_title(detector)}"
        return f"{_spoken(name)} {self.table.columns[name].text(self.table.row(event.identity))}"


def open_context(settings: Context | None) -> ContextLines | None:
    """What writes the lines that these settings ask for; None if they ask for none. ConfigError names a bad field."""
    if settings is None:
        return None
    _check_fields(settings)
    others = [name for name in settings.fields if name not in (*MEASURED, DETECTOR)]
    if settings.table is None:
        for name in others:
            close = difflib.get_close_matches(name, (*MEASURED, DETECTOR), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join((*MEASURED, DETECTOR))}"
            raise ConfigError(
                f"data.context.fields: {name!r} is not measured; {hint} Further ones come from data.context.table"
            )
        return ContextLines(settings, None)
    table = read_table(settings.table, others)
    both = [name for name in settings.fields if name in (*MEASURED, DETECTOR) and name in table.names]
    if both:
        raise ConfigError(f"{settings.table}: column {both[0]!r} has the name of a field that is measured; rename it")
    if not others:
        raise ConfigError(
            f"data.context.table = '{settings.table}': none of its columns is among data.context.fields = "
            f"{list(settings.fields)}; name those to be used, or leave the table out"
        )
    return ContextLines(settings, table)


def _check_fields(settings: Context) -> None:
    for name in settings.fields:
        if settings.fields.count(name) > 1:
            raise ConfigError(f"data.context.fields: {name!r} is named twice; name it once")
    for name in settings.hide:
        if name not in settings.fields:
            raise ConfigError(
                f"data.context.hide: {name!r} is not among data.context.fields = {list(settings.fields)}; leave it out"
            )


def check_context(lines: ContextLines | None, split: Sequence[Event]) -> None:
    """Compare what the table says of training events with their truth; ConfigError if it tells it."""
    if lines is not None and lines.table is not None:
        events = _spread(split, NUM_COMPARED)
        _check_found(lines.table, events)
        check_leaks(lines.table, events)


def require_rows(lines: ContextLines | None, split: Sequence[Event]) -> None:
    """ConfigError if the table knows none of the events of a split: it is of others."""
    if lines is not None and lines.table is not None:
        _check_found(lines.table, _spread(split, NUM_LOOKED_FOR))


def _spread(split: Sequence[Event], most: int) -> list[Event]:
    """Up to `most` events, evenly over the split: shards may be sorted by class."""
    return [split[int(index)] for index in np.unique(np.linspace(0, len(split) - 1, min(len(split), most)).astype(int))]


def _check_found(table: Table, events: Sequence[Event]) -> None:
    owners: dict[int, str] = {}
    for event in events:
        row = table.row(event.identity)
        if row is not None and owners.setdefault(row, event.identity.key) != event.identity.key:
            raise ConfigError(
                f"{table.path}: row {row + 1} is of two events, {owners[row]} and {event.identity.key}, which have the "
                "same numbers in different files; name events by a column 'key'"
            )
    if events and not owners:
        raise ConfigError(
            f"{table.path}: has no row for any of {len(events)} events that were looked for, such as "
            f"{events[0].identity.key}; give a table of the same events, by 'key' or by 'run', 'subrun', 'event'"
        )


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _title(detector: Detector) -> str:
    """The detector's title without what is in brackets, of what may stand in a question; UNKNOWN if that is nothing."""
    title = re.sub(r"\(.*?\)|[^\w .,:/+%-]", "", detector.title, flags=re.ASCII).strip()[:40].strip()
    return title if CELL_TEXT.fullmatch(title) else UNKNOWN
