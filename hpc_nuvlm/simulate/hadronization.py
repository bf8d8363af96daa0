"""Fragmentation of quarks into hadrons: multiplicities of the AGKY model, momenta by phase space of limited pT.

T. Yang, C. Andreopoulos, H. Gallagher, K. Hofmann, P. Kehayias, Eur. Phys. J. C63 (2009) 1 (below: AGKY) and its
constants in GENIE, arXiv:1510.05494, section 2.6. Used at all W, where AGKY goes over to PYTHIA above 3 GeV.
Left out: vector mesons (their pions are there), eta, charm.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hpc_nuvlm.simulate.constants import Probe
from hpc_nuvlm.simulate.relativity import FourVector, around, from_rest, isotropic, length, mass, to_rest, two_body
from hpc_nuvlm.simulate.resonance_decay import pick
from hpc_nuvlm.simulate.species import MASS_GEV, NEUTRON, PION_MINUS, PION_PLUS, PION_ZERO, PROTON

# Mean number of charged hadrons: a + b ln W2 (AGKY table 1); Levy parameter of the KNO shape (ibid.);
# by charge of the hadronic system: nu p 2, nu n 1, antinu p 0, antinu n -1
CHARGED_A = {2: 0.40, 1: -0.20, 0: 0.02, -1: 0.80}
CHARGED_B = {2: 1.42, 1: 1.42, 0: 1.28, -1: 0.95}
LEVY = {2: 7.93, 1: 5.22, 0: 5.22, -1: 7.93}
# All hadrons over charged ones (AGKY section 2.2)
ALL_TO_CHARGED = 1.5
# Chance of a strange baryon: a + b ln W2 (AGKY section 2.2)
HYPERON_A, HYPERON_B = 0.0220, 0.0420
# Pairs of mesons after the charge is balanced: 2 pi0, pi+ pi-, K+ K-, K0 anti-K0, with the shares that GENIE took later
# (its AGKYLowW2019) for fewer strange hadrons
PAIRS = (((PION_ZERO, PION_ZERO), 0.3133), ((PION_PLUS, PION_MINUS), 0.6267), ((321, -321), 0.03), ((311, -311), 0.03))
LAMBDA, KAON_PLUS, KAON_ZERO = 3122, 321, 311
# Chance that the baryon is a proton, by charge: quarks left over, AGKY section 2.2
PROTON_CHANCE = {2: 2 / 3, 1: 0.5, 0: 0.5, -1: 1 / 3}
# Slope of exp(-pT / s) [GeV] (mean transverse momentum 0.35 GeV of neutrino-deuterium data, AGKY figure 9)
PT_SLOPE_GEV = 0.17
LARGEST_MULTIPLICITY = 24
# Rest masses may take this share of W, and transverse masses that: the gap is what lets the latter always be found
MASS_SHARE, TRANSVERSE_SHARE = 0.998, 0.999


def mean_charged(w_gev: float, charge: int) -> float:
    """Mean number of charged hadrons, before those that need more energy than there is are dropped."""
    return CHARGED_A[charge] + CHARGED_B[charge] * math.log(w_gev * w_gev)


@lru_cache(maxsize=4096)
def multiplicity_weights(tenths: int, charge: int) -> tuple[float, ...]:
    """Cumulative chances of 2, 3, ... hadrons at W = tenths / 20 GeV: Levy's form of the KNO distribution (AGKY eq. 3).

    P(n) <n> = 2 exp(-c) c^(c z + 1) / Gamma(c z + 1), z = n / <n>.
    """
    c = LEVY[charge]
    mean = max(ALL_TO_CHARGED * mean_charged(tenths / 20.0, charge), 1.5)
    n = np.arange(2, LARGEST_MULTIPLICITY + 1)
    z = n / mean
    log = (c * z + 1.0) * math.log(c) - np.array([math.lgamma(c * x + 1.0) for x in z])
    chances = np.exp(log - log.max())
    return tuple((np.cumsum(chances) / chances.sum()).tolist())


def draw_multiplicity(w_gev: float, charge: int, rng: np.random.Generator) -> int:
    """Number of hadrons, not more than masses allow."""
    largest = max(2, int((w_gev - 0.94) / 0.14) + 1)
    weights = multiplicity_weights(int(w_gev * 20.0), charge)
    last = min(largest - 2, len(weights) - 1)
    chance = rng.random() * weights[last]
    return 2 + next(i for i, weight in enumerate(weights) if chance <= weight)


def channel_charge(probe: Probe) -> int:
    """Which of the four measured multiplicities a probe follows; neutral currents: those of the same mean charge."""
    if probe.is_cc:
        return probe.hadron_charge
    return 1 if probe.nucleon else 0


def choose_codes(w_gev: float, probe: Probe, rng: np.random.Generator) -> list[int]:
    """Codes of the hadrons, baryon first; charge, baryon number and strangeness are those of the struck nucleon."""
    charge = probe.hadron_charge
    count = draw_multiplicity(w_gev, channel_charge(probe), rng)
    if w_gev > 1.75 and rng.random() < HYPERON_A + HYPERON_B * math.log(w_gev * w_gev):
        codes = [LAMBDA, KAON_PLUS if charge > 0 else KAON_ZERO]
        charge -= codes[1] == KAON_PLUS
    else:
        is_proton = rng.random() < PROTON_CHANCE[charge]
        # Two hadrons hold at most one charge beside the baryon's
        is_proton = charge == 2 or (is_proton and charge != -1) if count == 2 else is_proton
        codes = [PROTON if is_proton else NEUTRON]
        charge -= is_proton
    codes += [PION_PLUS if charge > 0 else PION_MINUS] * abs(charge)
    left = count - len(codes)
    if left % 2 == 1:
        codes.append(PION_ZERO)
    for _ in range(left // 2):
        codes += pick(PAIRS, rng)
    return codes


def hadronize(
    hadrons: FourVector, transfer: FourVector, probe: Probe, rng: np.random.Generator
) -> list[tuple[int, FourVector]] | None:
    """Hadrons (code, four-momentum [GeV]) of a system that a momentum transfer made; None below N pi threshold."""
    w = mass(hadrons)
    for _ in range(20):
        codes = choose_codes(w, probe, rng)
        masses = [MASS_GEV[abs(code)] for code in codes]
        if sum(masses) < MASS_SHARE * w:
            break
    else:
        return None
    if len(codes) == 2 and w < 2.0:
        return list(zip(codes, two_body(hadrons, (masses[0], masses[1]), isotropic(rng))))
    momenta = limited_phase_space(w, masses, rng)
    axis = to_rest(transfer, hadrons)[1:]
    return [(code, from_rest(turned(p, axis), hadrons)) for code, p in zip(codes, momenta)]


def turned(p: FourVector, axis: tuple[float, float, float]) -> FourVector:
    """A four-momentum given along z, along `axis` instead."""
    size = length(p[1:])
    if size == 0.0:
        return p
    x, y, z = around(axis, max(-1.0, min(1.0, p[3] / size)), math.atan2(p[2], p[1]))
    return (p[0], size * x, size * y, size * z)


def limited_phase_space(w: float, masses: list[float], rng: np.random.Generator) -> list[FourVector]:
    """Momenta at rest of the system, along z: limited transverse momentum, uniform in rapidity, the baryon last.

    Rapidities are fixed by conservation after S. Jadach, Comput. Phys. Commun. 9 (1975) 297. The first particle,
    the baryon, gets the lowest rapidity: it keeps the spectator quarks (AGKY section 2.4: mean xF about -0.4).
    """
    count = len(masses)
    slope = PT_SLOPE_GEV
    while True:
        size = [-slope * math.log((1.0 - rng.random()) * (1.0 - rng.random())) for _ in range(count)]
        angle = [2.0 * math.pi * rng.random() for _ in range(count)]
        x = [a * math.cos(b) for a, b in zip(size, angle)]
        y = [a * math.sin(b) for a, b in zip(size, angle)]
        shift_x, shift_y = sum(x) / count, sum(y) / count
        x, y = [a - shift_x for a in x], [a - shift_y for a in y]
        transverse = [math.sqrt(m * m + a * a + b * b) for m, a, b in zip(masses, x, y)]
        if sum(transverse) < TRANSVERSE_SHARE * w:
            break
        slope *= 0.8
    place = [0.0, *(rng.random() for _ in range(count - 2)), 1.0]
    spread = rapidity_spread(w, transverse, place)
    plus = sum(m * math.exp(spread * a) for m, a in zip(transverse, place))
    start = math.log(w / plus)
    rapidity = [start + spread * a for a in place]
    return [(m * math.cosh(r), a, b, m * math.sinh(r)) for m, r, a, b in zip(transverse, rapidity, x, y)]


def rapidity_spread(w: float, transverse: list[float], place: list[float]) -> float:
    """Y such that particles of these transverse masses at rapidities Y * place have mass w: Newton's method in Y."""
    target = math.log(w * w)
    spread = 2.0 * math.log(w / min(transverse[0], transverse[-1]) + 1.0)
    for _ in range(60):
        up = [m * math.exp(spread * a) for m, a in zip(transverse, place)]
        down = [m * math.exp(-spread * a) for m, a in zip(transverse, place)]
        plus, minus = sum(up), sum(down)
        slope = sum(u * a for u, a in zip(up, place)) / plus - sum(d * a for d, a in zip(down, place)) / minus
        step = (math.log(plus * minus) - target) / max(slope, 1e-9)
        spread = max(spread - step, 0.5 * spread)
        if abs(step) < 1e-13 * max(spread, 1.0):
            break
    return spread
