"""What happens when a hadron meets one or two nucleons inside the nucleus: the channel and the bodies that come out.

Channels: elastic, charge exchange, meson production, pion absorption on a pair of nucleons, absorption of K- on one
(the hyperon is taken to have decayed), annihilation. Not modelled: strangeness production by pions and nucleons,
Delta propagation (its decay is immediate), correlations other than the absorbing pair.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.collision import (
    SPECIES,
    draw_pions,
    elastic_cosine,
    invariant_mass,
    number_of_pions,
    scatter_two,
    set_axis,
    share_momentum,
    to_laboratory,
)
from nuvlm_kernels.nucleus import CASCADE_MASS_MEV, grid_place
from nuvlm_kernels.particles import (
    ANTINEUTRON,
    ANTIPROTON,
    CHARGE,
    KAON_LONG,
    KAON_MINUS,
    KAON_PLUS,
    NEUTRON,
    PION_MINUS,
    PION_PLUS,
    PION_ZERO,
    PROTON,
)


@njit(cache=True, nogil=True, error_model="numpy")
def exchanged(species, target):
    """The hadron after a charge exchange with the target nucleon."""
    if species == PION_ZERO:
        return PION_PLUS if target == PROTON else PION_MINUS
    if species in (PION_PLUS, PION_MINUS):
        return PION_ZERO
    if species == KAON_LONG:
        return KAON_PLUS if target == PROTON else KAON_MINUS
    if species in (KAON_PLUS, KAON_MINUS):
        return KAON_LONG
    return ANTINEUTRON if species == ANTIPROTON else ANTIPROTON


@njit(cache=True, nogil=True, error_model="numpy")
def two_bodies(bodies, species, target, projectile, total, rng):
    """Elastic or, with the bodies' species exchanged already, charge-exchange scattering; 2, or 0: impossible."""
    axis = np.empty(3)
    momentum = set_axis(axis, projectile, projectile[3], total)
    mass = invariant_mass(total)
    relative = relative_kinetic(species, mass)
    cosine = elastic_cosine(species, target, momentum, relative, rng)
    if not scatter_two(bodies, mass, cosine, rng):
        return 0
    to_laboratory(bodies, 2, axis, total)
    return 2


@njit(cache=True, nogil=True, error_model="numpy")
def relative_kinetic(species, mass):
    """Kinetic energy [MeV] of the hadron in the frame of the nucleon, from the invariant mass of both."""
    own, nucleon = CASCADE_MASS_MEV[species], CASCADE_MASS_MEV[PROTON]
    return max(0.0, (mass**2 - (own + nucleon) ** 2) / (2.0 * nucleon))


@njit(cache=True, nogil=True, error_model="numpy")
def flip_leading(bodies, rng):
    """Change the charges of the two leading hadrons as exchange of a meson between them would."""
    for i in range(2):
        species = int(bodies[i, SPECIES])
        chance = rng.random()
        if PION_PLUS <= species <= PION_ZERO:
            if chance < 0.4:
                bodies[i, SPECIES] = PION_PLUS + int(3.0 * rng.random())
        elif chance < 0.4:
            if species in (PROTON, NEUTRON):
                bodies[i, SPECIES] = PROTON + NEUTRON - species
            elif species == KAON_LONG:
                bodies[i, SPECIES] = KAON_PLUS if rng.random() < 0.5 else KAON_MINUS
            else:
                bodies[i, SPECIES] = exchanged(species, PROTON)


@njit(cache=True, nogil=True, error_model="numpy")
def produce(bodies, species, target, projectile, total, rng):
    """Both hadrons go on, with one or more pions; the number of bodies, 0: below threshold."""
    mass = invariant_mass(total)
    free = mass - CASCADE_MASS_MEV[species] - CASCADE_MASS_MEV[target]
    pions = number_of_pions(free, 1, rng)
    if pions == 0:
        return 0
    charge = CHARGE[species] + CHARGE[target]
    left = pions + 1
    for attempt in range(30):
        bodies[0, SPECIES], bodies[1, SPECIES] = species, target
        if attempt < 29:
            flip_leading(bodies, rng)
        left = charge - CHARGE[int(bodies[0, SPECIES])] - CHARGE[int(bodies[1, SPECIES])]
        if abs(left) <= pions:
            break
    draw_pions(bodies, 2, pions, left, rng)
    axis = np.empty(3)
    set_axis(axis, projectile, projectile[3], total)
    if not share_momentum(bodies, 2 + pions, 2, mass, rng):
        return 0
    to_laboratory(bodies, 2 + pions, axis, total)
    return 2 + pions


@njit(cache=True, nogil=True, error_model="numpy")
def isotropic(bodies, number, total, rng):
    """Share the energy of bodies whose species are set, isotropically; their number, 0: too heavy."""
    axis = np.array([0.0, 0.0, 1.0])
    if not share_momentum(bodies, number, 0, invariant_mass(total), rng):
        return 0
    to_laboratory(bodies, number, axis, total)
    return number


