"""Visible facts of an event: what a sentence about its picture may claim, measured on truth tracks and the readout.

Energy counts only where it is *seen*: deposited inside the readout. All thresholds are the constants below. A fact
that has no meaning for an event (the gap of a shower where there is none) is left out, never made up.

  lepton_pdg                outgoing lepton, a neutrino in NC
  lepton_visible            it is charged, and LEPTON_MEV of it (an electron's: of its shower) is seen
  lepton_contained          of a visible one: it ends in the argon, and at most LEAK_FRACTION of it escapes or is unseen
  lepton_track_mm           path that is seen of a visible muon
  contained                 at most LEAK_FRACTION of the event's charged and photon energy escapes or is unseen, and
                            a visible lepton is contained
  visible_energy_mev        all deposits seen
  lead                      kind of the leading object: "muon" or "electron", the visible lepton; else, of the object
                            with most energy seen, "photon" (an electromagnetic shower) or "hadron" (a track: a charged
                            hadron's or a stray muon's). Where no neutrino interacted: by its particle. Not there if
                            nothing is seen
  lead_V_from_row, _column  where it begins (a photon: its first electron) in view V (U, XZ, ...): row and column of the
                            readout, not whole numbers, pixel r being [r, r + 1); may be outside. Not there for a view
                            of wires without hits
  lead_V_to_row, _column    its end: the last place seen of a track; the point on the straight axis of a shower before
                            which 90 % of its energy seen lies
  variant                   change of the response that the event was read out with, where each event draws one
  num_tracks                muons, charged pions and kaons, protons with TRACK_MM of path seen, wherever they begin
  num_vertex_tracks         those of them that begin within PRONG_MM of the vertex
  longest_track_mm          path seen of the longest such particle, 0 if there is none
  num_protons               protons out of the nucleus with PROTON_MEV of kinetic energy, PROTON_SEEN_MEV of it seen
  num_showers               electrons and photons with SHOWER_MEV seen in their whole cascade, Michel electrons apart
  shower_energy_mev         energy seen of the largest shower
  shower_gap_mm             distance of its first electron from the vertex; 0 for an electron from there
  shower_dedx_mev_per_mm    energy a length at its start; showers.py defines it
  num_pi0                   neutral pions, from anywhere, of which at least one photon is a shower
  michel, michel_energy_mev an electron of a muon that stopped, with MICHEL_MEV seen; its energy seen
  vertex_activity_mev       energy seen within VERTEX_MM of the vertex that is not the leading particle's: the
                            lepton if it is visible, else the primary with most energy seen

Delta rays and bremsstrahlung of a muon or hadron count as its own. What is laid over the event (cosmics) counts for
nothing. Whether things overlap in a picture is not judged: a fact says what is there to be seen.
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.ancestry import Ancestry, ancestry, draws_line, is_electromagnetic
from hpc_nuvlm.simulate.regions import Views, leading_region, region_facts
from hpc_nuvlm.simulate.showers import shower_start, start_dedx_mev_per_mm
from hpc_nuvlm.simulate.transport import Trace
from hpc_nuvlm.simulate.truth import available_energy_gev, lepton_pdg, truth_of
from nuvlm_kernels import workspace

__all__ = ["available_energy_gev", "truth_of", "visible_facts"]

Box = tuple[tuple[float, float, float], tuple[float, float, float]]

# A muon of 20 MeV goes 24 mm in liquid argon (argon.py): five pixels of 5 mm, the shortest line with a direction
LEPTON_MEV = 20.0
# Ten pixels of 5 mm: long enough to be called a track rather than a blob at the vertex
TRACK_MM = 50.0
PRONG_MM = 10.0
# MicroBooNE's threshold for a proton that its selections claim (P. Abratenko et al., Phys. Rev. D 105, 112004 (2022));
# its range, 15 mm, is three pixels. ArgoNeuT saw protons of 21 MeV by eye (R. Acciarri et al., Phys. Rev. D 90, 012008
# (2014)), on wires 4 mm apart. Both as commonly quoted, not checked against the originals.
PROTON_MEV, PROTON_SEEN_MEV = 40.0, 20.0
# Near the critical energy, 32.8 MeV (Particle Data Group), an electron begins to shower
SHOWER_MEV = 30.0
# Michel electrons of less are lost in the end of the muon's track
MICHEL_MEV = 5.0
VERTEX_MM = 50.0
LEAK_FRACTION = 0.05
# A muon that decays in flight gives no Michel electron. Transport lets go of muons at some 2 MeV: 0.5 mm from their end
STOPPED_MEV = 5.0
# Where a particle leaves the argon, its track ends on the surface, but for rounding
SURFACE_MM = 1e-3


def visible_facts(
    interaction: Interaction,
    trace: Trace,
    seen: np.ndarray | None = None,
    argon_mm: Box | None = None,
    views: Views | None = None,
) -> dict[str, float | int | bool | str]:
    """Facts of a trace by the names above; none if nothing of the interaction was followed.

    `seen` (N,): the segments inside the readout; None: all. `argon_mm`: low and high corner of the argon, without
    which nothing is said of containment. `views`: the readout, without which nothing is said of the leading object.
    """
    family = ancestry(interaction, trace, seen)
    if family is None:
        return {}
    escaped_mev = None if argon_mm is None else _escaped_mev(trace, family, argon_mm)
    lepton, facts = _lepton_facts(interaction, trace, family, escaped_mev)
    facts["visible_energy_mev"] = float(family.seen_mev.sum())
    if escaped_mev is not None:
        little = _leak(trace, family, escaped_mev, family.own) <= LEAK_FRACTION
        facts["contained"] = bool(little and facts.get("lepton_contained", True))
    facts |= _track_facts(trace, family) | _shower_facts(trace, family) | _michel_facts(trace, family)
    facts["num_protons"] = _num_protons(trace, family)
    facts["vertex_activity_mev"] = _vertex_activity_mev(trace, family, lepton)
    if lepton is not None and abs(family.pdg[lepton]) == 13:
        facts["lepton_track_mm"] = float(_path_mm(trace, family, np.array([lepton]))[0])
    if views is not None and (region := leading_region(trace, family, lepton, interaction.nu_pdg is not None)):
        facts |= region_facts(region, views)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in facts.items()}


def _lepton_facts(
    interaction: Interaction, trace: Trace, family: Ancestry, escaped_mev: np.ndarray | None
) -> tuple[int | None, dict]:
    """Track of the visible charged lepton, or None; and what is known of the lepton."""
    code = lepton_pdg(interaction)
    if code is None:
        return None, {}
    tracks = family.primaries[family.pdg[family.primaries] == code]
    visible = len(tracks) > 0 and bool(family.object_mev[tracks[0]] >= LEPTON_MEV)
    facts = {"lepton_pdg": code, "lepton_visible": visible}
    if not visible:
        return None, facts
    lepton = int(tracks[0])
    if escaped_mev is not None:
        leak = _leak(trace, family, escaped_mev, family.owner == lepton)
        leaves = abs(code) != 11 and escaped_mev[lepton] > 0
        facts["lepton_contained"] = bool(leak <= LEAK_FRACTION and not leaves)
    return lepton, facts


def _escaped_mev(trace: Trace, family: Ancestry, argon_mm: Box) -> np.ndarray:
    """(T,) kinetic energy with which charged particles and photons leave the argon, 0 for all that stay."""
    low_mm, high_mm = np.asarray(argon_mm[0]) + SURFACE_MM, np.asarray(argon_mm[1]) - SURFACE_MM
    moving = np.flatnonzero(trace.track_end[:, 3] > 0)
    moving = moving[is_electromagnetic(family.pdg[moving]) | draws_line(family.pdg[moving])]
    end_mm = trace.track_end[moving, :3]
    outside = moving[((end_mm <= low_mm) | (end_mm >= high_mm)).any(axis=1)]
    escaped_mev = np.zeros(len(family.pdg))
    escaped_mev[outside] = trace.track_end[outside, 3]
    return escaped_mev


def _leak(trace: Trace, family: Ancestry, escaped_mev: np.ndarray, tracks: np.ndarray) -> float:
    """Share of these tracks' (T,) energy, deposited or escaped, that is not seen."""
    of_them = tracks[trace.track]
    escaped = float(escaped_mev[tracks].sum())
    total = float(trace.energy_mev[of_them].sum()) + escaped
    return 1.0 - float(family.seen_mev[of_them].sum()) / total if total > 0 else 0.0


