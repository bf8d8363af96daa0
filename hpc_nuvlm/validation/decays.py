"""Decay and capture at rest: Michel spectrum, muon lifetime, mu- capture, the chain of pi+, photons of pi0."""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.report.validation import Curve, Panel, Row
from hpc_nuvlm.simulate.transport import Trace
from hpc_nuvlm.validation import reference, statistics
from hpc_nuvlm.validation.gun import Box, Findings, Gun, children
from nuvlm_kernels.workspace import DECAY

SECTION = "Decays and captures"
ANTIMUON, MUON, PION, NEUTRAL_PION = -13, 13, 211, 111
# 5 MeV stop within 3 mm, and what they decay to leaves at once
SMALL_BOX = Box(half_mm=20.0, length_mm=20.0)
STOPPING_MEV = 5.0
NEUTRAL_PION_MEV = 500.0


def decay_product(trace: Trace, pdg: tuple[int, ...]) -> tuple[float, float]:
    """Kinetic energy [MeV] and time of birth [ns] of the primary's decay product of these species; NaN if none."""
    found = [n for n in children(trace, 0, DECAY) if trace.track_pdg[n] in pdg]
    return tuple(map(float, trace.track_start[found[0], 6:8])) if found else (np.nan, np.nan)


def pair_mass(trace: Trace) -> float:
    """Invariant mass [MeV] of the two photons of a pi0; NaN if it decayed to anything else."""
    found = [n for n in children(trace, 0, DECAY) if trace.track_pdg[n] == 22]
    if len(found) != 2:
        return np.nan
    momentum = trace.track_start[found, 3:6] * trace.track_start[found, 6:7]
    energy = trace.track_start[found, 6].sum()
    return float(np.sqrt(max(0.0, energy**2 - (momentum.sum(0) ** 2).sum())))


def check(gun: Gun) -> Findings:
    rows, panel = _michel(gun)
    return rows + _capture(gun) + _pions(gun), [panel]


def _michel(gun: Gun) -> tuple[list[Row], Panel]:
    kept = gun.fire(lambda trace: decay_product(trace, (-11,)), ANTIMUON, STOPPING_MEV, 10_000, SMALL_BOX)
    kinetic, time_ns = np.array(kept).T
    found = np.isfinite(kinetic)
    total = kinetic[found] + reference.ELECTRON_MASS_MEV
    source = "V - A spectrum of a free muon, PDG review, Muon decay parameters"
    # The largest of N falls short of the endpoint by E/(2N) on average: the spectrum is 2/E there
    shortfall = reference.MICHEL_ENDPOINT_MEV / (2 * len(total))
    endpoint = statistics.Estimate(float(total.max()), float(shortfall))
    rows = [
        Row(
            SECTION,
            "Michel spectrum of mu+, mean",
            *statistics.mean(total),
            reference.MICHEL_MEAN_MEV,
            0.6,
            "MeV",
            source,
        ),
        Row(SECTION, "Michel spectrum of mu+, endpoint", *endpoint, reference.MICHEL_ENDPOINT_MEV, 0.3, "MeV", source),
    ]
    lifetime = statistics.mean(time_ns[found])
    published = reference.MUON_LIFETIME_NS
    rows.append(Row(SECTION, "lifetime of mu+", *lifetime, published, 0.04 * published, "ns", reference.PDG_MASSES))
    edges = np.linspace(0, 60, 31)
    x = np.linspace(0, 1, 61)
    published_curve = 2 * x**2 * (3 - 2 * x) / reference.MICHEL_ENDPOINT_MEV
    counts = np.histogram(total, edges)[0]
    scale = len(total) * np.diff(edges)
    curves = (
        Curve("simulated", edges, counts / scale, np.sqrt(counts) / scale, "steps"),
        Curve("V - A", x * reference.MICHEL_ENDPOINT_MEV, published_curve, None, "line"),
    )
    return rows, Panel("michel", "Positrons of mu+ at rest", "total energy [MeV]", "per MeV", curves)


def _capture(gun: Gun) -> list[Row]:
    kept = gun.fire(lambda trace: decay_product(trace, (11,))[0], MUON, STOPPING_MEV, 6000, SMALL_BOX)
    captured = statistics.fraction(~np.isfinite(np.array(kept)))
    published, allowed = reference.CAPTURED_MUONS, reference.CAPTURED_MUONS_ALLOWED
    return [Row(SECTION, "mu- captured at rest", *captured, published, allowed, "", reference.CAPTURE_SOURCE)]


def _pions(gun: Gun) -> list[Row]:
    kept = gun.fire(lambda trace: decay_product(trace, (-13,))[0], PION, STOPPING_MEV, 300, SMALL_BOX)
    muons = np.array(kept)
    estimate = statistics.median(muons[np.isfinite(muons)])
    published, source = reference.DECAY_MUON_MEV, "two-body kinematics"
    rows = [Row(SECTION, "muon of pi+ at rest, kinetic energy", *estimate, published, 0.05, "MeV", source)]
    masses = np.array(gun.fire(pair_mass, NEUTRAL_PION, NEUTRAL_PION_MEV, 300, SMALL_BOX))
    estimate = statistics.median(masses[np.isfinite(masses)])
    published = reference.NEUTRAL_PION_MASS_MEV
    title = "mass of the photon pair of a 500 MeV pi0"
    return [*rows, Row(SECTION, title, *estimate, published, 0.01, "MeV", reference.PDG_MASSES)]