@njit(cache=True, nogil=True, error_model="numpy")
def annihilate(bodies, species, target, total, rng):
    """Antinucleon and nucleon turn into pions, 5 on average at rest (Amsler, Rev. Mod. Phys. 70 (1998) 1293)."""
    mass = invariant_mass(total)
    number = int(np.rint(5.0 + 1.5 * np.log(mass / (2.0 * CASCADE_MASS_MEV[PROTON])) + rng.standard_normal()))
    number = max(2, min(number, 12))
    draw_pions(bodies, 0, number, CHARGE[species] + CHARGE[target], rng)
    return isotropic(bodies, number, total, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def absorb_kaon(bodies, species, target, total, rng):
    """K- N to hyperon and pion, the hyperon decayed to nucleon and pion: a nucleon and two pions, or one in a quarter.

    One pion: the Lambda is absorbed without one, as most are that stay inside (its energy goes to the nucleon).
    """
    charge = (CHARGE[species] if species == KAON_MINUS else 0) + CHARGE[target]
    pions = 1 if rng.random() < 0.25 else 2
    bodies[0, SPECIES] = PROTON if rng.random() < 0.5 else NEUTRON
    left = charge - CHARGE[int(bodies[0, SPECIES])]
    if abs(left) > pions:
        bodies[0, SPECIES] = PROTON + NEUTRON - bodies[0, SPECIES]
        left = charge - CHARGE[int(bodies[0, SPECIES])]
    draw_pions(bodies, 1, pions, left, rng)
    return isotropic(bodies, 1 + pions, total, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def absorb_pion(bodies, first, second, species, total, rng):
    """A pion's charge and energy go to two nucleons, back to back and isotropic; 2 bodies."""
    charge = CHARGE[first] + CHARGE[second] + CHARGE[species]
    bodies[0, SPECIES] = PROTON if charge >= 1 else NEUTRON
    bodies[1, SPECIES] = PROTON if charge == 2 else NEUTRON
    axis = np.array([0.0, 0.0, 1.0])
    if not scatter_two(bodies, invariant_mass(total), 2.0 * rng.random() - 1.0, rng):
        return 0
    to_laboratory(bodies, 2, axis, total)
    return 2


@njit(cache=True, nogil=True, error_model="numpy")
def choose_pair(species, rng):
    """Two nucleons that can absorb this pion: mostly a quasi-deuteron.

    Pairs of like nucleons take about a tenth, as is quoted from 3He(pi-, pn) compared with 3He(pi+, pp) (Ashery and
    Schiffer, Annu. Rev. Nucl. Part. Sci. 36 (1986) 207; not checked against the original).
    """
    if rng.random() < 0.9:
        return PROTON, NEUTRON
    if species == PION_PLUS or (species == PION_ZERO and rng.random() < 0.5):
        return NEUTRON, NEUTRON
    return PROTON, PROTON


@njit(cache=True, nogil=True, error_model="numpy")
def react(bodies, tables, species, target, vectors, depth, rng):
    """One hadron-nucleon collision: fill `bodies`, return their number (0: nothing possible).

    `vectors` holds the projectile and, in row 2, the sum. Annihilation costs the `depth` [MeV] of the nucleon's well.
    """
    projectile, total = vectors[0], vectors[2]
    relative = relative_kinetic(species, invariant_mass(total))
    kind = 0 if target == PROTON else 1
    index, part = grid_place(tables, relative)
    row = tables.pair_elastic[species, kind]
    elastic = row[index] + part * (row[index + 1] - row[index])
    row = tables.pair_exchange[species, kind]
    exchange = row[index] + part * (row[index + 1] - row[index])
    choice = rng.random()
    if choice >= elastic + exchange:
        if species >= ANTIPROTON and rng.random() < annihilation_share(relative):
            total[3] -= depth
            return annihilate(bodies, species, target, total, rng)
        absorbs = species == KAON_MINUS or (species == KAON_LONG and rng.random() < 0.5)
        if absorbs and rng.random() < 1.0 - 0.7 * min(1.0, relative / 2000.0):
            return absorb_kaon(bodies, species, target, total, rng)
        number = produce(bodies, species, target, projectile, total, rng)
        if number > 0:
            return number
    bodies[0, SPECIES], bodies[1, SPECIES] = species, target
    if elastic <= choice < elastic + exchange:
        bodies[0, SPECIES] = exchanged(species, target)
        bodies[1, SPECIES] = PROTON + NEUTRON - target
    return two_bodies(bodies, species, target, projectile, total, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def annihilation_share(relative):
    """Share of annihilation in inelastic antinucleon collisions: all below pion production, a third at 10 GeV."""
    return min(1.0, max(0.3, 1.0 - 0.28 * np.log(max(relative, 300.0) / 300.0) / np.log(10.0) * 1.6))
