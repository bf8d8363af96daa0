"""Properties of the particles that generators name: mass, charge, baryon number, strangeness, by PDG code.

Masses: Review of Particle Physics 2024, S. Navas et al., Phys. Rev. D 110, 030001. Charge, baryon number and
strangeness follow from the quarks that the code's digits spell (RPP section 45, Monte Carlo particle numbering).
"""

from __future__ import annotations

MASS_GEV = {
    11: 0.51099895e-3,
    12: 0.0,
    13: 0.1056583755,
    14: 0.0,
    15: 1.77693,
    16: 0.0,
    22: 0.0,
    111: 0.1349768,
    113: 0.77526,
    130: 0.497611,
    211: 0.13957039,
    213: 0.77511,
    221: 0.547862,
    223: 0.78266,
    310: 0.497611,
    311: 0.497611,
    313: 0.89555,
    321: 0.493677,
    323: 0.89167,
    331: 0.95778,
    333: 1.019461,
    411: 1.86966,
    413: 2.01026,
    421: 1.86484,
    423: 2.00685,
    431: 1.96835,
    433: 2.1122,
    1114: 1.232,
    2112: 0.9395654205,
    2114: 1.232,
    2212: 0.93827208816,
    2214: 1.232,
    2224: 1.232,
    3112: 1.197449,
    3122: 1.115683,
    3212: 1.192642,
    3222: 1.18937,
    3312: 1.32171,
    3322: 1.31486,
    3334: 1.67245,
    4112: 2.45375,
    4122: 2.28646,
    4212: 2.45265,
    4222: 2.45397,
    4132: 2.47044,
    4232: 2.46771,
    4332: 2.6952,
}
LEPTON_CHARGE = {11: -1, 13: -1, 15: -1}
# Thirds of the elementary charge; quark flavours 1 d, 2 u, 3 s, 4 c, 5 b
QUARK_THIRDS = {1: -1, 2: 2, 3: -1, 4: 2, 5: -1}

PROTON, NEUTRON = 2212, 2112
PION_PLUS, PION_MINUS, PION_ZERO = 211, -211, 111
NUCLEON_GEV = 0.5 * (MASS_GEV[PROTON] + MASS_GEV[NEUTRON])


def mass_gev(pdg: int) -> float:
    """Rest mass [GeV]; a KeyError names a code that the table does not hold."""
    return MASS_GEV[abs(pdg)]


def is_known(pdg: int) -> bool:
    return abs(pdg) in MASS_GEV


def quarks(pdg: int) -> tuple[int, ...]:
    """Signed flavours of a hadron's valence quarks (negative: antiquark); empty for leptons and photons."""
    code, sign = abs(pdg), 1 if pdg > 0 else -1
    if code < 100 or code >= 1_000_000_000:
        return ()
    if code in (130, 310):
        return ()
    first, second, third = code // 1000 % 10, code // 100 % 10, code // 10 % 10
    if first:
        return (sign * first, sign * second, sign * third)
    # The heavier quark of a meson is written first; an up-type one is the quark, a down-type one the antiquark
    up = second % 2 == 0
    return (sign * second, -sign * third) if up else (-sign * second, sign * third)


def charge(pdg: int) -> int:
    """Electric charge in units of the elementary charge."""
    if abs(pdg) in LEPTON_CHARGE:
        return LEPTON_CHARGE[abs(pdg)] * (1 if pdg > 0 else -1)
    return sum(QUARK_THIRDS[abs(q)] * (1 if q > 0 else -1) for q in quarks(pdg)) // 3


def baryon_number(pdg: int) -> int:
    found = quarks(pdg)
    return (1 if found[0] > 0 else -1) if len(found) == 3 else 0


def strangeness(pdg: int) -> int:
    """Antistrange minus strange quarks; 0 for K0 long and K0 short, which have none of their own."""
    return sum(-1 if q == 3 else 1 for q in quarks(pdg) if abs(q) == 3)
