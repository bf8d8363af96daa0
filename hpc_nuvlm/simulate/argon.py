"""Liquid argon: its constants, and what charged particles heavier than the electron lose in it.

Constants without a source of their own: Review of Particle Physics 2024 (S. Navas et al., Phys. Rev. D 110, 030001),
table of atomic and nuclear properties, entry "liquid argon". Left out: the Barkas effect, which makes slow negative
particles lose up to a few per cent less than positive ones, and nuclear stopping (below 0.1 % above 0.5 MeV).
"""

from __future__ import annotations

import math

import numpy as np

from nuvlm_kernels.ionization import NUM_ROWS, IonizationTables
from nuvlm_kernels.particles import MASS_MEV, MUON_MINUS

DENSITY_G_PER_CM3 = 1.396
ATOMIC_NUMBER = 18
ATOMIC_MASS_G_PER_MOL = 39.948
MEAN_EXCITATION_EV = 188.0
RADIATION_LENGTH_G_PER_CM2 = 19.55
RADIATION_LENGTH_MM = 10.0 * RADIATION_LENGTH_G_PER_CM2 / DENSITY_G_PER_CM3
NUCLEAR_INTERACTION_LENGTH_G_PER_CM2 = 119.7
ATOMS_PER_MM3 = 6.02214076e23 * DENSITY_G_PER_CM3 / ATOMIC_MASS_G_PER_MOL / 1e3
ELECTRON_MASS_MEV = 0.51099895
FINE_STRUCTURE = 1.0 / 137.035999

# 4 pi N_A r_e^2 m_e c^2 (PDG table 34.1) [MeV cm2/mol], times Z/A
BETHE_CONSTANT_MEV_CM2_PER_G = 0.307075 * ATOMIC_NUMBER / ATOMIC_MASS_G_PER_MOL
# What [MeV cm2/g] must be multiplied with to become [MeV/mm]
PER_MM = DENSITY_G_PER_CM3 / 10.0

# Density effect of liquid argon: R. M. Sternheimer, M. J. Berger, S. M. Seltzer, At. Data Nucl. Data Tables 30 (1984)
# 261, as D. E. Groom, N. V. Mokhov, S. I. Striganov, At. Data Nucl. Data Tables 78 (2001) 183 list it with their table
DENSITY_A, DENSITY_K, DENSITY_X0, DENSITY_X1, DENSITY_C = 0.19559, 3.0, 0.2, 3.0, 5.2146

# Protons below a few MeV: C. Varelas, J. P. Biersack, Nucl. Instrum. Methods 79 (1970) 213 give the form
# 1/S = 1/S_low + 1/S_high, S_low = c0 T^c1, S_high = (c2/T) ln(1 + c3/T + c4 T), T in keV, S in MeV cm2/g.
# c0..c4 were fitted here to NIST PSTAR (argon, 1 keV to 5 MeV); the largest deviation is 2.6 %, at 10 keV
SLOW_PROTON = (87.4237732, 0.486612031, 61909.3738, 458.586026, 0.0124280639)
# Between these proton energies [MeV] the slow form goes over into the Bethe formula
SLOW_PROTON_BLEND_MEV = (3.0, 8.0)

# Radiative loss of muons, b(E) = loss / total energy, at total energies [MeV]. Derived here: published ranges of muons
# in liquid argon (Groom et al. 2001) give a mean loss between two energies; the collision loss below is taken away
_RADIATIVE_ENERGY_MEV = (1e3, 5.8e3, 1.2e4, 2.5e4, 5.7e4, 1.18e5, 2.45e5, 1e6)
_RADIATIVE_LOSS_PER_G_CM2 = (1.2e-6, 2.1e-6, 2.6e-6, 3.15e-6, 3.85e-6, 4.22e-6, 4.68e-6, 5.1e-6)

PROTON_MASS_MEV = 938.27208816
# Rows of the tables: muon, charged pion, charged kaon, proton (see nuvlm_kernels.ionization.ROW)
ROW_MASSES_MEV = (float(MASS_MEV[MUON_MINUS]), 139.57039, 493.677, PROTON_MASS_MEV)
# Grid of the tables: kinetic energy from 1 keV to 1 TeV, 50 points per factor e
LOG_FIRST, LOG_STEP, NUM_ENERGIES = math.log(1e-3), 0.02, 1037


def largest_transfer_mev(kinetic_mev: np.ndarray, mass_mev: float) -> np.ndarray:
    """Most energy that a free electron can get in one collision (PDG eq. 34.4)."""
    gamma = 1.0 + kinetic_mev / mass_mev
    ratio = ELECTRON_MASS_MEV / mass_mev
    return 2.0 * ELECTRON_MASS_MEV * (gamma**2 - 1.0) / (1.0 + 2.0 * gamma * ratio + ratio**2)


