"""Where an electromagnetic shower begins, and its energy loss there: what tells an electron from a photon.

An electron ionizes as one particle from the vertex on. A photon leaves a gap, and most then begin as two (a pair).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.simulate.ancestry import Ancestry
from hpc_nuvlm.simulate.transport import Trace

# Electrons with less kinetic energy do not begin a shower: recoils of Compton scattering on the photon's way, which
# in a picture are dots apart from it
START_MEV = 5.0
# dE/dx is taken over the first 25 mm, as ArgoNeuT did (first 2.4 cm: R. Acciarri et al., Phys. Rev. D 95, 072005
# (2017)), in five bins whose median is not moved by one delta ray, within 10 mm of the axis
BIN_MM, NUM_BINS, AXIS_MM = 5.0, 5, 10.0
# Segments that begin further than this from the start, longer than which none is, are no part of it
REACH_MM = 100.0
# A start of which less than this is seen has no dE/dx and no gap
SEEN_FRACTION = 0.9


@dataclass(frozen=True, eq=False)
class ShowerStart:
    position_mm: np.ndarray
    direction: np.ndarray


def shower_start(trace: Trace, ancestry: Ancestry, shower: int) -> ShowerStart | None:
    """Where the object `shower` (an electron's or photon's track) has its first electron; None if it has no electron.

    Direction: of the momentum of the electrons that begin there, thus the photon's at a pair.
    """
    members = np.flatnonzero((ancestry.owner == shower) & (np.abs(ancestry.pdg) == 11))
    if not len(members):
        return None
    states = trace.track_start[members]
    fast = states[:, 6] >= min(START_MEV, states[:, 6].max())
    first = np.flatnonzero(fast)[np.argmin(states[fast, 7])]
    together = np.abs(states[:, :3] - states[first, :3]).max(axis=1) < 1e-6
    direction = (states[together, 3:6] * states[together, 6:7]).sum(axis=0)
    return ShowerStart(states[first, :3], direction / max(np.linalg.norm(direction), 1e-300))


def start_dedx_mev_per_mm(trace: Trace, ancestry: Ancestry, shower: int, start: ShowerStart) -> float:
    """Median energy a length [MeV/mm] in the first bins along the axis that hold any; NaN if the start is not seen.

    Deposits of the shower alone: what others leave at the vertex is not in it.
    """
    # Only what is near the start is looked at closely; column by column, as reducing over axes of length 3 is slow
    near = ancestry.owner[trace.track] == shower
    for axis in range(3):
        near &= np.abs(trace.start_mm[:, axis] - start.position_mm[axis]) < REACH_MM
    rows = np.flatnonzero(near)
    low, high = trace.start_mm[rows] - start.position_mm, trace.end_mm[rows] - start.position_mm
    middle = 0.5 * (low + high)
    along = middle @ start.direction
    close = np.einsum("ij,ij->i", middle, middle) - along * along < AXIS_MM**2
    share = _shares((low @ start.direction)[close], (high @ start.direction)[close])
    bins_mev = trace.energy_mev[rows][close] @ share
    seen_mev = ancestry.seen_mev[rows][close] @ share
    if not bins_mev.any() or seen_mev.sum() < SEEN_FRACTION * bins_mev.sum():
        return math.nan
    last = np.flatnonzero(bins_mev)[-1] + 1
    return float(np.median(bins_mev[:last])) / BIN_MM


def _shares(first_mm: np.ndarray, second_mm: np.ndarray) -> np.ndarray:
    """(N, NUM_BINS): share of a segment between two places along the axis that falls in each bin."""
    low_mm = np.minimum(first_mm, second_mm)
    # A deposit in a point is a very short segment
    length_mm = np.maximum(np.abs(second_mm - first_mm), 1e-6)
    edges = BIN_MM * np.arange(NUM_BINS)
    overlap = np.minimum(low_mm + length_mm, BIN_MM * np.arange(1, NUM_BINS + 1)[:, None]) - np.maximum(
        low_mm, edges[:, None]
    )
    return (np.maximum(overlap, 0.0) / length_mm).T
