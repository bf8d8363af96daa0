"""Electrons and positrons: the collisions that are followed one by one, and the end of the slow ones.

A hard collision makes a photon above BREMS_CUT_MEV or an electron above DELTA_CUT_MEV, or annihilates a positron. What
is softer belongs to the stopping power in the tables. Left out: pair production by
electrons (below 1 % of bremsstrahlung).
"""

import math

from numba import njit

from nuvlm_kernels.annihilation import annihilate_in_flight
from nuvlm_kernels.bremsstrahlung import radiate
from nuvlm_kernels.cuts import DELTA_CUT_MEV
from nuvlm_kernels.particles import ELECTRON, MASS_MEV
from nuvlm_kernels.workspace import DELTA, KINETIC, UX, X, Y, Z, deposit, push, turn

_MASS = MASS_MEV[ELECTRON]
# K.-H. Weber, Nucl. Instrum. Methods 25, 261 (1964): practical range 0.55 T (1 - 0.9841 / (1 + 3 T)) g/cm2 from 3 keV
# to 3 MeV, in mm of liquid argon (1.396 g/cm3)
_RANGE_MM = 5.5 / 1.396


@njit(cache=True, nogil=True)
def grid_place(log_first, log_step, size, kinetic):
    """Index i and fraction f: a table's value at this kinetic energy is (1 - f) table[i] + f table[i + 1]."""
    place = (math.log(kinetic) - log_first) / log_step
    index = min(max(int(place), 0), size - 2)
    return index, min(max(place - index, 0.0), 1.0)


@njit(cache=True, nogil=True)
def hard_inverse_length(tables, species, kinetic):
    """Mean number of hard collisions of an electron or positron per mm."""
    table, row = tables.hard_per_mm, species - ELECTRON
    i, f = grid_place(tables.log_first, tables.log_step, table.shape[1], kinetic)
    return (1.0 - f) * table[row, i] + f * table[row, i + 1]


@njit(cache=True, nogil=True)
def soft_stopping(tables, species, kinetic):
    """Energy loss [MeV/mm] in collisions and bremsstrahlung below the cuts."""
    table, row = tables.stopping_mev_per_mm, species - ELECTRON
    i, f = grid_place(tables.log_first, tables.log_step, table.shape[1], kinetic)
    return (1.0 - f) * table[row, i] + f * table[row, i + 1]


@njit(cache=True, nogil=True)
def hard_event(work, tables, species, state, track, rng):
    """Let the particle make one hard collision: secondaries are pushed, its state changes; True: it is annihilated."""
    row = species - ELECTRON
    i, f = grid_place(tables.log_first, tables.log_step, tables.hard_per_mm.shape[1], state[KINETIC])
    choice = rng.random()
    if choice < (1.0 - f) * tables.radiate_below[row, i] + f * tables.radiate_below[row, i + 1]:
        radiate(work, tables, state, track, rng)
    elif choice < (1.0 - f) * tables.delta_below[row, i] + f * tables.delta_below[row, i + 1]:
        knock_on(work, species, state, track, rng)
    else:
        annihilate_in_flight(work, state, track, rng)
        return True
    return False


@njit(cache=True, nogil=True)
def knock_on(work, species, state, track, rng):
    """Knock an electron of more than DELTA_CUT_MEV out of an atom; of two electrons the slower is the secondary.

    Møller and Bhabha cross sections: F. Rohrlich & B. C. Carlson, Phys. Rev. 93, 38 (1954); angles are those of a
    collision with an electron at rest.
    """
    kinetic = state[KINETIC]
    highest = 0.5 if species == ELECTRON else 1.0
    lowest = DELTA_CUT_MEV / kinetic
    if lowest >= highest:
        return
    gamma = 1.0 + kinetic / _MASS
    while True:
        share = lowest * highest / (highest - rng.random() * (highest - lowest))
        if rng.random() < (_moller(share, gamma) if species == ELECTRON else _bhabha(share, gamma)):
            break
    energy = share * kinetic
    azimuth = 2.0 * math.pi * rng.random()
    other = state.copy()
    other[KINETIC] = energy
    turn(other, math.sqrt(energy * (kinetic + 2.0 * _MASS) / (kinetic * (energy + 2.0 * _MASS))), azimuth)
    push(work, ELECTRON, other, track, DELTA)
    left = kinetic - energy
    state[KINETIC] = left
    cosine = math.sqrt(left * (kinetic + 2.0 * _MASS) / (kinetic * (left + 2.0 * _MASS)))
    turn(state, cosine, azimuth + math.pi)


@njit(cache=True, nogil=True)
def _moller(share, gamma):
    """Møller cross section per share of the energy, over its Rutherford form 1 / share^2 and over its bound, 2.25."""
    rest = share / (1.0 - share)
    mixed = (2.0 * gamma - 1.0) / gamma**2
    value = 1.0 - mixed * share + rest * (rest - mixed * share) + ((gamma - 1.0) * share / gamma) ** 2
    return value / 2.25


@njit(cache=True, nogil=True)
def _bhabha(share, gamma):
    """Bhabha cross section per share of the energy, over its Rutherford form 1 / share^2: at most 1 from 1 MeV on."""
    y = 1.0 / (gamma + 1.0)
    beta_squared = 1.0 - 1.0 / gamma**2
    a = 1.0 - 2.0 * y
    b1, b2, b4 = 2.0 - y * y, a * (3.0 + y * y), a**3
    b3 = a * a + b4
    return 1.0 - beta_squared * share * (b1 - share * (b2 - share * (b3 - share * b4)))


@njit(cache=True, nogil=True)
def stop_electron(work, box, state, track):
    """Deposit all kinetic energy on a straight line of the practical range, cut short at the box; the state moves."""
    x, y, z, energy = state[X], state[Y], state[Z], state[KINETIC]
    run_out(box, state)
    deposit(work, track, x, y, z, state, energy)


@njit(cache=True, nogil=True)
def run_out(box, state):
    """Move an electron to where stop_electron lets it end, with no kinetic energy left."""
    energy = state[KINETIC]
    length = _RANGE_MM * energy * (1.0 - 0.9841 / (1.0 + 3.0 * energy))
    for axis in range(3):
        end = state[X + axis] + length * state[UX + axis]
        state[X + axis] = min(max(end, box[0, axis]), box[1, axis])
    state[KINETIC] = 0.0