def _path_mm(trace: Trace, family: Ancestry, tracks: np.ndarray) -> np.ndarray:
    """Path length seen [mm] of each of these tracks."""
    wanted = np.zeros(len(family.pdg), bool)
    wanted[tracks] = True
    rows = np.flatnonzero(wanted[trace.track] & (family.seen_mev > 0))
    steps = trace.end_mm[rows] - trace.start_mm[rows]
    return np.bincount(trace.track[rows], np.sqrt(np.einsum("ij,ij->i", steps, steps)), len(family.pdg))[tracks]


def _track_facts(trace: Trace, family: Ancestry) -> dict:
    candidates = np.flatnonzero(family.own & draws_line(family.pdg))
    path_mm = _path_mm(trace, family, candidates)
    long = candidates[path_mm >= TRACK_MM]
    from_vertex_mm = np.linalg.norm(trace.track_start[long, :3] - family.vertex_mm, axis=1)
    return {
        "num_tracks": len(long),
        "num_vertex_tracks": int((from_vertex_mm <= PRONG_MM).sum()),
        "longest_track_mm": float(path_mm.max(initial=0.0)),
    }


def _is_muon_decay(trace: Trace, family: Ancestry) -> np.ndarray:
    """(T,) True for electrons from a muon's decay, at rest or in flight."""
    from_muon = (family.parent >= 0) & (np.abs(family.pdg[family.parent]) == 13)
    return from_muon & (np.abs(family.pdg) == 11) & (trace.track_process == workspace.DECAY)


