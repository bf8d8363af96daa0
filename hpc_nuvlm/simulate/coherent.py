"""Coherent production of one pion off the whole nucleus: partially conserved axial current, as Berger and Sehgal do.

C. Berger, L.M. Sehgal, Phys. Rev. D79 (2009) 053003 (below: BS); above 1 GeV of pion energy the nucleus is that of
D. Rein, L.M. Sehgal, Nucl. Phys. B223 (1983) 29 (below: RS).
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.simulate.constants import CM2_38, FERMI_PER_GEV2, PION_GEV, Probe
from hpc_nuvlm.simulate.nucleus import HBARC_GEV_FM, Nucleus

# f_pi = 0.93 m_pi; axial mass; real over imaginary forward amplitude; nuclear scale [fm]: RS, and GENIE's defaults
DECAY_CONSTANT_GEV, AXIAL_MASS_GEV, REAL_RATIO, SCALE_FM = 0.93 * 0.13957, 1.0, 0.3, 1.0
MB_TO_GEV2 = 1.0 / 0.3893794
# BS, table I, as GENIE has it: kinetic energy [GeV], A1 [mb/GeV2] and b1 [1/GeV2] of dsigma/dt = A1 exp(-b1 |t|), pions
# on carbon
CARBON_KINETIC_GEV = np.array([0.0, 0.076, 0.080, 0.100, 0.148, 0.162, 0.226, 0.486, 0.584, 0.662, 0.766, 0.870])
CARBON_A = np.array([0.0, 11600, 14700, 18300, 21300, 22400, 16400, 5730, 4610, 4570, 4930, 5140])
CARBON_B = np.array([116, 116, 109, 89.8, 91.0, 89.2, 80.8, 54.6, 55.2, 58.4, 60.5, 62.2])
# Pion-nucleon cross sections [mb] in RS's form above 1 GeV: mean of pi+ p and pi- p, total and inelastic, against
# energy [GeV]: approximate points, drawn by hand after the PDG's compilation
HIGH_GEV = np.array([1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0])
HIGH_TOTAL_MB = np.array([38.0, 34.0, 32.0, 30.0, 27.5, 25.5, 24.5, 24.0])
HIGH_INELASTIC_MB = np.array([23.0, 24.0, 24.0, 23.5, 22.5, 21.8, 21.2, 20.8])


def elastic(nu: np.ndarray, nucleus: Nucleus) -> tuple[np.ndarray, np.ndarray]:
    """Forward value [1/GeV4] and slope b [1/GeV2] of dsigma/dt of a pion of this energy on the nucleus.

    BS, equations 10-12: the table scales from carbon with A^(4/3) and A^(2/3). RS, equations 7-10: A^2 times that of a
    nucleon, less what is absorbed on the way.
    """
    ratio = nucleus.nucleons / 12.0
    kinetic = np.maximum(nu - PION_GEV, 0.0)
    low = np.interp(kinetic, CARBON_KINETIC_GEV, CARBON_A) * MB_TO_GEV2 * ratio ** (4 / 3)
    low_slope = np.interp(kinetic, CARBON_KINETIC_GEV, CARBON_B) * ratio ** (2 / 3)
    radius2 = (SCALE_FM / HBARC_GEV_FM) ** 2
    total, inelastic = (np.interp(nu, HIGH_GEV, x) * MB_TO_GEV2 for x in (HIGH_TOTAL_MB, HIGH_INELASTIC_MB))
    absorbed = np.exp(-9.0 * nucleus.nucleons ** (1 / 3) * inelastic / (16.0 * math.pi * radius2))
    high = nucleus.nucleons**2 * total**2 * (1.0 + REAL_RATIO**2) / (16.0 * math.pi) * absorbed
    is_low = nu < 1.0
    return np.where(is_low, low, high), np.where(is_low, low_slope, radius2 * nucleus.nucleons ** (2 / 3) / 3.0)


def smallest_t(nu: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """Least |t| [GeV2] at which the nucleus lets a pion of energy nu appear: ((Q2 + m2) / 2 nu)2, RS equation 4."""
    return ((q2 + PION_GEV**2) / (2.0 * nu)) ** 2


def differential(energy_gev, w, q2, probe: Probe, nucleus: Nucleus) -> np.ndarray:
    """d2sigma/dW dQ2 [1e-38 cm2/GeV3] per nucleus; W is the mass of pion and nucleus together.

    Adler's theorem, BS equation 5: d2sigma/dQ2 dnu = G2 f2 / (2 pi2) (1 - y) / nu sigma(pi A), half for neutral
    currents; lepton mass: D. Rein, L.M. Sehgal, Phys. Lett. B657 (2007) 207.
    """
    nu = (w**2 - nucleus.mass_gev**2 + q2) / (2.0 * nucleus.mass_gev)
    y = nu / energy_gev
    good = (nu > PION_GEV) & (y < 1.0)
    nu, y = np.where(good, nu, 1.0), np.where(good, y, 0.5)
    forward, slope = elastic(nu, nucleus)
    pion = forward * np.exp(-slope * smallest_t(nu, q2)) / slope
    scale = CM2_38 * FERMI_PER_GEV2**2 * DECAY_CONSTANT_GEV**2 / (4.0 * math.pi**2)
    value = scale * (1.0 - y) / nu * (1.0 + q2 / AXIAL_MASS_GEV**2) ** -2 * pion
    if probe.is_cc:
        lowest = probe.lepton_gev**2 * y / (1.0 - y)
        shift = (1.0 - 0.5 * lowest / (q2 + PION_GEV**2)) ** 2
        shift = shift + 0.25 * y * lowest * (q2 - lowest) / (q2 + PION_GEV**2) ** 2
        value = value * 2.0 * np.where(q2 > lowest, np.maximum(shift, 0.0), 0.0)
    return np.where(good, value * w / nucleus.mass_gev, 0.0)


def draw_t(nu: float, q2: float, highest: float, nucleus: Nucleus, rng: np.random.Generator) -> float:
    """|t| [GeV2], exponential above its least value and below the highest that kinematics allows."""
    b, low = float(elastic(np.float64(nu), nucleus)[1]), min(smallest_t(nu, q2), highest)
    drop = 1.0 - math.exp(-b * (highest - low))
    return low - math.log(1.0 - drop * rng.random()) / b
