"""Tables from which (W, Q2) of a process is drawn at any energy, and its total cross section.

The plane of W and Q2 is mapped onto the unit square, whose borders are the exact kinematic limits at the energy at
hand; the cross section fills equal cells of the square at a grid of energies. So what is drawn is always allowed,
whatever the mass of the (bound) target, and the grid's step only smooths the distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Energies of the grid [GeV], between the lowest threshold and the highest energy that the generator takes
LOWEST_GEV, HIGHEST_GEV = 0.03, 60.0
NUM_ENERGIES = 84
# The square's second side is the logarithm of Q2 + this [GeV2]: uniform where form factors are flat
SOFTENING_GEV2 = 0.05
# First side: W = low + (high - low) a^this, finer at low W
CURVATURE = 1.5


class Reaction(NamedTuple):
    """neutrino + target -> lepton + system of mass W: the masses [GeV] that set the kinematic limits."""

    target_gev: float
    lepton_gev: float
    w_low_gev: float
    w_high_gev: float
    # (energy [GeV], W [GeV], Q2 [GeV2]) -> d2sigma/dW dQ2 (or dsigma/dQ2 if W is fixed), arrays that broadcast
    differential: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    num_w: int = 40
    num_q2: int = 48

    @property
    def is_fixed(self) -> bool:
        return self.w_high_gev == self.w_low_gev


def q2_limits(s, target2, lepton, w):
    """Smallest and largest Q2 [GeV2] for squares of the total mass s and target mass; scalars or arrays (PDG 49.5)."""
    root = np.sqrt(s) if isinstance(s, np.ndarray) else math.sqrt(s)
    energy_in = (s - target2) / (2.0 * root)
    energy_out = (s + lepton**2 - w**2) / (2.0 * root)
    squared = energy_out**2 - lepton**2
    momentum = np.sqrt(np.maximum(squared, 0.0)) if isinstance(squared, np.ndarray) else math.sqrt(max(squared, 0.0))
    # The difference of two near numbers, written so that rounding cannot make the limit of a light lepton negative
    high = 2.0 * energy_in * (energy_out + momentum) - lepton**2
    low = 2.0 * energy_in * lepton**2 / (energy_out + momentum) - lepton**2
    return low, high


class Table:
    """Cross section of one reaction [1e-38 cm2] and, per energy of the grid, cumulative weights of the cells."""

    def __init__(self, reaction: Reaction):
        self.reaction = reaction
        self.log_first = math.log(LOWEST_GEV)
        self.log_step = math.log(HIGHEST_GEV / LOWEST_GEV) / (NUM_ENERGIES - 1)
        self.energy_gev = np.exp(self.log_first + self.log_step * np.arange(NUM_ENERGIES))
        rows = [self._cells(energy) for energy in self.energy_gev]
        self.total = np.array([row.sum() for row in rows])
        self.cumulative = np.cumsum(np.array([row.ravel() for row in rows]), axis=1)

    def _cells(self, energy: float) -> np.ndarray:
        """Integral of the cross section over each cell of the unit square, by its middle."""
        one = self.reaction
        num_w = 1 if one.is_fixed else one.num_w
        s = one.target_gev**2 + 2.0 * one.target_gev * energy
        high = min(one.w_high_gev, math.sqrt(s) - one.lepton_gev)
        if math.sqrt(s) <= one.w_low_gev + one.lepton_gev:
            return np.zeros((num_w, one.num_q2))
        a, b = (np.arange(num_w) + 0.5) / num_w, (np.arange(one.num_q2) + 0.5) / one.num_q2
        span = high - one.w_low_gev
        w = one.w_low_gev + span * a[:, None] ** CURVATURE
        step = 1.0 if one.is_fixed else span * CURVATURE * a[:, None] ** (CURVATURE - 1.0) / num_w
        low, top = q2_limits(np.full(1, s), one.target_gev**2, one.lepton_gev, w)
        ratio = np.log((top + SOFTENING_GEV2) / (low + SOFTENING_GEV2))
        q2 = (low + SOFTENING_GEV2) * np.exp(ratio * b) - SOFTENING_GEV2
        area = step * (q2 + SOFTENING_GEV2) * ratio / one.num_q2
        return one.differential(np.float64(energy), w, np.maximum(q2, 1e-6)) * area

    def cross_section(self, energy_gev: np.ndarray | float) -> np.ndarray:
        """Total on a target at rest [1e-38 cm2], linear between the grid's energies; 0 below them."""
        return np.interp(np.log(np.maximum(energy_gev, 1e-9)), np.log(self.energy_gev), self.total, left=0.0)

    def draw(self, s: float, target2: float, rng: np.random.Generator) -> tuple[float, float] | None:
        """(W [GeV], Q2 [GeV2]) for squares s and target mass [GeV2]; None where the reaction is closed."""
        one = self.reaction
        root = math.sqrt(max(s, 1e-12))
        high = min(one.w_high_gev, root - one.lepton_gev)
        if high < one.w_low_gev or (high == one.w_low_gev and not one.is_fixed):
            return None
        energy = (s - one.target_gev**2) / (2.0 * one.target_gev)
        row = self._row(energy, rng)
        if row is None:
            return None
        cumulative = self.cumulative[row]
        cell = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
        i, j = divmod(min(cell, len(cumulative) - 1), one.num_q2)
        a = 0.0 if one.is_fixed else (i + rng.random()) / one.num_w
        w = one.w_low_gev + (high - one.w_low_gev) * a**CURVATURE
        low, top = q2_limits(s, target2, one.lepton_gev, w)
        b = (j + rng.random()) / one.num_q2
        q2 = (low + SOFTENING_GEV2) * ((top + SOFTENING_GEV2) / (low + SOFTENING_GEV2)) ** b - SOFTENING_GEV2
        return w, q2

    def _row(self, energy: float, rng: np.random.Generator) -> int | None:
        """One of the two grid energies around, by nearness; the upper one if the lower is below threshold."""
        if energy <= 0.0:
            return None
        place = (math.log(energy) - self.log_first) / self.log_step
        low = min(max(math.floor(place), 0), NUM_ENERGIES - 1)
        up = min(low + 1, NUM_ENERGIES - 1)
        if self.total[low] <= 0.0:
            return up if self.total[up] > 0.0 else None
        return up if rng.random() < place - low else low
