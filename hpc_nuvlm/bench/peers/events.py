"""Events to measure on: thinned from a dataset's to equally many hits, all of them inside of their pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event
from hpc_nuvlm.store import Dataset

# As in the measurements that the targets come from
HITS_PER_EVENT = 4975


@dataclass(frozen=True)
class Hits:
    """Deposits of a batch of events, as rasterizers take them, and the window that each view shows."""

    columns: tuple[np.ndarray, ...]  # x_mm, y_mm, z_mm, energy_mev: float32 (N,)
    offsets: np.ndarray  # int64 (E + 1,)
    projections: np.ndarray  # (V, 2, 3)
    origin_mm: np.ndarray  # (E, V, 2)
    pixel_mm: np.ndarray  # (V, 2)

    @property
    def num_events(self) -> int:
        return len(self.offsets) - 1


def hits_in_pictures(dataset: Dataset, split: str, num_events: int, size: int, seed: int = 77) -> Hits:
    """The first events of a split that have so many hits in pictures of size x size around the charge's middle."""
    detector = dataset.manifest.detector
    columns, origins = [], []
    for event in dataset.split(split):
        if len(event.hits) < HITS_PER_EVENT:
            continue
        position_mm, charge, origin_mm = _inside(event, detector, size)
        if len(charge) >= HITS_PER_EVENT:
            chosen = np.random.default_rng([seed, len(origins)]).choice(len(charge), HITS_PER_EVENT, replace=False)
            chosen.sort()
            columns.append((*position_mm[:, chosen], charge[chosen]))
            origins.append(origin_mm)
        if len(origins) == num_events:
            joined = tuple(np.concatenate(parts) for parts in zip(*columns, strict=True))
            offsets = np.arange(num_events + 1) * HITS_PER_EVENT
            return Hits(joined, offsets, detector.projections, np.array(origins), np.array(detector.pitches_mm))
    raise ConfigError(
        f"{dataset.folder}: split {split!r} has {len(origins)} events of {HITS_PER_EVENT} hits or more, {num_events} "
        "are needed; simulate or pack more"
    )


def _inside(event: Event, detector: Detector, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (3, n) and charges of the hits that all views show, and where the views begin, (V, 2)."""
    position_mm = np.stack([event.hits[axis] for axis in ("x_mm", "y_mm", "z_mm")])
    charge = event.hits.charge
    middle_mm = position_mm @ charge / charge.sum()
    pitch_mm = np.array(detector.pitches_mm)
    steps = (detector.projections @ middle_mm - detector.grid_mm) / pitch_mm
    origin_mm = detector.grid_mm + (np.floor(steps) - size // 2) * pitch_mm
    place = (detector.projections @ position_mm.astype(np.float64) - origin_mm[:, :, None]) / pitch_mm[:, :, None]
    inside = ((place >= 0) & (place < size)).all(axis=(0, 1)) & (charge > 0)
    return position_mm[:, inside], charge[inside], origin_mm
