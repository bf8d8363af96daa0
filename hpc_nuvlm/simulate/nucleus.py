"""The target nucleus: density, Fermi motion, removal energy.

Left out: shell structure, and the energy that correlated pairs take to the residual nucleus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpc_nuvlm.simulate.relativity import FourVector, Vector, isotropic
from hpc_nuvlm.simulate.species import MASS_GEV, NEUTRON, NUCLEON_GEV, PROTON

HBARC_GEV_FM = 0.1973269804
# A. Bodek, J.L. Ritchie, Phys. Rev. D23 (1981) 1070, equation 7: tail from correlated pairs, cut at 0.5 GeV as in GENIE
TAIL_PER_GEV, TAIL_HIGHEST_GEV = 2.0, 0.5
# Energy that holds the last nucleon [GeV]: a round value for medium nuclei; of 40Ar it is 9.9 (n) and 12.5 MeV (p)
SEPARATION_GEV = 0.008


@dataclass(frozen=True)
class Nucleus:
    pdg: int
    protons: int
    neutrons: int
    mass_gev: float
    removal_gev: float
    # Fermi momenta [GeV] of protons and neutrons
    fermi_gev: tuple[float, float]
    # Two-parameter Fermi density: half radius and diffuseness [fm]
    radius_fm: float
    skin_fm: float

    @property
    def nucleons(self) -> int:
        return self.protons + self.neutrons

    @property
    def edge_fm(self) -> float:
        """Radius beyond which the nucleus is taken to end: density below 1e-3 of the centre's."""
        return self.radius_fm + 7.0 * self.skin_fm

    @cached_property
    def central_density(self) -> float:
        """Nucleons per fm3 in the centre: the profile's integral is the mass number."""
        r = np.linspace(0.0, self.edge_fm, 4001)
        shape = 4.0 * np.pi * r**2 / (1.0 + np.exp((r - self.radius_fm) / self.skin_fm))
        return float(self.nucleons / (shape.sum() * (r[1] - r[0])))

    def profile(self, r_fm: float) -> float:
        """Density as a fraction of the central one."""
        return 1.0 / (1.0 + math.exp((r_fm - self.radius_fm) / self.skin_fm)) if r_fm < self.edge_fm else 0.0

    def local_fermi_gev(self, r_fm: float) -> float:
        """Fermi momentum [GeV] of a gas of the density at this radius: k = (3 pi2 rho / 2)^(1/3)."""
        density = self.central_density * self.profile(r_fm)
        return HBARC_GEV_FM * (1.5 * math.pi**2 * density) ** (1.0 / 3.0)

    def fermi_of(self, pdg: int) -> float:
        return self.fermi_gev[0] if pdg == PROTON else self.fermi_gev[1]

    def draw_momentum(self, pdg: int, rng: np.random.Generator) -> float:
        """Momentum [GeV] of a nucleon in the nucleus: relativistic Fermi gas with Bodek and Ritchie's tail."""
        fermi = self.fermi_of(pdg)
        core = 1.0 - 6.0 * (fermi * TAIL_PER_GEV / math.pi) ** 2
        if rng.random() < core + 1e-12 or core >= 1.0:
            return fermi * rng.random() ** (1.0 / 3.0)
        # Density falls with p^-4, number with p^-2
        inverse = 1.0 / fermi - rng.random() * (1.0 / fermi - 1.0 / TAIL_HIGHEST_GEV)
        return 1.0 / inverse

    def draw_nucleon(self, pdg: int, rng: np.random.Generator) -> FourVector:
        """Four-momentum [GeV] of a struck nucleon, off its mass shell: M - removal energy - recoil of the rest."""
        p = self.draw_momentum(pdg, rng)
        x, y, z = isotropic(rng)
        energy = MASS_GEV[pdg] - self.removal_gev - p * p / (2.0 * (self.mass_gev - NUCLEON_GEV))
        return (energy, p * x, p * y, p * z)

    def draw_position(self, rng: np.random.Generator) -> Vector:
        """A point [fm] by the density, for the interaction."""
        while True:
            r = self.edge_fm * rng.random() ** (1.0 / 3.0)
            if rng.random() < self.profile(r):
                x, y, z = isotropic(rng)
                return (r * x, r * y, r * z)


# Fermi momenta and removal energies: GENIE, arXiv:1510.05494, after E.J. Moniz et al., Phys. Rev. Lett. 26 (1971) 445.
# Density of argon: H. de Vries et al., Atom. Data Nucl. Data Tables 36 (1987) 495; of carbon: set to the charge radius
# there, 2.47 fm. Masses: M. Wang et al., Chin. Phys. C45 (2021) 030003.
ARGON = Nucleus(1000180400, 18, 22, 37.21552, 0.0295, (0.242, 0.259), 3.53, 0.542)
CARBON = Nucleus(1000060120, 6, 6, 11.17486, 0.025, (0.221, 0.221), 2.15, 0.50)


def pauli_factor(q2: np.ndarray, fermi_gev: float) -> np.ndarray:
    """Share of nucleons of a Fermi gas that a momentum transfer lifts out of it, at Q2 [GeV2] of elastic scattering.

    Overlap of two spheres: C.H. Llewellyn Smith, Phys. Rept. 3 (1972) 261, section 3.4.
    """
    q = np.sqrt(q2 * (1.0 + q2 / (4.0 * NUCLEON_GEV**2))) / fermi_gev
    return np.where(q < 2.0, 0.75 * q - q**3 / 16.0, 1.0)


def nucleon(charge: int) -> int:
    return PROTON if charge else NEUTRON
