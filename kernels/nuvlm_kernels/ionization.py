"""Ionization by charged particles heavier than the electron, and how the loss of any charged particle fluctuates.

The loss of a step is its mean, by table, with the fluctuation of a compound Poisson process: collisions above a
threshold chosen per step are drawn one by one from the Rutherford spectrum (1 - beta^2 T/Tmax) / T^2, the many softer
ones are a Gaussian. A Landau-Vavilov distribution comes out, whatever the steps that a layer is cut into.
The binding of inner shells (3.2 keV at most in argon) is left out: it widens the peak a little in layers under 1 mm.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from nuvlm_kernels.particles import ELECTRON, MASS_MEV
from nuvlm_kernels.workspace import DELTA, KINETIC, TIME, UX, UY, UZ, X, Y, Z, push, turn

ELECTRON_MASS_MEV = 0.51099895
# Row of the tables for each species; -1: not a heavy charged particle. Mass, not kind, decides
ROW = np.array([-1, -1, -1, 0, 0, 1, 1, -1, 2, 2, -1, 3, -1, 3, -1])
NUM_ROWS = 4
# Spin 1/2: muons, protons
HALF_SPIN = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0])
# Mean number of collisions drawn one by one in a step, and the least energy for it: below, electrons are not free
COLLISIONS_PER_STEP = 4.0
FEW_LIMIT = np.exp(-COLLISIONS_PER_STEP)
LEAST_COLLISION_MEV = 1e-3

IonizationTables = namedtuple(
    "IonizationTables",
    [
        "log_first",  # grid: ln of kinetic energy [MeV] of the first column
        "log_step",
        "stopping_mev_per_mm",  # (NUM_ROWS, N) mean loss, delta rays above the cut not in it
        "range_mm",  # (NUM_ROWS, N) path in the continuous-slowing-down approximation, all losses in it
        "xi_mev_per_mm",  # K/2 Z/A density: Landau's xi = this x step / beta^2
        "delta_cut_mev",
        "scattering_mev2_per_mm",  # see nuvlm_kernels.scattering
        "screening_mev",
        "coupling2",
        "nuclear_radius_per_mev",
    ],
)


@njit(cache=True, nogil=True, error_model="numpy")
def grid_place(tables, size, kinetic):
    """Column i and fraction f in tables of `size` columns, even in ln(kinetic); see `at`. Beyond the grid, its ends."""
    place = (np.log(max(kinetic, 1e-9)) - tables.log_first) / tables.log_step
    index = min(max(int(place), 0), size - 2)
    return index, min(max(place - index, 0.0), 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def at(table, row, index, fraction):
    """Value of a table's row between two columns."""
    low = table[row, index]
    return low + fraction * (table[row, index + 1] - low)


@njit(cache=True, nogil=True, error_model="numpy")
def largest_transfer(mass, kinetic):
    """Most energy [MeV] that a particle heavier than the electron gives a free electron (PDG eq. 34.4)."""
    gamma = 1.0 + kinetic / mass
    ratio = ELECTRON_MASS_MEV / mass
    return 2.0 * ELECTRON_MASS_MEV * (gamma * gamma - 1.0) / (1.0 + 2.0 * gamma * ratio + ratio * ratio)


