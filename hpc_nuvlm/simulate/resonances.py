"""Production of baryon resonances: the model of Rein and Sehgal, resonance by resonance, added incoherently.

D. Rein, L.M. Sehgal, Ann. Phys. 133 (1981) 79 (below: RS). Left out: interference of resonances, mass of the
lepton in the amplitudes (it is exact in the kinematics), and resonances that peak above W = 1.7 GeV.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hpc_nuvlm.simulate.constants import (
    CM2_38,
    FERMI_PER_GEV2,
    PION_GEV,
    VUD_SQUARED,
    W_PION_GEV,
    WEAK_MIXING,
    Probe,
)
from hpc_nuvlm.simulate.species import NUCLEON_GEV

# Quark model constants (RS, section 3), with the values in use today: GENIE, Nucl. Instrum. Meth. A614 (2010) 87
OMEGA_GEV2, ZETA = 1.05, 0.762
AXIAL_MASS_GEV, VECTOR_MASS_GEV = 1.12, 0.84


class Resonance(NamedTuple):
    """One row of RS, table II: coefficients of T, R lambda^N, S, C, B in the charged-current amplitudes of n or p."""

    name: str
    mass_gev: float
    width_gev: float
    # Twice the isospin; orbital momentum of the decay to N pi; oscillator band N
    isospin: int
    orbit: int
    band: int
    t1: float = 0.0
    r1: float = 0.0
    t3: float = 0.0
    r3: float = 0.0
    s: float = 0.0
    c: float = 0.0
    b: float = 0.0
    # Multiples of sin2(theta_W) by which the vector parts T, R, S of neutral currents on protons shrink (on neutrons:
    # 4 - this), from the electromagnetic rows of the same table
    neutral: tuple[float, float, float] = (2.0, 2.0, 2.0)


# Masses and widths: Review of Particle Physics 2024 (Breit-Wigner)
RESONANCES = (
    Resonance("P33(1232)", 1.232, 0.117, 3, 1, 0, r1=2**0.5, r3=6**0.5, c=-2 * 2**0.5),
    Resonance(
        "P11(1440)",
        1.44,
        0.35,
        1,
        1,
        2,
        r1=-5 * 3**0.5 / 6,
        s=0.75**0.5,
        c=5 * 3**0.5 / 6,
        b=-5 * 3**0.5 / 3,
        neutral=(4.0, 2.4, 4.0),
    ),
    Resonance(
        "D13(1520)",
        1.515,
        0.11,
        1,
        2,
        1,
        t1=6**0.5,
        r1=-4 / 3**0.5,
        t3=6 / 2**0.5,
        s=12**0.5,
        c=4 / 3**0.5,
        neutral=(2.0, 3.0, 2.0),
    ),
    Resonance(
        "S11(1535)",
        1.53,
        0.15,
        1,
        0,
        1,
        t1=12**0.5,
        r1=4 / 6**0.5,
        s=6**0.5,
        c=2 * (2 / 3) ** 0.5,
        b=-6 * (2 / 3) ** 0.5,
        neutral=(2.0, 3.0, 2.0),
    ),
    Resonance("P33(1600)", 1.57, 0.25, 3, 1, 2, r1=-(6**-0.5), r3=-(2**-0.5), c=(2 / 3) ** 0.5, b=-2 * (2 / 3) ** 0.5),
    Resonance("S31(1620)", 1.61, 0.13, 3, 0, 1, t1=-(3**0.5), r1=6**-0.5, s=1.5**0.5, c=6**-0.5, b=-3 * 6**-0.5),
    Resonance(
        "S11(1650)",
        1.65,
        0.125,
        1,
        0,
        1,
        r1=6**-0.5,
        c=-((2 / 3) ** 0.5),
        b=3 * (2 / 3) ** 0.5,
        neutral=(0.0, 0.0, 0.0),
    ),
    Resonance("D15(1675)", 1.675, 0.145, 1, 2, 1, r1=-(0.3**0.5), r3=-(0.6**0.5), c=1.2**0.5, neutral=(0.0, 0.0, 0.0)),
    Resonance(
        "F15(1680)",
        1.685,
        0.12,
        1,
        3,
        2,
        t1=-3 / 5**0.5,
        r1=2.5**0.5,
        t3=-(3.6**0.5),
        s=0.9**0.5,
        c=2.5**0.5,
        neutral=(4.0, 2.4, 4.0),
    ),
    Resonance("D33(1700)", 1.71, 0.3, 3, 2, 1, t1=-(1.5**0.5), r1=-(3**-0.5), t3=-3 / 2**0.5, s=3**0.5, c=3**-0.5),
)


def pion_momentum(w: np.ndarray) -> np.ndarray:
    """Momentum [GeV] of N and pi at rest of a system of mass w; 0 below threshold."""
    product = (w**2 - (NUCLEON_GEV + PION_GEV) ** 2) * (w**2 - (NUCLEON_GEV - PION_GEV) ** 2)
    return np.sqrt(np.maximum(product, 0.0)) / (2.0 * w)


def line_shape(w: np.ndarray, resonance: Resonance) -> np.ndarray:
    """Breit-Wigner density [1/GeV] of W, its width running with the N pi momentum (RS, equations 2.29-2.31).

    Normalized between threshold and five widths above the peak.
    """

    def raw(x):
        power = 2 * resonance.orbit + 1
        width = resonance.width_gev * (pion_momentum(x) / pion_momentum(np.float64(resonance.mass_gev))) ** power
        return width / (2.0 * np.pi) / ((x - resonance.mass_gev) ** 2 + width**2 / 4.0)

    grid = np.linspace(W_PION_GEV, resonance.mass_gev + 5.0 * resonance.width_gev, 2001)
    return raw(w) / (raw(grid).sum() * (grid[1] - grid[0]))


def strengths(w: np.ndarray, q2: np.ndarray, probe: Probe) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per resonance: |f|^2 of left, right and scalar polarizations, with isospin factor and line shape [1/GeV]."""
    m = NUCLEON_GEV
    nu = (w**2 - m**2 + q2) / (2.0 * m)
    q = np.sqrt(nu**2 + q2)
    d = (w + m) ** 2 + q2
    root = np.sqrt(2.0 / OMEGA_GEV2)
    found = []
    for one in RESONANCES:
        weight = isospin_weight(one, probe)
        if weight == 0.0:
            found.append((np.zeros_like(q),) * 3)
            continue
        common = (1.0 + q2 / (4.0 * m**2)) ** (0.5 - one.band)
        gv, ga = (common / (1.0 + q2 / x**2) ** 2 for x in (VECTOR_MASS_GEV, AXIAL_MASS_GEV))
        step = root * m * q / w
        nomega = one.band * OMEGA_GEV2
        at, ar, as_ = neutral_factors(one, probe)
        tv = at * gv / (3.0 * w * root)
        rv = ar * np.sqrt(2.0) * (m * q / w) * (w + m) * gv / d
        s = as_ * (q2 / q**2) * (3.0 * w * m - q2 - m**2) * gv / (6.0 * m**2)
        ta = (2.0 / 3.0) * (ZETA / root) * (m * q / w) * ga / d
        ra = np.sqrt(2.0) / 6.0 * ZETA * ga / w * (w + m + 2.0 * nomega * w / d)
        b = ZETA / (3.0 * w * root) * (1.0 + (w**2 - m**2 - q2) / d) * ga
        c = ZETA / (6.0 * q) * (w**2 - m**2 + nomega * (w**2 - m**2 - q2) / d) * ga / m
        low, high = step ** max(0, one.band - 1), step**one.band
        left, right = (
            (one.t1 * low * (tv + i * ta) + one.r1 * high * (rv + i * ra)) ** 2
            + (one.t3 * low * (tv + i * ta) + one.r3 * high * (rv + i * ra)) ** 2
            for i in (1.0, -1.0)
        )
        scalar = 2.0 * ((one.s * high * s) ** 2 + (one.c * high * c + one.b * low * b) ** 2)
        shape = weight * line_shape(w, one)
        found.append((left * shape, right * shape, scalar * shape))
    return found


