"""Published numbers that the simulation is held to, each with its source; the simulation itself uses none of them."""

from __future__ import annotations

import math

import numpy as np

PDG_ARGON = "PDG, Atomic and nuclear properties of materials: liquid argon"
GROOM = "Groom, Mokhov, Striganov, At. Data Nucl. Data Tables 78 (2001) 183, liquid argon"
PSTAR = "Berger et al., NIST PSTAR (NISTIR 4999), argon"
XAAMDI = "Hubbell, Seltzer, NIST X-ray mass attenuation coefficients (NISTIR 5632), argon"
PDG_PASSAGE = "PDG review, Passage of particles through matter"
GRINDHAMMER = "Grindhammer, Peters (1993), hep-ex/0001020, mean profiles in homogeneous media, Z = 18"
PDG_MASSES = "PDG, Review of Particle Physics 2024"

# PDG, Atomic and nuclear properties of materials: liquid argon
DENSITY_G_PER_CM3 = 1.396
CHARGE_OVER_MASS = 0.45059
MEAN_EXCITATION_MEV = 188e-6
RADIATION_LENGTH_G_PER_CM2 = 19.55
CRITICAL_ENERGY_MEV = 32.84
MOLIERE_RADIUS_G_PER_CM2 = 12.62
NUCLEAR_INTERACTION_G_PER_CM2 = 119.7
# The page's value as commonly quoted, not checked again
PION_INTERACTION_G_PER_CM2 = 149.0
# Density effect, Sternheimer, Berger, Seltzer (1984), as tabulated by Groom et al.: x0, x1, a, k, C-bar
STERNHEIMER = (0.2, 3.0, 0.19559, 3.0, 5.2146)

RADIATION_LENGTH_MM = 10 * RADIATION_LENGTH_G_PER_CM2 / DENSITY_G_PER_CM3
MOLIERE_RADIUS_MM = 10 * MOLIERE_RADIUS_G_PER_CM2 / DENSITY_G_PER_CM3

ELECTRON_MASS_MEV = 0.51099895
MUON_MASS_MEV = 105.6583755
PION_MASS_MEV = 139.57039
NEUTRAL_PION_MASS_MEV = 134.9768
MUON_LIFETIME_NS = 2196.9811
# PDG review, eq. 34.1
BETHE_K_MEV_CM2 = 0.307075

# Kinetic energy [MeV] -> CSDA range [g/cm2]
MUON_RANGE_G_PER_CM2 = {
    10.0: 0.9833,
    20.0: 3.321,
    40.0: 10.58,
    100.0: 42.50,
    200.0: 106.3,
    400.0: 238.5,
    1000.0: 616.3,
    3000.0: 1758.0,
}
PROTON_RANGE_G_PER_CM2 = {
    20.0: 0.6335,
    50.0: 3.208,
    100.0: 10.92,
    150.0: 22.15,
    200.0: 36.27,
    300.0: 71.44,
    400.0: 113.8,
    500.0: 161.4,
}
# Kinetic energy of a muon [MeV] -> mean energy loss [MeV cm2/g]; 250 MeV is the minimum
MUON_LOSS_MEV_CM2_PER_G = {50.0: 2.107, 250.0: 1.508, 1000.0: 1.645}

# Photon energy [MeV] -> attenuation, coherent scattering included [cm2/g]
ATTENUATION_CM2_PER_G = {0.5: 0.07958, 1.0: 0.05762, 3.0: 0.03384, 5.0: 0.02802, 10.0: 0.02451, 20.0: 0.02453}

# Measured total disappearance rates of mu- in argon give 0.72 to 0.76: lifetime 616.9 +- 6.7 ns and 537 +- 32 ns, both
# as commonly quoted, not checked against the originals
CAPTURED_MUONS = 0.74
CAPTURED_MUONS_ALLOWED = 0.03
CAPTURE_SOURCE = "Klinskikh et al. (2008), 617 ns; Suzuki, Measday, Roalsvig, PRC 35 (1987) 2212, 537 ns"

# Largest total energy of the electron of a muon's decay at rest, and its mean without polarization, from the V-A
# spectrum x^2 (3 - 2x), massless electron: 7/10 of the endpoint
MICHEL_ENDPOINT_MEV = (MUON_MASS_MEV**2 + ELECTRON_MASS_MEV**2) / (2 * MUON_MASS_MEV)
MICHEL_MEAN_MEV = 0.7 * MICHEL_ENDPOINT_MEV
# Kinetic energy of the muon of a pion's decay at rest: two-body kinematics
DECAY_MUON_MEV = (PION_MASS_MEV - MUON_MASS_MEV) ** 2 / (2 * PION_MASS_MEV)