def _shower_facts(trace: Trace, family: Ancestry) -> dict:
    showers = family.begins_object() & is_electromagnetic(family.pdg) & (family.object_mev >= SHOWER_MEV)
    showers = np.flatnonzero(showers & ~_is_muon_decay(trace, family))
    parents = family.parent[showers]
    from_pi0 = parents[(parents >= 0) & (family.pdg[parents] == 111)]
    facts = {"num_showers": len(showers), "num_pi0": len(set(from_pi0.tolist()))}
    if not len(showers):
        return facts
    leading = int(showers[np.argmax(family.object_mev[showers])])
    facts["shower_energy_mev"] = float(family.object_mev[leading])
    start = shower_start(trace, family, leading)
    dedx = math.nan if start is None else start_dedx_mev_per_mm(trace, family, leading, start)
    if math.isfinite(dedx):
        facts["shower_gap_mm"] = float(np.linalg.norm(start.position_mm - family.vertex_mm))
        facts["shower_dedx_mev_per_mm"] = dedx
    return facts


def _michel_facts(trace: Trace, family: Ancestry) -> dict:
    michel = family.own & _is_muon_decay(trace, family) & (family.object_mev >= MICHEL_MEV)
    tracks = np.flatnonzero(michel)
    tracks = tracks[trace.track_end[family.parent[tracks], 3] <= STOPPED_MEV]
    if not len(tracks):
        return {"michel": False}
    return {"michel": True, "michel_energy_mev": float(family.object_mev[tracks].max())}


def _num_protons(trace: Trace, family: Ancestry) -> int:
    protons = family.primaries[family.pdg[family.primaries] == 2212]
    fast = trace.track_start[protons, 6] >= PROTON_MEV
    return int((fast & (family.object_mev[protons] >= PROTON_SEEN_MEV)).sum())


def _vertex_activity_mev(trace: Trace, family: Ancestry, lepton: int | None) -> float:
    leading = family.primaries[np.argmax(family.object_mev[family.primaries])] if lepton is None else lepton
    offset_mm = 0.5 * (trace.start_mm + trace.end_mm) - family.vertex_mm
    near = np.einsum("ij,ij->i", offset_mm, offset_mm) < VERTEX_MM**2
    return float(family.seen_mev[near & (family.owner[trace.track] != leading)].sum())
