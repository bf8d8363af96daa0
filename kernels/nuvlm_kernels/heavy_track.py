"""One charged particle heavier than the electron, from birth to rest, interaction, decay or the wall.

Left out: bremsstrahlung and pairs of muons one by one. Their mean is in the loss along the track (0.5 % of it at 4 GeV,
15 % at 100 GeV), so that a muon of cosmic energies lacks the small showers on its way.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.decay import decay_in_flight, decay_inverse_length, end_at_rest
from nuvlm_kernels.hadronic import hadron_interact, hadron_inverse_length
from nuvlm_kernels.ionization import ROW, at, delta_event, delta_inverse_length, fluctuate, grid_place, largest_transfer
from nuvlm_kernels.particles import MASS_MEV, MUON_MINUS, MUON_PLUS, NUM_SPECIES
from nuvlm_kernels.photon import distance_to_wall
from nuvlm_kernels.scattering import scatter
from nuvlm_kernels.workspace import ESCAPED, KINETIC, OVERFLOW, TIME, UX, UY, UZ, X, Y, Z, deposit

LIGHT_MM_PER_NS = 299.792458
# Steps: at most a fifth of the range, over which the mean loss changes by 10 %; once the range is under END_MM, a last
RANGE_FRACTION = 0.2
SHORTEST_STEP_MM = 0.15
END_MM = 0.5
# The loss in a step is taken at its middle where it is more than this share of the energy
MIDDLE_FROM = 0.01


@njit(cache=True, nogil=True, error_model="numpy")
def follow_heavy(work, tables, box, longest_mm, species, state, track, rng):
    """Follow the particle to its end: segments deposited, what it makes pushed, its track's end entered."""
    path, wall, last = 0.0, 0.0, state[KINETIC]
    free = rng.standard_exponential()
    row, ionization, size = ROW[species], tables.ionization, tables.event_per_mm.shape[1]
    while work.counters[OVERFLOW] == 0:
        last = state[KINETIC]
        index, fraction = grid_place(ionization, size, last)
        range_mm = at(ionization.range_mm, row, index, fraction)
        if range_mm < END_MM:
            path += finish(work, box, state, track, range_mm)
            end_at_rest(work, tables, species, state, track, rng)
            break
        step = min(longest_mm, max(RANGE_FRACTION * range_mm, SHORTEST_STEP_MM))
        rate = at(tables.event_per_mm, species, index, fraction)
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
        advance(
            work, ionization, species, state, track, step, at(ionization.stopping_mev_per_mm, row, index, fraction), rng
        )
        if leaves:
            last = state[KINETIC]
            work.ledger[ESCAPED] += last
            break
        if hit and state[KINETIC] > 0.0:
            free, last = rng.standard_exponential(), state[KINETIC]
            if interact(work, tables, species, state, track, rng):
                break
    enter_end(work, track, state, last, path)


@njit(cache=True, nogil=True, error_model="numpy")
def enter_end(work, track, state, kinetic, path):
    """Enter where a track ended, with the kinetic energy that it still had before it stopped, reacted or left."""
    end = work.track_end[track]
    end[0], end[1], end[2], end[3], end[4] = state[X], state[Y], state[Z], kinetic, path


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_wall(state, box):
    """Distance [mm] from a place to the nearest wall in any direction; below 0 outside the box (2, 3)."""
    x = min(state[X] - box[0, 0], box[1, 0] - state[X])
    y = min(state[Y] - box[0, 1], box[1, 1] - state[Y])
    return min(x, y, min(state[Z] - box[0, 2], box[1, 2] - state[Z]))


@njit(cache=True, nogil=True, error_model="numpy")
def rates(ionization, hadron, species, kinetic):
    """Discrete events per mm: delta rays, decays, hadronic interactions."""
    knock_on = delta_inverse_length(ionization, species, kinetic)
    decay = decay_inverse_length(species, kinetic)
    if species in (MUON_MINUS, MUON_PLUS):
        return knock_on, decay, 0.0
    return knock_on, decay, hadron_inverse_length(hadron, species, kinetic)


@njit(cache=True, nogil=True, error_model="numpy")
def event_table(ionization, hadron):
    """(NUM_SPECIES, N) summed rates of discrete events per mm on the ionization tables' grid; 0: not followed here."""
    table = np.zeros((NUM_SPECIES, ionization.range_mm.shape[1]))
    for species in range(NUM_SPECIES):
        if ROW[species] >= 0:
            for index in range(table.shape[1]):
                kinetic = np.exp(ionization.log_first + index * ionization.log_step)
                knock_on, decay, hadronic = rates(ionization, hadron, species, kinetic)
                table[species, index] = knock_on + decay + hadronic
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def interact(work, tables, species, state, track, rng):
    """The event that ends a free path, drawn by the rates at the energy that is left; True: the particle is gone."""
    knock_on, decay, hadronic = rates(tables.ionization, tables.hadron, species, state[KINETIC])
    choice = rng.random() * (knock_on + decay + hadronic)
    if choice < knock_on:
        delta_event(work, tables.ionization, species, state, track, rng)
        return False
    if choice < knock_on + decay:
        decay_in_flight(work, species, state, track, rng)
        return True
    if hadronic > 0.0:
        return hadron_interact(work, tables.hadron, species, state, track, rng)
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def advance(work, tables, species, state, track, step, stopping, rng):
    """Move by a step: lose energy, with its fluctuation, deposit it on the straight piece, then scatter.

    `stopping` is the mean loss per mm where the step begins.
    """
    mass, kinetic = MASS_MEV[species], state[KINETIC]
    mean, middle = step * stopping, kinetic
    if mean > MIDDLE_FROM * kinetic:
        middle = max(kinetic - 0.5 * mean, 0.5 * kinetic)
        index, fraction = grid_place(tables, tables.range_mm.shape[1], middle)
        mean = step * at(tables.stopping_mev_per_mm, ROW[species], index, fraction)
    total = middle + mass
    momentum2 = middle * (middle + 2.0 * mass)
    beta2 = momentum2 / (total * total)
    largest = largest_transfer(mass, middle)
    highest = min(largest, tables.delta_cut_mev)
    loss = fluctuate(mean, tables.xi_mev_per_mm * step / beta2, highest, beta2 / largest, rng)
    move(work, state, track, step, min(loss, kinetic))
    momentum = np.sqrt(momentum2)
    state[TIME] += step * total / (momentum * LIGHT_MM_PER_NS)
    scatter(tables, state, momentum, momentum / total, step, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def move(work, state, track, step, loss):
    """Go straight on, and deposit a loss [MeV] on the way."""
    x, y, z = state[X], state[Y], state[Z]
    state[X] = x + step * state[UX]
    state[Y] = y + step * state[UY]
    state[Z] = z + step * state[UZ]
    state[KINETIC] -= loss
    deposit(work, track, x, y, z, state, loss)


@njit(cache=True, nogil=True, error_model="numpy")
def finish(work, box, state, track, range_mm):
    """Deposit all that is left on the last, straight piece, cut short at the wall; its length [mm]."""
    length = max(min(range_mm, distance_to_wall(state, box)), 0.0)
    energy = state[KINETIC]
    move(work, state, track, length, energy)
    state[KINETIC] = 0.0
    return length
