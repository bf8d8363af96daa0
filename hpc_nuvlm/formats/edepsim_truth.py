"""What edep-sim (Geant4) did with a particle gun: primaries and trajectories from ROOT, whole segments from HDF5.

The ROOT file's segments are left alone: only its flat branches are read. Events of both are matched by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import uproot

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.interaction import Interaction

TREE = "EDepSimEvents"
VERTICES = "Event/Primaries/Primaries.Position"
TRAJECTORIES = "Event/Trajectories/Trajectories."
NO_PARENT = -1
MM_PER_CM = 10.0
# Our column -> its spellings
SEGMENT_COLUMNS = {
    "event": ("event_id", "eventID"),
    "track": ("traj_id", "trackID"),
    "pdg": ("pdg_id", "pdgId"),
    "energy": ("dE",),
}


@dataclass(frozen=True, eq=False)
class Shot:
    """One event: the primaries, where they began, and all trajectories: (T,) track, parent, pdg; total energy [MeV]."""

    number: int
    primaries: Interaction
    vertex_mm: tuple[float, float, float]
    track: np.ndarray
    parent: np.ndarray
    pdg: np.ndarray
    energy_mev: np.ndarray


@dataclass(frozen=True, eq=False)
class Segments:
    """Energy depositions of one event: (N, 3) ends [mm], (N,) energy [MeV], track and pdg."""

    start_mm: np.ndarray
    end_mm: np.ndarray
    energy_mev: np.ndarray
    track: np.ndarray
    pdg: np.ndarray


def read_shots(path: Path) -> Iterator[Shot]:
    """Events of an edep-sim ROOT file that have one vertex; FormatError names an event with more or none."""
    try:
        tree = uproot.open(path)[TREE]
        names = ("TrackId", "ParentId", "PDGCode", "InitialMomentum")
        numbers = tree["Event/EventId"].array(library="np")
        vertices = tree[VERTICES].array(library="np")
        columns = [tree[TRAJECTORIES + name].array(library="np") for name in names]
    except (OSError, KeyError, uproot.KeyInFileError, uproot.DeserializationError) as error:
        raise FormatError(f"{path}: is no edep-sim file with primaries ({error}); name another file") from error
    for number, vertex, track, parent, pdg, momentum in zip(numbers, vertices, *columns, strict=True):
        if len(vertex) != 1:
            raise FormatError(f"{path}: event {number} has {len(vertex)} vertices; a particle gun's has 1")
        yield _shot(int(number), vertex[0], np.array(track), np.array(parent), np.array(pdg), momentum)


def _shot(number: int, vertex, track: np.ndarray, parent: np.ndarray, pdg: np.ndarray, momentum) -> Shot:
    energy = np.array([four.member("fE") for four in momentum], float)
    three = np.array([_vector(four) for four in momentum], float).reshape(-1, 3)
    first = parent == NO_PARENT
    primaries = Interaction(
        pdg=pdg[first].astype(np.int32),
        momentum_mev=three[first],
        energy_mev=energy[first],
        position_mm=np.zeros((int(first.sum()), 3)),
        time_ns=np.zeros(int(first.sum())),
    )
    return Shot(number, primaries, _vector(vertex), track, parent, pdg, energy)


def _vector(four) -> tuple[float, float, float]:
    """Spatial part of a TLorentzVector."""
    part = four.member("fP")
    return tuple(float(part.member(name)) for name in ("fX", "fY", "fZ"))


def read_segments(path: Path) -> dict[int, Segments]:
    """Event number -> segments, from the table `segments` of a dumpTree HDF5 file."""
    if not h5py.is_hdf5(path):
        raise FormatError(f"{path}: is no HDF5 file; give the dumpTree file of the same events")
    with h5py.File(path) as content:
        if "segments" not in content:
            raise FormatError(f"{path}: has no table 'segments'; give a file that dumpTree wrote")
        rows = content["segments"][:]
    found = {name: _column(path, rows, spellings) for name, spellings in SEGMENT_COLUMNS.items()}
    ends = [
        np.stack([rows[f"{axis}_{end}"] for axis in "xyz"], 1).astype(float) * MM_PER_CM for end in ("start", "end")
    ]
    events = {}
    for number in np.unique(found["event"]).tolist():
        mine = found["event"] == number
        energy, track, pdg = (found[name][mine] for name in ("energy", "track", "pdg"))
        events[number] = Segments(
            ends[0][mine], ends[1][mine], energy.astype(float), track.astype(int), pdg.astype(int)
        )
    return events


def _column(path: Path, rows: np.ndarray, spellings: tuple[str, ...]) -> np.ndarray:
    for name in spellings:
        if name in rows.dtype.names:
            return rows[name]
    raise FormatError(f"{path}: segments have no column {' or '.join(spellings)}, only {', '.join(rows.dtype.names)}")
