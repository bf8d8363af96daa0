"""Final-state interactions: pions and nucleons on their way out of the nucleus.

A cascade of free two-body collisions in a local Fermi gas: straight lines, free paths in a Woods-Saxon density,
Pauli's principle, a potential well for nucleons, absorption of pions on pairs. N. Metropolis et al., Phys. Rev. 110
(1958) 185 and 204. Left out: evaporation of slow nucleons and photons from the excited rest, Coulomb barriers,
correlations; kaons, hyperons, etas and photons leave untouched.
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.simulate.nucleon_scattering import (
    MB_TO_FM2,
    PION_CHARGE,
    absorb,
    absorption_share,
    collide_nucleons,
    collide_pion,
    nucleon_nucleon_mb,
    pion_nucleon_mb,
)
from hpc_nuvlm.simulate.nucleus import SEPARATION_GEV, Nucleus
from hpc_nuvlm.simulate.relativity import FourVector, Vector, isotropic, length, on_shell
from hpc_nuvlm.simulate.species import MASS_GEV, NEUTRON, NUCLEON_GEV, PROTON

Hadron = tuple[int, FourVector]
# Hadrons of fragmentation do not interact on the first stretch p / m * this [fm]: AGKY, and V. Ammosov et al. (SKAT),
# as in GENIE, arXiv:1510.05494, section 2.7
FORMATION_FM = 0.342
NUCLEONS = (PROTON, NEUTRON)
# Collisions of one event after which the rest leaves as it is; never met in practice
MOST_COLLISIONS = 400


def leave(
    hadrons: list[Hadron], forms: bool, nucleus: Nucleus, rng: np.random.Generator, start_fm: Vector | None = None
) -> list[Hadron]:
    """What leaves the nucleus of hadrons made in it at a random point (or at start_fm); energies in GeV.

    The total energy can only fall, but for rest masses of nucleons that are knocked out: the rest stays as excitation.
    """
    start = nucleus.draw_position(rng) if start_fm is None else start_fm
    queue = [(pdg, p, formed(pdg, p, start) if forms else start) for pdg, p in hadrons]
    out: list[Hadron] = []
    collisions = 0
    while queue:
        pdg, p, place = queue.pop()
        if pdg not in PION_CHARGE and pdg not in NUCLEONS:
            out.append((pdg, p))
            continue
        hit = next_collision(pdg, p, place, nucleus, rng) if collisions < MOST_COLLISIONS else None
        if hit is None:
            out.append((pdg, p))
            continue
        collisions += 1
        queue.extend((code, momentum, hit[0]) for code, momentum in collision(pdg, p, hit, nucleus, rng))
    return out


def formed(pdg: int, p: FourVector, start: Vector) -> Vector:
    """Where a hadron of fragmentation begins to interact."""
    stretch = FORMATION_FM / MASS_GEV[abs(pdg)]
    return (start[0] + stretch * p[1], start[1] + stretch * p[2], start[2] + stretch * p[3])


def next_collision(
    pdg: int, p: FourVector, place: Vector, nucleus: Nucleus, rng: np.random.Generator
) -> tuple[Vector, int] | None:
    """(point [fm], code of the nucleon met) of the next collision; None if the hadron gets out.

    Free paths at the central density, each end accepted by the density there: E.R. Woodcock et al., ANL-7050 (1965).
    """
    kinetic = p[0] - MASS_GEV[abs(pdg)]
    on_proton, on_neutron = cross_sections_mb(pdg, kinetic)
    share = nucleus.protons / nucleus.nucleons
    mean = (share * on_proton + (1.0 - share) * on_neutron) * MB_TO_FM2 * nucleus.central_density
    size, edge2 = length(p[1:]), nucleus.edge_fm**2
    if size <= 0.0 or mean <= 0.0:
        return None
    ux, uy, uz = p[1] / size, p[2] / size, p[3] / size
    x, y, z = place
    while True:
        step = -math.log(1.0 - rng.random()) / mean
        x, y, z = x + step * ux, y + step * uy, z + step * uz
        r2 = x * x + y * y + z * z
        if r2 > edge2:
            # Formation may have put it outside; it can still enter only if it flies inwards
            if x * ux + y * uy + z * uz >= 0.0:
                return None
            continue
        if rng.random() < nucleus.profile(math.sqrt(r2)):
            on_this = share * on_proton / (share * on_proton + (1.0 - share) * on_neutron)
            return (x, y, z), PROTON if rng.random() < on_this else NEUTRON


def cross_sections_mb(pdg: int, kinetic_gev: float) -> tuple[float, float]:
    """[mb] on a proton and on a neutron."""
    if pdg in NUCLEONS:
        same, other = nucleon_nucleon_mb(kinetic_gev, True), nucleon_nucleon_mb(kinetic_gev, False)
        return (same, other) if pdg == PROTON else (other, same)
    charge = PION_CHARGE[pdg]
    return pion_nucleon_mb(kinetic_gev, charge), pion_nucleon_mb(kinetic_gev, -charge)


def collision(
    pdg: int, p: FourVector, hit: tuple[Vector, int], nucleus: Nucleus, rng: np.random.Generator
) -> list[Hadron]:
    """Products outside the well of one collision; the hadron alone, unchanged, if Pauli's principle forbids it.

    Nucleons that stay in the well are dropped: their energy is the excitation of the nucleus.
    """
    place, code = hit
    r = length(place)
    fermi = nucleus.local_fermi_gev(r)
    well = math.sqrt(NUCLEON_GEV**2 + fermi**2) - NUCLEON_GEV + SEPARATION_GEV
    kinetic = p[0] - MASS_GEV[abs(pdg)]
    if pdg in NUCLEONS:
        products = collide_nucleons((pdg, code), deeper(pdg, p, well), drawn(code, fermi, rng), kinetic, rng)
    elif rng.random() < absorption_share(kinetic, nucleus.profile(r)):
        products = absorb(pdg, p, (drawn(PROTON, fermi, rng), drawn(NEUTRON, fermi, rng)), rng)
    else:
        products = collide_pion((pdg, code), p, drawn(code, fermi, rng), kinetic, rng)
    if products is None or any(one in NUCLEONS and length(q[1:]) < fermi for one, q in products):
        return [(pdg, p)]
    lifted = [(one, deeper(one, q, -well) if one in NUCLEONS else q) for one, q in products]
    return [(one, q) for one, q in lifted if q is not None]


def drawn(code: int, fermi_gev: float, rng: np.random.Generator) -> FourVector:
    """A nucleon of the local Fermi gas."""
    p = fermi_gev * rng.random() ** (1.0 / 3.0)
    x, y, z = isotropic(rng)
    return on_shell(MASS_GEV[code], p * x, p * y, p * z)


def deeper(code: int, p: FourVector, well_gev: float) -> FourVector | None:
    """The nucleon with this much more kinetic energy (less if negative), same direction; None if it has not as much."""
    energy, rest = p[0] + well_gev, MASS_GEV[code]
    if energy <= rest:
        return None
    size = length(p[1:])
    factor = math.sqrt(energy * energy - rest * rest) / size if size > 0.0 else 0.0
    return (energy, p[1] * factor, p[2] * factor, p[3] * factor)
