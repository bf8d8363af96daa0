"""Interaction: what a neutrino generator, ours or another, says came out of the nucleus. Transport begins here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Interaction:
    """One neutrino interaction, or any other set of primaries (particle gun, cosmic ray: nu_pdg is None).

    `pdg` (P,) int32, `momentum_mev` (P, 3), `energy_mev` (P,): total energies. `position_mm` (P, 3) is relative to the
    vertex and `time_ns` (P,) to the interaction: not 0 for what a short-lived particle decayed to.
    Unknown truth is None or NaN, as in Truth.
    """

    pdg: np.ndarray
    momentum_mev: np.ndarray
    energy_mev: np.ndarray
    position_mm: np.ndarray
    time_ns: np.ndarray
    nu_pdg: int | None = None
    is_cc: bool | None = None
    mode: str | None = None
    nu_energy_gev: float = math.nan
    lepton_energy_gev: float = math.nan
    q2_gev2: float = math.nan
    w_gev: float = math.nan
    inelasticity: float = math.nan
    # Nucleus as PDG code, for instance 1000180400
    target_pdg: int | None = None
    # (pdg, total energy [GeV]) of what left the nucleus, before short-lived particles decayed
    final_state: tuple[tuple[int, float], ...] = field(default=())
