"""Annihilation of positrons with the electrons of argon: two photons. Both rest masses are entered as RELEASED."""

import math

import numpy as np
from numba import njit

from nuvlm_kernels.particles import ELECTRON, MASS_MEV, PHOTON
from nuvlm_kernels.workspace import ANNIHILATION, KINETIC, RELEASED, UX, UY, UZ, push, turn

_MASS = MASS_MEV[ELECTRON]


@njit(cache=True, nogil=True)
def annihilate_at_rest(work, state, track, rng):
    """Push two photons of 0.511 MeV, back to back in a random direction; they share kinetic energy that is left."""
    photon = state.copy()
    energy = 0.5 * state[KINETIC] + _MASS
    work.ledger[RELEASED] += 2.0 * _MASS
    cosine, azimuth = 2.0 * rng.random() - 1.0, 2.0 * math.pi * rng.random()
    sine = math.sqrt(1.0 - cosine * cosine)
    photon[UX], photon[UY], photon[UZ] = sine * math.cos(azimuth), sine * math.sin(azimuth), cosine
    photon[KINETIC] = energy
    push(work, PHOTON, photon, track, ANNIHILATION)
    for axis in range(3):
        photon[UX + axis] = -photon[UX + axis]
    push(work, PHOTON, photon, track, ANNIHILATION)
    state[KINETIC] = 0.0


@njit(cache=True, nogil=True)
def annihilate_in_flight(work, state, track, rng):
    """Push the two photons of a positron that meets an electron at rest; angles by conservation of momentum.

    Shares of the energy: W. Heitler, The Quantum Theory of Radiation (3rd edition, 1954), section 27.
    """
    kinetic = state[KINETIC]
    gamma = 1.0 + kinetic / _MASS
    total = kinetic + 2.0 * _MASS
    root = math.sqrt((gamma - 1.0) / (gamma + 1.0))
    low, high = 0.5 * (1.0 - root), 0.5 * (1.0 + root)
    inverse = 1.0 / (gamma + 1.0) ** 2
    while True:
        share = low * (high / low) ** rng.random()
        if rng.random() * (1.0 + 2.0 * gamma * inverse) < 1.0 - share + (2.0 * gamma - 1.0 / share) * inverse:
            break
    azimuth = 2.0 * math.pi * rng.random()
    photon = np.empty(8)
    for _ in range(2):
        photon[:] = state
        photon[KINETIC] = share * total
        cosine = (share * (gamma + 1.0) - 1.0) / (share * math.sqrt(gamma * gamma - 1.0))
        turn(photon, min(max(cosine, -1.0), 1.0), azimuth)
        push(work, PHOTON, photon, track, ANNIHILATION)
        share, azimuth = 1.0 - share, azimuth + math.pi
    work.ledger[RELEASED] += 2.0 * _MASS
    state[KINETIC] = 0.0
