"""Ratios: what the toolkit takes against a peer or a limit, timed in turns, so that a busy machine slows both alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from hpc_nuvlm.report.tables import Sheet

QUARTILES = (25, 50, 75)


@dataclass(frozen=True)
class Ratio:
    """A number without units, and what was promised of it."""

    what: str
    against: str
    value: float
    # Quartiles over rounds; equal to the value where there was one
    low: float
    high: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the promise is kept; so it is where there is none."""
        return self.value >= (self.at_least or -np.inf) and self.value <= (self.at_most or np.inf)

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"


class Turns:
    """Seconds of several calls, each called once in every round, in an order that rotates."""

    def __init__(
        self,
        calls: dict[str, Callable[[], object]],
        rounds: int = 15,
        least_seconds: float = 0.1,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """Every call is made once before; then so often in a turn that a turn lasts `least_seconds` by the clock."""
        repeats = {name: _repeats(call, least_seconds, clock) for name, call in calls.items()}
        rows: dict[str, list[float]] = {name: [] for name in calls}
        names = list(calls)
        for turn in range(rounds):
            first = turn % len(names)
            for name in chain(names[first:], names[:first]):
                rows[name].append(_seconds(calls[name], repeats[name], clock))
        self.seconds = {name: np.array(row) for name, row in rows.items()}

    def times_as_fast(self, ours: str, peer: str, what: str, at_least: float | None = None) -> Ratio:
        """How many of ours are done in the time of one of the peer's."""
        return of_rounds(self.seconds[peer] / self.seconds[ours], what, peer, at_least=at_least)

    def times_as_long(self, ours: str, limit: tuple[str, ...], what: str, at_most: float | None = None) -> Ratio:
        """Ours against what several calls take together, which it cannot be faster than."""
        together = sum(self.seconds[name] for name in limit)
        return of_rounds(self.seconds[ours] / together, what, " + ".join(limit), at_most=at_most)


def exactly(
    what: str, against: str, value: float, at_least: float | None = None, at_most: float | None = None
) -> Ratio:
    """A ratio that has no spread, as of sizes."""
    return Ratio(what, against, value, value, value, at_least, at_most)


def of_rounds(rounds: np.ndarray, what: str, against: str, at_least: float | None = None, at_most: float | None = None):
    """The median over rounds of a number that each of them gave, with its quartiles."""
    low, value, high = np.percentile(rounds, QUARTILES).tolist()
    return Ratio(what, against, value, low, high, at_least, at_most)


def ratio_sheet(title: str, ratios: list[Ratio], note: str = "") -> Sheet:
    rows = [
        [one.what, one.against, f"{one.value:.3g}", f"{one.low:.3g} to {one.high:.3g}", one.target, _verdict(one)]
        for one in ratios
    ]
    return Sheet(title, ["what", "against", "ratio", "quartiles", "target", ""], rows, note)


def _verdict(ratio: Ratio) -> str:
    if not ratio.target:
        return ""
    return "reached" if ratio.met else "not reached"


def _repeats(call: Callable[[], object], least_seconds: float, clock: Callable[[], float]) -> int:
    call()
    return max(1, round(least_seconds / max(_seconds(call, 1, clock), 1e-9)))


def _seconds(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    started_s = clock()
    for _ in range(repeats):
        call()
    return (clock() - started_s) / repeats
