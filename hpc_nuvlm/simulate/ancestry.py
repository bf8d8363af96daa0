"""Who came from whom in a trace, and what of each is seen: tracks are gathered into the objects of a picture.

An object is a track with everything that looks like a part of it: an electron's or photon's whole cascade, a muon or
hadron with its delta rays and bremsstrahlung. Its number is that of the track that it begins with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.transport import Trace
from nuvlm_kernels import workspace

# What a charged particle makes along its path belongs to it, be the particle an electron or not
ALONG_THE_PATH = (workspace.DELTA, workspace.BREMSSTRAHLUNG, workspace.PAIR)
# Muon, pion, kaon, proton: what draws a line
TRACK_PDG = (13, 211, 321, 2212)


@dataclass(frozen=True, eq=False)
class Ancestry:
    """Per track (T,) unless said: PDG code, object it belongs to, energy seen."""

    pdg: np.ndarray
    parent: np.ndarray
    # Object of each track, and its energy seen [MeV] at the number of the track that it begins with, 0 elsewhere
    owner: np.ndarray
    object_mev: np.ndarray
    # Energy of segments [MeV] (N,), 0 where they are not seen or of another interaction
    seen_mev: np.ndarray
    # True for tracks of this interaction, False for what is laid over it
    own: np.ndarray
    # The interaction's primaries that transport followed, as tracks, in its order
    primaries: np.ndarray
    vertex_mm: np.ndarray

    def begins_object(self) -> np.ndarray:
        """(T,) True for the tracks of this interaction that an object begins with."""
        return self.own & (self.owner == np.arange(len(self.owner)))


def ancestry(interaction: Interaction, trace: Trace, seen: np.ndarray | None = None) -> Ancestry | None:
    """The objects of a trace whose first primaries are the interaction's; None if transport follows none of them."""
    tracks = trace.primary_track[: len(interaction.pdg)]
    followed = np.flatnonzero(tracks >= 0)
    if not len(followed):
        return None
    primaries, parent, pdg = tracks[followed], trace.track_parent, trace.track_pdg
    assert np.array_equal(pdg[primaries], interaction.pdg[followed]), "a trace of another interaction"
    owner = oldest(np.where(_begins_object(pdg, parent, trace.track_process), -1, parent))
    own = np.ones(len(pdg), bool)
    if len(trace.primary_track) > len(tracks):
        own = np.isin(oldest(parent), primaries)
    segment_track, seen_mev = trace.track, trace.energy_mev
    if seen is not None or not own.all():
        counted = own[segment_track] if seen is None else seen & own[segment_track]
        seen_mev = np.where(counted, seen_mev, 0.0)
    return Ancestry(
        pdg=pdg,
        parent=parent,
        owner=owner,
        object_mev=np.bincount(owner[segment_track], seen_mev, len(pdg)),
        seen_mev=seen_mev,
        own=own,
        primaries=primaries,
        vertex_mm=trace.track_start[primaries[0], :3] - interaction.position_mm[followed[0]],
    )


def oldest(parent: np.ndarray) -> np.ndarray:
    """(T,) the ancestor of each track that has no parent (-1), itself if it has none; by doubling the reach."""
    ancestor = np.where(parent < 0, np.arange(len(parent)), parent)
    while True:
        further = ancestor[ancestor]
        if np.array_equal(further, ancestor):
            return ancestor
        ancestor = further


def is_electromagnetic(pdg: np.ndarray) -> np.ndarray:
    kind = np.abs(pdg)
    return (kind == 11) | (kind == 22)


def draws_line(pdg: np.ndarray) -> np.ndarray:
    return _is_one_of(np.abs(pdg), TRACK_PDG)


def _is_one_of(values: np.ndarray, few: tuple[int, ...]) -> np.ndarray:
    """np.isin for a handful of values, five times as fast."""
    found = values == few[0]
    for value in few[1:]:
        found |= values == value
    return found


def _begins_object(pdg: np.ndarray, parent: np.ndarray, process: np.ndarray) -> np.ndarray:
    electromagnetic = is_electromagnetic(pdg)
    part_of_parent = electromagnetic & (electromagnetic[parent] | _is_one_of(process, ALONG_THE_PATH))
    return (parent < 0) | ~part_of_parent
