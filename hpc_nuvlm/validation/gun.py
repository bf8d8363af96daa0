"""Particle gun: many single particles through transport, each reduced to what is measured before the next is shot."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.report.validation import Panel, Row
from hpc_nuvlm.simulate.transport import Trace, Transport
from nuvlm_kernels.particles import MASS_MEV, PDG

Kept = TypeVar("Kept")
Findings = tuple[list[Row], list[Panel]]
# Where every particle starts, far enough inside the box to be in argon
ORIGIN_MM = (0.0, 0.0, 0.0)
# Transport takes the last 0.5 mm at once and tells the energy before it: 2 MeV of a muon, 6 MeV of a proton
STOPPED_MEV = 8.0


def mass_mev(pdg: int) -> float:
    return float(MASS_MEV[list(PDG).index(pdg)])


def particle(pdg: int, kinetic_mev: float, direction: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Interaction:
    """One particle as an interaction of its own."""
    mass = mass_mev(pdg)
    momentum = np.sqrt(kinetic_mev * (kinetic_mev + 2 * mass))
    along = np.array(direction) / np.linalg.norm(direction)
    return Interaction(
        pdg=np.array([pdg], np.int32),
        momentum_mev=(momentum * along)[None],
        energy_mev=np.array([kinetic_mev + mass]),
        position_mm=np.zeros((1, 3)),
        time_ns=np.zeros(1),
    )


@dataclass(frozen=True)
class Box:
    """Argon from 10 mm before the start to `length_mm` after it, and `half_mm` to each side."""

    half_mm: float
    length_mm: float

    def transport(self) -> Transport:
        return Transport((-self.half_mm, -self.half_mm, -10.0), (self.half_mm, self.half_mm, self.length_mm))


@dataclass(frozen=True)
class Gun:
    """Shoots; `scale` is the number of particles relative to that of the published page."""

    seed: int = 1
    scale: float = 1.0
    threads: int = 2
    least: int = field(default=20)

    def count(self, nominal: int) -> int:
        return max(min(self.least, nominal), round(self.scale * nominal))

    def rng(self, *numbers: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.seed, *numbers])))

    def fire(self, keep: Callable[[Trace], Kept], pdg: int, kinetic_mev: float, nominal: int, box: Box) -> list[Kept]:
        """What `keep` returns for each particle, all shot along z; one random stream per particle."""
        primary = particle(pdg, kinetic_mev)
        return self.run(keep, lambda number, rng: primary, nominal, box, key=(abs(pdg), int(1000 * kinetic_mev)))

    def run(
        self,
        keep: Callable[[Trace], Kept],
        make: Callable[[int, np.random.Generator], Interaction],
        nominal: int,
        box: Box,
        key: tuple[int, ...],
    ) -> list[Kept]:
        """Transport what `make(number, rng)` returns for each number; the results do not depend on the threads."""
        count = self.count(nominal)

        def part(first: int) -> list[Kept]:
            transport, kept = box.transport(), []
            for number in range(first, count, self.threads):
                rng = self.rng(*key, number)
                kept.append(keep(transport.run(make(number, rng), ORIGIN_MM, rng)))
            return kept

        # numba finds out the types of a kernel's arguments when it is first called, and not safely from two threads
        box.transport().run(particle(22, 0.1), ORIGIN_MM, self.rng(0))
        with ThreadPoolExecutor(self.threads) as pool:
            parts = list(pool.map(part, range(self.threads)))
        return [parts[number % self.threads][number // self.threads] for number in range(count)]


def children(trace: Trace, parent: int, process: int | None = None) -> np.ndarray:
    """Numbers of the tracks that a track gave rise to, by one process if given."""
    found = trace.track_parent == parent
    if process is not None:
        found &= trace.track_process == process
    return np.flatnonzero(found)
