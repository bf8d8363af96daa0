"""From an interaction to its trace: primaries are put into liquid argon, and the kernels follow them to their ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.argon import ionization_tables
from hpc_nuvlm.simulate.em_tables import em_tables
from hpc_nuvlm.simulate.hadron_tables import hadron_tables
from nuvlm_kernels.cuts import DELTA_CUT_MEV
from nuvlm_kernels.heavy_track import event_table
from nuvlm_kernels.particles import MASS_MEV, PDG
from nuvlm_kernels.transport import Cuts, Tables, transport
from nuvlm_kernels.workspace import (
    DEPOSITED,
    ESCAPED,
    NEUTRINO,
    NUCLEAR,
    NUM_SEGMENTS,
    NUM_TRACKS,
    OVERFLOW,
    PRIMARY,
    RELEASED,
    Workspace,
    clear,
    new_workspace,
    push,
)

LONGEST_STEP_MM = 5.0
SPECIES_OF_PDG = {int(pdg): species for species, pdg in enumerate(PDG)}
NEUTRINO_PDG = frozenset({12, -12, 14, -14, 16, -16})
# From here on a PDG code is a nucleus or a generator's pseudo-particle
NUCLEUS_PDG = 1_000_000_000
# A 5 GeV shower leaves some 30,000 segments; larger events grow the workspace
NUM_PARTICLES, NUM_FIRST_SEGMENTS = 20_000, 60_000
LARGEST_GROWTH = 2**12


@dataclass(frozen=True, eq=False)
class Trace:
    """What an interaction left in the argon. N segments, T tracks; positions [mm], energies [MeV], times [ns]."""

    # Straight pieces of at most LONGEST_STEP_MM of a charged particle's way
    start_mm: np.ndarray  # (N, 3)
    end_mm: np.ndarray  # (N, 3)
    energy_mev: np.ndarray  # (N,) deposited
    time_ns: np.ndarray  # (N,) since the interaction
    track: np.ndarray  # (N,) int: index into the track arrays
    track_pdg: np.ndarray  # (T,)
    track_parent: np.ndarray  # (T,) -1: primary
    track_process: np.ndarray  # (T,) nuvlm_kernels.workspace: PRIMARY, DECAY, ...
    track_start: np.ndarray  # (T, 8) position, direction, kinetic energy, time at birth
    track_end: np.ndarray  # (T, 5) position, kinetic energy left when it stopped, reacted or left, path length
    # Index of each primary's track, in the order of the interaction's primaries; -1: nucleus or neutrino, not followed
    primary_track: np.ndarray
    # deposited, escaped, neutrino, nuclear; released: rest energy set free. Their sums agree with primary_kinetic_mev
    ledger_mev: dict[str, float]
    primary_kinetic_mev: float


class Transport:
    """Transport of particles in one box of liquid argon, whose outside is empty: what leaves does not come back."""

    def __init__(self, argon_low_mm: tuple[float, float, float], argon_high_mm: tuple[float, float, float]):
        self._box = np.array([argon_low_mm, argon_high_mm], np.float64)
        if not (self._box[0] < self._box[1]).all():
            raise UserError(
                f"argon box from {argon_low_mm} to {argon_high_mm} mm has no inside; each low must be below high"
            )
        self._tables = transport_tables()
        self._cuts = Cuts(LONGEST_STEP_MM)
        self._work = new_workspace(NUM_PARTICLES, NUM_FIRST_SEGMENTS)

    def run(self, interaction: Interaction, vertex_mm: tuple[float, float, float], rng: np.random.Generator) -> Trace:
        """Follow the interaction's particles from the vertex; too small a workspace is enlarged, and all rerun."""
        before = rng.bit_generator.state
        growth = 1
        while True:
            primaries = self._fill(interaction, vertex_mm)
            if not self._work.counters[OVERFLOW]:
                transport(self._work, self._tables, self._box, self._cuts, rng)
            if not self._work.counters[OVERFLOW]:
                return trace_of(self._work, *primaries)
            growth *= 2
            if growth > LARGEST_GROWTH:
                raise UserError(f"an event fills more than {len(self._work.segments)} segments; check its energies")
            self._work = new_workspace(2 * len(self._work.stack_id), 2 * len(self._work.segments))
            rng.bit_generator.state = before

    def _fill(self, interaction: Interaction, vertex_mm: tuple[float, float, float]) -> tuple[np.ndarray, float]:
        """Clear the workspace and push the primaries; their tracks, and their summed kinetic energy [MeV]."""
        clear(self._work)
        tracks = np.full(len(interaction.pdg), -1, np.int64)
        total_mev = 0.0
        for index, pdg in enumerate(interaction.pdg.tolist()):
            state = primary_state(interaction, index, vertex_mm)
            if abs(pdg) >= NUCLEUS_PDG:
                # Nuclei make no charge worth the name; pseudo-particles carry a generator's bookkeeping
                self._work.ledger[NUCLEAR] += state[6]
            elif pdg in NEUTRINO_PDG:
                self._work.ledger[NEUTRINO] += state[6]
            elif pdg in SPECIES_OF_PDG:
                tracks[index] = push(self._work, SPECIES_OF_PDG[pdg], state, -1, PRIMARY)
            else:
                raise UserError(
                    f"primary {index} has PDG code {pdg}, which transport cannot follow; it follows "
                    f"{sorted(SPECIES_OF_PDG)}, nuclei and neutrinos: decay or remove it first"
                )
            total_mev += state[6]
        return tracks, total_mev


