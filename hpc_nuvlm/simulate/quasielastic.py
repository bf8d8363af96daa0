"""Quasi-elastic and elastic scattering of (anti)neutrinos off nucleons: dsigma/dQ2 after Llewellyn Smith.

Left out: second-class currents, strange vector form factors, RPA screening in the nucleus.
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.simulate.constants import CM2_38, FERMI_PER_GEV2, VUD_SQUARED, WEAK_MIXING, Probe
from hpc_nuvlm.simulate.species import NUCLEON_GEV

# Vector mass: V. Bernard et al., J. Phys. G28 (2002) R1. Axial mass: world average of deuterium, ibid., 1.026 GeV
VECTOR_MASS_GEV = 0.843
AXIAL_MASS_GEV = 1.026
AXIAL_COUPLING = -1.2756
# Magnetic moments [nuclear magnetons]: Review of Particle Physics 2024
MOMENT_PROTON, MOMENT_NEUTRON = 2.7928473, -1.9130427
# Strange part of the axial form factor, L.A. Ahrens et al., Phys. Rev. D35 (1987) 785: eta = 0.12
AXIAL_STRANGE = 0.12
PION_MASS_GEV = 0.13957


def electromagnetic(q2: np.ndarray) -> tuple[np.ndarray, ...]:
    """F1 and F2 (with its anomalous moment) of the proton, then of the neutron: dipoles, and Galster's neutron.

    S. Galster et al., Nucl. Phys. B32 (1971) 221: GEn = -mu_n tau / (1 + 5.6 tau) GD.
    """
    tau = q2 / (4.0 * NUCLEON_GEV**2)
    dipole = (1.0 + q2 / VECTOR_MASS_GEV**2) ** -2
    electric = (dipole, -MOMENT_NEUTRON * tau / (1.0 + 5.6 * tau) * dipole)
    magnetic = (MOMENT_PROTON * dipole, MOMENT_NEUTRON * dipole)
    return tuple(
        form for e, m in zip(electric, magnetic) for form in ((e + tau * m) / (1.0 + tau), (m - e) / (1.0 + tau))
    )


def form_factors(q2: np.ndarray, probe: Probe) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """F1, F2 (with its anomalous moment), FA and FP of the weak current.

    CC: conserved vector current, FP from partial conservation of the axial current (Llewellyn Smith, equation 3.17).
    NC: W.M. Alberico, S.M. Bilenky, C. Maieron, Phys. Rept. 358 (2002) 227, equations 45-50.
    """
    f1p, f2p, f1n, f2n = electromagnetic(q2)
    axial = AXIAL_COUPLING * (1.0 + q2 / AXIAL_MASS_GEV**2) ** -2
    if probe.is_cc:
        return f1p - f1n, f2p - f2n, axial, 2.0 * NUCLEON_GEV**2 * axial / (PION_MASS_GEV**2 + q2)
    own, other = ((f1p, f2p), (f1n, f2n)) if probe.nucleon else ((f1n, f2n), (f1p, f2p))
    f1, f2 = (0.5 * (a - b) - 2.0 * WEAK_MIXING * a for a, b in zip(own, other))
    isospin = 0.5 if probe.nucleon else -0.5
    # The strange sea adds to both nucleons: the isoscalar eta of Ahrens et al. has the sign that raises the proton
    return f1, f2, isospin * axial * (1.0 + AXIAL_STRANGE * 2.0 * isospin), np.zeros_like(q2)


def differential(energy_gev: np.ndarray, q2: np.ndarray, probe: Probe) -> np.ndarray:
    """dsigma/dQ2 [1e-38 cm2/GeV2] on a free nucleon at rest; no check that Q2 is within its limits.

    C.H. Llewellyn Smith, Phys. Rept. 3 (1972) 261, equation 3.22. Antineutrinos: the term B changes sign.
    """
    if probe.is_cc and probe.hadron_charge not in (0, 1):
        return np.zeros(np.broadcast(energy_gev, q2).shape)
    f1, f2, fa, fp = form_factors(q2, probe)
    m2, l2 = NUCLEON_GEV**2, probe.lepton_gev**2
    tau = q2 / (4.0 * m2)
    a = (1.0 + tau) * fa**2 - (1.0 - tau) * f1**2 + tau * (1.0 - tau) * f2**2 + 4.0 * tau * f1 * f2
    a = a - l2 / (4.0 * m2) * ((f1 + f2) ** 2 + (fa + 2.0 * fp) ** 2 - 4.0 * (1.0 + tau) * fp**2)
    a = a * (l2 + q2) / m2
    b = 4.0 * tau * fa * (f1 + f2)
    c = 0.25 * (fa**2 + f1**2 + tau * f2**2)
    s_u = 4.0 * NUCLEON_GEV * energy_gev - q2 - l2
    coupling = VUD_SQUARED if probe.is_cc else 1.0
    scale = CM2_38 * m2 * FERMI_PER_GEV2**2 * coupling / (8.0 * np.pi * energy_gev**2)
    # FA is negative here, hence the sign that raises neutrinos above antineutrinos
    result = scale * (a - probe.sign * b * s_u / m2 + c * s_u**2 / m2**2)
    return np.maximum(result, 0.0)