def density_effect(beta_gamma: np.ndarray) -> np.ndarray:
    """delta of Sternheimer's parametrization (PDG eq. 34.7); 0 below beta gamma = 10^x0: argon is no conductor."""
    x = np.log10(beta_gamma)
    asymptote = 2.0 * math.log(10.0) * x - DENSITY_C
    bend = DENSITY_A * np.maximum(DENSITY_X1 - x, 0.0) ** DENSITY_K
    return np.where(x < DENSITY_X0, 0.0, asymptote + bend)


def shell_correction(kinetic_mev: np.ndarray, mass_mev: float) -> np.ndarray:
    """C/Z of the Bethe formula; it lowers proton stopping by 2 % at 10 MeV.

    W. H. Barkas, M. J. Berger, NASA SP-3013 (1964), for beta gamma above 0.13; below, the logarithmic fall to 0 at a
    proton energy of 0.0632 MeV that Groom et al. (2001), section 3, use.
    """
    proton_mev = kinetic_mev * PROTON_MASS_MEV / mass_mev
    gamma = 1.0 + kinetic_mev / mass_mev
    inverse = 1.0 / np.maximum(gamma**2 - 1.0, 0.13**2)
    excitation = MEAN_EXCITATION_EV
    second = (0.422377 + (0.0304043 - 0.00038106 * inverse) * inverse) * inverse * 1e-6 * excitation**2
    third = (3.858019 + (-0.1667989 + 0.00157955 * inverse) * inverse) * inverse * 1e-9 * excitation**3
    fall = np.log(np.maximum(proton_mev, 0.0632) / 0.0632) / math.log(7.9 / 0.0632)
    return (second + third) * np.minimum(fall, 1.0) / ATOMIC_NUMBER


def bethe_mev_cm2_per_g(kinetic_mev: np.ndarray, mass_mev: float, cut_mev: float = math.inf) -> np.ndarray:
    """Mean collision loss to electrons that get less than `cut_mev` each (PDG eq. 34.5, restricted 34.9)."""
    gamma = 1.0 + kinetic_mev / mass_mev
    beta2, beta_gamma2 = 1.0 - gamma**-2, gamma**2 - 1.0
    largest = largest_transfer_mev(kinetic_mev, mass_mev)
    upper = np.minimum(largest, cut_mev)
    logarithm = np.log(2.0 * ELECTRON_MASS_MEV * beta_gamma2 * upper / (MEAN_EXCITATION_EV * 1e-6) ** 2)
    number = 0.5 * logarithm - 0.5 * beta2 * (1.0 + upper / largest)
    number -= 0.5 * density_effect(np.sqrt(beta_gamma2)) + shell_correction(kinetic_mev, mass_mev)
    return BETHE_CONSTANT_MEV_CM2_PER_G / beta2 * number


def slow_proton_mev_cm2_per_g(kinetic_mev: np.ndarray, mass_mev: float) -> np.ndarray:
    """Collision loss of a unit charge as slow as a proton of a few MeV or less (see SLOW_PROTON)."""
    proton_kev = kinetic_mev * PROTON_MASS_MEV / mass_mev * 1e3
    c0, c1, c2, c3, c4 = SLOW_PROTON
    low = c0 * proton_kev**c1
    high = c2 / proton_kev * np.log(1.0 + c3 / proton_kev + c4 * proton_kev)
    return low * high / (low + high)


def muon_radiative_mev_cm2_per_g(kinetic_mev: np.ndarray) -> np.ndarray:
    """Mean loss of muons by bremsstrahlung, pairs, photonuclear reactions, and to bremsstrahlung of the electrons hit.

    The last: Groom et al. (2001) eq. 8, 0.8 % of the loss at 10 GeV. The spin term of the Bethe formula is here too.
    """
    total = kinetic_mev + ROW_MASSES_MEV[0]
    radiative = total * np.interp(np.log(total), np.log(_RADIATIVE_ENERGY_MEV), _RADIATIVE_LOSS_PER_G_CM2)
    # b has no meaning for slow muons; 1 GeV is where the loss has fallen below 0.1 %
    radiative *= np.clip(np.log(total / 200.0) / math.log(5.0), 0.0, 1.0)
    largest = largest_transfer_mev(kinetic_mev, ROW_MASSES_MEV[0])
    log_largest = np.log(np.maximum(2.0 * largest / ELECTRON_MASS_MEV, 1.0))
    log_energy = np.log(2.0 * total / ROW_MASSES_MEV[0])
    hit = FINE_STRUCTURE / (4.0 * math.pi) * np.maximum(log_energy - log_largest / 3.0, 0.0) * log_largest**2
    spin = 0.125 * (largest / total) ** 2 / (1.0 - (ROW_MASSES_MEV[0] / total) ** 2)
    return radiative + BETHE_CONSTANT_MEV_CM2_PER_G * (hit + spin)


