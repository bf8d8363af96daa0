"""Electromagnetic cascades: profile and width of electron showers, photon free paths, one against two MIPs."""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.report.validation import Curve, Panel, Row
from hpc_nuvlm.simulate.transport import Trace
from hpc_nuvlm.validation import reference, statistics
from hpc_nuvlm.validation.gun import Box, Findings, Gun, children

SECTION = "Electromagnetic showers"
ELECTRON, PHOTON = 11, 22
# Energy [MeV] -> number of showers; the depth of maximum of a mean profile is known to 1-2 % from these
SHOWERS = {1000.0: 900, 2000.0: 600, 4000.0: 400, 8000.0: 200, 16000.0: 120}
MOLIERE_ENERGY_MEV = 4000.0
# The rule of thumb and the parametrization differ by 0.10 themselves
MOLIERE_ALLOWED = 0.07
DEPTH_EDGES_X0 = np.arange(0, 30.5, 0.5)
RADIUS_EDGES_MM = np.arange(0, 510.0, 10.0)
SHOWER_BOX = Box(half_mm=2000.0, length_mm=6000.0)
# First part of a shower in which one electron differs from a pair
START_MM, START_RADIUS_MM = 25.0, 15.0
START_ENERGY_MEV = 500.0
# Thin and short, so that what a photon makes leaves at once; the estimate knows of photons that leave unconverted
PHOTON_BOX = Box(half_mm=1.0, length_mm=250.0)


def depth_and_radius(trace: Trace) -> tuple[np.ndarray, np.ndarray, float]:
    """Energy [MeV] in bins of depth and of distance from the axis, and the share within one Moliere radius."""
    middle = (trace.start_mm + trace.end_mm) / 2
    radius = np.hypot(middle[:, 0], middle[:, 1])
    depth = np.histogram(middle[:, 2] / reference.RADIATION_LENGTH_MM, DEPTH_EDGES_X0, weights=trace.energy_mev)[0]
    rings = np.histogram(radius, RADIUS_EDGES_MM, weights=trace.energy_mev)[0]
    inside = trace.energy_mev[radius < reference.MOLIERE_RADIUS_MM].sum()
    return depth, rings, float(inside / trace.energy_mev.sum())


def first_interaction_mm(trace: Trace) -> float:
    """Depth where a photon along z first did anything: the first of its own segments or children; infinite if none."""
    own, born = trace.track == 0, children(trace, 0)
    time_ns = np.concatenate([trace.time_ns[own], trace.track_start[born, 7]])
    depth = np.concatenate([trace.start_mm[own, 2], trace.track_start[born, 2]])
    return float(depth[time_ns.argmin()]) if len(depth) else np.inf


def start_dedx(trace: Trace) -> float:
    """Energy [MeV/cm] within the first 25 mm of a shower, seen from the first deposit; NaN if there is none."""
    if not len(trace.energy_mev):
        return np.nan
    # Not the first in space: soft photons of the shower also go back
    first = trace.start_mm[trace.time_ns.argmin()]
    away = (trace.start_mm + trace.end_mm) / 2 - first
    near = (np.abs(away[:, 2] - START_MM / 2) < START_MM / 2) & (np.hypot(away[:, 0], away[:, 1]) < START_RADIUS_MM)
    return float(trace.energy_mev[near].sum() / START_MM * 10)


def check(gun: Gun) -> Findings:
    rows, panels = _profiles(gun)
    rows += _photons(gun)
    found, panel = _one_and_two(gun)
    return rows + found, [*panels, panel]


def _profiles(gun: Gun) -> Findings:
    rows, profiles, maxima = [], [], []
    contained = rings = None
    for number, (energy_mev, nominal) in enumerate(SHOWERS.items()):
        kept = gun.fire(depth_and_radius, ELECTRON, energy_mev, nominal, SHOWER_BOX)
        depths = np.array([depth for depth, _, _ in kept])
        estimates = [
            statistics.of_mean_profile(find, DEPTH_EDGES_X0, depths, gun.rng(2, number))
            for find in (statistics.top, statistics.gamma_maximum)
        ]
        maxima.append((energy_mev, *estimates[0], *estimates[1]))
        rows += _maximum_rows(energy_mev, *estimates)
        profiles.append((energy_mev, depths.mean(0)))
        if energy_mev == MOLIERE_ENERGY_MEV:
            contained = statistics.mean([share for _, _, share in kept])
            rings = np.mean([ring for _, ring, _ in kept], 0)
    rows += _containment(contained)
    return rows, [_maximum_panel(maxima), _profile_panel(profiles), _width_panel(rings)]


def _maximum_rows(energy_mev: float, top: statistics.Estimate, fitted: statistics.Estimate) -> list[Row]:
    title = f"depth of maximum of an electron shower, {energy_mev / 1000:g} GeV"
    review, other = reference.shower_maximum(energy_mev), reference.grindhammer_maximum(energy_mev)
    source = f"{reference.PDG_PASSAGE}, eq. 34.36, ln(E/Ec) - 0.5"
    return [
        Row(SECTION, f"{title}, top of the profile", *top, review, 0.1 * review, "X0", source),
        Row(SECTION, f"{title}, gamma form", *fitted, other, 0.1 * other, "X0", reference.GRINDHAMMER),
    ]


