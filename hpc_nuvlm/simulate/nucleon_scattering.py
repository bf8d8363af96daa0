"""Cross sections of pions and nucleons on nucleons inside the nucleus, and the final states of one collision.

Left out: kaons, hyperons and etas (they leave the nucleus untouched), more than one new pion in a collision,
medium modification other than Pauli's principle.
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.simulate.relativity import FourVector, around, isotropic, mass, phase_space, to_rest, two_body
from hpc_nuvlm.simulate.resonance_decay import TWO_PION_STATES, pick
from hpc_nuvlm.simulate.species import MASS_GEV, NEUTRON, PION_MINUS, PION_PLUS, PION_ZERO, PROTON

MB_TO_FM2 = 0.1
# Forward peak of elastic scattering at high energy, exp(b t) [1/GeV2]: our round value; b of about 7 is usually quoted
# for a few GeV
ELASTIC_SLOPE = 6.0
PION_CHARGE = {PION_PLUS: 1, PION_MINUS: -1, PION_ZERO: 0}
BY_CHARGE = {1: PION_PLUS, -1: PION_MINUS, 0: PION_ZERO}
# Share of pion collisions that are absorption on a pair of nucleons, at the density of the nucleus' centre (elsewhere
# by its square root) and below 0.25 GeV of kinetic energy; falls to 0 at 0.65. Set so that carbon absorbs pions as
# measured by DUET, E.S. Pinzon Guerra et al., Phys. Rev. C95 (2017) 045203: 154 to 182 mb from 202 to 295 MeV/c
ABSORPTION_SHARE, ABSORPTION_FLAT_GEV, ABSORPTION_END_GEV = 0.55, 0.25, 0.65


def nucleon_nucleon_mb(kinetic_gev: float, same: bool) -> float:
    """Total cross section [mb] of two nucleons; kinetic energy in the target's rest frame.

    N. Metropolis et al., Phys. Rev. 110 (1958) 204, as other codes have the formula, up to 0.33 GeV; above, straight
    lines through approximate points, drawn by hand after the PDG's compilation.
    """
    kinetic = max(kinetic_gev, 0.015)
    if kinetic < 0.33:
        beta2 = 1.0 - 1.0 / (1.0 + kinetic / 0.939) ** 2
        beta = math.sqrt(beta2)
        if same:
            return 10.63 / beta2 - 29.92 / beta + 42.9
        return 34.10 / beta2 - 82.2 / beta + 82.2
    if same:
        return float(np.interp(kinetic, (0.33, 0.6, 1.0, 2.0, 5.0), (23.6, 37.0, 47.5, 44.0, 41.0)))
    return float(np.interp(kinetic, (0.33, 0.6, 1.0, 2.0, 5.0), (33.0, 36.0, 39.0, 42.0, 42.0)))


def inelastic_share(kinetic_gev: float) -> float:
    """Chance that two colliding nucleons make a pion: 0 below 0.35 GeV, 0.5 at 1 GeV, 0.7 at most; a rough line."""
    return min(0.7, max(0.0, 0.5 * (kinetic_gev - 0.35) / 0.65))


def pion_nucleon_mb(kinetic_gev: float, charge_product: float) -> float:
    """Total cross section [mb] of a pion on a nucleon; charge_product: +1 pi+ p or pi- n, -1 the opposite, 0 a pi0.

    Delta(1232) with a running width, isospin 3/2 alone (9 : 3 : 6), plus the higher resonances and a plateau; shaped by
    hand after the PDG's compilation, not a fit.
    """
    pion, nucleon = 0.138, 0.939
    w = math.sqrt((pion + nucleon) ** 2 + 2.0 * nucleon * kinetic_gev)
    q2 = ((w * w - 1.1599) * (w * w - 0.6416)) / (4.0 * w * w)
    q = math.sqrt(max(q2, 1e-6))
    width = 0.117 * (q / 0.2285) ** 3 * 3.346 / (1.0 + (q / 0.35) ** 2) / 2.346
    peak = 205.0 * (0.2285 / q) ** 2 * (width / 2) ** 2 / ((w - 1.232) ** 2 + (width / 2) ** 2)
    isospin = 2.0 / 3.0 + charge_product / 3.0
    rest = 27.0 / (1.0 + math.exp((1.45 - w) / 0.06))
    second = 30.0 * math.exp(-(((w - 1.52) / 0.06) ** 2)) + 35.0 * math.exp(-(((w - 1.69) / 0.08) ** 2))
    return peak * isospin + rest + second * (0.5 - 0.5 * charge_product)


def absorption_share(kinetic_gev: float, profile: float) -> float:
    """Chance that a pion's collision is an absorption, at a density given as a fraction of the centre's."""
    fall = (ABSORPTION_END_GEV - kinetic_gev) / (ABSORPTION_END_GEV - ABSORPTION_FLAT_GEV)
    return ABSORPTION_SHARE * math.sqrt(profile) * min(1.0, max(0.0, fall))


def scatter_angle(total: FourVector, kinetic_gev: float, rng: np.random.Generator) -> float:
    """Cosine between incoming and outgoing: isotropic at low energy, exponential in t above 0.5 GeV."""
    if kinetic_gev < 0.5:
        return 2.0 * rng.random() - 1.0
    w = mass(total)
    steep = 2.0 * ELASTIC_SLOPE * max(w * w / 4.0 - 0.88, 0.01)
    return 1.0 + math.log(1.0 - rng.random() * (1.0 - math.exp(-2.0 * steep))) / steep


def collide_nucleons(
    codes: tuple[int, int], projectile: FourVector, target: FourVector, kinetic_gev: float, rng: np.random.Generator
) -> list[tuple[int, FourVector]]:
    """Products of two nucleons: elastic, or with one more pion."""
    total = tuple(map(sum, zip(projectile, target)))
    if rng.random() < inelastic_share(kinetic_gev) and mass(total) > 2.03:
        charge = (codes[0] == PROTON) + (codes[1] == PROTON)
        # From charge 0, 1, 2: which nucleons and which pion, by the isospin of a Delta that decays
        states = {
            2: (((PROTON, NEUTRON, PION_PLUS), 5 / 6), ((PROTON, PROTON, PION_ZERO), 1 / 6)),
            1: (
                ((PROTON, PROTON, PION_MINUS), 0.25),
                ((NEUTRON, NEUTRON, PION_PLUS), 0.25),
                ((PROTON, NEUTRON, PION_ZERO), 0.5),
            ),
            0: (((NEUTRON, PROTON, PION_MINUS), 5 / 6), ((NEUTRON, NEUTRON, PION_ZERO), 1 / 6)),
        }[charge]
        state = pick(states, rng)
        return list(zip(state, phase_space(total, [MASS_GEV[abs(code)] for code in state], rng)))
    masses = (MASS_GEV[codes[0]], MASS_GEV[codes[1]])
    axis = to_rest(projectile, total)[1:]
    direction = around(axis, scatter_angle(total, kinetic_gev, rng), 2.0 * math.pi * rng.random())
    return list(zip(codes, two_body(total, masses, direction)))


def collide_pion(
    codes: tuple[int, int], projectile: FourVector, target: FourVector, kinetic_gev: float, rng: np.random.Generator
) -> list[tuple[int, FourVector]]:
    """Products of a pion and a nucleon: elastic, with exchanged charge, or with one more pion."""
    total = tuple(map(sum, zip(projectile, target)))
    charge = PION_CHARGE[codes[0]] + (codes[1] == PROTON)
    # Two pions: 0 below 0.3 GeV, most of the cross section above 1 GeV; a rough line
    if (
        rng.random() < min(0.75, max(0.0, (kinetic_gev - 0.3) * 1.2))
        and mass(total) > 1.25
        and charge in TWO_PION_STATES
    ):
        state = pick(TWO_PION_STATES[charge], rng)
        return list(zip(state, phase_space(total, [MASS_GEV[abs(code)] for code in state], rng)))
    state = exchanged(codes, charge, rng)
    cosine = delta_angle(rng) if kinetic_gev < 0.5 else scatter_angle(total, kinetic_gev, rng)
    axis = to_rest(projectile, total)[1:]
    direction = around(axis, cosine, 2.0 * math.pi * rng.random())
    masses = (MASS_GEV[abs(state[0])], MASS_GEV[state[1]])
    return list(zip(state, two_body(total, masses, direction)))


def exchanged(codes: tuple[int, int], charge: int, rng: np.random.Generator) -> tuple[int, int]:
    """Pion and nucleon after isospin-3/2 scattering: charge exchange 2/3 for pi- p and pi+ n, 1/3 for a pi0."""
    if charge in (2, -1):
        return codes
    change = 1 / 3 if codes[0] == PION_ZERO else 2 / 3
    if rng.random() >= change:
        return codes
    nucleon = NEUTRON if codes[1] == PROTON else PROTON
    return (BY_CHARGE[charge - (nucleon == PROTON)], nucleon)


def delta_angle(rng: np.random.Generator) -> float:
    """Cosine by 1 + 3 cos2, the decay of a Delta made by a pion (any text on pi N scattering; P33 wave alone)."""
    while True:
        cosine = 2.0 * rng.random() - 1.0
        if 4.0 * rng.random() < 1.0 + 3.0 * cosine * cosine:
            return cosine


def absorb(
    pion: int, projectile: FourVector, pair: tuple[FourVector, FourVector], rng: np.random.Generator
) -> list[tuple[int, FourVector]] | None:
    """Two nucleons that take a pion's energy, back to back in their rest frame; the pair is mostly neutron-proton."""
    charge = PION_CHARGE[pion]
    # Some nine in ten correlated pairs are np (O. Hen et al., Rev. Mod. Phys. 89 (2017) 045002, as commonly quoted);
    # those that take pions are taken to be alike
    struck = 1
    if rng.random() > 0.9:
        struck = 0 if charge > 0 else 2 if charge < 0 else 2 * int(rng.random() < 0.5)
    final = struck + charge
    codes = (PROTON if final > 0 else NEUTRON, PROTON if final > 1 else NEUTRON)
    total = tuple(map(sum, zip(projectile, *pair)))
    if mass(total) <= MASS_GEV[codes[0]] + MASS_GEV[codes[1]]:
        return None
    return list(zip(codes, two_body(total, (MASS_GEV[codes[0]], MASS_GEV[codes[1]]), isotropic(rng))))
