"""Many processes make the parts of one dataset: ranks of a launcher, and processes that each of them starts.

They share nothing but the folder. A rank that fails stops nobody else, finished parts stay, and the same command
continues with what is missing. Which process makes a part changes nothing in it.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Protocol

from hpc_nuvlm.engine.place import Worker, child_environment, set_defaults, this_worker
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, SIGNALS, StopRequest
from hpc_nuvlm.errors import StoreError, UserError
from hpc_nuvlm.progress import Meter, duration
from hpc_nuvlm.store.manifest import Manifest, describe_manifest
from hpc_nuvlm.store.parts import Blueprint, PartsFolder
from hpc_nuvlm.store.sidecar import Part
from nuvlm_kernels.cache import drop_stale

SECONDS_BETWEEN_LOOKS = 0.2
EXIT_USER_ERROR = 2
# So many units of work are done; False: stop now, and give up the part
Tick = Callable[[int], bool]
Make = Callable[[int, Tick], Part | None]


class Work(Protocol):
    """A dataset to be made; it is sent to other processes, so it holds settings and no open files."""

    verb: str
    unit: str

    @property
    def blueprint(self) -> Blueprint: ...

    def size(self, number: int) -> int:
        """Units of work in part `number`."""

    def open(self, folder: Path) -> Make:
        """Prepare this process to make parts; the result writes the shards of part i and returns its sidecar."""


@dataclass(frozen=True)
class Outcome:
    """`manifest`: None if other workers are not done yet; `finished`: this one's parts are."""

    manifest: Manifest | None
    finished: bool
    meter: Meter


def make_dataset(
    work: Work, out: Path, worker: Worker, jobs: int, stop: StopRequest, *, overwrite: bool = False
) -> Outcome:
    """Make this worker's parts in `jobs` processes, and publish the dataset if they were the last."""
    folder = PartsFolder(out, work.blueprint)
    numbers = range(worker.number, len(work.blueprint.parts), worker.count)
    total = sum(map(work.size, numbers))
    with Meter(work.verb, work.unit, total, silent=not worker.first_rank) as meter:
        manifest = folder.join(overwrite)
        if manifest is not None:
            return Outcome(manifest, True, meter)
        do = _do_here if min(jobs, len(numbers)) <= 1 else _do_in_processes
        try:
            finished = do(work, out, numbers, jobs, stop, meter)
        except UserError:
            if worker.count == 1:  # others may yet finish parts
                folder.give_up_if_empty()
            raise
    return Outcome(folder.publish() if finished else None, finished, meter)


