"""Transport: every particle of an event, from the stack, until nothing is left to follow.

Left out: magnetic fields, all media but the one box of liquid argon, nuclear fragments heavier than the nucleon.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from nuvlm_kernels.decay import decay_in_flight, decay_inverse_length
from nuvlm_kernels.electron_track import follow_electron
from nuvlm_kernels.hadronic import hadron_interact, hadron_inverse_length
from nuvlm_kernels.heavy_track import LIGHT_MM_PER_NS, enter_end, follow_heavy, nearest_wall
from nuvlm_kernels.ionization import ROW
from nuvlm_kernels.neutron import follow_neutron
from nuvlm_kernels.particles import (
    ANTINEUTRON,
    ELECTRON,
    KAON_LONG,
    MASS_MEV,
    NEUTRON,
    PHOTON,
    PION_ZERO,
    POSITRON,
)
from nuvlm_kernels.photon import distance_to_wall, follow_photon
from nuvlm_kernels.workspace import ESCAPED, KINETIC, NUCLEAR, OVERFLOW, STACK_SIZE, TIME, UX, UY, UZ, X, Y, Z

# The tables of all processes: ionization.IonizationTables, EmTables, HadronTables, and heavy_track.event_table of them
Tables = namedtuple("Tables", ["ionization", "em", "hadron", "event_per_mm"])
# Longest step of a charged particle [mm], which is its longest segment
Cuts = namedtuple("Cuts", ["longest_step_mm"])
# A long-lived neutral slower than this ends where it is [MeV]
NEUTRAL_CUT_MEV = 0.1


@njit(cache=True, nogil=True, error_model="numpy")
def transport(work, tables, box, cuts, rng):
    """Follow all particles on the workspace's stack, last in first out, in the argon box (2, 3) [mm].

    Stops early with counters[OVERFLOW] set if an array of the workspace is too small.
    """
    state = np.empty(8)
    while work.counters[STACK_SIZE] > 0 and work.counters[OVERFLOW] == 0:
        top = work.counters[STACK_SIZE] - 1
        work.counters[STACK_SIZE] = top
        state[:] = work.stack_state[top]
        species, track = work.stack_id[top, 0], work.stack_id[top, 1]
        if nearest_wall(state, box) < 0.0:
            work.ledger[ESCAPED] += state[KINETIC]
            enter_end(work, track, state, state[KINETIC], 0.0)
        else:
            follow(work, tables, box, cuts, species, state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def follow(work, tables, box, cuts, species, state, track, rng):
    """Follow one particle in the way of its kind."""
    if species == PHOTON:
        follow_photon(work, tables.em, box, state, track, rng)
    elif species in (ELECTRON, POSITRON):
        follow_electron(work, tables, box, cuts.longest_step_mm, species, state, track, rng)
    elif ROW[species] >= 0:
        follow_heavy(work, tables, box, cuts.longest_step_mm, species, state, track, rng)
    elif species == NEUTRON:
        follow_neutron(work, tables.hadron, box, state, track, rng)
    elif species == PION_ZERO:
        enter_end(work, track, state, state[KINETIC], 0.0)
        decay_in_flight(work, species, state, track, rng)
    else:
        follow_neutral(work, tables, box, species, state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def follow_neutral(work, tables, box, species, state, track, rng):
    """K0L and antineutron: straight flights between decays and nuclear interactions.

    Elastic scattering slows them; below a cut the kaon decays where it is, the antineutron annihilates.
    """
    path, last, mass = 0.0, state[KINETIC], MASS_MEV[species]
    while work.counters[OVERFLOW] == 0:
        last = state[KINETIC]
        if last < NEUTRAL_CUT_MEV:
            _end_neutral(work, tables, species, state, track, rng)
            break
        decay = decay_inverse_length(species, last)
        rate = decay + hadron_inverse_length(tables.hadron, species, last)
        free = rng.standard_exponential() / max(rate, 1e-30)
        room = distance_to_wall(state, box)
        step = min(free, room)
        state[X] += step * state[UX]
        state[Y] += step * state[UY]
        state[Z] += step * state[UZ]
        state[TIME] += step * (last + mass) / np.sqrt(last * (last + 2.0 * mass)) / LIGHT_MM_PER_NS
        path += step
        if free >= room:
            work.ledger[ESCAPED] += last
            break
        if rng.random() * rate < decay:
            decay_in_flight(work, species, state, track, rng)
            break
        if hadron_interact(work, tables.hadron, species, state, track, rng):
            break
    enter_end(work, track, state, last, path)


@njit(cache=True, nogil=True, error_model="numpy")
def _end_neutral(work, tables, species, state, track, rng):
    """Too slow to follow: the kaon decays at once, an antineutron annihilates in its next inelastic interaction."""
    if species == KAON_LONG:
        decay_in_flight(work, species, state, track, rng)
        return
    gone = species != ANTINEUTRON
    while not gone:
        gone = hadron_interact(work, tables.hadron, species, state, track, rng)
        if not gone and state[KINETIC] <= 0.0:
            work.ledger[NUCLEAR] += state[KINETIC]
            gone = True