@njit(cache=True, nogil=True, error_model="numpy")
def hard_collisions(xi, lowest, highest, beta2_over_largest, rng):
    """Summed energy [MeV] of the collisions of one step between two energies, each drawn from its spectrum."""
    total = 0.0
    # Knuth: as many uniforms as it takes for their product to fall below exp(-mean). The mean counts collisions of any
    # energy above the lowest; those above the highest, or that the spectrum lacks, are dropped
    mean = xi / lowest
    limit = FEW_LIMIT if mean == COLLISIONS_PER_STEP else np.exp(-mean)
    product = rng.random()
    while product > limit:
        transfer = lowest / (1.0 - rng.random())
        if transfer < highest and rng.random() > beta2_over_largest * transfer:
            total += transfer
        product *= rng.random()
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def fluctuate(mean_mev, xi, highest, beta2_over_largest, rng):
    """Energy [MeV] lost on a step, 0 or more: `mean_mev` on average over many steps.

    `xi` is Landau's for the step, `highest` the largest transfer that belongs to the loss (the delta ray cut or Tmax).
    """
    lowest = max(xi * (1.0 / COLLISIONS_PER_STEP), LEAST_COLLISION_MEV)
    hard, hard_mean = 0.0, 0.0
    if lowest < 0.5 * highest:
        hard_mean = xi * (np.log(highest / lowest) - beta2_over_largest * (highest - lowest))
        # What is drawn hard cannot be more than there is: slow particles, whose loss no longer is Rutherford's
        if hard_mean > 0.7 * mean_mev:
            hard_mean, lowest = 0.0, highest
        else:
            hard = hard_collisions(xi, lowest, highest, beta2_over_largest, rng)
    else:
        lowest = highest
    soft_mean = mean_mev - hard_mean
    sigma = np.sqrt(xi * lowest * (1.0 - 0.5 * beta2_over_largest * lowest))
    # Cut alike on both sides, the mean stays
    sigma = min(sigma, soft_mean)
    soft = soft_mean + sigma * rng.standard_normal()
    while soft < 0.0 or soft > 2.0 * soft_mean:
        soft = soft_mean + sigma * rng.standard_normal()
    return hard + soft


@njit(cache=True, nogil=True, error_model="numpy")
def delta_inverse_length(tables, species, kinetic):
    """Inverse mean free path [1/mm] for knocking on an electron above the cut: PDG eq. 34.8, integrated.

    Spin 1/2 adds T^2 / (2 E^2) to the bracket (B. Rossi, High-Energy Particles, 1952, section 2.3).
    """
    mass = MASS_MEV[species]
    largest, cut = largest_transfer(mass, kinetic), tables.delta_cut_mev
    if largest <= cut:
        return 0.0
    total = kinetic + mass
    beta2 = kinetic * (kinetic + 2.0 * mass) / (total * total)
    number = 1.0 / cut - 1.0 / largest - beta2 / largest * np.log(largest / cut)
    number += HALF_SPIN[species] * (largest - cut) / (2.0 * total * total)
    return tables.xi_mev_per_mm / beta2 * number


@njit(cache=True, nogil=True, error_model="numpy")
def delta_event(work, tables, species, state, track, rng):
    """Push a delta ray above the cut, and take its energy from the state.

    Its angle is that of a collision with a free electron at rest. The particle itself is not turned here: Z (Z + 1) in
    the multiple scattering holds that already.
    """
    mass, kinetic, cut = MASS_MEV[species], state[KINETIC], tables.delta_cut_mev
    largest, total = largest_transfer(mass, kinetic), kinetic + mass
    if largest <= cut:
        return
    momentum2 = kinetic * (kinetic + 2.0 * mass)
    beta2 = momentum2 / (total * total)
    spin = HALF_SPIN[species] / (2.0 * total * total)
    transfer = cut
    while True:
        transfer = cut / (1.0 - rng.random() * (1.0 - cut / largest))
        if rng.random() < 1.0 - beta2 * transfer / largest + spin * transfer * transfer:
            break
    electron_momentum2 = transfer * (transfer + 2.0 * ELECTRON_MASS_MEV)
    cosine = transfer * (total + ELECTRON_MASS_MEV) / np.sqrt(momentum2 * electron_momentum2)
    child = np.empty(8)
    child[X], child[Y], child[Z] = state[X], state[Y], state[Z]
    child[UX], child[UY], child[UZ] = state[UX], state[UY], state[UZ]
    child[KINETIC], child[TIME] = transfer, state[TIME]
    turn(child, min(cosine, 1.0), 2.0 * np.pi * rng.random())
    state[KINETIC] = kinetic - transfer
    push(work, ELECTRON, child, track, DELTA)