def launch(describe: Callable[[], Work], out: Path, jobs: int, stop: StopRequest, *, overwrite: bool = False) -> int:
    """Run this rank's share of the work, for the files in launch/; a user's mistake is one line and exit code 2.

    `describe` may import numba, which reads its number of threads then: the ranks of a node share its cores.
    """
    who = ""
    try:
        set_defaults(NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")
        worker = this_worker()
        who = _name(worker)
        return run(describe(), out, worker, jobs, stop, overwrite=overwrite)
    except UserError as error:
        _say(f"error: {who}{error}")
        return EXIT_USER_ERROR


def run(work: Work, out: Path, worker: Worker, jobs: int, stop: StopRequest, *, overwrite: bool = False) -> int:
    """make_dataset, told to the user; the exit code says whether the same command should be started again."""
    drop_stale()
    outcome = make_dataset(work, out, worker, jobs, stop, overwrite=overwrite)
    meter = outcome.meter
    if outcome.finished and outcome.manifest is not None and not meter.made + meter.kept:
        _say(f"{out}: {describe_manifest(outcome.manifest)}; is this very dataset, and was finished before")
        return 0
    spent = f"{meter.made:,} {work.unit} in {duration(meter.seconds)}, {meter.rate:.3g} {work.unit}/s"
    if meter.kept:
        spent += f", {meter.kept:,} kept from before"
    who = _name(worker)
    if not outcome.finished:
        _say(f"{who}stopped ({stop.received.name}) after {spent}; finished shards are kept, the same command continues")
        return EXIT_REQUEUE
    if outcome.manifest is not None:
        _say(f"{out}: {describe_manifest(outcome.manifest)}; {who}{spent}")
    elif worker.first_rank:
        _say(f"{who}{spent}; the dataset is published by whoever is last")
    return 0


def do_parts(work: Work, out: Path, numbers: Iterable[int], tick: Tick, keep: Tick) -> bool:
    """Make those of the parts that are not there yet; False if `tick` or `keep` asked to stop."""
    folder = PartsFolder(out, work.blueprint)
    names = work.blueprint.parts
    make: Make | None = None
    for number in numbers:
        if folder.find(names[number]) is not None:
            if not keep(work.size(number)):
                return False
            continue
        make = make or work.open(out)
        part = make(number, tick)
        if part is None:
            return False
        folder.add(part)
    return True


def _do_here(work: Work, out: Path, numbers: range, jobs: int, stop: StopRequest, meter: Meter) -> bool:
    def count(made: int, kept: int) -> bool:
        meter.update(meter.made + made, meter.kept + kept)
        return stop.received is None

    return do_parts(work, out, numbers, lambda size: count(size, 0), lambda size: count(0, size))


def _do_in_processes(work: Work, out: Path, numbers: range, jobs: int, stop: StopRequest, meter: Meter) -> bool:
    jobs = min(jobs, len(numbers))
    # Spawned, not forked: a fork copies locks that other threads of the parent may hold
    context = multiprocessing.get_context("spawn")
    counts = _Counts(context, jobs)
    running = {}
    errors, codes, left = [], [], iter(numbers)
    try:
        for number in range(jobs):
            process, connection = _start(context, work, out, counts, number)
            running[connection] = process
        while running:
            for connection in wait(list(running), timeout=SECONDS_BETWEEN_LOOKS):
                try:
                    said = connection.recv()
                except (EOFError, ConnectionResetError):
                    codes.append(_end(running.pop(connection)))
                    counts.halt.value |= codes[-1] != 0
                    continue
                if said is not None:
                    errors.append(said)
                    continue
                with suppress(OSError):  # it was killed since, which the next round notices
                    connection.send(next(left, None))
            counts.halt.value |= stop.received is not None
            meter.update(sum(counts.made), sum(counts.kept))
    finally:
        for process in running.values():
            process.kill()
    if errors:
        raise UserError(errors[0])
    if any(codes):
        raise StoreError(_describe_ends(out, codes))
    return not counts.halt.value


def _start(
    context: BaseContext, work: Work, out: Path, counts: _Counts, number: int
) -> tuple[multiprocessing.Process, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(work, out, theirs, counts, number), daemon=True)
    resource_tracker.ensure_running()  # its own start, which unblocks signals, would otherwise fall into ours
    # A Ctrl-C reaches the whole group of processes. Children inherit this mask, and are told to stop by their parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with child_environment(NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1"):
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # now only the child has it, and its end is the end of the pipe
    return process, ours


def _end(process: multiprocessing.Process) -> int:
    process.join()
    return process.exitcode


class _Counts:
    """Shared memory without locks, which a process that is killed could take with it: each writes its own places."""

    def __init__(self, context: BaseContext, jobs: int):
        self.made = context.RawArray("q", jobs)
        self.kept = context.RawArray("q", jobs)
        self.halt = context.RawValue("b", 0)


def _child(work: Work, out: Path, connection: Connection, counts: _Counts, place: int) -> None:
    parent = multiprocessing.parent_process()

    def count(counter: Sequence[int], number: int) -> bool:
        counter[place] += number
        return not counts.halt.value and parent.is_alive()

    def dealt() -> Iterator[int]:
        connection.send(None)
        while (number := connection.recv()) is not None:
            yield number
            connection.send(None)

    try:
        do_parts(work, out, dealt(), partial(count, counts.made), partial(count, counts.kept))
    except UserError as error:
        connection.send(str(error))
        sys.exit(EXIT_USER_ERROR)
    except (EOFError, ConnectionError):
        sys.exit(1)  # the parent was killed
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _describe_ends(out: Path, codes: list[int]) -> str:
    ends = ", ".join(f"signal {-code}" if code < 0 else f"exit code {code}" for code in codes if code)
    hint = "; the machine has too little memory for so many --jobs" if -signal.SIGKILL in codes else ""
    return f"{out}: a process ended by {ends}{hint}; finished shards are kept, the same command continues"


def _name(worker: Worker) -> str:
    return f"worker {worker.number} of {worker.count}: " if worker.count > 1 else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
