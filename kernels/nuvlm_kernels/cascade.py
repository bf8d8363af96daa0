"""Intranuclear cascade in argon: a hadron goes straight through the nucleus, colliding with single nucleons.

Free hadron-nucleon cross sections, a local Fermi gas with Pauli blocking, Woods-Saxon density that thins out as
nucleons are knocked out, pion absorption on pairs, a formation zone for what inelastic collisions make (after Bertini,
Phys. Rev. 131 (1963) 1801, and Cugnon, Phys. Rev. C 22 (1980) 1885). Left out: refraction at the surface,
composite particles, and the time order of the cascade. What stays inside excites the remnant, which evaporates.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from nuvlm_kernels.channels import absorb_kaon, absorb_pion, annihilate, choose_pair, react
from nuvlm_kernels.collision import ENERGY, MAX_BODIES, PX, PY, PZ, SPECIES
from nuvlm_kernels.nucleus import (
    CASCADE_MASS_MEV,
    CENTRAL_DENSITY_PER_FM3,
    HALF_DENSITY_FM,
    MASS_NUMBER,
    NUCLEON_MEV,
    NUM_NEUTRONS,
    NUM_PROTONS,
    PROTON_BARRIER_MEV,
    SURFACE_FM,
    fermi_energy,
    grid_place,
    potential,
    random_direction,
    relative_density,
)
from nuvlm_kernels.particles import KAON_MINUS, NEUTRON, PION_MINUS, PION_PLUS, PION_ZERO, PROTON

# Columns of the queue: species, kinetic energy beyond the nucleus [MeV] (negative: bound), direction, place [fm], and
# the way [fm] before it can interact
BEYOND, DX, DY, DZ, RX, RY, RZ, FORMATION = range(1, 9)
MAX_PARTICLES = 128
# Columns of `count`
QUEUED, LEFT, PROTONS, NEUTRONS = 2, 3, 0, 1
# Formation length p / mu^2 with mu^2 = 0.08 GeV^2 (SKAT: Baranov et al., PHE 84-04 (1984)), in fm per MeV/c
FORMATION_FM_PER_MEV = 0.19733 / 0.08 / 1e3

Cascade = namedtuple(
    "Cascade",
    [
        "queue",  # (MAX_PARTICLES, 9) float64: hadrons inside
        "out",  # (MAX_PARTICLES, 9) float64: the same columns, hadrons that left
        "count",  # (4,) int64: protons and neutrons of the remnant, rows used in queue and out
        "bodies",  # (MAX_BODIES, 5) float64: products of one collision
        "vectors",  # (3, 4) float64: momentum and energy of projectile, struck nucleon, sum
        "rates",  # (3,) float64: collisions per fm on protons, neutrons, pairs
    ],
)


@njit(cache=True, nogil=True, error_model="numpy")
def new_cascade():
    cascade = Cascade(
        np.empty((MAX_PARTICLES, 9)),
        np.empty((MAX_PARTICLES, 9)),
        np.empty(4, np.int64),
        np.empty((MAX_BODIES, 5)),
        np.empty((3, 4)),
        np.empty(3),
    )
    clear_cascade(cascade)
    return cascade


@njit(cache=True, nogil=True, error_model="numpy")
def clear_cascade(cascade):
    count = cascade.count
    count[PROTONS], count[NEUTRONS], count[QUEUED], count[LEFT] = NUM_PROTONS, NUM_NEUTRONS, 0, 0


@njit(cache=True, nogil=True, error_model="numpy")
def enter(cascade, species, state, rng):
    """Put the hadron at the nucleus's surface, at a random impact parameter."""
    row = cascade.queue[0]
    row[SPECIES], row[BEYOND], row[FORMATION] = species, state[6], 0.0
    row[DX : DZ + 1] = state[3:6]
    # A uniform point on the surface's near half, weighted by the cosine, is a uniform impact parameter
    while True:
        random_direction(row[RX : RZ + 1], SURFACE_FM, rng)
        inward = -(row[RX] * row[DX] + row[RY] * row[DY] + row[RZ] * row[DZ]) / SURFACE_FM
        if inward > 0.0 and rng.random() < inward:
            break
    cascade.count[QUEUED] = 1


@njit(cache=True, nogil=True, error_model="numpy")
def radius(row):
    return np.sqrt(row[RX] ** 2 + row[RY] ** 2 + row[RZ] ** 2)


