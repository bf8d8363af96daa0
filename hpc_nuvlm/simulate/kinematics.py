"""The hard process: neutrino + nucleon, pair or nucleus -> lepton + hadronic system, four-momentum conserved exactly.

Energies in GeV, beam along the neutrino's direction. The hadronic system's decay is made by `hadronization` and here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hpc_nuvlm.simulate import coherent
from hpc_nuvlm.simulate.cross_sections import Process
from hpc_nuvlm.simulate.hadronization import hadronize
from hpc_nuvlm.simulate.nucleus import Nucleus, nucleon
from hpc_nuvlm.simulate.phase_space import Table
from hpc_nuvlm.simulate.relativity import (
    FourVector,
    add,
    around,
    decay_momentum,
    from_rest,
    isotropic,
    length,
    mass,
    on_shell,
    square,
    subtract,
    to_rest,
    two_body,
)
from hpc_nuvlm.simulate.resonance_decay import decay_resonance
from hpc_nuvlm.simulate.species import MASS_GEV, PION_MINUS, PION_PLUS, PION_ZERO

# A process whose nucleon moves away too fast, or that Pauli forbids, is tried with another nucleon this often
NUM_TRIES = 200


@dataclass
class Hard:
    """What came out of the hard process, before it leaves the nucleus; four-momenta [GeV]."""

    mode: str
    lepton: tuple[int, FourVector]
    hadrons: list[tuple[int, FourVector]]
    q2_gev2: float
    w_gev: float
    # Codes and four-momentum of what was struck
    struck: tuple[int, ...]
    target: FourVector
    # True if hadrons need time to form (quarks fragment), false if they are there at once
    forms: bool = field(default=False)


def scatter(
    neutrino: FourVector, target: FourVector, table: Table, lepton_gev: float, rng: np.random.Generator
) -> tuple[FourVector, FourVector, float, float] | None:
    """(lepton, hadronic system, W, Q2); None if the reaction is closed for this target."""
    total = add(neutrino, target)
    s, target2 = square(total), square(target)
    drawn = table.draw(s, target2, rng) if s > 0.0 else None
    if drawn is None:
        return None
    w, q2 = drawn
    root = math.sqrt(s)
    energy_in = (s - target2) / (2.0 * root)
    momentum = decay_momentum(root, lepton_gev, w)
    energy_out = math.sqrt(lepton_gev**2 + momentum**2)
    if momentum <= 0.0 or energy_in <= 0.0:
        return None
    cosine = (2.0 * energy_in * energy_out - q2 - lepton_gev**2) / (2.0 * energy_in * momentum)
    axis = to_rest(neutrino, total)[1:]
    x, y, z = around(axis, min(1.0, max(-1.0, cosine)), 2.0 * math.pi * rng.random())
    lepton = from_rest((energy_out, momentum * x, momentum * y, momentum * z), total)
    return lepton, subtract(total, lepton), w, q2


def outgoing_lepton(nu_pdg: int, is_cc: bool) -> int:
    return (abs(nu_pdg) - is_cc) * (1 if nu_pdg > 0 else -1)


def hard_process(
    process: Process, nu_pdg: int, neutrino: FourVector, nucleus: Nucleus, rng: np.random.Generator
) -> Hard | None:
    """One interaction by a given process; None if it stays closed for NUM_TRIES nucleons."""
    make = {"qe": quasielastic, "mec": pair, "res": inelastic, "dis": inelastic, "coh": whole_nucleus}[process.mode]
    lepton_pdg = outgoing_lepton(nu_pdg, process.probe.is_cc)
    for _ in range(NUM_TRIES):
        found = make(process, lepton_pdg, neutrino, nucleus, rng)
        if found is not None:
            return found
    return None


def quasielastic(process: Process, lepton_pdg: int, neutrino: FourVector, nucleus: Nucleus, rng) -> Hard | None:
    """One nucleon goes out, if its momentum is above the Fermi sea."""
    struck = nucleon(process.struck[0])
    target = nucleus.draw_nucleon(struck, rng)
    found = scatter(neutrino, target, process.table, process.probe.lepton_gev, rng)
    if found is None:
        return None
    lepton, hadron, _, q2 = found
    out = nucleon(process.probe.hadron_charge)
    # The table knows one nucleon mass; the difference of neutron and proton goes to the energy
    fixed = with_mass(lepton, hadron, process.probe.lepton_gev, MASS_GEV[out])
    if fixed is None or length(fixed[1][1:]) < nucleus.fermi_of(out):
        return None
    lepton, hadron = fixed
    q2 = -square(subtract(neutrino, lepton))
    return Hard("qe", (lepton_pdg, lepton), [(out, hadron)], q2, mass(hadron), (struck,), target)


def with_mass(first: FourVector, second: FourVector, m1: float, m2: float) -> tuple[FourVector, FourVector] | None:
    """The same two directions in their common rest frame, with these masses and the same total; None if closed."""
    total = add(first, second)
    p = decay_momentum(mass(total), m1, m2)
    if p <= 0.0:
        return None
    axis = to_rest(first, total)[1:]
    norm = length(axis)
    return two_body(total, (m1, m2), (axis[0] / norm, axis[1] / norm, axis[2] / norm)) if norm > 0.0 else None


def pair(process: Process, lepton_pdg: int, neutrino: FourVector, nucleus: Nucleus, rng) -> Hard | None:
    """Two nucleons go out, isotropic in their rest frame (Katori, section 3), both above the Fermi sea."""
    struck = tuple(nucleon(charge) for charge in process.struck)
    target = add(*(nucleus.draw_nucleon(pdg, rng) for pdg in struck))
    found = scatter(neutrino, target, process.table, process.probe.lepton_gev, rng)
    if found is None:
        return None
    lepton, hadrons, w, q2 = found
    charge = process.probe.hadron_charge
    out = [nucleon(1 if charge > 0 else 0), nucleon(1 if charge > 1 else 0)]
    masses = (MASS_GEV[out[0]], MASS_GEV[out[1]])
    if w < sum(masses):
        return None
    products = list(zip(out, two_body(hadrons, masses, isotropic(rng))))
    if any(length(p[1:]) < nucleus.fermi_of(pdg) for pdg, p in products):
        return None
    return Hard("mec", (lepton_pdg, lepton), products, q2, w, struck, target)


def inelastic(process: Process, lepton_pdg: int, neutrino: FourVector, nucleus: Nucleus, rng) -> Hard | None:
    """A resonance that decays, or quarks that fragment."""
    struck = nucleon(process.struck[0])
    target = nucleus.draw_nucleon(struck, rng)
    found = scatter(neutrino, target, process.table, process.probe.lepton_gev, rng)
    if found is None:
        return None
    lepton, hadrons, w, q2 = found
    if process.mode == "res":
        products = decay_resonance(hadrons, w, q2, process.probe, rng)
    else:
        products = hadronize(hadrons, subtract(neutrino, lepton), process.probe, rng)
    if products is None:
        return None
    return Hard(process.mode, (lepton_pdg, lepton), products, q2, w, (struck,), target, process.mode == "dis")


def whole_nucleus(process: Process, lepton_pdg: int, neutrino: FourVector, nucleus: Nucleus, rng) -> Hard | None:
    """One pion forward, and the nucleus as a whole, at rest before; W is not a number of a nucleon: NaN."""
    target = on_shell(nucleus.mass_gev, 0.0, 0.0, 0.0)
    found = scatter(neutrino, target, process.table, process.probe.lepton_gev, rng)
    if found is None:
        return None
    lepton, system, w, q2 = found
    transfer = subtract(neutrino, lepton)
    charge = process.probe.sign if process.probe.is_cc else 0
    pion = {1: PION_PLUS, -1: PION_MINUS, 0: PION_ZERO}[charge]
    momentum = decay_momentum(w, MASS_GEV[abs(pion)], nucleus.mass_gev)
    if momentum <= 0.0:
        return None
    # t = (q - p_pi)2 fixes the angle between transfer and pion in the rest frame of pion and nucleus
    inside = to_rest(transfer, system)
    axis, energy = inside[1:], math.sqrt(momentum**2 + MASS_GEV[abs(pion)] ** 2)
    forward = -(square(transfer) + MASS_GEV[abs(pion)] ** 2 - 2.0 * inside[0] * energy)
    lever = 2.0 * length(axis) * momentum
    highest = forward + lever
    t = coherent.draw_t(transfer[0], q2, highest, nucleus, rng)
    x, y, z = around(axis, min(1.0, max(-1.0, (forward - t) / lever)), 2.0 * math.pi * rng.random())
    pion_momentum = from_rest((energy, momentum * x, momentum * y, momentum * z), system)
    return Hard("coh", (lepton_pdg, lepton), [(pion, pion_momentum)], q2, math.nan, (nucleus.pdg,), target)
