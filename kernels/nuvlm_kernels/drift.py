"""Ionization and drift: track segments -> clouds of electrons, where they were freed, and what of them reaches the
anode.

A segment is cut into pieces no longer than `step_mm`, each of which drifts as one. Recombination follows the segment's
own dE/dx. Left out: its dependence on the angle to the field, distortion of the field by space charge, and the
fluctuation of the number of electrons (below 1 % of a piece).
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import njit

NO_RECOMBINATION, BIRKS, BOX = range(3)
# Energy that frees one electron in liquid argon: M. Miyajima et al., Phys. Rev. A 9 (1974) 1438
ELECTRON_MEV = 23.6e-6
# The modified box model was measured above this, and turns over (to less charge, then none) not far below
LEAST_BOX_MEV_PER_MM = 0.15

Drift = namedtuple(
    "Drift",
    [
        "anodes_mm",  # (A,) rising
        "velocity_mm_per_us",
        "loss_per_us",  # 1 / lifetime, 0: none
        "longitudinal_mm2_per_us",  # variance per drift time: 2 D
        "transverse_mm2_per_us",
        "step_mm",
        "model",
        "birks_a",  # or alpha of the box model
        "mm_per_mev",  # Birks k or box beta, over density x field
        "gain",
        "dead_fraction",
        "dead_seed",
    ],
)

# Columns of a cloud: position [mm], electrons at the anode, drift time [us]; how much farther from the anode it seems
# to have been [mm], as it was freed that much later than the interaction; extent of the piece along x, y, z [mm]
X, Y, Z, ELECTRONS, DRIFT_US, SHIFT_MM, LENGTH_X, LENGTH_Y, LENGTH_Z = range(9)
NUM_CLOUD = 9
# Entries of `lost`: electrons that recombined, were captured while drifting, fell outside the readout, fell on dead
# channels or gaps, or made no hit above threshold
RECOMBINED, CAPTURED, OUTSIDE, DEAD, BELOW_THRESHOLD = range(5)
NUM_LOST = 5


@njit(cache=True, nogil=True)
def surviving(drift, mev_per_mm):
    """Share of the freed electrons that escape recombination."""
    if drift.model == BIRKS:
        return drift.birks_a / (1.0 + drift.mm_per_mev * mev_per_mm)
    if drift.model == BOX:
        density = drift.mm_per_mev * max(mev_per_mm, LEAST_BOX_MEV_PER_MM)
        return math.log(drift.birks_a + density) / density
    return 1.0


@njit(cache=True, nogil=True)
def electron_range_mm(mev):
    """Practical range of an electron in liquid argon (L. Katz, A. S. Penfold, Rev. Mod. Phys. 24 (1952) 28, eq. 4)."""
    mev = max(mev, 1e-3)
    return 10.0 / 1.396 * 0.412 * mev ** (1.265 - 0.0954 * math.log(mev))


@njit(cache=True, nogil=True)
def nearest_anode(anodes_mm, x):
    """x of the plane that a charge at x drifts to; of two that are equally far, the lower."""
    best = anodes_mm[0]
    for anode in anodes_mm[1:]:
        if abs(x - anode) < abs(x - best):
            best = anode
    return best


@njit(cache=True, nogil=True)
def count_pieces(start_mm, end_mm, step_mm):
    """Clouds that the segments will be cut into."""
    pieces = 0
    for i in range(len(start_mm)):
        pieces += max(1, math.ceil(_length(start_mm[i], end_mm[i]) / step_mm))
    return pieces


@njit(cache=True, nogil=True)
def _length(start, end):
    return math.sqrt((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2 + (end[2] - start[2]) ** 2)


@njit(cache=True, nogil=True)
def drift_segments(start_mm, end_mm, energy_mev, time_ns, is_electron, drift, clouds, lost):
    """Fill `clouds` (M, NUM_CLOUD) with what arrives of each piece; add to `lost` what recombined or was captured.

    The number of clouds filled: that of count_pieces, less those of segments without energy.

    A deposit of an electron may be shorter than that electron's range (it was ended there by a cut): its dE/dx is taken
    over the range.
    """
    row = 0
    for i in range(len(start_mm)):
        if energy_mev[i] <= 0.0:
            continue
        length = _length(start_mm[i], end_mm[i])
        path = max(length, electron_range_mm(energy_mev[i])) if is_electron[i] else max(length, 1e-3)
        freed = energy_mev[i] / ELECTRON_MEV
        escaped = freed * surviving(drift, energy_mev[i] / path)
        lost[RECOMBINED] += freed - escaped
        pieces = max(1, math.ceil(length / drift.step_mm))
        for piece in range(pieces):
            share = (piece + 0.5) / pieces
            cloud = clouds[row]
            row += 1
            for axis in range(3):
                length_mm = end_mm[i, axis] - start_mm[i, axis]
                cloud[axis] = start_mm[i, axis] + share * length_mm
                cloud[LENGTH_X + axis] = length_mm / pieces
            distance = cloud[X] - nearest_anode(drift.anodes_mm, cloud[X])
            cloud[DRIFT_US] = abs(distance) / drift.velocity_mm_per_us
            cloud[SHIFT_MM] = math.copysign(1e-3 * time_ns[i] * drift.velocity_mm_per_us, distance)
            cloud[ELECTRONS] = escaped / pieces * math.exp(-cloud[DRIFT_US] * drift.loss_per_us)
            lost[CAPTURED] += escaped / pieces - cloud[ELECTRONS]
    return row


@njit(cache=True, nogil=True)
def is_dead(drift, plane, channel):
    """Whether a channel is dead: the same answer for all events of a dead_seed."""
    if drift.dead_fraction <= 0.0:
        return False
    # splitmix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014), as a hash
    value = np.uint64(channel) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(plane) * np.uint64(0xD1B54A32D192ED03)
    value ^= np.uint64(drift.dead_seed) * np.uint64(0x8CB92BA72F3D8DD7)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    value ^= value >> np.uint64(31)
    return (value >> np.uint64(11)) * (1.0 / 9007199254740992.0) < drift.dead_fraction