def isospin_weight(resonance: Resonance, probe: Probe) -> float:
    """Square of the isospin coefficient, relative to the charged-current rows (RS, table II)."""
    if not probe.is_cc:
        return 1.0 if resonance.isospin == 3 else 0.25
    stretched = probe.hadron_charge in (2, -1)
    if resonance.isospin == 3:
        return 3.0 if stretched else 1.0
    return 0.0 if stretched else 1.0


def neutral_factors(resonance: Resonance, probe: Probe) -> tuple[float, ...]:
    """Factors of the vector parts T, R, S; 1 for charged currents."""
    if probe.is_cc:
        return (1.0, 1.0, 1.0)
    multiples = resonance.neutral
    if resonance.isospin == 1 and not probe.nucleon:
        multiples = tuple(4.0 - x for x in multiples)
    return tuple(1.0 - x * WEAK_MIXING for x in multiples)


def per_resonance(energy_gev: np.ndarray, w: np.ndarray, q2: np.ndarray, probe: Probe) -> list[np.ndarray]:
    """d2sigma/dW dQ2 [1e-38 cm2/GeV3] on a nucleon at rest of each of RESONANCES (RS, equations 2.6 and 2.18)."""
    m = NUCLEON_GEV
    nu = (w**2 - m**2 + q2) / (2.0 * m)
    q = np.sqrt(nu**2 + q2)
    u, v = (2.0 * energy_gev - nu + q) / (2.0 * energy_gev), (2.0 * energy_gev - nu - q) / (2.0 * energy_gev)
    coupling = FERMI_PER_GEV2**2 * (VUD_SQUARED if probe.is_cc else 1.0)
    scale = CM2_38 * 0.125 * coupling / np.pi * (q2 / q**2) * (w / m)
    if probe.sign < 0:
        u, v = v, u
    mixed = np.abs(u * v)
    return [
        scale * (w / m * (u**2 * left + v**2 * right) + 2.0 * mixed * (m / w) * (q**2 / q2) * scalar)
        for left, right, scalar in strengths(w, q2, probe)
    ]


def differential(energy_gev: np.ndarray, w: np.ndarray, q2: np.ndarray, probe: Probe) -> np.ndarray:
    """d2sigma/dW dQ2 [1e-38 cm2/GeV3] of all resonances together."""
    return sum(per_resonance(energy_gev, w, q2, probe))
