"""Electrons and positrons in liquid argon: mean loss to atomic electrons, and cross sections of hard collisions.

Kinetic energies in MeV, losses in MeV cm2/g, inverse lengths in cm2/g.
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.simulate.argon import (
    BETHE_CONSTANT_MEV_CM2_PER_G,
    ELECTRON_MASS_MEV,
    MEAN_EXCITATION_EV,
    density_effect,
)

# 2 pi r_e^2 m N_A Z/A
_XI = 0.5 * BETHE_CONSTANT_MEV_CM2_PER_G
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def collision_loss(kinetic_mev: np.ndarray, positron: bool, cut_mev: float = np.inf) -> np.ndarray:
    """Mean loss to atomic electrons that get less than `cut_mev` each; no cut: all of it.

    M. J. Berger, S. M. Seltzer, NBSIR 82-2550 (1982), after F. Rohrlich & B. C. Carlson (ICRU Report 37; PDG 2024,
    section 34.4.1): good to 2 % above 10 keV. What goes to faster electrons is the integral of Møller's and Bhabha's
    formulas.
    """
    tau = kinetic_mev / ELECTRON_MASS_MEV
    gamma = tau + 1
    beta2 = 1 - gamma**-2
    if positron:
        series = 23 + 14 / (tau + 2) + 10 / (tau + 2) ** 2 + 4 / (tau + 2) ** 3
        own = 2 * np.log(2) - beta2 / 12 * series
    else:
        own = (1 - beta2) * (1 + tau**2 / 8 - (2 * tau + 1) * np.log(2))
    logarithm = 2 * np.log(kinetic_mev / (MEAN_EXCITATION_EV * 1e-6)) + np.log1p(tau / 2)
    total = _XI / beta2 * (logarithm + own - density_effect(np.sqrt(gamma**2 - 1)))
    return total - knock_on(kinetic_mev, positron, cut_mev, 1)


def knock_on(kinetic_mev: np.ndarray, positron: bool, cut_mev: float, power: int = 0) -> np.ndarray:
    """Collisions that give an electron more than `cut_mev`: their number (power 0), or energy (power 1), per g/cm2."""
    highest = 1.0 if positron else 0.5
    lowest = np.minimum(cut_mev / kinetic_mev, highest)
    # In ln(share) the integrand is smooth
    span = np.log(highest / lowest)
    share = lowest[..., None] * np.exp(span[..., None] * 0.5 * (_NODES + 1))
    gamma = 1 + kinetic_mev[..., None] / ELECTRON_MASS_MEV
    shape = bhabha(share, gamma) if positron else moller(share, gamma)
    integral = (shape * share * (share * kinetic_mev[..., None]) ** power * _WEIGHTS).sum(-1) * 0.5 * span
    return _XI / (1 - gamma[..., 0] ** -2) / kinetic_mev * integral


def moller(share: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """dsigma / d(share of the kinetic energy), share up to 1/2, times beta^2 T / (2 pi r_e^2 m), for electrons.

    C. Møller, Ann. Phys. 14, 531 (1932), as F. Rohrlich & B. C. Carlson, Phys. Rev. 93, 38 (1954), write it.
    """
    rest = 1 - share
    mixed = (2 * gamma - 1) / gamma**2
    return share**-2.0 + rest**-2.0 + ((gamma - 1) / gamma) ** 2 - mixed / (share * rest)


def bhabha(share: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """The same for positrons, share up to 1: H. J. Bhabha, Proc. R. Soc. A 154, 195 (1936)."""
    y = 1 / (gamma + 1)
    beta2 = 1 - gamma**-2
    b1, b2, b4 = 2 - y**2, (1 - 2 * y) * (3 + y**2), (1 - 2 * y) ** 3
    b3 = (1 - 2 * y) ** 2 + b4
    return share**-2.0 - beta2 * (b1 / share - b2 + b3 * share - b4 * share**2)


def annihilation(kinetic_mev: np.ndarray) -> np.ndarray:
    """Annihilations in flight into two photons, per g/cm2.

    W. Heitler, The Quantum Theory of Radiation (3rd edition, 1954), section 27.
    """
    gamma = 1 + kinetic_mev / ELECTRON_MASS_MEV
    root = np.sqrt(gamma**2 - 1)
    bracket = (gamma**2 + 4 * gamma + 1) / root**2 * np.log(gamma + root) - (gamma + 3) / root
    return _XI / (2 * ELECTRON_MASS_MEV) * bracket / (gamma + 1)
