"""Photons in liquid argon, to absorption or escape: Compton scattering, pair production, photoelectric effect.

Left out: coherent scattering (no energy is lost; 8 % of all collisions at 0.1 MeV, 0.3 % at 1 MeV), binding and motion
of the electrons in Compton scattering, polarization, and photonuclear reactions (2 % of all collisions near 20 MeV).
"""

import math

import numpy as np
from numba import njit

from nuvlm_kernels.bremsstrahlung import quantile, radiation_cosine
from nuvlm_kernels.cuts import ELECTRON_CUT_MEV, PHOTON_CUT_MEV
from nuvlm_kernels.electron import grid_place, run_out, stop_electron
from nuvlm_kernels.particles import ELECTRON, MASS_MEV, POSITRON
from nuvlm_kernels.workspace import (
    COMPTON,
    ESCAPED,
    KINETIC,
    OVERFLOW,
    PAIR,
    PHOTOELECTRIC,
    RELEASED,
    TIME,
    UX,
    X,
    Y,
    Z,
    deposit,
    push,
    turn,
)

_MASS = MASS_MEV[ELECTRON]
_LIGHT_MM_PER_NS = 299.792458


@njit(cache=True, nogil=True)
def follow_photon(work, tables, box, state, track, rng):
    """Follow one photon to its end: what it sets free is pushed or deposited, its track's end is entered."""
    other = np.empty(8)
    path = 0.0
    energy = state[KINETIC]
    # Out of the loop: a namedtuple of many arrays is costly to hand on
    log_first, log_step = tables.log_first, tables.log_step
    per_mm, compton_below, pair_below = tables.photon_per_mm, tables.compton_below, tables.pair_below
    while work.counters[OVERFLOW] == 0:
        energy = state[KINETIC]
        if energy < PHOTON_CUT_MEV:
            deposit(work, track, state[X], state[Y], state[Z], state, energy)
            break
        i, f = grid_place(log_first, log_step, per_mm.shape[0], energy)
        free = rng.standard_exponential() / ((1.0 - f) * per_mm[i] + f * per_mm[i + 1])
        room = distance_to_wall(state, box)
        path += _move(state, min(free, room))
        if free >= room:
            work.ledger[ESCAPED] += energy
            break
        choice = rng.random()
        if choice < (1.0 - f) * compton_below[i] + f * compton_below[i + 1]:
            scatter(state, other, rng)
            if other[KINETIC] > ELECTRON_CUT_MEV:
                push(work, ELECTRON, other, track, COMPTON)
            else:
                # Not release(): a call that hands on a workspace takes as long as the scattering
                x, y, z, left = other[X], other[Y], other[Z], other[KINETIC]
                run_out(box, other)
                deposit(work, track, x, y, z, other, left)
        elif choice < (1.0 - f) * pair_below[i] + f * pair_below[i + 1] and energy > 2.0 * _MASS:
            convert(work, tables, box, state, other, track, rng)
            break
        else:
            # The energy that binds the electron (3.2 keV in the K shell) comes out again within 0.1 mm
            other[:] = state
            release(work, box, other, track, PHOTOELECTRIC)
            break
    end = work.track_end[track]
    end[0], end[1], end[2], end[3], end[4] = state[X], state[Y], state[Z], energy, path


@njit(cache=True, nogil=True)
def distance_to_wall(state, box):
    """Distance [mm] from a place in the box (2, 3) to its wall, along the direction; 0 if it leads away."""
    nearest = 1e30
    for axis in range(3):
        slope, here = state[UX + axis], state[X + axis]
        if slope > 1e-12:
            nearest = min(nearest, (box[1, axis] - here) / slope)
        elif slope < -1e-12:
            nearest = min(nearest, (box[0, axis] - here) / slope)
        elif here < box[0, axis] or here > box[1, axis]:
            return 0.0
    return max(nearest, 0.0)


@njit(cache=True, nogil=True)
def scatter(state, other, rng):
    """Compton scattering on an electron at rest: the photon's state changes, `other` becomes the electron's.

    Klein & Nishina, Z. Phys. 52, 853 (1929), drawn exactly, by the mixture of Butcher & Messel, Nucl. Phys. 20, 15
    (1960).
    """
    energy = state[KINETIC]
    lowest = 1.0 / (1.0 + 2.0 * energy / _MASS)
    area_log, area_square = -math.log(lowest), 0.5 * (1.0 - lowest * lowest)
    while True:
        if rng.random() * (area_log + area_square) < area_log:
            left = math.exp(-area_log * rng.random())
        else:
            left = math.sqrt(lowest * lowest + (1.0 - lowest * lowest) * rng.random())
        t = _MASS * (1.0 - left) / (energy * left)
        if rng.random() < 1.0 - left * t * (2.0 - t) / (1.0 + left * left):
            break
    other[:] = state
    turn(state, 1.0 - t, 2.0 * math.pi * rng.random())
    state[KINETIC] = left * energy
    norm = 0.0
    for axis in range(3):
        other[UX + axis] = energy * other[UX + axis] - state[KINETIC] * state[UX + axis]
        norm += other[UX + axis] ** 2
    norm = math.sqrt(norm)
    for axis in range(3):
        other[UX + axis] = other[UX + axis] / norm if norm > 0.0 else state[UX + axis]
    other[KINETIC] = energy - state[KINETIC]


@njit(cache=True, nogil=True)
def convert(work, tables, box, state, other, track, rng):
    """Make an electron-positron pair; `other` is room for their states. The field's source takes up no energy.

    Shares of the kinetic energy come from the table of quantiles; azimuths are opposite.
    """
    energy = state[KINETIC] - 2.0 * _MASS
    work.ledger[RELEASED] -= 2.0 * _MASS
    share = quantile(tables.pair_quantile, tables.coarse_log_first, tables.coarse_log_step, state[KINETIC], rng)
    azimuth = 2.0 * math.pi * rng.random()
    other[:] = state
    other[KINETIC] = share * energy
    turn(other, radiation_cosine(other[KINETIC] + _MASS, rng), azimuth)
    push(work, POSITRON, other, track, PAIR)
    electron = energy - other[KINETIC]
    other[:] = state
    other[KINETIC] = electron
    turn(other, radiation_cosine(electron + _MASS, rng), azimuth + math.pi)
    release(work, box, other, track, PAIR)


@njit(cache=True, nogil=True)
def release(work, box, electron, track, process):
    """Push an electron, or deposit it on the photon's track if it is below ELECTRON_CUT_MEV."""
    if electron[KINETIC] > ELECTRON_CUT_MEV:
        push(work, ELECTRON, electron, track, process)
    else:
        stop_electron(work, box, electron, track)


@njit(cache=True, nogil=True)
def _move(state, length):
    for axis in range(3):
        state[X + axis] += length * state[UX + axis]
    state[TIME] += length / _LIGHT_MM_PER_NS
    return length
