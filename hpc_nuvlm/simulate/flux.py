"""Energies of the neutrinos: uniform, a power law, or a user's table; drawn by the inverse of the cumulative."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hpc_nuvlm.errors import ConfigError, FormatError
from hpc_nuvlm.simulate.settings import Flux

NUM_POINTS = 4001
# The published set-up: arXiv:2508.19376
DEFAULT_HIGH_GEV = 10.0


def read_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies [GeV], rising, and flux per GeV of a two-column file; a first line of names and # lines are skipped."""
    if not path.is_file():
        raise ConfigError(
            f"flux.file: there is no file {path}; give a CSV of two columns, energy [GeV] and flux per GeV"
        )
    rows: list[tuple[float, float]] = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        text = line.split("#")[0].strip()
        if not text or (not rows and any(c.isalpha() and c not in "eE" for c in text)):
            continue
        rows.append(csv_row(path, number, text, rows[-1][0] if rows else -math.inf))
    if len(rows) < 2:
        raise FormatError(f"{path}: {len(rows)} rows of energy and flux; at least 2 are needed")
    energy, flux = np.array(rows).T
    if not flux.any():
        raise FormatError(f"{path}: the flux is 0 at all {len(rows)} energies; at least one must be above 0")
    return energy, flux


def csv_row(path: Path, number: int, text: str, before: float) -> tuple[float, float]:
    """One line as (energy, flux)."""
    cells = text.replace(",", " ").replace(";", " ").split()
    where = f"{path}, line {number}"
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        raise FormatError(f"{where}: {text!r} is not numbers; write energy [GeV] and flux per GeV") from None
    if len(values) != 2 or not all(map(math.isfinite, values)):
        raise FormatError(f"{where}: {text!r}; each line needs two finite numbers, energy [GeV] and flux per GeV")
    energy, flux = values
    if energy < 0.0 or flux < 0.0:
        raise FormatError(f"{where}: {text!r}; energy and flux must not be negative")
    if energy <= before:
        raise FormatError(
            f"{where}: energy {energy:g} GeV does not exceed the line before ({before:g}); sort the lines"
        )
    return energy, flux


class Spectrum:
    """Energies by a flux between two limits; `weight` (energies [GeV] -> factor) multiplies it."""

    def __init__(self, settings: Flux, weight: Callable[[np.ndarray], np.ndarray] | None = None):
        low, high = settings.low_gev, DEFAULT_HIGH_GEV if settings.high_gev is None else settings.high_gev
        table = read_csv(settings.file) if settings.kind == "csv" and settings.file is not None else None
        if settings.kind == "csv" and table is None:
            raise ConfigError("flux.kind is csv, but flux.file is not set; name a CSV of energy [GeV] and flux per GeV")
        if table is not None:
            end = table[0][-1]
            low, high = max(low, table[0][0]), end if settings.high_gev is None else min(high, end)
        self.high_gev = high
        if not low < high:
            raise ConfigError(f"flux: low_gev {low:g} is not below high_gev {high:g}; events need a range of energies")
        if settings.kind == "power_law" and settings.index <= -1.0 and low <= 0.0:
            raise ConfigError(
                f"flux: a power law of index {settings.index:g} from 0 GeV has no end; set flux.low_gev above 0"
            )
        logarithmic = settings.kind == "power_law" and low > 0.0
        grid = np.geomspace(low, high, NUM_POINTS) if logarithmic else np.linspace(low, high, NUM_POINTS)
        density = self._density(settings, grid, table) * (1.0 if weight is None else weight(grid))
        area = 0.5 * (density[1:] + density[:-1]) * np.diff(grid)
        if not area.sum() > 0.0:
            raise ConfigError(
                f"flux: no event is possible between {low:g} and {high:g} GeV (flux x cross section is 0 there); "
                "raise flux.high_gev, or ask for other flavours (charged currents of nutau begin at 3.5 GeV)"
            )
        self.energy_gev = grid
        self.cumulative = np.concatenate([[0.0], np.cumsum(area) / area.sum()])

    @staticmethod
    def _density(settings: Flux, grid: np.ndarray, table: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        if table is not None:
            return np.interp(grid, *table)
        return np.ones_like(grid) if settings.kind == "uniform" else grid**settings.index

    def draw(self, rng: np.random.Generator) -> float:
        """One energy [GeV]."""
        return float(np.interp(rng.random(), self.cumulative, self.energy_gev))
