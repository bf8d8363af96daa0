"""Progress of long work: a live line on a terminal, a line every ten seconds in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 10.0


class Meter:
    """Counts units of work (events, files); `made` now, as opposed to `kept` from an earlier start, give the rate."""

    def __init__(
        self, verb: str, unit: str, total: int, *, silent: bool = False, clock: Callable[[], float] = time.monotonic
    ):
        self.made = self.kept = 0
        self._verb, self._unit, self._total = verb, unit, total
        self._clock = clock
        self._began = self._spoke = clock()
        console = Console(stderr=True)
        self._say = None if silent else console.print
        self._live = None
        if console.is_terminal and not silent:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
            self._live = Progress(*columns, console=console)
            self._task = self._live.add_task(verb, total=total)

    def __enter__(self) -> Meter:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live:
            with suppress(OSError):
                self._live.stop()

    def update(self, made: int, kept: int) -> None:
        self.made, self.kept = made, kept
        if self._live:
            self._live.update(self._task, completed=made + kept, description=self.line())
        elif self._say and self._clock() - self._spoke >= SECONDS_BETWEEN_LINES:
            self._spoke = self._clock()
            self._say(self.line(), highlight=False, soft_wrap=True)

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """Units made per second, without those kept."""
        return self.made / max(self.seconds, 1e-9)

    def line(self) -> str:
        text = f"{self._verb}: {self.made + self.kept:,} of {self._total:,} {self._unit}"
        if not self.made:
            return text
        left = (self._total - self.made - self.kept) / self.rate
        return f"{text}, {self.rate:.3g} {self._unit}/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """Two units of time at the most: 45 s, 12 min 30 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
