"""The argon nucleus as a hadron sees it: density, Fermi motion, potential, and the tables of its cross sections.

Density: two-parameter Fermi distribution of 40Ar, c = 3.53 fm, z = 0.542 fm (de Vries, de Jager and de Vries, At. Data
Nucl. Data Tables 36 (1987) 495). Nucleons are a local Fermi gas; the potential is V(r) = T_F(r) + S, so that a nucleon
at the Fermi surface is bound by the separation energy S everywhere. With one S, the mass of a remnant is linear in its
number of nucleons, and the excitation that a cascade leaves is never negative.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from nuvlm_kernels.particles import ANTINEUTRON, ANTIPROTON, MASS_MEV, NEUTRON, NUM_SPECIES, PION_PLUS, PROTON

MASS_NUMBER, NUM_PROTONS, NUM_NEUTRONS = 40, 18, 22
HALF_DENSITY_FM, DIFFUSENESS_FM = 3.53, 0.542
# Five diffusenesses beyond half density: 0.7 % of the central density
SURFACE_FM = HALF_DENSITY_FM + 5 * DIFFUSENESS_FM
# 40 nucleons over the volume 4/3 pi c^3 (1 + (pi z / c)^2)
CENTRAL_DENSITY_PER_FM3 = 0.1761
HBARC_MEV_FM = 197.3269804
# One mass for both nucleons inside the nucleus: 1.3 MeV less or more is below what the model can say
NUCLEON_MEV = 938.91875
# Fermi momentum (3 pi^2 rho / 2)^(1/3) at the centre
CENTRAL_FERMI_MEV = HBARC_MEV_FM * (1.5 * np.pi**2 * CENTRAL_DENSITY_PER_FM3) ** (1.0 / 3.0)
# Mean of what the last two neutrons (9.9 and 6.6 MeV) and protons (12.5 and 10.2 MeV) of 40Ar cost, by atomic masses,
# weighted by the numbers of both
SEPARATION_MEV = 9.7
# Below this a proton does not pass the Coulomb barrier (1.44 MeV fm x 17 / 5 fm = 5 MeV, tunnelling allowed for)
PROTON_BARRIER_MEV = 3.5
# Slope of diffractive elastic scattering, exp(-B |t|): R^2 / 4 of a disc with the inelastic cross section's area
ELASTIC_SLOPE_PER_MEV2 = 123e-6
ARGON_MASS_MEV = 37215.5

HadronTables = namedtuple(
    "HadronTables",
    [
        "log_first",  # ln of the first kinetic energy [MeV] of the grid (N points)
        "log_step",
        "inelastic_per_mm",  # (NUM_SPECIES, N) inverse length in liquid argon
        "elastic_per_mm",  # (NUM_SPECIES, N)
        "capture_per_mm",  # (N,) radiative capture of neutrons
        "pair_total_fm2",  # (NUM_SPECIES, 2, N) hadron on a free proton, neutron
        "pair_elastic",  # (NUM_SPECIES, 2, N) its elastic share
        "pair_exchange",  # (NUM_SPECIES, 2, N) its charge-exchange share; the rest makes or absorbs mesons
        "absorption_fm2",  # (N,) pion on two nucleons: absorbed at the rate absorption_fm2 * density**2 / central
    ],
)

# Energy that a particle's end can free, beyond its kinetic energy: a meson's mass, an antinucleon's and its partner's
REST_MEV = np.array(
    [
        2 * MASS_MEV[s] if s in (ANTIPROTON, ANTINEUTRON) else MASS_MEV[s] if PION_PLUS <= s < PROTON else 0.0
        for s in range(NUM_SPECIES)
    ]
)
# Mass inside the cascade
CASCADE_MASS_MEV = np.where((np.arange(NUM_SPECIES) >= PROTON), NUCLEON_MEV, MASS_MEV)


@njit(cache=True, nogil=True, error_model="numpy")
def look_up(row, log_first, log_step, kinetic):
    """A table row (N,) at a kinetic energy [MeV]: linear in ln T, constant beyond both ends."""
    place = (np.log(max(kinetic, 1e-9)) - log_first) / log_step
    last = len(row) - 1
    if place <= 0.0:
        return row[0]
    if place >= last:
        return row[last]
    index = int(place)
    return row[index] + (place - index) * (row[index + 1] - row[index])


@njit(cache=True, nogil=True, error_model="numpy")
def grid_place(tables, kinetic):
    """Index and fraction of a kinetic energy [MeV] on the tables' grid, for several rows at once."""
    last = len(tables.absorption_fm2) - 1
    place = (np.log(max(kinetic, 1e-9)) - tables.log_first) / tables.log_step
    place = min(max(place, 0.0), last - 1e-9)
    index = int(place)
    return index, place - index


@njit(cache=True, nogil=True, error_model="numpy")
def relative_density(radius_fm):
    """Density over the central one, 0..1; 0 beyond the surface."""
    if radius_fm > SURFACE_FM:
        return 0.0
    return 1.0 / (1.0 + np.exp((radius_fm - HALF_DENSITY_FM) / DIFFUSENESS_FM))


@njit(cache=True, nogil=True, error_model="numpy")
def fermi_energy(radius_fm):
    """Fermi kinetic energy [MeV] at a radius."""
    momentum = CENTRAL_FERMI_MEV * relative_density(radius_fm) ** (1.0 / 3.0)
    return np.sqrt(momentum**2 + NUCLEON_MEV**2) - NUCLEON_MEV


@njit(cache=True, nogil=True, error_model="numpy")
def potential(species, fermi):
    """Depth [MeV] of a nucleon's well where the Fermi energy is `fermi`; 0 for mesons and antinucleons."""
    return fermi + SEPARATION_MEV if species in (PROTON, NEUTRON) else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def random_direction(vector, length, rng):
    """Fill vector[0:3] with an isotropic vector of the given length."""
    cosine = 2.0 * rng.random() - 1.0
    sine, azimuth = np.sqrt(1.0 - cosine * cosine), 2.0 * np.pi * rng.random()
    vector[0], vector[1], vector[2] = length * sine * np.cos(azimuth), length * sine * np.sin(azimuth), length * cosine
