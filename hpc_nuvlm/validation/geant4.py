"""The same primaries through our transport and through Geant4 (edep-sim), compared as distributions.

The other detector is not only argon: walls, a plate in the middle where the primaries begin, and readout boards. Here
all of it is argon, and only energy in the places that are active there is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.formats.edepsim_truth import Segments, Shot, read_segments, read_shots
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.report.validation import Comparison, Curve, Panel
from hpc_nuvlm.simulate.cosmics import intensity_per_cm2_s_sr_gev
from hpc_nuvlm.simulate.transport import Trace, Transport
from hpc_nuvlm.validation import statistics
from hpc_nuvlm.validation.deposits import ACTIVE_HIGH_MM, ACTIVE_LOW_MM, Deposits, cut, num_blobs, shape, slices, voxels
from hpc_nuvlm.validation.gun import Gun, mass_mev, particle

# Simulated events per event of the file
COPIES = {"electron": 30, "muon": 100}
COSMIC_COPIES = 3
COSMICS = "module0_cosmics.edepsim.h5"
# Argon around the active volume
MARGIN_MM = 1500.0
ELECTRON, MUON = 11, 13
# The file does not tell their energies: they are drawn from the spectrum at sea level at their zenith angle
COSMIC_GEV = np.geomspace(0.3, 300.0, 400)
# A muon that comes so near to a face went through it
SHORTEST_COSMIC_MM, FACE_MM = 200.0, 3.0
# A decay electron is above it, Auger and delta electrons of a stopping muon are below
DECAY_ELECTRON_MEV = 5.0
# Blobs are told apart at the pitch of a readout; energies in voxels that are longer than most of Geant4's segments
BLOB_MM, VOXEL_MM = 5.0, 20.0

UNITS = {
    "deposited energy": "MeV",
    "path of the primary": "mm",
    "mean depth": "mm",
    "length (rms)": "mm",
    "width (rms)": "mm",
    "share within 90 mm": "",
    "radius of 90 %": "mm",
    "separate blobs": "",
    "energy of a 20 mm voxel": "MeV",
    "dE/dx in 100 mm": "MeV/cm",
}
Measured = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Sample:
    """Quantities of each event, ours and theirs."""

    name: str
    ours: list[Measured]
    theirs: list[Measured]


def compare(folder: Path, gun: Gun) -> tuple[list[Comparison], list[Panel]]:
    """Electrons and muons of the folder's files, and cosmic muons if their file is there."""
    require_files(folder)
    samples = []
    for name in COPIES:
        shots, segments = folder / f"{name}.edepsim.root", folder / f"{name}.edepsim.h5"
        samples += _gun_samples(name, list(read_shots(shots)), read_segments(segments), gun)
    if (folder / COSMICS).is_file():
        samples.append(_cosmics(read_segments(folder / COSMICS), gun))
    return [row for sample in samples for row in _rows(sample, gun)], [_panel(sample) for sample in samples]


def require_files(folder: Path) -> None:
    files = [folder / f"{name}.edepsim.{kind}" for name in COPIES for kind in ("root", "h5")]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise UserError(f"--geant4 {folder}: has no {', '.join(missing)}; name the folder that holds them")


def measure(deposits: Deposits, primary_track: int, vertex_mm: np.ndarray, direction: np.ndarray) -> Measured:
    """All quantities of one event; extents are absent where there is no energy."""
    found = {
        "deposited energy": deposits.energy_mev.sum(),
        "path of the primary": deposits.length_mm[deposits.track == primary_track].sum(),
        "separate blobs": float(num_blobs(voxels(deposits, BLOB_MM)[0])),
        "energy of a 20 mm voxel": voxels(deposits, VOXEL_MM)[1],
    }
    if len(deposits.energy_mev):
        found |= shape(deposits, vertex_mm, direction)
    return {name: np.atleast_1d(value) for name, value in found.items()}


def _gun_samples(name: str, shots: list[Shot], segments: dict[int, Segments], gun: Gun) -> list[Sample]:
    theirs = [_measure_shot(shot, segments.get(shot.number)) for shot in shots]
    ours = _copies(shots, COPIES[name], gun, _measure_trace)
    kinetic = shots[0].primaries.energy_mev[0] - np.sqrt(
        max(0.0, shots[0].primaries.energy_mev[0] ** 2 - (shots[0].primaries.momentum_mev[0] ** 2).sum())
    )
    title = f"{name}s of {kinetic:.0f} MeV"
    samples = [Sample(title, [found for found, _ in ours], [found for found, _ in theirs])]
    if name == "muon":
        decayed = [[found for found, has_decayed in side if has_decayed] for side in (ours, theirs)]
        samples.append(Sample(f"{title} that decayed", *decayed))
    return samples


