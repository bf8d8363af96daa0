"""Bremsstrahlung and pair production in the field of an atom: cross sections differential in energy.

The exact Born result for a bare nucleus (Bethe & Heitler, Proc. R. Soc. A 146, 83 (1934)) is right at low energies, the
screened high-energy result (Tsai, Rev. Mod. Phys. 46, 815 (1974)) at high ones. As Seltzer & Berger do (Nucl. Instrum.
Meth. B 12, 95 (1985)), the difference that screening makes at high energies is added to the former: it fades where the
atom is too large to matter. Energies here are in electron masses, cross sections in units of alpha r_e^2.

Left out: suppression by multiple scattering (Landau, Pomeranchuk, Migdal: k < 25 MeV of 50 GeV electrons) and by the
medium's polarization (k < 0.5 MeV at 10 GeV), and what differs for positrons, which radiate 10 % less at 2 MeV, 4 % at
10 MeV (L. Kim et al., Phys. Rev. A 33, 3002 (1986)).
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.simulate.argon import FINE_STRUCTURE


def bremsstrahlung(kinetic: np.ndarray, photon: np.ndarray, charge: int) -> np.ndarray:
    """k dsigma/dk for a photon of energy 0 < k < T radiated at kinetic energy T on an atom; arguments broadcast."""
    first, last = kinetic + 1.0, kinetic + 1.0 - photon
    share = photon / first
    spread = 4 / 3 * (1 - share) + share**2
    bare = _bare_bremsstrahlung(first, last)
    nucleus, electrons = _screening(photon / (first * last), spread, 2 / 3 * (1 - share), charge)
    # The atom's electrons recoil, and in slow collisions radiate little. How this sets in (half at 1 MeV) is our own
    # guess; it moves the loss in argon by less than 3 %
    recoil = kinetic / (kinetic + 2.0)
    coulomb = _coulomb(kinetic, charge) * spread
    born = charge**2 * np.maximum(bare + nucleus + coulomb, 0) + charge * recoil * np.maximum(bare + electrons, 0)
    return born * _elwert(first, last, charge)


def pair_production(photon: np.ndarray, electron: np.ndarray, charge: int) -> np.ndarray:
    """k dsigma/dE for a photon of energy k > 2 and an electron of total energy 1 < E < k - 1; arguments broadcast."""
    positron = photon - electron
    share = electron / photon
    spread = 1 - 4 / 3 * share * (1 - share)
    bare = _bare_pair(positron, electron)
    nucleus, electrons = _screening(photon / (electron * positron), spread, -2 / 3 * share * (1 - share), charge)
    coulomb = _coulomb(photon, charge) * spread
    # In the field of an electron pairs begin at k = 4
    recoil = np.maximum(1 - 4 / photon, 0)
    return charge**2 * np.maximum(bare + nucleus + coulomb, 0) + charge * recoil * np.maximum(bare + electrons, 0)


def coulomb_correction(charge: int) -> float:
    """f(Z) of Davies, Bethe & Maximon, Phys. Rev. 93, 788 (1954) (PDG 2024, section 34.4.2)."""
    a2 = (charge * FINE_STRUCTURE) ** 2
    return a2 * (1 / (1 + a2) + 0.20206 - 0.0369 * a2 + 0.0083 * a2**2 - 0.002 * a2**3)


def _coulomb(energy: np.ndarray, charge: int) -> np.ndarray:
    """-4 f(Z), phased in about 10 MeV: it is a result for high energies (Seltzer & Berger use it from 50 MeV on)."""
    return -4 * coulomb_correction(charge) * (energy / (energy + 20)) ** 2


def _bare_bremsstrahlung(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """k dsigma/dk / Z^2 in Born approximation: Koch & Motz, Rev. Mod. Phys. 31, 920 (1959), formula 3BN."""
    photon = first - last
    p0, p = np.sqrt(first**2 - 1), np.sqrt(last**2 - 1)
    log0, log1 = 2 * np.log(first + p0), 2 * np.log(last + p)
    both = 2 * np.log((first * last + p0 * p - 1) / photon)
    return p / p0 * _born(first, last, photon, p0, p, log0, log1, both)


def _bare_pair(positron: np.ndarray, electron: np.ndarray) -> np.ndarray:
    """k dsigma/dE / Z^2 in Born approximation: Motz, Olsen & Koch, Rev. Mod. Phys. 41, 581 (1969), formula 3D-1000.

    It is 3BN with the first electron's energy, and the photon's, made negative.
    """
    photon = positron + electron
    p0, p = np.sqrt(positron**2 - 1), np.sqrt(electron**2 - 1)
    log0, log1 = -2 * np.log(positron + p0), 2 * np.log(electron + p)
    both = -2 * np.log((positron * electron + p0 * p + 1) / photon)
    return -p * p0 / photon**2 * _born(-positron, electron, -photon, p0, p, log0, log1, both)


def _born(first, last, photon, p0, p, log0, log1, both):
    """What stands in braces in 3BN."""
    product, momenta = first * last, p0 * p
    value = 4 / 3 - 2 * product * (p**2 + p0**2) / momenta**2
    value = value + log0 * last / p0**3 + log1 * first / p**3 - log0 * log1 / momenta
    inner = (product + p0**2) / p0**3 * log0 - (product + p**2) / p**3 * log1 + 2 * photon * product / momenta**2
    bracket = 8 * product / (3 * momenta) + photon**2 * (product**2 + momenta**2) / momenta**3
    return value + both * (bracket + photon / (2 * momenta) * inner)


def _screening(ratio, spread, slope, charge):
    """What screening adds to the high-energy Born result per Z^2 and per Z; `ratio` is k / (E E').

    Functions of Tsai (1974), eqs. 3.38 to 3.41, for Thomas-Fermi atoms.
    """
    gamma, epsilon = 100 * ratio / charge ** (1 / 3), 100 * ratio / charge ** (2 / 3)
    phi = (
        20.863
        - 2 * np.log1p((0.55846 * gamma) ** 2)
        - 4 * (1 - 0.6 * np.exp(-0.9 * gamma) - 0.4 * np.exp(-1.5 * gamma))
    )
    psi = 28.340 - 2 * np.log1p((3.621 * epsilon) ** 2)
    psi -= 4 * (1 - 0.7 * np.exp(-8 * epsilon) - 0.3 * np.exp(-29.2 * epsilon))
    phi_less = 2 / 3 / (1 + 6.5 * gamma + 6 * gamma**2)
    psi_less = 2 / 3 / (1 + 40 * epsilon + 400 * epsilon**2)
    bare = 4 * np.log(2 / ratio) - 2
    nucleus = (phi - 4 / 3 * np.log(charge) - bare) * spread + slope * phi_less
    electrons = (psi - 8 / 3 * np.log(charge) - bare) * spread + slope * psi_less
    return nucleus, electrons


def _elwert(first, last, charge):
    """Correction of the Born approximation where electrons are slow: G. Elwert, Ann. Phys. 34, 178 (1939)."""
    strength = 2 * np.pi * charge * FINE_STRUCTURE
    beta0, beta = np.sqrt(1 - first**-2), np.sqrt(1 - last**-2)
    return beta0 / beta * np.expm1(-strength / beta0) / np.expm1(-strength / beta)
