"""Deep inelastic scattering at leading order: quark densities, structure functions, d2sigma/dW dQ2.

Left out: charmed hadrons (the cross section of strange to charm is there, its hadrons are those of light quarks),
scaling violations other than those of the low-Q2 corrections, nuclear effects on quarks. Scale and sea are those of
measured total cross sections.
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.simulate.constants import CM2_38, FERMI_PER_GEV2, W_BOSON_GEV, W_JOIN_GEV, WEAK_MIXING, Probe
from hpc_nuvlm.simulate.species import NUCLEON_GEV

# A. Bodek, U.K. Yang, AIP Conf. Proc. 670 (2003) 110 (hep-ex/0301036) and GENIE manual arXiv:1510.05494, section 2.3
BODEK_YANG_A, BODEK_YANG_B = 0.538, 0.305
VALENCE_UP, VALENCE_DOWN, SEA_UP, SEA_DOWN = (0.291, 0.189), (0.202, 0.255), 0.363, 0.621
# Sea and scales are fitted to measured total cross sections: sigma/E = 0.677 (neutrinos) and 0.334 (antineutrinos)
# e-38 cm2/GeV at high energy, isoscalar nucleon (the PDG's averages, as commonly quoted), and MINOS' points at
# 5 to 50 GeV (P. Adamson et al., Phys. Rev. D81 (2010) 072002). Barger and Phillips' own sea is 0.145.
SEA = 0.30
SCALE = {1: 0.90, -1: 1.08}
STRANGE_SHARE, CHARM_GEV, VCS_SQUARED = 0.48, 1.70, 0.975**2
# Nucleon and D meson
W_CHARM_GEV = NUCLEON_GEV + 1.87
# Share of the extrapolated continuum that is not in the resonances, by number of hadrons (2; 3 or more) and charge
# of the hadronic system: GENIE, Nucl. Instrum. Meth. A614 (2010) 87, section 2.3
TWO_BODY_SHARE = {2: 0.1, 1: 0.3, 0: 0.3, -1: 0.1}


def densities(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x times the valence up, valence down and (one flavour of) sea density of the proton.

    V.D. Barger, R.J.N. Phillips, Nucl. Phys. B73 (1974) 269: fits to deep inelastic scattering, Q2 of a few GeV2.
    """
    y = 1.0 - x**2
    root = np.sqrt(x)
    up = root * (0.594 * y**3 + 0.461 * y**5 + 0.621 * y**7)
    down = root * (0.072 * y**3 + 0.206 * y**5 + 0.621 * y**7)
    return up, down, SEA * (1.0 - x) ** 9


