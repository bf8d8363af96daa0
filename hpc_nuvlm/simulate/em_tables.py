"""Tables of the electromagnetic cascade in liquid argon, as the kernels look them up."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hpc_nuvlm.simulate.argon import ATOMIC_NUMBER, ATOMS_PER_MM3, ELECTRON_MASS_MEV, FINE_STRUCTURE, PER_MM
from hpc_nuvlm.simulate.electron_collisions import annihilation, collision_loss, knock_on
from hpc_nuvlm.simulate.photon_collisions import compton, photoelectric
from hpc_nuvlm.simulate.radiation import bremsstrahlung, pair_production
from nuvlm_kernels.cuts import BREMS_CUT_MEV, DELTA_CUT_MEV, PHOTON_CUT_MEV

HIGHEST_MEV = 1e5
_NUM_ENERGIES = 513
# Rows and columns of the tables of quantiles; the first row lies this much above the bremsstrahlung cut
_NUM_ROWS, _NUM_QUANTILES, _FIRST_ROW = 80, 129, 1.05
_CLASSICAL_RADIUS_MM = 2.8179403205e-12
# alpha r_e^2 times the density of atoms [1/mm]
_RADIATION_PER_MM = FINE_STRUCTURE * _CLASSICAL_RADIUS_MM**2 * ATOMS_PER_MM3
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1), 0.5 * _WEIGHTS


class EmTables(NamedTuple):
    """Tables over kinetic energy, at exp(log_first + i log_step) MeV for i < N; of two rows, electron and positron."""

    log_first: float
    log_step: float
    # (2, N) loss [MeV/mm] in collisions below DELTA_CUT_MEV and bremsstrahlung below BREMS_CUT_MEV
    stopping_mev_per_mm: np.ndarray
    # (2, N) hard collisions per mm: bremsstrahlung, knock-on electrons, annihilation in flight
    hard_per_mm: np.ndarray
    # (2, N) chance that a hard collision radiates, and that it radiates or knocks on (else it annihilates)
    radiate_below: np.ndarray
    delta_below: np.ndarray
    # (N,) collisions of photons per mm, chance that one is Compton's, and that it is Compton's or makes a pair
    photon_per_mm: np.ndarray
    compton_below: np.ndarray
    pair_below: np.ndarray
    # (M, Q) quantiles at exp(coarse_log_first + i coarse_log_step) MeV: of ln(k / cut) / ln(T / cut) in bremsstrahlung,
    # of the positron's share of the kinetic energy in pair production
    coarse_log_first: float
    coarse_log_step: float
    radiate_quantile: np.ndarray
    pair_quantile: np.ndarray


@lru_cache(maxsize=1)
def em_tables() -> EmTables:
    """All tables, from PHOTON_CUT_MEV to 100 GeV; made once in a process."""
    log_energy, log_step = np.linspace(math.log(PHOTON_CUT_MEV), math.log(HIGHEST_MEV), _NUM_ENERGIES, retstep=True)
    energy = np.exp(log_energy)
    coarse_first = math.log(_FIRST_ROW * BREMS_CUT_MEV)
    coarse, coarse_step = np.linspace(coarse_first, math.log(HIGHEST_MEV), _NUM_ROWS, retstep=True)
    return EmTables(
        log_energy[0],
        float(log_step),
        np.stack([soft_loss(energy, positron) for positron in (False, True)]),
        *_hard_collisions(energy),
        *_photon_collisions(energy),
        coarse_first,
        float(coarse_step),
        np.stack([_radiated_quantiles(kinetic) for kinetic in np.exp(coarse)]),
        np.stack([_pair_quantiles(photon) for photon in np.exp(coarse)]),
    )


def soft_loss(kinetic_mev: np.ndarray, positron: bool) -> np.ndarray:
    """Loss in what is not followed one by one [MeV/mm]."""
    collisions = collision_loss(kinetic_mev, positron, DELTA_CUT_MEV) * PER_MM
    return collisions + radiative_loss(kinetic_mev, BREMS_CUT_MEV)


def radiative_loss(kinetic_mev: np.ndarray, cut_mev: float = math.inf) -> np.ndarray:
    """Loss in bremsstrahlung below `cut_mev` [MeV/mm]; no cut: all of it."""
    highest = np.minimum(kinetic_mev, cut_mev)
    tau = kinetic_mev[:, None] / ELECTRON_MASS_MEV
    photon = highest[:, None] / ELECTRON_MASS_MEV * _NODES
    return _RADIATION_PER_MM * highest * (bremsstrahlung(tau, photon, ATOMIC_NUMBER) * _WEIGHTS).sum(1)


def hard_radiation(kinetic_mev: np.ndarray) -> np.ndarray:
    """Photons above BREMS_CUT_MEV that an electron radiates per mm."""
    tau = kinetic_mev[:, None] / ELECTRON_MASS_MEV
    span = np.log(np.maximum(kinetic_mev / BREMS_CUT_MEV, 1.0))
    photon = BREMS_CUT_MEV / ELECTRON_MASS_MEV * np.exp(span[:, None] * _NODES)
    inside = np.minimum(photon, tau * (1 - 1e-9))
    return _RADIATION_PER_MM * span * (bremsstrahlung(tau, inside, ATOMIC_NUMBER) * _WEIGHTS).sum(1)


def pairs(photon_mev: np.ndarray) -> np.ndarray:
    """Pairs that a photon makes per mm, in the fields of nucleus and electrons; 0 below twice the electron's mass."""
    k = np.maximum(photon_mev / ELECTRON_MASS_MEV, 2 + 1e-6)
    electron = 1 + (k[:, None] - 2) * _NODES
    total = (pair_production(k[:, None], electron, ATOMIC_NUMBER) * _WEIGHTS).sum(1) * (k - 2) / k
    return np.where(photon_mev > 2 * ELECTRON_MASS_MEV, _RADIATION_PER_MM * total, 0.0)


