"""Decay kinematics: two and three bodies by phase space in the rest frame of the parent, boosted to the laboratory."""

import numpy as np
from numba import njit

from nuvlm_kernels.particles import MASS_MEV
from nuvlm_kernels.workspace import DECAY, KINETIC, NEUTRINO, RELEASED, TIME, UX, UY, UZ, X, Y, Z, push


@njit(cache=True, nogil=True, error_model="numpy")
def mass_of(species):
    """Mass [MeV]; species -1 is a neutrino."""
    return 0.0 if species < 0 else MASS_MEV[species]


@njit(cache=True, nogil=True, error_model="numpy")
def isotropic(length, rng):
    """A vector of a length in a random direction."""
    cosine, azimuth = 2.0 * rng.random() - 1.0, 2.0 * np.pi * rng.random()
    sine = np.sqrt(1.0 - cosine * cosine)
    return length * sine * np.cos(azimuth), length * sine * np.sin(azimuth), length * cosine


@njit(cache=True, nogil=True, error_model="numpy")
def push_boosted(work, parent, species, momentum, state, track):
    """Push what has a momentum [MeV/c] in the rest frame of the parent, whose state is given; a neutrino: ledger only.

    The caller enters the rest energy that was released.
    """
    px, py, pz = momentum
    mass, parent_mass = mass_of(species), MASS_MEV[parent]
    energy = np.sqrt(px * px + py * py + pz * pz + mass * mass)
    gamma = 1.0 + state[KINETIC] / parent_mass
    gamma_beta = np.sqrt(state[KINETIC] * (state[KINETIC] + 2.0 * parent_mass)) / parent_mass
    along = px * state[UX] + py * state[UY] + pz * state[UZ]
    kinetic = gamma * energy + gamma_beta * along - mass
    if species < 0:
        work.ledger[NEUTRINO] += kinetic
        return
    extra = (gamma - 1.0) * along + gamma_beta * energy
    px += extra * state[UX]
    py += extra * state[UY]
    pz += extra * state[UZ]
    child = np.empty(8)
    child[X], child[Y], child[Z] = state[X], state[Y], state[Z]
    norm = np.sqrt(px * px + py * py + pz * pz)
    if norm > 0.0:
        child[UX], child[UY], child[UZ] = px / norm, py / norm, pz / norm
    else:
        child[UX], child[UY], child[UZ] = 0.0, 0.0, 1.0
    child[KINETIC], child[TIME] = max(kinetic, 0.0), state[TIME]
    push(work, species, child, track, DECAY)


@njit(cache=True, nogil=True, error_model="numpy")
def two_body(work, parent, first, second, state, track, rng):
    """Decay to two, isotropic in the rest frame; species -1 is a neutrino."""
    mass, a, b = MASS_MEV[parent], mass_of(first), mass_of(second)
    momentum = np.sqrt((mass * mass - (a + b) ** 2) * (mass * mass - (a - b) ** 2)) / (2.0 * mass)
    x, y, z = isotropic(momentum, rng)
    push_boosted(work, parent, first, (x, y, z), state, track)
    push_boosted(work, parent, second, (-x, -y, -z), state, track)
    work.ledger[RELEASED] += mass - a - b


@njit(cache=True, nogil=True, error_model="numpy")
def three_body(work, parent, species, state, track, rng):
    """Decay to three, even over the Dalitz plot of their energies (phase space); species -1 is a neutrino."""
    mass = MASS_MEV[parent]
    m1, m2, m3 = mass_of(species[0]), mass_of(species[1]), mass_of(species[2])
    free = mass - m1 - m2 - m3
    while True:
        t1, t2 = free * rng.random(), free * rng.random()
        t3 = free - t1 - t2
        if t3 < 0.0:
            continue
        p1, p2, p3 = np.sqrt(t1 * (t1 + 2.0 * m1)), np.sqrt(t2 * (t2 + 2.0 * m2)), np.sqrt(t3 * (t3 + 2.0 * m3))
        # The three momenta must close to a triangle
        if abs(p1 - p2) <= p3 <= p1 + p2 and p1 * p2 > 0.0:
            break
    cosine = min(1.0, max(-1.0, (p3 * p3 - p1 * p1 - p2 * p2) / (2.0 * p1 * p2)))
    x, y, z = isotropic(1.0, rng)
    a, b, c = perpendicular(x, y, z, 2.0 * np.pi * rng.random())
    sine = np.sqrt(1.0 - cosine * cosine)
    second = (p2 * (cosine * x + sine * a), p2 * (cosine * y + sine * b), p2 * (cosine * z + sine * c))
    first = (p1 * x, p1 * y, p1 * z)
    push_boosted(work, parent, species[0], first, state, track)
    push_boosted(work, parent, species[1], second, state, track)
    third = (-first[0] - second[0], -first[1] - second[1], -first[2] - second[2])
    push_boosted(work, parent, species[2], third, state, track)
    work.ledger[RELEASED] += free


@njit(cache=True, nogil=True, error_model="numpy")
def perpendicular(x, y, z, azimuth):
    """Unit vector across the unit vector (x, y, z), at an azimuth about it."""
    if abs(z) < 0.9:
        a, b, c = y, -x, 0.0
    else:
        a, b, c = 0.0, z, -y
    norm = 1.0 / np.sqrt(a * a + b * b + c * c)
    a, b, c = a * norm, b * norm, c * norm
    d, e, f = y * c - z * b, z * a - x * c, x * b - y * a
    cos, sin = np.cos(azimuth), np.sin(azimuth)
    return a * cos + d * sin, b * cos + e * sin, c * cos + f * sin