def corrected(x: np.ndarray, q2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x times up, down, antiup, antidown of the proton, with Bodek and Yang's scaling variable and low-Q2 factors."""
    root = 1.0 + np.sqrt(1.0 + 4.0 * NUCLEON_GEV**2 * x**2 / q2)
    xi = np.minimum(2.0 * x * (q2 + BODEK_YANG_B) / (q2 * root + 2.0 * BODEK_YANG_A * x), 1.0)
    up, down, sea = densities(xi)
    dipole = (1.0 + q2 / 0.71) ** -2
    up, down = (
        density * (1.0 - dipole**2) * (q2 + second) / (q2 + first)
        for density, (first, second) in ((up, VALENCE_UP), (down, VALENCE_DOWN))
    )
    anti_up, anti_down = (sea * q2 / (q2 + constant) for constant in (SEA_UP, SEA_DOWN))
    return up + anti_up, down + anti_down, anti_up, anti_down


def structure_functions(x: np.ndarray, q2: np.ndarray, probe: Probe) -> tuple[np.ndarray, np.ndarray]:
    """F2 and x F3 (for an antineutrino with the sign that the cross section needs) of a nucleon.

    Quark parton model, Review of Particle Physics 2024, section 18.2; isospin symmetry gives the neutron.
    """
    up, down, anti_up, anti_down = corrected(x, q2)
    if not probe.nucleon:
        up, down, anti_up, anti_down = down, up, anti_down, anti_up
    if probe.is_cc:
        quark, anti = (down, anti_up) if probe.sign > 0 else (up, anti_down)
        charm = strange_to_charm(x, q2)
        quark, anti = (quark + charm, anti) if probe.sign > 0 else (quark, anti + charm)
        return 2.0 * (quark + anti), 2.0 * (quark - anti)
    s = WEAK_MIXING
    f2, f3 = 0.0, 0.0
    for quark, anti, left, right in (
        (up, anti_up, 0.5 - 2.0 * s / 3.0, -2.0 * s / 3.0),
        (down, anti_down, -0.5 + s / 3.0, s / 3.0),
    ):
        f2 = f2 + 2.0 * (left**2 + right**2) * (quark + anti)
        f3 = f3 + 2.0 * (left**2 - right**2) * (quark - anti)
    return f2, f3


def strange_to_charm(x: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """x times the density of strange quarks that become charm: slow rescaling, and W above the lightest charmed pair.

    H. Georgi, H.D. Politzer, Phys. Rev. D14 (1976) 1829; strange sea: half of a light one, CCFR, A.O. Bazarko et al.,
    Z. Phys. C65 (1995) 189 (kappa 0.48, charm mass 1.70 GeV).
    """
    xi = np.minimum(x * (1.0 + CHARM_GEV**2 / q2), 1.0)
    w2 = NUCLEON_GEV**2 + q2 * (1.0 / x - 1.0)
    return np.where(w2 > W_CHARM_GEV**2, STRANGE_SHARE * SEA * (1.0 - xi) ** 9 * VCS_SQUARED, 0.0)


def longitudinal_ratio(x: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """R = sigma_L / sigma_T: L.W. Whitlow et al., Phys. Lett. B250 (1990) 193; below 0.35 GeV2 it falls with Q2."""
    safe = np.maximum(q2, 0.35)
    theta = 1.0 + 12.0 * safe / (safe + 1.0) * 0.125**2 / (0.125**2 + x**2)
    ratio = 0.0635 / np.log(safe / 0.04) * theta + 0.5747 / safe - 0.3534 / (safe**2 + 0.09)
    # Bodek and Yang, section 6
    return np.where(q2 < 0.35, ratio * 3.207 * q2 / (q2**2 + 1.0), ratio)


def differential(energy_gev: np.ndarray, w: np.ndarray, q2: np.ndarray, probe: Probe) -> np.ndarray:
    """d2sigma/dW dQ2 [1e-38 cm2/GeV3] on a nucleon at rest, the lepton's mass included.

    S. Kretzer, M.H. Reno, Phys. Rev. D66 (2002) 113007, equation 2, with the Albright-Jarlskog relations F4 = 0,
    2 x F5 = F2. Below W = 1.7 GeV: the part that is not in the resonances.
    """
    m, l2 = NUCLEON_GEV, probe.lepton_gev**2
    nu = (w**2 - m**2 + q2) / (2.0 * m)
    x, y = q2 / (2.0 * m * nu), nu / energy_gev
    f2, xf3 = structure_functions(x, q2, probe)
    xf1 = f2 * (1.0 + 4.0 * m**2 * x**2 / q2) / (2.0 * (1.0 + longitudinal_ratio(x, q2)))
    terms = (y**2 + l2 * y / (2.0 * energy_gev * m * x)) * xf1
    terms = terms + (1.0 - l2 / (4.0 * energy_gev**2) - (1.0 + m * x / (2.0 * energy_gev)) * y) * f2
    terms = terms + probe.sign * (y * (1.0 - y / 2.0) - l2 * y / (4.0 * energy_gev * m * x)) * xf3
    terms = terms - l2 / (2.0 * energy_gev * m * x) * f2
    propagator = (1.0 + q2 / W_BOSON_GEV**2) ** -2
    scale = CM2_38 * FERMI_PER_GEV2**2 * m * energy_gev / np.pi * propagator * SCALE[probe.sign]
    jacobian = w / (2.0 * m**2 * nu * energy_gev)
    return np.maximum(scale * jacobian * terms, 0.0) * continuum_share(w, probe)


def continuum_share(w: np.ndarray, probe: Probe) -> np.ndarray:
    """1 above W = 1.7 GeV; below, what double counting with resonances leaves.

    The chance of just two hadrons falls linearly from 1 at the two-pion threshold to 0.5 at the join, the
    mean of what the hadronization module gives there (0.33 to 0.65, by charge).
    """
    two = np.clip(1.0 - 0.5 * (w - 1.22) / (W_JOIN_GEV - 1.22), 0.5, 1.0)
    charge = probe.hadron_charge if probe.is_cc else (2 if probe.nucleon == (probe.sign > 0) else 1)
    return np.where(w < W_JOIN_GEV, two * TWO_BODY_SHARE[charge] + 1.0 - two, 1.0)