def stopping_mev_cm2_per_g(kinetic_mev: np.ndarray, mass_mev: float, cut_mev: float = math.inf) -> np.ndarray:
    """Mean loss of a unit charge of a mass, at kinetic energies above 1 keV; delta rays above the cut are not in it."""
    kinetic_mev = np.asarray(kinetic_mev, np.float64)
    low, high = SLOW_PROTON_BLEND_MEV
    proton_mev = kinetic_mev * PROTON_MASS_MEV / mass_mev
    share = np.clip(np.log(proton_mev / low) / math.log(high / low), 0.0, 1.0)
    # The Bethe formula has no meaning (and may be negative) where its share is 0
    fast = bethe_mev_cm2_per_g(np.maximum(kinetic_mev, low * mass_mev / PROTON_MASS_MEV), mass_mev, cut_mev)
    collision = share * fast + (1.0 - share) * slow_proton_mev_cm2_per_g(kinetic_mev, mass_mev)
    if mass_mev == ROW_MASSES_MEV[0]:
        return collision + muon_radiative_mev_cm2_per_g(kinetic_mev)
    return collision


def csda_range_g_per_cm2(mass_mev: float) -> tuple[np.ndarray, np.ndarray]:
    """(NUM_ENERGIES,) kinetic energies [MeV], and the path on which each is lost at the mean rate [g/cm2].

    Below 1 keV stopping goes as the velocity, so that the path there is 2 T / S.
    """
    kinetic_mev = np.exp(LOG_FIRST + LOG_STEP * np.arange(NUM_ENERGIES))
    integrand = kinetic_mev / stopping_mev_cm2_per_g(kinetic_mev, mass_mev)
    steps = 0.5 * (integrand[1:] + integrand[:-1]) * LOG_STEP
    return kinetic_mev, 2.0 * integrand[0] + np.concatenate([[0.0], np.cumsum(steps)])


def ionization_tables(cut_mev: float) -> IonizationTables:
    """Tables that the kernels follow heavy charged particles with; delta rays above the cut become particles."""
    stopping = np.empty((NUM_ROWS, NUM_ENERGIES))
    ranges = np.empty((NUM_ROWS, NUM_ENERGIES))
    for row, mass_mev in enumerate(ROW_MASSES_MEV):
        kinetic_mev, range_g_per_cm2 = csda_range_g_per_cm2(mass_mev)
        stopping[row] = stopping_mev_cm2_per_g(kinetic_mev, mass_mev, cut_mev) * PER_MM
        ranges[row] = range_g_per_cm2 / PER_MM
    return IonizationTables(
        log_first=LOG_FIRST,
        log_step=LOG_STEP,
        stopping_mev_per_mm=stopping,
        range_mm=ranges,
        xi_mev_per_mm=0.5 * BETHE_CONSTANT_MEV_CM2_PER_G * PER_MM,
        delta_cut_mev=cut_mev,
        scattering_mev2_per_mm=scattering_mev2_per_mm(),
        screening_mev=screening_mev(),
        coupling2=(ATOMIC_NUMBER * FINE_STRUCTURE) ** 2,
        nuclear_radius_per_mev=nuclear_radius_per_mev(),
    )


def scattering_mev2_per_mm() -> float:
    """chi_c^2 (p beta)^2 per length: how much Rutherford scattering there is; Z (Z + 1): off electrons too.

    4 pi N_A r_e^2 m_e^2 = 0.307075 MeV m_e [cm2/mol], by which chi_c^2 = 0.157 Z(Z+1)/A x/(p beta)^2
    (G. R. Lynch, O. I. Dahl, Nucl. Instrum. Methods B 58 (1991) 6, eq. 3).
    """
    return 0.307075 * ELECTRON_MASS_MEV * ATOMIC_NUMBER * (ATOMIC_NUMBER + 1) / ATOMIC_MASS_G_PER_MOL * PER_MM


def screening_mev() -> float:
    """hbar / (Thomas-Fermi radius), Moliere's chi_0 times the momentum: H. A. Bethe, Phys. Rev. 89 (1953) 1256."""
    return FINE_STRUCTURE * ELECTRON_MASS_MEV * ATOMIC_NUMBER ** (1.0 / 3.0) / 0.88534


def nuclear_radius_per_mev() -> float:
    """Charge radius of argon-40, 3.427 fm (Angeli, Marinova, At. Data Nucl. Data Tables 99 (2013) 69), / hbar c."""
    return 3.427 / 197.3269804
