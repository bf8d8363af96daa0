"""One electron or positron, from birth to rest, annihilation or the wall."""

import numpy as np
from numba import njit

from nuvlm_kernels.annihilation import annihilate_at_rest
from nuvlm_kernels.cuts import DELTA_CUT_MEV, ELECTRON_CUT_MEV
from nuvlm_kernels.electron import hard_event, stop_electron
from nuvlm_kernels.heavy_track import LIGHT_MM_PER_NS, enter_end, move, nearest_wall
from nuvlm_kernels.ionization import at, fluctuate, grid_place
from nuvlm_kernels.particles import ELECTRON, MASS_MEV, POSITRON
from nuvlm_kernels.photon import distance_to_wall
from nuvlm_kernels.scattering import scatter
from nuvlm_kernels.workspace import ESCAPED, KINETIC, OVERFLOW, TIME, X, Y, Z

# A step takes at most this share of the energy, but is no shorter than SHORTEST_STEP_MM unless that were half of it
ENERGY_FRACTION = 0.2
SHORTEST_STEP_MM = 1.0
_MASS = MASS_MEV[ELECTRON]


@njit(cache=True, nogil=True, error_model="numpy")
def follow_electron(work, tables, box, longest_mm, species, state, track, rng):
    """Follow the particle to its end: segments deposited, what it makes pushed, its track's end entered."""
    path, wall, last = 0.0, 0.0, state[KINETIC]
    free = rng.standard_exponential()
    row, em, size = species - ELECTRON, tables.em, tables.em.hard_per_mm.shape[1]
    while work.counters[OVERFLOW] == 0:
        last = state[KINETIC]
        if last < ELECTRON_CUT_MEV:
            path += _stop(work, box, species, state, track, rng)
            break
        index, fraction = grid_place(em, size, last)
        stopping = at(em.stopping_mev_per_mm, row, index, fraction)
        length = last / stopping
        step = min(longest_mm, max(ENERGY_FRACTION * length, min(SHORTEST_STEP_MM, 0.5 * length)))
        rate = at(em.hard_per_mm, row, index, fraction)
        hit = free < rate * step
        if hit:
            step = free / rate
        leaves = False
        if step > wall:
            wall = nearest_wall(state, box)
            if step > wall:
                room = distance_to_wall(state, box)
                leaves, step = step >= room, min(step, room)
        free -= rate * step
        wall -= step
        path += step
        _advance(work, tables.ionization, species, state, track, step, stopping, rng)
        if leaves:
            last = state[KINETIC]
            work.ledger[ESCAPED] += last
            break
        if hit and state[KINETIC] > 0.0:
            free, last = rng.standard_exponential(), state[KINETIC]
            if hard_event(work, em, species, state, track, rng):
                break
    enter_end(work, track, state, last, path)


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(work, tables, species, state, track, step, stopping, rng):
    """Move by a step: lose energy, with its fluctuation, deposit it on the straight piece, then scatter."""
    kinetic = state[KINETIC]
    total = kinetic + _MASS
    momentum2 = kinetic * (kinetic + 2.0 * _MASS)
    beta2 = momentum2 / (total * total)
    # Of two electrons the faster is the primary, so that at most half is lost
    largest = 0.5 * kinetic if species == ELECTRON else kinetic
    loss = fluctuate(step * stopping, tables.xi_mev_per_mm * step / beta2, min(largest, DELTA_CUT_MEV), 0.0, rng)
    move(work, state, track, step, min(loss, kinetic))
    momentum = np.sqrt(momentum2)
    state[TIME] += step * total / (momentum * LIGHT_MM_PER_NS)
    scatter(tables, state, momentum, momentum / total, step, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def _stop(work, box, species, state, track, rng):
    """Deposit what is left, and annihilate a positron; the length of the last piece [mm]."""
    x, y, z = state[X], state[Y], state[Z]
    stop_electron(work, box, state, track)
    length = np.sqrt((state[X] - x) ** 2 + (state[Y] - y) ** 2 + (state[Z] - z) ** 2)
    if species == POSITRON:
        annihilate_at_rest(work, state, track, rng)
    return length
