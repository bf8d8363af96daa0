"""Which resonance it was, and what it decays to.

Left out: interference, angular correlations (decays are isotropic in the resonance's rest frame), radiative decays.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hpc_nuvlm.simulate.constants import W_JOIN_GEV, W_PION_GEV, Probe
from hpc_nuvlm.simulate.relativity import FourVector, isotropic, mass, phase_space, two_body
from hpc_nuvlm.simulate.resonances import RESONANCES, per_resonance
from hpc_nuvlm.simulate.species import MASS_GEV, NEUTRON, PION_MINUS, PION_PLUS, PION_ZERO, PROTON

# Shares of N pi, N eta, Lambda K, N pi pi: Review of Particle Physics 2024, baryon listings, middle of each range
BRANCHING = {
    "P33(1232)": (1.0, 0.0, 0.0, 0.0),
    "P11(1440)": (0.65, 0.0, 0.0, 0.35),
    "D13(1520)": (0.60, 0.0, 0.0, 0.40),
    "S11(1535)": (0.47, 0.42, 0.0, 0.11),
    "P33(1600)": (0.16, 0.0, 0.0, 0.84),
    "S31(1620)": (0.30, 0.0, 0.0, 0.70),
    "S11(1650)": (0.60, 0.20, 0.05, 0.15),
    "D15(1675)": (0.40, 0.0, 0.0, 0.60),
    "F15(1680)": (0.65, 0.0, 0.0, 0.35),
    "D33(1700)": (0.15, 0.0, 0.0, 0.85),
}
# Charge -> final states of N pi with their squared Clebsch-Gordan coefficients (RPP section 46), by twice the isospin
PION_STATES = {
    3: {
        2: (((PROTON, PION_PLUS), 1.0),),
        1: (((PROTON, PION_ZERO), 2 / 3), ((NEUTRON, PION_PLUS), 1 / 3)),
        0: (((NEUTRON, PION_ZERO), 2 / 3), ((PROTON, PION_MINUS), 1 / 3)),
        -1: (((NEUTRON, PION_MINUS), 1.0),),
    },
    1: {
        1: (((NEUTRON, PION_PLUS), 2 / 3), ((PROTON, PION_ZERO), 1 / 3)),
        0: (((PROTON, PION_MINUS), 2 / 3), ((NEUTRON, PION_ZERO), 1 / 3)),
    },
}
# N pi pi: all charge states alike, but two neutral pions half as often (identical particles)
TWO_PION_STATES = {
    2: (((PROTON, PION_PLUS, PION_ZERO), 0.5), ((NEUTRON, PION_PLUS, PION_PLUS), 0.5)),
    1: (
        ((PROTON, PION_PLUS, PION_MINUS), 0.4),
        ((NEUTRON, PION_PLUS, PION_ZERO), 0.4),
        ((PROTON, PION_ZERO, PION_ZERO), 0.2),
    ),
    0: (
        ((NEUTRON, PION_PLUS, PION_MINUS), 0.4),
        ((PROTON, PION_MINUS, PION_ZERO), 0.4),
        ((NEUTRON, PION_ZERO, PION_ZERO), 0.2),
    ),
    -1: (((NEUTRON, PION_MINUS, PION_ZERO), 0.5), ((PROTON, PION_MINUS, PION_MINUS), 0.5)),
}
ETA, LAMBDA, KAON_PLUS, KAON_ZERO = 221, 3122, 321, 311
# Grid on which the shares of resonances are kept: their Q2 dependences are alike, so it may be coarse
W_GRID = np.linspace(W_PION_GEV + 0.003, W_JOIN_GEV, 48)
Q2_GRID = np.array([0.02, 0.1, 0.3, 0.8, 2.0])
SHARE_ENERGY_GEV = 3.0


@cache
def shares(probe: Probe) -> np.ndarray:
    """Cumulative share of each resonance, shape (len(W_GRID), len(Q2_GRID), len(RESONANCES))."""
    w, q2 = np.meshgrid(W_GRID, Q2_GRID, indexing="ij")
    parts = np.stack(per_resonance(np.float64(SHARE_ENERGY_GEV), w, q2, probe), axis=-1)
    parts = np.cumsum(parts, axis=-1)
    return parts / parts[..., -1:]


def pick(states, rng: np.random.Generator):
    """One of ((state, probability), ...)."""
    chance = rng.random()
    for state, probability in states:
        chance -= probability
        if chance < 0.0:
            return state
    return states[-1][0]


def final_state(w: float, q2: float, probe: Probe, rng: np.random.Generator) -> tuple[int, ...]:
    """Codes of what the resonance decays to; always charges and masses that fit."""
    i = min(max(int((w - W_GRID[0]) / (W_GRID[1] - W_GRID[0]) + 0.5), 0), len(W_GRID) - 1)
    j = int(np.searchsorted(Q2_GRID, q2))
    number = int(np.searchsorted(shares(probe)[i, min(j, len(Q2_GRID) - 1)], rng.random()))
    one = RESONANCES[min(number, len(RESONANCES) - 1)]
    charge = probe.hadron_charge
    to_pion, to_eta, to_kaon, _ = BRANCHING[one.name]
    chance = rng.random()
    if chance < to_pion or charge not in PION_STATES[one.isospin]:
        state = pick(PION_STATES[one.isospin if charge in PION_STATES[one.isospin] else 3][charge], rng)
    elif chance < to_pion + to_eta:
        state = (PROTON if charge else NEUTRON, ETA)
    elif chance < to_pion + to_eta + to_kaon:
        state = (LAMBDA, KAON_PLUS if charge else KAON_ZERO)
    else:
        state = pick(TWO_PION_STATES[charge], rng)
    if sum(MASS_GEV[abs(pdg)] for pdg in state) + 0.002 > w:
        return pick(PION_STATES[one.isospin][charge], rng)
    return state


def decay_resonance(
    hadrons: FourVector, w: float, q2: float, probe: Probe, rng: np.random.Generator
) -> list[tuple[int, FourVector]] | None:
    """Products (code, four-momentum [GeV]) of the resonance; None if W is too low even for its lightest state."""
    state = final_state(w, q2, probe, rng)
    masses = [MASS_GEV[abs(pdg)] for pdg in state]
    if sum(masses) >= mass(hadrons):
        return None
    if len(state) == 2:
        return list(zip(state, two_body(hadrons, (masses[0], masses[1]), isotropic(rng))))
    return list(zip(state, phase_space(hadrons, masses, rng)))