def _measure_shot(shot: Shot, found: Segments | None) -> tuple[Measured, bool]:
    segments = found or Segments(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    first = int(shot.track[shot.parent < 0][0])
    electrons = (shot.parent == first) & (shot.pdg == ELECTRON) & (shot.energy_mev > DECAY_ELECTRON_MEV)
    deposits = cut(segments.start_mm, segments.end_mm, segments.energy_mev, segments.track, segments.pdg)
    return measure(deposits, first, np.array(shot.vertex_mm), _direction(shot)), bool(electrons.any())


def _measure_trace(shot: Shot, trace: Trace) -> tuple[Measured, bool]:
    deposits = deposits_of(trace)
    electrons = (trace.track_parent == 0) & (trace.track_pdg == ELECTRON)
    electrons &= trace.track_start[:, 6] > DECAY_ELECTRON_MEV
    return measure(deposits, 0, np.array(shot.vertex_mm), _direction(shot)), bool(electrons.any())


def deposits_of(trace: Trace) -> Deposits:
    return cut(trace.start_mm, trace.end_mm, trace.energy_mev, trace.track, trace.track_pdg[trace.track])


def _direction(shot: Shot) -> np.ndarray:
    momentum = shot.primaries.momentum_mev[0]
    return momentum / np.linalg.norm(momentum)


def _copies(
    shots: Iterable[Shot], copies: int, gun: Gun, keep: Callable[[Shot, Trace], tuple[Measured, bool]]
) -> list[tuple[Measured, bool]]:
    transport = _transport()
    kept = []
    for shot in shots:
        for copy in range(gun.count(copies)):
            rng = gun.rng(100, shot.number, copy)
            kept.append(keep(shot, transport.run(shot.primaries, shot.vertex_mm, rng)))
    return kept


def _transport() -> Transport:
    return Transport(tuple(ACTIVE_LOW_MM - MARGIN_MM), tuple(ACTIVE_HIGH_MM + MARGIN_MM))


def _cosmics(events: dict[int, Segments], gun: Gun) -> Sample:
    transport, ours, theirs = _transport(), [], []
    for number, segments in events.items():
        deposits = cut(segments.start_mm, segments.end_mm, segments.energy_mev, segments.track, segments.pdg)
        for track in np.unique(segments.track[np.abs(segments.pdg) == MUON]).tolist():
            ends = _through(deposits, track)
            if ends is None:
                continue
            theirs.append({"dE/dx in 100 mm": slices(deposits, *ends)})
            pdg = int(segments.pdg[segments.track == track][0])
            for copy in range(gun.count(COSMIC_COPIES)):
                rng = gun.rng(200, number, track, copy)
                trace = transport.run(_cosmic(pdg, ends[1] - ends[0], rng), tuple(ends[0].tolist()), rng)
                simulated = deposits_of(trace)
                own_ends = _through(simulated, 0)
                if own_ends is not None:
                    ours.append({"dE/dx in 100 mm": slices(simulated, *own_ends)})
    return Sample("cosmic muons that cross the argon", ours, theirs)


def _cosmic(pdg: int, direction: np.ndarray, rng: np.random.Generator) -> Interaction:
    """A muon from the sky in that direction, y up."""
    cosine = np.array(max(0.0, -direction[1] / np.linalg.norm(direction)))
    # Even in ln(energy), so one more factor of energy
    cumulative = np.cumsum(COSMIC_GEV * intensity_per_cm2_s_sr_gev(COSMIC_GEV, cosine))
    total_gev = np.interp(rng.random() * cumulative[-1], cumulative, COSMIC_GEV)
    return particle(pdg, 1000 * total_gev - mass_mev(pdg), tuple(direction))


def _through(deposits: Deposits, track: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Where a muon entered and left the active argon [mm], both at its faces; None if it did not cross."""
    points = deposits.position_mm[deposits.track == track]
    if not len(points):
        return None
    # In order of flight: cosmic muons come from above
    start, end = points[points[:, 1].argmax()], points[points[:, 1].argmin()]
    gaps = [np.minimum(point - ACTIVE_LOW_MM, ACTIVE_HIGH_MM - point).min() for point in (start, end)]
    if max(gaps) > FACE_MM or np.linalg.norm(end - start) < SHORTEST_COSMIC_MM:
        return None
    return start, end


def _rows(sample: Sample, gun: Gun) -> list[Comparison]:
    rows = []
    for number, (name, unit) in enumerate(UNITS.items()):
        ours, theirs = ([event[name] for event in side if name in event] for side in (sample.ours, sample.theirs))
        # Too few, or a muon that never leaves the plate it starts in
        if len(ours) < 2 or len(theirs) < 2 or not np.concatenate(theirs).any():
            continue
        distance, p_value = statistics.compare(ours, theirs, gun.rng(300, number))
        means = [_mean(values) for values in (ours, theirs)]
        rows.append(Comparison(_title(sample), name, unit, *means, distance, p_value))
    return rows


def _title(sample: Sample) -> str:
    return f"{sample.name}, {len(sample.ours)} events here, {len(sample.theirs)} of Geant4"


def _mean(events: list[np.ndarray]) -> statistics.Estimate:
    """Mean of all values; its error from the spread of the events' means."""
    per_event = np.array([event.mean() for event in events if len(event)])
    return statistics.Estimate(float(np.concatenate(events).mean()), statistics.mean(per_event).error)


def _panel(sample: Sample) -> Panel:
    name = "dE/dx in 100 mm" if "dE/dx in 100 mm" in sample.ours[0] else "deposited energy"
    sides = [np.concatenate([event[name] for event in side]) for side in (sample.ours, sample.theirs)]
    high = np.percentile(np.concatenate(sides), 97) * 1.2
    edges = np.linspace(0, high, 13 if name == "deposited energy" else 41)
    curves = []
    for title, values in zip(("here", "Geant4"), sides, strict=True):
        counts = np.histogram(values, edges)[0]
        curves.append(Curve(title, edges, counts / len(values), np.sqrt(counts) / len(values), "steps"))
    short = "".join(letter if letter.isalnum() else "_" for letter in sample.name.lower())
    return Panel(f"geant4_{short}", sample.name, f"{name} [{UNITS[name]}]", "share", tuple(curves))
