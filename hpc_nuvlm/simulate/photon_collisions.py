"""Photons in argon: cross sections of Compton scattering and of the photoelectric effect [cm2/g], energies in MeV."""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.simulate.argon import BETHE_CONSTANT_MEV_CM2_PER_G, ELECTRON_MASS_MEV

# Photoelectric absorption of argon to 0.1 MeV: NIST FFAST database (C. T. Chantler, J. Phys. Chem. Ref. Data 24, 71
# (1995)). Beyond, where it is less than 10 % of all collisions, our own continuation: from E^-3 to E^-1, the law of
# high energies (W. Heitler, The Quantum Theory of Radiation, section 21)
_ABSORPTION_MEV = np.array([8, 10, 15, 20, 30, 40, 50, 60, 80, 100]) * 1e-3
_ABSORPTION_CM2_PER_G = np.array([117.0, 62.32, 19.27, 8.207, 2.403, 0.9909, 0.4946, 0.2793, 0.1127, 0.05564])


def compton(energy_mev: np.ndarray) -> np.ndarray:
    """Total cross section of O. Klein & Y. Nishina, Z. Phys. 52, 853 (1929), times Z: electrons free and at rest.

    Binding lowers it by 4 % at 0.1 MeV and by 20 % at 20 keV, where nearly all photons are absorbed.
    """
    k = energy_mev / ELECTRON_MASS_MEV
    log = np.log1p(2 * k)
    value = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log / k) + log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    return BETHE_CONSTANT_MEV_CM2_PER_G / (2 * ELECTRON_MASS_MEV) * value


def photoelectric(energy_mev: np.ndarray) -> np.ndarray:
    """Photoelectric absorption from 8 keV on."""
    table = np.exp(np.interp(np.log(energy_mev), np.log(_ABSORPTION_MEV), np.log(_ABSORPTION_CM2_PER_G)))
    ratio = np.maximum(energy_mev / _ABSORPTION_MEV[-1], 1)
    return table * ratio**-3.1 * ((20 + ratio) / 21) ** 2.1
