"""A simulation of drawn pixels, started by tests: simulation_program.py OUT EVENTS [--jobs N] [--seconds S] [--bad N]

The launcher around it is the real one; only the events are drawn, which takes no time, and can be told to fail.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from hpc_nuvlm.engine.place import this_worker
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Event, Hits, Identity, Truth
from hpc_nuvlm.simulate.settings import Simulation
from hpc_nuvlm.simulation import SimulationWork, simulation_work
from hpc_nuvlm.workers import run


class DrawnEvents:
    """Event `bad` is refused; -bad kills the process. Every fifth event has no hits."""

    def __init__(self, settings: Simulation, detector, seconds: float = 0.0, bad: int | None = None):
        self._seed, self._seconds, self._bad = settings.seed, seconds, bad

    def event(self, number: int) -> Event:
        if self._bad is not None and number == abs(self._bad):
            if self._bad < 0:
                os.kill(os.getpid(), 9)
            raise UserError(f"event {number} is bad")
        time.sleep(self._seconds)
        generator = np.random.default_rng([self._seed, number])
        flat = generator.choice(3 * 500 * 500, 40 if number % 5 else 0, replace=False)
        plane, row, column = np.unravel_index(flat, (3, 500, 500))
        charge = generator.integers(1, 256, len(flat))
        hits = Hits("pixels", {"plane": plane, "row": row, "column": column, "charge": charge})
        return Event(hits, Truth(("nue_cc", "numu_cc", "nc")[number % 3]), Identity("ab" * 32, number))


def drawn_work(num_events: int, shard_events: int = 8, least_hits: int = 0, **changes) -> SimulationWork:
    settings = Simulation(detector="dune_fd_cvn", events=num_events, shard_events=shard_events, least_hits=least_hits)
    return replace(simulation_work(settings, "test"), build=partial(DrawnEvents, **changes))


def main() -> int:
    stop = StopRequest().install()
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("events", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--bad", type=int)
    arguments = parser.parse_args()
    try:
        work = drawn_work(arguments.events, seconds=arguments.seconds, bad=arguments.bad)
        return run(work, arguments.out, this_worker(), arguments.jobs, stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
