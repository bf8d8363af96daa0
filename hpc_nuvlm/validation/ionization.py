"""Ionization and scattering of muons: mean loss, most probable loss, and width of multiple scattering."""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.report.validation import Curve, Panel, Row
from hpc_nuvlm.simulate.transport import LONGEST_STEP_MM, Trace
from hpc_nuvlm.validation import reference, statistics
from hpc_nuvlm.validation.gun import Box, Findings, Gun

SECTION = "Ionization and scattering"
MUON = -13
MASS_MEV = reference.MUON_MASS_MEV
# Momentum 1 GeV/c: ten times minimum ionizing in beta gamma
MIP_KINETIC_MEV = float(np.hypot(1000.0, MASS_MEV) - MASS_MEV)
MIP_LENGTH_MM = 300.0
STEPS = (1, 2)
SCATTER_KINETIC_MEV = 10_000.0


def losses_mev(trace: Trace, num_steps: int) -> np.ndarray:
    """Energy [MeV] that the primary left in each run of whole steps, which are all equally long.

    A delta ray above 1 MeV ends a step early and so leaves its run out: that thins the far tail, not the peak.
    """
    mine = np.flatnonzero(trace.track == 0)
    length = np.linalg.norm(trace.end_mm[mine] - trace.start_mm[mine], axis=1)
    is_whole = np.abs(length - LONGEST_STEP_MM) < 1e-6
    usable = len(mine) // num_steps * num_steps
    runs = is_whole[:usable].reshape(-1, num_steps).all(1)
    return trace.energy_mev[mine][:usable].reshape(-1, num_steps).sum(1)[runs]


def mean_loss(trace: Trace) -> float:
    """Loss of the primary over its path [MeV cm2/g]."""
    lost = trace.track_start[0, 6] - trace.track_end[0, 3]
    return float(lost / trace.track_end[0, 4] * 10 / reference.DENSITY_G_PER_CM3)


def exit_angles(trace: Trace) -> tuple[float, float]:
    """Projected angles [rad] of the primary's last segment; NaN if it is lost."""
    mine = np.flatnonzero(trace.track == 0)
    last = trace.end_mm[mine[-1]] - trace.start_mm[mine[-1]]
    return float(np.arctan2(last[0], last[2])), float(np.arctan2(last[1], last[2]))


def check(gun: Gun) -> Findings:
    rows, panels = _mean_loss_rows(gun), []
    for found, panel in (_most_probable(gun), _scattering(gun)):
        rows += found
        panels.append(panel)
    return rows, panels


def _mean_loss_rows(gun: Gun) -> list[Row]:
    rows = []
    for kinetic_mev, published in reference.MUON_LOSS_MEV_CM2_PER_G.items():
        # Thin enough to lose less than 1 % of the energy
        box = Box(half_mm=50.0, length_mm=min(50.0, 0.02 * kinetic_mev))
        losses = np.array(gun.fire(mean_loss, MUON, kinetic_mev, 30_000, box))
        estimate = statistics.mean(losses)
        title = f"mean loss of a muon, {kinetic_mev:g} MeV"
        rows.append(Row(SECTION, title, *estimate, published, 0.03 * published, "MeV cm2/g", reference.GROOM))
    return rows


def _most_probable(gun: Gun) -> tuple[list[Row], Panel]:
    box = Box(half_mm=200.0, length_mm=MIP_LENGTH_MM)
    kept = gun.fire(lambda trace: [losses_mev(trace, num) for num in STEPS], MUON, MIP_KINETIC_MEV, 300, box)
    rows, curves = [], []
    mean_kinetic_mev = MIP_KINETIC_MEV - 0.1 * 2.3 * MIP_LENGTH_MM / 2
    for number, num_steps in enumerate(STEPS):
        thickness_mm = num_steps * LONGEST_STEP_MM
        per_cm = np.concatenate([event[number] for event in kept]) * 10 / thickness_mm
        estimate = statistics.most_probable(per_cm, gun.rng(1, number))
        published = reference.most_probable_loss_mev(mean_kinetic_mev, MASS_MEV, thickness_mm) * 10 / thickness_mm
        title = f"most probable dE/dx of a 1 GeV/c muon, {thickness_mm:g} mm"
        source = f"{reference.PDG_PASSAGE}, eq. 34.12"
        rows.append(Row(SECTION, title, *estimate, published, 0.03 * published, "MeV/cm", source))
        edges = np.linspace(1.0, 4.5, 71)
        density = np.histogram(per_cm, edges)[0] / len(per_cm) / np.diff(edges)
        top = np.array([0, 1.2 * density.max()])
        curves.append(Curve(f"{thickness_mm:g} mm", edges, density, None, "steps"))
        curves.append(Curve(f"formula, {thickness_mm:g} mm", np.full(2, published), top, None, "line"))
    return rows, Panel("mip", "Energy loss of a 1 GeV/c muon", "dE/dx [MeV/cm]", "per MeV/cm", tuple(curves))


def _scattering(gun: Gun) -> tuple[list[Row], Panel]:
    rows, widths = [], []
    depths = (1.0, 3.0, 10.0)
    for depth in depths:
        length_mm = depth * reference.RADIATION_LENGTH_MM
        angles = np.array(gun.fire(exit_angles, MUON, SCATTER_KINETIC_MEV, 3000, Box(500.0, length_mm))).ravel()
        estimate = statistics.core_width(angles[np.isfinite(angles)] * 1e3)
        # Lost on the way: half of it, as 1/p^2 varies slowly
        kinetic_mev = SCATTER_KINETIC_MEV - 0.14 * 2.03 * length_mm / 2
        published = 1e3 * reference.highland_rad(kinetic_mev, MASS_MEV, length_mm)
        widths.append((*estimate, published))
        title = f"scattering of a 10 GeV muon, {depth:g} X0, central 98 %"
        source = f"{reference.PDG_PASSAGE}, eq. 34.16, accurate to 11 %"
        rows.append(Row(SECTION, title, *estimate, published, 0.11 * published, "mrad", source))
    value, error, published = np.array(widths).T
    x = np.array(depths)
    curves = (Curve("simulated", x, value, error), Curve("Highland", x, published, None, "line"))
    return rows, Panel(
        "scattering", "Multiple scattering of a 10 GeV muon", "depth [X0]", "projected width [mrad]", curves
    )
