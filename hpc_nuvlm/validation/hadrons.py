"""Interaction lengths of hadrons, and the energy balance of whole neutrino events."""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.report.validation import Row
from hpc_nuvlm.simulate.decays import decay_short_lived
from hpc_nuvlm.simulate.generator import Generator
from hpc_nuvlm.simulate.settings import Interactions
from hpc_nuvlm.simulate.transport import Trace
from hpc_nuvlm.validation import reference, statistics
from hpc_nuvlm.validation.gun import STOPPED_MEV, Box, Findings, Gun

LENGTHS = "Hadrons"
BALANCE = "Energy"
PION, PROTON = 211, 2212
# The published lengths are those of high energies; cross sections rise by some 3 % below
KINETIC_MEV = 20_000.0
G_PER_CM2_PER_MM = reference.DENSITY_G_PER_CM3 / 10
# Thin, so that secondaries leave soon; the estimate knows of particles that leave before they interact
PENCIL = Box(half_mm=5.0, length_mm=1500.0)
EVENT_BOX = Box(half_mm=5000.0, length_mm=10_000.0)


def path_and_fate(trace: Trace) -> tuple[float, bool]:
    """Path [mm] of the primary, and whether it ended in an inelastic interaction: inside, with energy left."""
    x, y, z, kinetic, path = trace.track_end[0]
    edge = PENCIL.half_mm - 1e-6
    inside = abs(x) < edge and abs(y) < edge and z < PENCIL.length_mm - 1e-6
    return float(path), bool(inside and kinetic > STOPPED_MEV)


def imbalance(trace: Trace) -> float:
    """Energy that no entry of the ledger accounts for, as a share of the primaries' kinetic energy."""
    ledger = dict(trace.ledger_mev)
    released = ledger.pop("released")
    given = trace.primary_kinetic_mev + released
    return abs(sum(ledger.values()) - given) / trace.primary_kinetic_mev


def check(gun: Gun) -> Findings:
    rows = []
    for name, pdg, published in (
        ("pi+", PION, reference.PION_INTERACTION_G_PER_CM2),
        ("proton", PROTON, reference.NUCLEAR_INTERACTION_G_PER_CM2),
    ):
        paths, ended = np.array(gun.fire(path_and_fate, pdg, KINETIC_MEV, 8000, PENCIL)).T
        estimate = statistics.free_path(paths * G_PER_CM2_PER_MM, ended > 0)
        title = f"interaction length of a 20 GeV {name}"
        rows.append(Row(LENGTHS, title, *estimate, published, 0.07 * published, "g/cm2", reference.PDG_ARGON))
    return [*rows, _conservation(gun)], []


def _conservation(gun: Gun) -> Row:
    generator = Generator(Interactions())

    def make(number: int, rng: np.random.Generator) -> Interaction:
        return decay_short_lived(generator.generate(rng), rng)

    shares = gun.run(imbalance, make, 1000, EVENT_BOX, key=(14,))
    title = f"energy not accounted for, worst of {len(shares)} neutrino events, 0 to 10 GeV"
    return Row(BALANCE, title, float(max(shares)), 0.0, 0.0, 1e-4, "", "conservation of energy")
