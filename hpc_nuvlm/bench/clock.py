"""Timing by one rule: warm-up, a least duration and count, repeats of which the best and the worst are dropped.

The scenarios are MLPerf's (arXiv:1911.02549): SingleStream, one query after the other, by percentiles of its latency;
Offline, all queries there at once, by throughput.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.settings import Part, PositiveInt

PERCENTILES = (50, 90, 99)
# Of these repeats the best and the worst are dropped, so that at least one is left
FEWEST_REPEATS = 3


class Rule(Part):
    """How long and how often something is timed."""

    # Calls before the clock counts: caches fill, code is compiled
    warm_up: PositiveInt = 3
    # One repeat has so many calls, and as many more as will last so long by the last call of the warm-up
    least_seconds: float = 2.0
    least_calls: PositiveInt = 10
    repeats: PositiveInt = 5


@dataclass(frozen=True)
class Timing:
    """Seconds of a call over the repeats that count."""

    # Mean of each repeat that counts, in the order of its size
    repeats_s: tuple[float, ...]
    # Of all calls in them: (50th, 90th, 99th percentile)
    percentiles_s: tuple[float, ...]
    num_calls: int

    @property
    def seconds(self) -> float:
        """Mean over the repeats."""
        return fmean(self.repeats_s)

    @property
    def spread(self) -> float:
        """Half of the range over the repeats, relative to their mean."""
        return (self.repeats_s[-1] - self.repeats_s[0]) / 2 / self.seconds


def measure(
    call: Callable[[], object],
    rule: Rule,
    settle: Callable[[], None] = lambda: None,
    agree: Callable[[float], float] = lambda seconds: seconds,
) -> Timing:
    """Time a call. `settle` waits until what the call began is done, as on an accelerator it has to.

    `agree` gives all ranks one number for theirs, since they have to call equally often where they call together.
    """
    if rule.repeats < FEWEST_REPEATS:
        raise ConfigError(f"rule.repeats = {rule.repeats}: best and worst are dropped; give at least {FEWEST_REPEATS}")
    for _ in range(rule.warm_up - 1):
        call()
    settle()
    last_s = _repeat(call, 1, settle)[0]
    num_calls = max(rule.least_calls, math.ceil(rule.least_seconds / agree(last_s)))
    repeats = sorted((_repeat(call, num_calls, settle) for _ in range(rule.repeats)), key=fmean)[1:-1]
    calls = np.concatenate(repeats)
    return Timing(
        tuple(fmean(repeat) for repeat in repeats),
        tuple(np.percentile(calls, PERCENTILES).tolist()),
        len(calls),
    )


def _repeat(call: Callable[[], object], num_calls: int, settle: Callable[[], None]) -> list[float]:
    """Seconds of each call of one repeat."""
    seconds: list[float] = []
    for _ in range(num_calls):
        started_s = time.perf_counter()
        call()
        settle()
        seconds.append(time.perf_counter() - started_s)
    return seconds
