"""Ranges: path of simulated particles that came to rest, against tabulated CSDA ranges.

Of muons all count but those that decayed in flight. Of protons, only those that were not lost to an inelastic
interaction: the survivors are biased to shorter paths by (straggling width)^2 / interaction length, 0.02 % at 500 MeV,
which is ignored; and their median is taken, because a few lost energy to a recoiling nucleus. Energy that left with
bremsstrahlung and delta rays is part of the CSDA loss.
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.report.validation import Curve, Panel, Row
from hpc_nuvlm.simulate.transport import Trace
from hpc_nuvlm.validation import reference, statistics
from hpc_nuvlm.validation.gun import STOPPED_MEV, Box, Findings, Gun, children
from nuvlm_kernels.workspace import DECAY, HADRONIC

SECTION = "Ranges"
ALLOWED = 0.03
MUON, PROTON = -13, 2212
G_PER_CM2_PER_MM = reference.DENSITY_G_PER_CM3 / 10


def path_of_stopped(trace: Trace) -> float:
    """Path [mm] of the primary, NaN if it did not end by running out of energy."""
    kinetic, path = trace.track_end[0, 3:5]
    return float(path) if kinetic <= STOPPED_MEV and not len(children(trace, 0, HADRONIC)) else np.nan


def path_of_muon(trace: Trace) -> float:
    """As path_of_stopped; a muon at rest decays, one that decays in flight leaves energetic neutrinos or electrons."""
    decays = children(trace, 0, DECAY)
    kinetic, path = trace.track_end[0, 3:5]
    in_flight = any(trace.track_start[number, 6] > reference.MICHEL_ENDPOINT_MEV for number in decays)
    return float(path) if kinetic <= STOPPED_MEV and not in_flight else np.nan


def check(gun: Gun) -> Findings:
    rows: list[Row] = []
    curves = []
    for name, pdg, table, source in (
        ("muon", MUON, reference.MUON_RANGE_G_PER_CM2, reference.GROOM),
        ("proton", PROTON, reference.PROTON_RANGE_G_PER_CM2, reference.PSTAR),
    ):
        measured = []
        for kinetic_mev, published in table.items():
            estimate = _range(gun, pdg, kinetic_mev, published)
            measured.append(estimate)
            title = f"{name} range, {kinetic_mev:g} MeV"
            rows.append(Row(SECTION, title, *estimate, published, ALLOWED * published, "g/cm2", source))
        energies, ranges = reference.range_table(table)
        value, error = np.array(measured).T
        curves.append(Curve(f"{name}, simulated / table", energies, value / ranges, error / ranges))
    ends = np.array([10.0, 3000.0])
    # matplotlib keeps a name with a leading underscore out of the legend
    limits = [
        Curve(name, ends, np.full(2, level), None, "line")
        for name, level in (("allowed", 1 + ALLOWED), ("_allowed", 1 - ALLOWED))
    ]
    panel = Panel(
        "ranges",
        "CSDA range in liquid argon",
        "kinetic energy [MeV]",
        "simulated / table",
        (*curves, *limits),
        log_x=True,
    )
    return rows, [panel]


def _range(gun: Gun, pdg: int, kinetic_mev: float, published: float) -> statistics.Estimate:
    longest = 1.3 * published / G_PER_CM2_PER_MM + 50
    box = Box(half_mm=max(100.0, 0.3 * longest), length_mm=longest)
    keep = path_of_muon if pdg == MUON else path_of_stopped
    # Straggling is 2 to 4 % at any energy; the longest tracks take the longest time
    nominal = 600 if pdg == PROTON else 300 if kinetic_mev < 500 else 100
    paths = np.array(gun.fire(keep, pdg, kinetic_mev, nominal, box)) * G_PER_CM2_PER_MM
    paths = paths[np.isfinite(paths)]
    if len(paths) < 3:
        return statistics.Estimate(np.nan, np.nan)
    return statistics.median(paths) if pdg == PROTON else statistics.mean(paths)