def _containment(contained: statistics.Estimate) -> list[Row]:
    title = "energy of a 4 GeV shower within one Moliere radius (90.4 mm)"
    profile = reference.contained_share(MOLIERE_ENERGY_MEV)
    return [
        Row(
            SECTION,
            title,
            *contained,
            0.9,
            MOLIERE_ALLOWED,
            "",
            f"{reference.PDG_PASSAGE}, 34.5: 90 %, a rule of thumb",
        ),
        Row(SECTION, f"{title}, mean profile", *contained, profile, MOLIERE_ALLOWED, "", reference.GRINDHAMMER),
    ]


def _maximum_panel(maxima: list[tuple[float, ...]]) -> Panel:
    energy, top, top_error, fitted, fitted_error = np.array(maxima).T
    published = np.array([reference.shower_maximum(mev) for mev in energy])
    other = np.array([reference.grindhammer_maximum(mev) for mev in energy])
    curves = (
        Curve("simulated, top of the mean profile", energy, top, top_error),
        Curve("PDG: ln(E/Ec) - 0.5, Ec = 32.84 MeV", energy, published, None, "line"),
        Curve("simulated, gamma form", energy, fitted, fitted_error),
        Curve("Grindhammer, Peters: ln(E/Ec) - 0.858, Ec = 29.1 MeV", energy, other, None, "line"),
    )
    title = "Electron showers: depth of maximum"
    return Panel("shower_maximum", title, "energy [MeV]", "depth [X0]", curves, log_x=True)


def _profile_panel(profiles: list[tuple[float, np.ndarray]]) -> Panel:
    curves = []
    for energy_mev, profile in profiles:
        shape = profile / energy_mev / np.diff(DEPTH_EDGES_X0)
        curves.append(Curve(f"{energy_mev / 1000:g} GeV", DEPTH_EDGES_X0, shape, None, "steps"))
    title = "Electron showers: mean longitudinal profile"
    return Panel("shower_profile", title, "depth [X0]", "share of the energy per X0", tuple(curves))


def _width_panel(rings: np.ndarray) -> Panel:
    inside = np.cumsum(rings) / rings.sum()
    limit = np.full(2, reference.MOLIERE_RADIUS_MM)
    curves = (
        Curve("simulated", RADIUS_EDGES_MM[1:], inside, None, "line"),
        Curve("Moliere radius", limit, np.array([0.0, 0.9]), None, "line"),
    )
    title = "4 GeV electron: energy within a radius"
    return Panel("moliere", title, "distance from the axis [mm]", "share of the deposited energy", curves)


def _photons(gun: Gun) -> list[Row]:
    rows = []
    depths = np.array(gun.fire(first_interaction_mm, PHOTON, 50_000.0, 20_000, PHOTON_BOX))
    estimate = _free_path(depths)
    published = 9 / 7 * reference.RADIATION_LENGTH_MM
    title, source = "conversion length of a 50 GeV photon, 9/7 X0", f"{reference.PDG_PASSAGE}, sec. 34.4.4"
    rows.append(Row(SECTION, title, *estimate, published, 0.03 * published, "mm", source))
    for energy_mev, attenuation in reference.ATTENUATION_CM2_PER_G.items():
        depths = np.array(gun.fire(first_interaction_mm, PHOTON, energy_mev, 15_000, PHOTON_BOX))
        published = 10 / (attenuation * reference.DENSITY_G_PER_CM3)
        title = f"free path of a {energy_mev:g} MeV photon"
        rows.append(Row(SECTION, title, *_free_path(depths), published, 0.05 * published, "mm", reference.XAAMDI))
    return rows


def _free_path(depths: np.ndarray) -> statistics.Estimate:
    return statistics.free_path(np.minimum(depths, PHOTON_BOX.length_mm), depths < PHOTON_BOX.length_mm)


def _one_and_two(gun: Gun) -> tuple[list[Row], Panel]:
    box = Box(half_mm=300.0, length_mm=1500.0)
    electron, photon = (np.array(gun.fire(start_dedx, pdg, START_ENERGY_MEV, 1000, box)) for pdg in (ELECTRON, PHOTON))
    photon = photon[np.isfinite(photon)]
    one, two = statistics.median(electron), statistics.median(photon)
    ratio = two.value / one.value
    error = ratio * np.hypot(one.error / one.value, two.error / two.value)
    title = "start of a shower, photon over electron, median, 500 MeV"
    source = "a pair against one particle"
    rows = [Row(SECTION, title, ratio, float(error), 2.0, 0.3, "", source)]
    edges = np.linspace(0, 10, 51)
    curves = tuple(
        Curve(name, edges, np.histogram(values, edges)[0] / len(values), None, "steps")
        for name, values in (("electron", electron), ("photon", photon))
    )
    title = "First 25 mm of a 500 MeV shower"
    return rows, Panel("shower_start", title, "dE/dx [MeV/cm]", "share per 0.2 MeV/cm", curves)