@njit(cache=True, nogil=True, error_model="numpy")
def advance(row, way):
    row[RX] += way * row[DX]
    row[RY] += way * row[DY]
    row[RZ] += way * row[DZ]


@njit(cache=True, nogil=True, error_model="numpy")
def leave(cascade, row):
    """The hadron goes out, or, bound or below the Coulomb barrier, stays and excites the remnant."""
    count, species = cascade.count, int(row[SPECIES])
    if species == PROTON and row[BEYOND] <= PROTON_BARRIER_MEV:
        count[PROTONS] += 1
    elif species == NEUTRON and row[BEYOND] <= 0.0:
        count[NEUTRONS] += 1
    else:
        cascade.out[count[LEFT]] = row
        count[LEFT] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def follow(cascade, tables, row, rng):
    """Move a hadron until it collides (True: products are queued) or leaves (False).

    Woodcock tracking: steps at the central density, each collision accepted by the local one.
    """
    species, count = int(row[SPECIES]), cascade.count
    if row[BEYOND] <= 0.0 and species >= PROTON:
        leave(cascade, row)
        return False
    if row[FORMATION] > 0.0:
        advance(row, row[FORMATION])
        row[FORMATION] = 0.0
    rates = cascade.rates
    # Cross sections at the potential of half density all the way: at the rim a slow nucleon would seem to stand still
    set_rates(rates, tables, species, row[BEYOND] + potential(species, fermi_energy(HALF_DENSITY_FM)), count)
    whole = rates[0] + rates[1] + rates[2]
    crowded = count[QUEUED] + MAX_BODIES > MAX_PARTICLES
    while whole > 0.0 and not crowded:
        advance(row, rng.standard_exponential() / whole)
        distance = radius(row)
        if distance > SURFACE_FM:
            if row[RX] * row[DX] + row[RY] * row[DY] + row[RZ] * row[DZ] > 0.0:
                break
            continue
        density = relative_density(distance)
        choice = rng.random() * whole
        if choice < density * (rates[0] + rates[1]):
            target = PROTON if choice < density * rates[0] else NEUTRON
            if strike(cascade, tables, row, target, rng):
                return True
        elif choice > whole - density**2 * rates[2] and strike_pair(cascade, row, rng):
            return True
    leave(cascade, row)
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def set_rates(rates, tables, species, kinetic, count):
    """Collisions per fm at the central density on protons, on neutrons, and pion absorption on pairs."""
    scale = CENTRAL_DENSITY_PER_FM3 / MASS_NUMBER
    index, part = grid_place(tables, kinetic)
    for kind in range(2):
        row = tables.pair_total_fm2[species, kind]
        rates[kind] = scale * count[kind] * (row[index] + part * (row[index + 1] - row[index]))
    rates[2] = 0.0
    if PION_PLUS <= species <= PION_ZERO and count[PROTONS] > 1 and count[NEUTRONS] > 1:
        thinned = (count[PROTONS] + count[NEUTRONS]) / MASS_NUMBER
        row = tables.absorption_fm2
        absorption = row[index] + part * (row[index + 1] - row[index])
        rates[2] = CENTRAL_DENSITY_PER_FM3 * thinned**2 * absorption


@njit(cache=True, nogil=True, error_model="numpy")
def set_projectile(cascade, row, fermi):
    """Momentum and energy of the hadron, in the potential, into vectors[0] and the sum."""
    species = int(row[SPECIES])
    mass = CASCADE_MASS_MEV[species]
    kinetic = max(row[BEYOND] + potential(species, fermi), 1e-6)
    momentum = np.sqrt(kinetic * (kinetic + 2.0 * mass))
    vector = cascade.vectors[0]
    vector[0], vector[1], vector[2] = momentum * row[DX], momentum * row[DY], momentum * row[DZ]
    vector[3] = kinetic + mass
    cascade.vectors[2] = vector


@njit(cache=True, nogil=True, error_model="numpy")
def add_nucleon(cascade, fermi, rng):
    """A nucleon of the local Fermi sea joins the sum."""
    momentum = np.sqrt(fermi * (fermi + 2.0 * NUCLEON_MEV)) * rng.random() ** (1.0 / 3.0)
    vector = cascade.vectors[1]
    random_direction(vector, momentum, rng)
    vector[3] = np.sqrt(momentum**2 + NUCLEON_MEV**2)
    for i in range(4):
        cascade.vectors[2, i] += vector[i]


