"""Degradation: the event as a worse detector would have given it, for models that learned from a good one.

Hits are changed before any view is drawn, so that every model gets the same damage, whatever it looks at. The
damage of an event depends on its identity alone, and a higher level contains the lower ones: the first 50 of 100
noise hits are the 50 noise hits, and rows that are dead at 5 % are dead at 10 %.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.event import CHARGE_COLUMN, COLUMNS, Event, Hits

POSITIONS = ("x_mm", "y_mm", "z_mm")
# Rows and columns are stored in 16 bits
READOUT_LIMIT = 1 << 16
# How far grids of two views may be apart and still be one [mm]
SAME_MM = 1e-6


@dataclass(frozen=True)
class Degradation:
    """What is done to an event, in the order of the fields; each default does nothing."""

    # Factor on every charge. What the readout had saturated stays at its limit times the factor
    gain: float = 1.0
    # Every charge times 1 + pixel_noise x a normal deviate, never below 0
    pixel_noise: float = 0.0
    # Hits added to each view, anywhere in the readout; added to the event, anywhere in the active volume, for deposits
    noise_hits: int = 0
    # Their charge: noise_threshold, and above it an exponential of this mean, in the unit of the charge of hits
    noise_threshold: float = 0.0
    noise_mean: float = 0.0
    # Share of each view's readout rows that are dark, the same ones in all events; for deposits, of the pixels of the
    # anode plane y-z, with all that lies in front of them. (Where a map's window follows its event, rows are other
    # wires in another event: it is the row of the map that is dark)
    dead: float = 0.0
    # Blocks of resolution x resolution native pixels show their mean: coarsen() tells
    resolution: int = 1
    # Which hits, deviates and rows are drawn
    seed: int = 1

    def __post_init__(self):
        numbers = (self.gain, self.pixel_noise, self.noise_threshold, self.noise_mean, self.dead)
        rules = (
            (all(map(math.isfinite, numbers)), "numbers must be finite"),
            (self.gain > 0, "gain must be above 0"),
            (min(self.pixel_noise, self.noise_hits, self.noise_threshold, self.noise_mean) >= 0, "noise is 0 or more"),
            (not self.noise_hits or self.noise_mean > 0, "noise_hits need noise_mean, the mean charge above threshold"),
            (0 <= self.dead <= 1, "dead is a fraction, 0 to 1"),
            (self.resolution == int(self.resolution) >= 1, "resolution is a whole number of native pixels, 1 or more"),
        )
        broken = [rule for holds, rule in rules if not holds]
        if broken:
            raise ConfigError(f"{self}: {'; '.join(broken)}")


def degrade(event: Event, settings: Degradation, detector: Detector) -> Event:
    """The event with its hits changed; the event itself where nothing is asked for.

    A UserError tells what has no meaning for such hits. Hits that no view would draw (NaN, negative charge, unknown
    plane) are left for the view to refuse, which names them.
    """
    hits = event.hits
    if not _can_be_drawn(hits, detector):
        return event
    if settings.gain != 1:
        hits = _with_charge(hits, hits.charge * settings.gain)
    if settings.pixel_noise:
        deviates = _generator(settings.seed, "pixel noise", event).standard_normal(len(hits))
        hits = _with_charge(hits, hits.charge * np.maximum(1 + settings.pixel_noise * deviates, 0))
    if settings.noise_hits:
        hits = _add_noise_hits(hits, settings, detector, _generator(settings.seed, "noise hits", event))
    if settings.dead:
        hits = _select(hits, ~_on_dead(hits, settings, detector))
    if settings.resolution > 1:
        hits = coarsen(hits, settings.resolution, detector)
    return event if hits is event.hits else replace(event, hits=hits)


def coarsen(hits: Hits, factor: int, detector: Detector) -> Hits:
    """The same charge, each block of factor x factor native pixels having it in equal parts; other columns are lost.

    So a view of native pixels shows its picture at 1 / factor of the resolution, enlarged again by nearest pixels to
    the size that the model learned, as models of a fixed picture size do with a smaller picture (512 -> 256 pixels in
    arXiv:2508.19376 is factor 2). Of what that test mixes, this is the lost resolution alone: a block has the mean of
    its pixels, not their sum, which would also be a gain of factor squared; and a network that takes pictures of any
    size is not shown everything at half its size, which it never learned. A view that pools as many pixels itself, in
    step with the blocks, sees no change: there it begins at factor 2 x pool.

    Deposits: cubes of factor native pixels along x, y and z. Their charge goes to factor squared points, placed so
    that each projection along x, y or z has one point in each of its pixels. A ConfigError if views look askew.
    """
    if hits.kind == "pixels":
        return _coarse_pixels(hits, factor, detector)
    return _coarse_deposits(hits, factor, detector)


@lru_cache(maxsize=8)
def dead_rows(detector: Detector, fraction: float, seed: int) -> np.ndarray:
    """(V, num_rows) bool, True where a row is dead: the nearest whole number of rows to the fraction, in every view."""
    return np.stack(
        [
            _lowest(np.random.default_rng([seed, view]), (detector.num_rows,), fraction)
            for view in range(detector.num_views)
        ]
    )


@lru_cache(maxsize=8)
def dead_anode_pixels(detector: Detector, fraction: float, seed: int) -> np.ndarray:
    """(Y, Z) bool over the active volume, True where a pixel of the anode plane is dead; as large as native pixels."""
    if detector.volume_low_mm is None:
        raise ConfigError(_no_volume(detector, "dead"))
    extent_mm = np.subtract(detector.volume_high_mm, detector.volume_low_mm)
    shape = np.ceil(extent_mm / _native_grid(detector, 1)[0] - 1e-9).astype(int)[1:]
    return _lowest(np.random.default_rng(seed), tuple(shape), fraction)


def _lowest(generator: np.random.Generator, shape: tuple[int, ...], fraction: float) -> np.ndarray:
    """True for the given fraction of the cells; those of a smaller fraction are among them."""
    chosen = np.zeros(math.prod(shape), bool)
    chosen[generator.permutation(chosen.size)[: round(fraction * chosen.size)]] = True
    chosen.flags.writeable = False
    return chosen.reshape(shape)


def _on_dead(hits: Hits, settings: Degradation, detector: Detector) -> np.ndarray:
    """(N,) bool: hits that a dead row, or a dead pixel of the anode, would have read."""
    if hits.kind == "pixels":
        dead, channel = dead_rows(detector, settings.dead, settings.seed), (hits["plane"], hits["row"])
    else:
        dead = dead_anode_pixels(detector, settings.dead, settings.seed)
        low_mm, pitch_mm = np.array(detector.volume_low_mm), _native_grid(detector, 1)[0]
        channel = np.floor((_positions(hits) - low_mm) / pitch_mm).astype(np.int64)[:, 1:].T
    index = np.stack(channel).astype(np.int64)
    size = np.array(dead.shape)[:, None]
    inside = ((index >= 0) & (index < size)).all(0)
    return inside & dead[tuple(np.where(inside, index, 0))]


def _add_noise_hits(hits: Hits, settings: Degradation, detector: Detector, generator: np.random.Generator) -> Hits:
    if hits.kind == "pixels":
        draws = generator.random((settings.noise_hits, detector.num_views, 3))
        size = (detector.num_rows, detector.num_columns)
        row, column = (np.floor(draws[..., i] * size[i]) for i in range(2))
        noise = {"plane": np.broadcast_to(np.arange(detector.num_views), row.shape), "row": row, "column": column}
    else:
        if detector.volume_low_mm is None:
            raise ConfigError(_no_volume(detector, "noise_hits"))
        draws = generator.random((settings.noise_hits, 4))
        low_mm, high_mm = np.array(detector.volume_low_mm), np.array(detector.volume_high_mm)
        noise = dict(zip(POSITIONS, (low_mm + draws[:, :3] * (high_mm - low_mm)).T))
    noise[CHARGE_COLUMN[hits.kind]] = settings.noise_threshold - settings.noise_mean * np.log1p(-draws[..., -1])
    return Hits(hits.kind, {name: np.concatenate([hits[name], column.ravel()]) for name, column in noise.items()})


def _coarse_pixels(hits: Hits, factor: int, detector: Detector) -> Hits:
    places = np.stack([hits["plane"], hits["row"] // factor, hits["column"] // factor], axis=1).astype(np.int64)
    blocks, charge = _sum_by_place(places, hits.charge)
    within = np.stack(np.divmod(np.arange(factor**2), factor), axis=1)
    pixels = blocks[:, None, 1:] * factor + within
    # A block at the edge of the readout has fewer pixels; a hit beyond that edge stays beyond
    size = np.array([detector.num_rows, detector.num_columns])
    limit = np.where(blocks[:, 1:] * factor < size, size, READOUT_LIMIT)
    kept = (pixels < limit[:, None]).all(2)
    block, _ = np.nonzero(kept)
    columns = {"plane": blocks[block, 0], "row": pixels[kept][:, 0], "column": pixels[kept][:, 1]}
    return Hits("pixels", columns | {"charge": (charge / kept.sum(1))[block]})


def _coarse_deposits(hits: Hits, factor: int, detector: Detector) -> Hits:
    pitch_mm, low_mm = _native_grid(detector, factor)
    places = np.floor((_positions(hits) - low_mm) / (pitch_mm * factor)).astype(np.int64)
    cubes, energy_mev = _sum_by_place(places, hits.charge)
    first, second = np.divmod(np.arange(factor**2), factor)
    # A Latin square: any two of the three are each pair of numbers below factor once
    within = np.stack([first, (first + second) % factor, second], axis=1)
    points_mm = (low_mm + (cubes[:, None] * factor + within + 0.5) * pitch_mm).reshape(-1, 3)
    columns = dict(zip(POSITIONS, points_mm.T))
    return Hits("deposits", columns | {"energy_mev": np.repeat(energy_mev / factor**2, factor**2)})


def _sum_by_place(places: np.ndarray, charge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places that occur in (N, 3) whole numbers, each once, and the charge of each."""
    occurring, which = np.unique(places, axis=0, return_inverse=True)
    return occurring, np.bincount(which.ravel(), charge.astype(np.float64), minlength=len(occurring))


