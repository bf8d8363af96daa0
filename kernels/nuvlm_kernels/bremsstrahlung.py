"""Bremsstrahlung of electrons and positrons: photons above BREMS_CUT_MEV, one by one."""

import math

from numba import njit

from nuvlm_kernels.cuts import BREMS_CUT_MEV
from nuvlm_kernels.particles import ELECTRON, MASS_MEV, PHOTON
from nuvlm_kernels.workspace import BREMSSTRAHLUNG, KINETIC, UX, push, turn

_MASS = MASS_MEV[ELECTRON]


@njit(cache=True, nogil=True)
def radiate(work, tables, state, track, rng):
    """Push a photon above BREMS_CUT_MEV and take its energy and momentum from the state (8,) of the electron.

    The photon's energy is drawn from the table of quantiles: u = ln(k / cut) / ln(T / cut). The nucleus takes up
    momentum, but no energy, so that only the electron's direction follows p' = p - k.
    """
    kinetic = state[KINETIC]
    if kinetic <= BREMS_CUT_MEV:
        return
    u = quantile(tables.radiate_quantile, tables.coarse_log_first, tables.coarse_log_step, kinetic, rng)
    photon = state.copy()
    photon[KINETIC] = min(BREMS_CUT_MEV * (kinetic / BREMS_CUT_MEV) ** u, kinetic)
    turn(photon, radiation_cosine(kinetic + _MASS, rng), 2.0 * math.pi * rng.random())
    push(work, PHOTON, photon, track, BREMSSTRAHLUNG)
    momentum = math.sqrt(kinetic * (kinetic + 2.0 * _MASS))
    norm = 0.0
    for axis in range(3):
        state[UX + axis] = momentum * state[UX + axis] - photon[KINETIC] * photon[UX + axis]
        norm += state[UX + axis] ** 2
    for axis in range(3):
        state[UX + axis] /= math.sqrt(norm)
    state[KINETIC] = kinetic - photon[KINETIC]


@njit(cache=True, nogil=True)
def quantile(table, log_first, log_step, kinetic, rng):
    """Draw from the distribution that a table of quantiles (rows in ln energy, columns in probability) describes.

    Between two rows one is picked at random, which mixes their distributions linearly.
    """
    place = (math.log(kinetic) - log_first) / log_step
    row = int(min(max(place + rng.random(), 0.0), table.shape[0] - 1.0))
    column = rng.random() * (table.shape[1] - 1)
    index = int(column)
    fraction = column - index
    return (1.0 - fraction) * table[row, index] + fraction * table[row, index + 1]


@njit(cache=True, nogil=True)
def radiation_cosine(energy, rng):
    """Cosine of the angle between photon and electron (or pair partner) of total energy [MeV].

    u = angle x energy / m is drawn from the fit u (exp(-a u) + 27 exp(-3 a u)), a = 0.625, to the distribution of
    Tsai, Rev. Mod. Phys. 46, 815 (1974) and 49, 421 (1977): Geant4 Physics Reference Manual, chapter "Bremsstrahlung".
    """
    limit = math.pi * energy / _MASS
    while True:
        u = -math.log((1.0 - rng.random()) * (1.0 - rng.random())) / 0.625
        # Areas of the two terms are 1 : 27 / 9
        if rng.random() > 0.25:
            u /= 3.0
        if u < limit:
            return math.cos(u * _MASS / energy)
