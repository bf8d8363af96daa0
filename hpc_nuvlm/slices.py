"""Slices: the scores of a part of the events: those of an energy range, or of an interaction mode."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from hpc_nuvlm.metrics import Scores, score

# Of the true neutrino energy; slice i is [edge i, edge i + 1)
ENERGY_EDGES_GEV = (0.0, 1.0, 2.0, 4.0, 8.0, math.inf)
UNKNOWN = "unknown"


def by_energy(nu_energy_gev: np.ndarray) -> dict[str, np.ndarray]:
    """Slice name to (N,) bool, for slices that hold events; NaN energies are `unknown`, and nothing if all are."""
    energy = np.asarray(nu_energy_gev, np.float64)
    if np.isnan(energy).all():
        return {}
    slices = {
        f"{low:g} to {high:g} GeV" if math.isfinite(high) else f"above {low:g} GeV": (low <= energy) & (energy < high)
        for low, high in pairwise(ENERGY_EDGES_GEV)
    }
    return _filled(slices | {UNKNOWN: np.isnan(energy)})


def by_mode(modes: list[str | None]) -> dict[str, np.ndarray]:
    """Slice name to (N,) bool, in order of the number of events; events without a mode are `unknown`, and last."""
    if all(mode is None for mode in modes):
        return {}
    named = np.array([UNKNOWN if mode is None else mode for mode in modes])
    slices = {name: named == name for name in sorted(set(named.tolist()))}
    order = sorted(slices, key=lambda name: (name == UNKNOWN, -slices[name].sum()))
    return {name: slices[name] for name in order}


def score_slices(
    truth: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...], slices: dict[str, np.ndarray]
) -> dict[str, Scores]:
    """The scores of each slice's events."""
    return {name: score(truth[inside], probabilities[inside], classes) for name, inside in slices.items()}


def _filled(slices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: inside for name, inside in slices.items() if inside.any()}