def beta_gamma(kinetic_mev: float, mass_mev: float) -> tuple[float, float]:
    gamma = 1 + kinetic_mev / mass_mev
    return math.sqrt(1 - 1 / gamma**2), gamma


def density_effect(beta: float, gamma: float) -> float:
    """delta of liquid argon. PDG review, eq. 34.7, with the parameters of STERNHEIMER."""
    x0, x1, a, k, c_bar = STERNHEIMER
    x = math.log10(beta * gamma)
    if x < x0:
        return 0.0
    return 2 * math.log(10) * x - c_bar + (a * (x1 - x) ** k if x < x1 else 0.0)


def most_probable_loss_mev(kinetic_mev: float, mass_mev: float, thickness_mm: float) -> float:
    """Landau-Vavilov-Bichsel most probable loss of a particle of charge 1. PDG review, eq. 34.12, j = 0.200."""
    beta, gamma = beta_gamma(kinetic_mev, mass_mev)
    xi = BETHE_K_MEV_CM2 / 2 * CHARGE_OVER_MASS * DENSITY_G_PER_CM3 * thickness_mm / 10 / beta**2
    bracket = math.log(2 * ELECTRON_MASS_MEV * (beta * gamma) ** 2 / MEAN_EXCITATION_MEV)
    bracket += math.log(xi / MEAN_EXCITATION_MEV) + 0.2 - beta**2 - density_effect(beta, gamma)
    return xi * bracket


def highland_rad(kinetic_mev: float, mass_mev: float, thickness_mm: float) -> float:
    """Width of the projected angle, charge 1; PDG review, eq. 34.16 (Lynch, Dahl 1991): good to 11 %, 1e-3 to 100 X0"""
    total = kinetic_mev + mass_mev
    momentum = math.sqrt(total**2 - mass_mev**2)
    beta = momentum / total
    depth = thickness_mm / RADIATION_LENGTH_MM
    return 13.6 / (beta * momentum) * math.sqrt(depth) * (1 + 0.038 * math.log(depth / beta**2))


def shower_maximum(energy_mev: float, offset: float = -0.5) -> float:
    """Depth of the maximum of an electron's shower in radiation lengths. PDG review, eq. 34.36: ln(E/Ec) - 0.5."""
    return math.log(energy_mev / CRITICAL_ENERGY_MEV) + offset


def grindhammer_maximum(energy_mev: float) -> float:
    """Depth of maximum [X0] of the mean profile, Ec = 2.66 (X0 Z/A)^1.1 MeV. Grindhammer, Peters, app. A.1.1."""
    return math.log(energy_mev / grindhammer_critical_mev()) - 0.858


def grindhammer_critical_mev() -> float:
    """Critical energy in the convention of Grindhammer and Peters."""
    return 2.66 * (RADIATION_LENGTH_G_PER_CM2 * CHARGE_OVER_MASS) ** 1.1


def contained_share(energy_mev: float) -> float:
    """Energy within one Moliere radius (PDG), over all depths: core and tail. Grindhammer, Peters, app. A.1.1, A.1.3.

    Their unit of radius is X0 21 MeV / Ec with their critical energy: 101 mm.
    """
    radius = MOLIERE_RADIUS_MM / (RADIATION_LENGTH_MM * 21.0 / grindhammer_critical_mev())
    charge, log_gev = 18.0, math.log(energy_mev / 1000)
    maximum = grindhammer_maximum(energy_mev)
    shape = 0.21 + (0.492 + 2.38 / charge) * (maximum + 0.858)
    t = np.linspace(0.005, 40.0, 4000)
    # Up to a factor, which the mean does not feel
    weight = t ** (shape - 1) * np.exp(-(shape - 1) * t / maximum)
    tau = t / maximum
    core = 0.0251 + 0.00319 * log_gev + (0.1162 - 0.000381 * charge) * tau
    rising = np.exp(-2.59 * (tau - 0.645)) + np.exp((0.3585 + 0.0412 * log_gev) * (tau - 0.645))
    tail = (0.659 - 0.00309 * charge) * rising
    x = (0.401 + 0.00187 * charge - tau) / (1.313 - 0.0686 * log_gev)
    share = np.clip((2.632 - 0.00094 * charge) * np.exp(x - np.exp(x)), 0.0, 1.0)
    inside = radius**2 * (share / (radius**2 + core**2) + (1 - share) / (radius**2 + tail**2))
    return float(weight @ inside / weight.sum())


def range_table(table: dict[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(table)), np.array(list(table.values()))
