"""Where the leading object of an event lies: its two ends in space, and in each view of the readout.

The leading object is the visible charged lepton of the interaction if there is one, else the object of ancestry.py with
most energy seen. facts.py names what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.simulate.ancestry import Ancestry, draws_line, is_electromagnetic
from hpc_nuvlm.simulate.showers import shower_start
from hpc_nuvlm.simulate.transport import Trace

# A shower reaches as far along its axis as this share of its energy seen
SHOWER_SHARE = 0.9
KIND_OF_PDG = {11: "electron", 13: "muon", 22: "photon"}


@dataclass(frozen=True)
class Views:
    """The readout of one event: names of its V views, and points [mm] (N, 3) -> native row and column (N, V, 2)."""

    names: tuple[str, ...]
    native: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Region:
    kind: str
    from_mm: np.ndarray
    to_mm: np.ndarray


def leading_region(trace: Trace, family: Ancestry, lepton: int | None, of_neutrino: bool) -> Region | None:
    """Kind and ends of the leading object; None if nothing is seen.

    `lepton`: track of the visible charged lepton, None if there is none. Where no neutrino interacted, a muon or an
    electron is called so whatever it comes from.
    """
    leading = lepton
    if leading is None:
        objects = np.flatnonzero(family.begins_object() & (is_electromagnetic(family.pdg) | draws_line(family.pdg)))
        if not family.object_mev[objects].any():
            return None
        leading = int(objects[np.argmax(family.object_mev[objects])])
    code = abs(int(family.pdg[leading]))
    is_shower = code in (11, 22)
    kind = KIND_OF_PDG.get(code, "hadron")
    if of_neutrino and lepton is None:
        kind = "photon" if is_shower else "hadron"
    rows = np.flatnonzero((family.owner[trace.track] == leading) & (family.seen_mev > 0))
    ends_mm = shower_ends_mm(trace, family, leading, rows) if is_shower else track_ends_mm(trace, leading, rows)
    return Region(kind, *ends_mm)


def track_ends_mm(trace: Trace, track: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the particle was born, and the end of the last of the segments `rows` that is its own, in its order."""
    along = rows[trace.track[rows] == track]
    # Of a track that passes outside of the readout, a delta ray may be all that is seen
    last = along[-1] if len(along) else rows[-1]
    return trace.track_start[track, :3], trace.end_mm[last]


def shower_ends_mm(trace: Trace, family: Ancestry, shower: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the first electron begins, and the point of the straight axis before which SHOWER_SHARE of `rows` lies.

    The axis goes to the mean place of the energy seen.
    """
    start = shower_start(trace, family, shower)
    # A photon that is absorbed without an electron above the cut leaves its energy in a point
    from_mm = trace.start_mm[rows[0]] if start is None else start.position_mm
    middle, energy_mev = 0.5 * (trace.start_mm[rows] + trace.end_mm[rows]) - from_mm, family.seen_mev[rows]
    mean_mm = energy_mev @ middle / energy_mev.sum()
    axis = mean_mm / max(float(np.linalg.norm(mean_mm)), 1e-300)
    along_mm = middle @ axis
    order = np.argsort(along_mm)
    before = np.cumsum(energy_mev[order])
    return from_mm, from_mm + along_mm[order[np.searchsorted(before, SHOWER_SHARE * before[-1])]] * axis


def region_facts(region: Region, views: Views) -> dict[str, float | str]:
    """The facts `lead...` of facts.py; a view that has no place for the points (NaN) is left out."""
    facts: dict[str, float | str] = {"lead": region.kind}
    places = views.native(np.stack([region.from_mm, region.to_mm]))
    for end, of_views in zip(("from", "to"), places.tolist(), strict=True):
        for name, (row, column) in zip(views.names, of_views, strict=True):
            if np.isfinite(row) and np.isfinite(column):
                facts[f"lead_{name}_{end}_row"] = round(row, 1)
                facts[f"lead_{name}_{end}_column"] = round(column, 1)
    return facts