def transport_tables() -> Tables:
    """Everything that the kernels look up, for liquid argon."""
    ionization, hadron = ionization_tables(DELTA_CUT_MEV), hadron_tables()
    return Tables(ionization, em_tables(), hadron, event_table(ionization, hadron))


def primary_state(interaction: Interaction, index: int, vertex_mm: tuple[float, float, float]) -> np.ndarray:
    """(8,) state of a primary: position, direction, kinetic energy, time.

    Kinetic energy is sqrt(p^2 + m^2) - m with our mass, so that rounding in a generator's file cannot make it negative;
    nuclei: energy minus invariant mass.
    """
    momentum = np.asarray(interaction.momentum_mev[index], np.float64)
    magnitude2 = float(momentum @ momentum)
    species = SPECIES_OF_PDG.get(int(interaction.pdg[index]))
    if species is not None:
        mass = float(MASS_MEV[species])
    else:
        mass = float(np.sqrt(max(0.0, float(interaction.energy_mev[index]) ** 2 - magnitude2)))
    state = np.empty(8)
    state[:3] = np.asarray(vertex_mm, np.float64) + interaction.position_mm[index]
    state[3:6] = momentum / np.sqrt(magnitude2) if magnitude2 > 0.0 else (0.0, 0.0, 1.0)
    # p^2 / (E + m): no difference of large numbers
    total = np.sqrt(magnitude2 + mass * mass)
    state[6] = magnitude2 / (total + mass) if total + mass > 0.0 else 0.0
    state[7] = interaction.time_ns[index]
    return state


def trace_of(work: Workspace, primary_track: np.ndarray, primary_kinetic_mev: float) -> Trace:
    """Copy what a finished transport left in its workspace."""
    segments = work.segments[: work.counters[NUM_SEGMENTS]].copy()
    num_tracks = work.counters[NUM_TRACKS]
    ledger = work.ledger
    return Trace(
        start_mm=segments[:, :3],
        end_mm=segments[:, 3:6],
        energy_mev=segments[:, 6],
        time_ns=segments[:, 7],
        track=work.segment_track[: len(segments)].copy(),
        track_pdg=PDG[work.track_id[:num_tracks, 0]],
        track_parent=work.track_id[:num_tracks, 1].copy(),
        track_process=work.track_id[:num_tracks, 2].copy(),
        track_start=work.track_start[:num_tracks].copy(),
        track_end=work.track_end[:num_tracks].copy(),
        primary_track=primary_track,
        ledger_mev={
            "released": float(ledger[RELEASED]),
            "deposited": float(ledger[DEPOSITED]),
            "escaped": float(ledger[ESCAPED]),
            "neutrino": float(ledger[NEUTRINO]),
            "nuclear": float(ledger[NUCLEAR]),
        },
        primary_kinetic_mev=primary_kinetic_mev,
    )