def _hard_collisions(energy):
    """(2, N) rate, share of bremsstrahlung, share of bremsstrahlung and knock-on electrons."""
    radiated = np.stack([hard_radiation(energy)] * 2)
    knocked = PER_MM * np.stack([knock_on(energy, positron, DELTA_CUT_MEV) for positron in (False, True)])
    annihilated = PER_MM * np.stack([np.zeros_like(energy), annihilation(energy)])
    rate = radiated + knocked + annihilated
    some = np.maximum(rate, 1e-300)
    return rate, radiated / some, (radiated + knocked) / some


def _photon_collisions(energy):
    """(N,) rate, share of Compton scattering, share of Compton scattering and pairs."""
    scattered, absorbed, converted = compton(energy) * PER_MM, photoelectric(energy) * PER_MM, pairs(energy)
    rate = scattered + absorbed + converted
    return rate, scattered / rate, (scattered + converted) / rate


def _radiated_quantiles(kinetic_mev):
    """(Q,) quantiles of ln(k / cut) / ln(T / cut)."""
    place = _midpoints(2048)
    photon = BREMS_CUT_MEV * (kinetic_mev / BREMS_CUT_MEV) ** place / ELECTRON_MASS_MEV
    return _quantiles(bremsstrahlung(kinetic_mev / ELECTRON_MASS_MEV, photon, ATOMIC_NUMBER))


def _pair_quantiles(photon_mev):
    """(Q,) quantiles of one partner's share of the kinetic energy; uniform below threshold, where none is needed."""
    k = photon_mev / ELECTRON_MASS_MEV
    if k <= 2:
        return np.linspace(0.0, 1.0, _NUM_QUANTILES)
    return _quantiles(pair_production(k, 1 + (k - 2) * _midpoints(2048), ATOMIC_NUMBER))


def _midpoints(number):
    return (np.arange(number) + 0.5) / number


def _quantiles(density):
    """(Q,) places in 0..1 below which 0, 1/(Q-1), ... 1 of a density lies that is given at midpoints."""
    below = np.concatenate([[0.0], np.cumsum(density)])
    return np.interp(np.linspace(0.0, below[-1], _NUM_QUANTILES), below, np.linspace(0.0, 1.0, len(below)))
