"""Cosmic muons: how many, from where and how fast they enter the top of the argon (y is up).

Energy and zenith angle follow Gaisser's formula, extended to low energy and to a curved atmosphere by M. Guan et al.,
arXiv:1509.06176, eq. 2 and 3; around a few GeV it falls as cos^2 theta. mu+ / mu- = 1.28: V. Khachatryan et al. (CMS),
Phys. Lett. B 692 (2010) 83. Above 1 GeV it gives 60 muons per m2, s and sr from the vertical, and 0.6 per cm2 and
minute through a horizontal area; the Review of Particle Physics (section "Cosmic rays") has 70, or 10 to 15 % less by
recent measurements, and 1 per cm2 and minute with the muons below 1 GeV, which are left out here. Also left out: rock
or building above the detector (far underground next to none are left), showers with several muons, and other
particles.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.settings import Corner, Cosmics
from nuvlm_kernels.particles import MASS_MEV, MUON_MINUS

CHARGE_RATIO = 1.28
MUON_MASS_MEV = float(MASS_MEV[MUON_MINUS])
# Cells of the table that is drawn from: in ln(energy) and in cos(zenith)
NUM_ENERGIES, NUM_COSINES = 300, 200


def cosmic_muons(
    settings: Cosmics, argon_low_mm: Corner, argon_high_mm: Corner, rng: np.random.Generator
) -> Interaction:
    """Poisson many muons on the top face of the box, positions absolute; times relative to the interaction."""
    number = int(rng.poisson(settings.mean_muons)) if settings.mean_muons else 0
    energy_mev, cosine = draw(settings, number, rng)
    azimuth = rng.uniform(0.0, 2.0 * np.pi, number)
    sine = np.sqrt(1.0 - cosine**2)
    direction = np.stack([sine * np.cos(azimuth), -cosine, sine * np.sin(azimuth)], axis=1)
    position_mm = rng.uniform(argon_low_mm, argon_high_mm, (number, 3))
    # Just inside, as transport begins in the argon
    position_mm[:, 1] = np.nextafter(argon_high_mm[1], argon_low_mm[1])
    is_plus = rng.random(number) < CHARGE_RATIO / (1.0 + CHARGE_RATIO)
    return Interaction(
        pdg=np.where(is_plus, -13, 13).astype(np.int32),
        momentum_mev=direction * np.sqrt(energy_mev**2 - MUON_MASS_MEV**2)[:, None],
        energy_mev=energy_mev,
        position_mm=position_mm,
        time_ns=1e3 * rng.uniform(settings.earliest_us, settings.latest_us, number),
    )


def intensity_per_cm2_s_sr_gev(energy_gev: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Muons at sea level, by total energy and cosine of the zenith angle."""
    p1, p2, p3, p4, p5 = 0.102573, -0.068287, 0.958633, 0.0407253, 0.817285
    star = np.sqrt((cosine**2 + p1**2 + p2 * cosine**p3 + p4 * cosine**p5) / (1.0 + p1**2 + p2 + p4))
    effective = energy_gev * (1.0 + 3.64 / (energy_gev * star**1.29))
    meson = 1.0 / (1.0 + 1.1 * energy_gev * star / 115.0) + 0.054 / (1.0 + 1.1 * energy_gev * star / 850.0)
    return 0.14 * effective**-2.7 * meson


def muons_per_s(settings: Cosmics, argon_low_mm: Corner, argon_high_mm: Corner) -> float:
    """Rate through the top face, of the energies that the settings allow."""
    (width, _, length) = np.subtract(argon_high_mm, argon_low_mm)
    weights = _table(settings.least_energy_gev, settings.greatest_energy_gev)[0]
    return float(weights.sum() * 1e-2 * width * length)


def draw(settings: Cosmics, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Total energy [MeV] and cosine of the zenith angle of muons that cross a horizontal area."""
    weights, log_edges, cosine_edges = _table(settings.least_energy_gev, settings.greatest_energy_gev)
    cumulative = np.cumsum(weights)
    cell = np.searchsorted(cumulative, rng.random(number) * cumulative[-1], side="right")
    row, column = np.divmod(cell, NUM_COSINES)
    log_energy = log_edges[row] + rng.random(number) * (log_edges[1] - log_edges[0])
    cosine = cosine_edges[column] + rng.random(number) * (cosine_edges[1] - cosine_edges[0])
    return 1e3 * np.exp(log_energy), cosine


@lru_cache(maxsize=4)
def _table(least_gev: float, greatest_gev: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Muons per cm2 and s through a horizontal area in each cell (flat), and the edges in ln(energy) and cosine."""
    log_edges = np.linspace(np.log(least_gev), np.log(greatest_gev), NUM_ENERGIES + 1)
    cosine_edges = np.linspace(0.0, 1.0, NUM_COSINES + 1)
    energy_gev = np.exp(0.5 * (log_edges[1:] + log_edges[:-1]))[:, None]
    cosine = 0.5 * (cosine_edges[1:] + cosine_edges[:-1])
    cells = energy_gev * (log_edges[1] - log_edges[0]) * 2.0 * np.pi * (cosine_edges[1] - cosine_edges[0])
    return (intensity_per_cm2_s_sr_gev(energy_gev, cosine) * cosine * cells).ravel(), log_edges, cosine_edges
