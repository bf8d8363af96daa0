"""Watchdog: notices that the ranks do not get on, names the one that hangs and where, and ends the process.

Every rank's thread writes a heartbeat to the run folder: what its rank is doing, and a count that goes up. A rank that
waits for another sees from those who is behind it, or silent: stopped, or its node lost. No clocks are compared.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path

from hpc_nuvlm.engine.ahead import READER
from hpc_nuvlm.engine.stop import EXIT_HUNG, EXIT_REQUEUE, StopRequest
from hpc_nuvlm.errors import UserError

# Heartbeats a rank may miss before it is called silent
MISSED = 4
# Frames of the stack that are told, the innermost last
NUM_FRAMES = 4


class Doing(IntEnum):
    """What a rank does, in the order within a step."""

    STARTING = 0
    READING = 1
    COMPUTING = 2
    AGREEING = 3
    UPDATING = 4
    VALIDATING = 5
    SAVING = 6

    @property
    def words(self) -> str:
        return {
            Doing.STARTING: "starting",
            Doing.READING: "reading its events",
            Doing.COMPUTING: "computing losses and gradients",
            Doing.AGREEING: "adding up losses over ranks",
            Doing.UPDATING: "updating weights",
            Doing.VALIDATING: "validating",
            Doing.SAVING: "saving",
        }[self]


@dataclass(frozen=True, order=True)
class Heartbeat:
    """Where a rank stood when it was last heard of. Ordered by progress."""

    step: int
    doing: int
    rank: int
    host: str
    # Goes up with every beat
    count: int

    def __str__(self) -> str:
        return f"rank {self.rank} on {self.host}"

    @property
    def place(self) -> str:
        return f"step {self.step}, {Doing(self.doing).words}"


class Watchdog:
    """A context: watches while it is open. `hang_after_s`: without progress; `stop_within_s`: once asked to stop."""

    def __init__(
        self, folder: Path, rank: int, world_size: int, stop: StopRequest, hang_after_s: float, stop_within_s: float
    ):
        self.folder, self.rank, self.world_size, self.stop = folder, rank, world_size, stop
        self.hang_after_s, self.stop_within_s = hang_after_s, stop_within_s
        self.period_s = min(5.0, hang_after_s / 10)
        self.step, self.doing, self.count = 0, Doing.STARTING, 0
        self.moved_s = time.monotonic()
        self.closed = threading.Event()
        self.watched = threading.main_thread()
        self.thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            run_folder = self.folder.parent
            raise UserError(
                f"{run_folder}: cannot be written: {error.strerror}; set folder=... to a place that can"
            ) from error
        self.watched = threading.current_thread()
        self.moved_s = time.monotonic()
        self._beat()
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.closed.set()
        self.thread.join()
        self._path(self.rank).unlink(missing_ok=True)

    def at(self, step: int | None, doing: Doing) -> None:
        """The rank got this far; None: in the step that it is in."""
        self.step, self.doing = self.step if step is None else step, doing
        self.moved_s = time.monotonic()

    def lost(self) -> str:
        """Who is gone, when a collective failed since somebody is; takes MISSED heartbeats to find out."""
        before = self._heard()
        time.sleep(MISSED * self.period_s)
        return self.describe("the connection to another rank broke", before, self._heard())

    def _path(self, rank: int) -> Path:
        return self.folder / f"rank-{rank:05d}.json"

    def _watch(self) -> None:
        asked_s = None
        while not self.closed.wait(self.period_s):
            self._beat()
            now_s = time.monotonic()
            if self.stop.received is not None and asked_s is None:
                asked_s = now_s
            if asked_s is not None and now_s - max(asked_s, self.moved_s) > self.stop_within_s:
                self._end(f"asked to stop {now_s - asked_s:.0f} s ago", EXIT_REQUEUE)
            if now_s - self.moved_s > self.hang_after_s:
                self._end(f"no progress for {now_s - self.moved_s:.0f} s", EXIT_HUNG)

    def _beat(self) -> None:
        self.count += 1
        beat = Heartbeat(self.step, int(self.doing), self.rank, socket.gethostname(), self.count)
        partial = self._path(self.rank).with_suffix(".partial")
        try:
            partial.write_text(json.dumps(asdict(beat)))
            partial.replace(self._path(self.rank))
        except OSError:
            # A full disk must not end the run here: saving says it better
            pass

    def _end(self, why: str, code: int) -> None:
        moved_s, before = self.moved_s, self._heard()
        if self.closed.wait(MISSED * self.period_s) or self.moved_s != moved_s:
            return
        self._beat()
        now = self._heard()
        print(f"error: {self.describe(why, before, now)}", file=sys.stderr, flush=True)
        os._exit(code)

    def _heard(self) -> dict[int, Heartbeat]:
        """The last heartbeat of each rank that left one."""
        heard = {}
        for rank in range(self.world_size):
            try:
                heard[rank] = Heartbeat(**json.loads(self._path(rank).read_text()))
            except (OSError, ValueError, TypeError):
                continue
        return heard

    def describe(self, why: str, before: dict[int, Heartbeat], now: dict[int, Heartbeat]) -> str:
        """Who is waited for, of two looks at all heartbeats; the place in the code, if it is this rank itself."""
        own = now.get(self.rank) or Heartbeat(self.step, int(self.doing), self.rank, socket.gethostname(), self.count)
        silent = [beat for rank, beat in now.items() if rank in before and before[rank].count == beat.count]
        silent = [beat for beat in silent if beat.rank != self.rank]
        least = min((beat.step, beat.doing) for beat in (*now.values(), own))
        behind = [beat for beat in now.values() if (beat.step, beat.doing) == least and beat not in silent]
        told = f"{own}: {why}, at {own.place}"
        names = [f"{beat} (last at {beat.place})" for beat in silent]
        names += [f"rank {rank} (never heard of)" for rank in range(self.world_size) if rank not in now]
        if names:
            return f"{told}; not heard of any more, stopped or lost: {'; '.join(names)}"
        if (own.step, own.doing) > least:
            names = "; ".join(f"{beat} at {beat.place}" for beat in behind)
            return f"{told}; waits for {names}"
        return f"{told}\n{self._stack()}"

    def _stack(self) -> str:
        """Where the rank's main thread is in the code, and the one that reads for it."""
        threads = [self.watched, *(one for one in threading.enumerate() if one.name.startswith(READER))]
        frames = sys._current_frames()
        stacks = [traceback.format_stack(frames[one.ident])[-NUM_FRAMES:] for one in threads if one.ident in frames]
        return "".join(line for stack in stacks for line in stack).rstrip()