def _native_grid(detector: Detector, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Size of native pixels along x, y and z, and an edge between blocks of them [mm], (3,) each.

    A ConfigError if views look askew, or if blocks of two views do not begin at the same places.
    """
    pitch_mm, low_mm = np.full(3, np.nan), np.zeros(3)
    for direction, pitch, low in zip(
        detector.projections.reshape(-1, 3), detector.pitches_mm.ravel(), detector.grid_mm.ravel()
    ):
        axis = int(np.abs(direction).argmax())
        low *= np.sign(direction[axis])
        apart = (low - low_mm[axis] + pitch * factor / 2) % (pitch * factor) - pitch * factor / 2
        is_first = np.isnan(pitch_mm[axis])
        if abs(direction[axis]) < 1 - SAME_MM or not (
            is_first or (abs(pitch - pitch_mm[axis]) < SAME_MM and abs(apart) < SAME_MM)
        ):
            raise ConfigError(
                f"detector {detector.name}: resolution and dead of deposits need views along x, y and z that share one "
                "grid, and its are not; degrade readout pixels (response.kind: wires), or simulate a response.variant"
            )
        pitch_mm[axis], low_mm[axis] = pitch, low
    # Along what no view sees, blocks are as long as the widest pixel
    return np.where(np.isnan(pitch_mm), np.nanmax(pitch_mm), pitch_mm), low_mm


def _no_volume(detector: Detector, name: str) -> str:
    return (
        f"detector {detector.name}: {name} of deposits needs the active volume, and volume_mm is null; "
        "give the detector one, or degrade readout pixels"
    )


def _can_be_drawn(hits: Hits, detector: Detector) -> bool:
    required = [hits[name] for name, (_, needed) in COLUMNS[hits.kind].items() if needed]
    if not all(np.isfinite(column).all() for column in required) or (hits.charge < 0).any():
        return False
    return hits.kind == "deposits" or not len(hits) or int(hits["plane"].max()) < detector.num_views


def _positions(hits: Hits) -> np.ndarray:
    """(N, 3) [mm], float64."""
    return np.stack([hits[name] for name in POSITIONS], axis=1).astype(np.float64)


def _with_charge(hits: Hits, charge: np.ndarray) -> Hits:
    return Hits(hits.kind, hits.columns | {CHARGE_COLUMN[hits.kind]: charge})


def _select(hits: Hits, chosen: np.ndarray) -> Hits:
    return Hits(hits.kind, {name: column[chosen] for name, column in hits.columns.items()})


def _generator(seed: int, purpose: str, event: Event) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{purpose}/{event.identity.key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], np.uint64)))


def noise_scale(events: list[Event]) -> tuple[float, float]:
    """noise_threshold and noise_mean that suit these events, in the unit of their charge.

    The charge that 1 % of their hits lie below, and how far above it their median lies: 63 % of noise hits are dimmer
    than the median hit. (Electronics noise just above a threshold is dimmer still: response.variant=noise_hits_100)
    """
    charge = np.concatenate([np.empty(0), *(event.hits.charge for event in events)])
    if not charge.size:
        raise UserError("noise_scale: the events hold no hits; give events with hits")
    threshold, median = np.quantile(charge, (0.01, 0.5))
    return float(threshold), float(median - threshold)