@njit(cache=True, nogil=True, error_model="numpy")
def strike(cascade, tables, row, target, rng):
    """Collide with one nucleon; False: the Pauli principle forbids it."""
    fermi = fermi_energy(radius(row))
    set_projectile(cascade, row, fermi)
    add_nucleon(cascade, fermi, rng)
    depth = potential(target, fermi)
    number = react(cascade.bodies, tables, int(row[SPECIES]), target, cascade.vectors, depth, rng)
    return accept(cascade, row, number, fermi, target, -1)


@njit(cache=True, nogil=True, error_model="numpy")
def strike_pair(cascade, row, rng):
    """Absorb a pion on two nucleons; False: forbidden."""
    species, fermi = int(row[SPECIES]), fermi_energy(radius(row))
    first, second = choose_pair(species, rng)
    set_projectile(cascade, row, fermi)
    add_nucleon(cascade, fermi, rng)
    add_nucleon(cascade, fermi, rng)
    number = absorb_pion(cascade.bodies, first, second, species, cascade.vectors[2], rng)
    return accept(cascade, row, number, fermi, first, second)


@njit(cache=True, nogil=True, error_model="numpy")
def accept(cascade, row, number, fermi, first, second):
    """Queue the bodies unless one is a nucleon in an occupied state; `first`, `second` (or -1) were struck."""
    count = cascade.count
    for i in range(number):
        is_nucleon = PROTON <= cascade.bodies[i, SPECIES] <= NEUTRON
        if is_nucleon and cascade.bodies[i, ENERGY] - NUCLEON_MEV <= fermi:
            return False
    if number == 0:
        return False
    count[PROTONS if first == PROTON else NEUTRONS] -= 1
    if second >= 0:
        count[PROTONS if second == PROTON else NEUTRONS] -= 1
    for i in range(number):
        body, new = cascade.bodies[i], cascade.queue[count[QUEUED]]
        species = int(body[SPECIES])
        momentum = np.sqrt(body[PX] ** 2 + body[PY] ** 2 + body[PZ] ** 2)
        new[SPECIES] = species
        new[BEYOND] = body[ENERGY] - CASCADE_MASS_MEV[species] - potential(species, fermi)
        scale = 1.0 / max(momentum, 1e-12)
        new[DX], new[DY], new[DZ] = body[PX] * scale, body[PY] * scale, body[PZ] * scale
        new[RX], new[RY], new[RZ] = row[RX], row[RY], row[RZ]
        new[FORMATION] = FORMATION_FM_PER_MEV * momentum if number > 2 else 0.0
        count[QUEUED] += 1
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def run_cascade(cascade, tables, rng):
    """Follow all queued hadrons to their ends; True if any collided."""
    collided, row = False, np.empty(9)
    while cascade.count[QUEUED] > 0:
        cascade.count[QUEUED] -= 1
        row[:] = cascade.queue[cascade.count[QUEUED]]
        if follow(cascade, tables, row, rng):
            collided = True
    return collided


@njit(cache=True, nogil=True, error_model="numpy")
def absorb_stopped(cascade, species, rng):
    """Absorb a hadron at rest at the nucleus's surface: queue the products; False: it did not work out.

    Place: 0.3 fm beyond half density, 0.7 fm wide, where the overlap of the low atomic orbits with the density peaks.
    """
    row = cascade.queue[0].copy()
    row[SPECIES], row[BEYOND], row[FORMATION] = species, 0.0, 0.0
    distance = HALF_DENSITY_FM + 0.3 + 0.7 * rng.standard_normal()
    random_direction(row[RX : RZ + 1], max(distance, 0.0), rng)
    random_direction(row[DX : DZ + 1], 1.0, rng)
    if species == PION_MINUS:
        return strike_pair(cascade, row, rng)
    fermi = fermi_energy(radius(row))
    set_projectile(cascade, row, fermi)
    add_nucleon(cascade, fermi, rng)
    target = PROTON if rng.random() * MASS_NUMBER < NUM_PROTONS else NEUTRON
    if species == KAON_MINUS:
        number = absorb_kaon(cascade.bodies, species, target, cascade.vectors[2], rng)
    else:
        cascade.vectors[2, 3] -= potential(target, fermi)
        number = annihilate(cascade.bodies, species, target, cascade.vectors[2], rng)
    return accept(cascade, row, number, fermi, target, -1)
