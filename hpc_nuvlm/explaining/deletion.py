"""Deletion: how much less likely the class becomes when the region that the text names is blanked, or another one.

The others hold equal light in each view, and are of two kinds: *random* ones anywhere, which may overlap the named one,
and ones *elsewhere*, apart from it, where the rest of the picture holds as much light.
(Deletion as a test of explanations: Petsiuk et al., arXiv:1806.07421.)
"""

# B batch, V view, H row, W column, N event, D draw, C class

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from scipy.special import logsumexp

from hpc_nuvlm.explaining.regions import light_by_view, named_pixels, named_region, random_pixels
from hpc_nuvlm.explaining.texts import Speaker, Told
from hpc_nuvlm.rationale import Ratio
from hpc_nuvlm.sample import Batch, Source

NUM_DRAWS = 4
# A region of more of the light leaves nothing else of as much: any other is nearly the same one
LARGEST_SHARE = 0.9
RANDOM, ELSEWHERE = "random", "elsewhere"
INTERVAL_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Regions:
    """Flat numbers of pixels of one event: those that are named, and NUM_DRAWS others of each kind."""

    named: np.ndarray
    random: tuple[np.ndarray, ...]
    # None: the rest of a view holds less light than what is named in it
    elsewhere: tuple[np.ndarray, ...] | None
    # Of the picture's light, what is named; of the random regions' light, what is named too
    share: float
    overlap: float


@dataclass(frozen=True)
class Effect:
    """Mean fall when the named regions are blanked, and when others are.

    Where blanking others does no harm, the ratio is infinite; NaN if blanking the named ones does none either.
    """

    num_events: int
    named: float
    others: float
    difference: Ratio
    ratio: Ratio


@dataclass(frozen=True)
class Deletion:
    """What blanking does to the predicted class, by kind of other region and by group of events."""

    num_events: int
    num_named: int
    # Named, but dark; named, but left out since it is nearly everything (LARGEST_SHARE)
    num_dark: int
    num_too_large: int
    num_draws: int
    largest_share: float
    # Means over the events compared
    share: float | None
    overlap: float | None
    # [RANDOM or ELSEWHERE][group]["probability" or "log_odds"]
    effects: dict[str, dict[str, dict[str, Effect]]]


@dataclass(frozen=True)
class Blanked:
    """Events of a source, each without some pixels."""

    source: Source
    index: Sequence[int]
    pixels: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, indices: Sequence[int], valid: np.ndarray, epoch: int | None) -> Batch:
        batch = self.source.batch(np.asarray(self.index)[indices], valid, epoch)
        image_BVHW = batch.image_BVHW.clone()
        for image_VHW, number in zip(image_BVHW, indices):
            image_VHW.numpy().reshape(-1)[self.pixels[number]] = 0
        return replace(batch, image_BVHW=image_BVHW)


def find_regions(source: Source, told: Told, planes: Sequence[str]) -> list[Regions | None]:
    """The regions of each event; None where its text names none."""
    found = []
    for number, key, text in zip(told.index, told.keys, told.texts):
        named = named_region(text)
        if named is None:
            found.append(None)
            continue
        image_VHW = source.batch([number], np.ones(1, bool), None).image_BVHW[0].numpy()
        generator = np.random.default_rng(np.frombuffer(sha256(key.encode()).digest(), np.uint32))
        found.append(draw_regions(image_VHW, named_pixels(image_VHW, planes, named), generator))
    return found


def draw_regions(image_VHW: np.ndarray, named: np.ndarray, generator: np.random.Generator) -> Regions:
    light_V = light_by_view(image_VHW, named)
    total_V = image_VHW.sum((1, 2), dtype=np.int64)
    random = tuple(random_pixels(image_VHW, light_V, generator) for _ in range(NUM_DRAWS))
    elsewhere = None
    if (total_V - light_V >= light_V).all():
        elsewhere = tuple(random_pixels(image_VHW, light_V, generator, named) for _ in range(NUM_DRAWS))
    taken = sum(light_by_view(image_VHW, pixels).sum() for pixels in random)
    common = sum(light_by_view(image_VHW, np.intersect1d(pixels, named)).sum() for pixels in random)
    return Regions(
        named, random, elsewhere, float(light_V.sum() / max(total_V.sum(), 1)), float(common / max(taken, 1))
    )


def measure_deletion(
    speaker: Speaker,
    source: Source,
    told: Told,
    regions: Sequence[Regions | None],
    groups: Mapping[str, np.ndarray],
) -> Deletion:
    """Blank, and predict again. `groups`: by name, (N,) whether each event belongs."""
    is_named = np.array([one is not None for one in regions])
    share = np.array([0.0 if one is None else one.share for one in regions])
    compared = is_named & (share <= LARGEST_SHARE)
    apart = compared & np.array([one is not None and one.elsewhere is not None for one in regions])
    named = _falls(speaker, source, told, {i: [regions[i].named] for i in np.flatnonzero(compared).tolist()})
    effects = {}
    for kind, rows in ((RANDOM, compared), (ELSEWHERE, apart)):
        pixels = {i: getattr(regions[i], kind) for i in np.flatnonzero(rows).tolist()}
        others = _falls(speaker, source, told, pixels)
        effects[kind] = {
            group: {quantity: _effect(named[quantity], others[quantity], belongs & rows) for quantity in named}
            for group, belongs in groups.items()
            if (belongs & rows).any()
        }
    return Deletion(
        num_events=len(regions),
        num_named=int(is_named.sum()),
        num_dark=int((is_named & (share == 0)).sum()),
        num_too_large=int((is_named & ~compared).sum()),
        num_draws=NUM_DRAWS,
        largest_share=LARGEST_SHARE,
        share=float(share[compared].mean()) if compared.any() else None,
        overlap=float(np.mean([regions[i].overlap for i in np.flatnonzero(compared)])) if compared.any() else None,
        effects=effects,
    )


def _falls(
    speaker: Speaker, source: Source, told: Told, pixels: Mapping[int, Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """By quantity, (N,) mean fall over the draws of each row's pixels; NaN in rows that have none."""
    rows = [row for row, draws in pixels.items() for _ in draws]
    falls = {quantity: np.full(len(told.index), math.nan) for quantity in ("probability", "log_odds")}
    if not rows:
        return falls
    flat = [drawn for draws in pixels.values() for drawn in draws]
    blanked = speaker.predict(Blanked(source, [told.index[row] for row in rows], flat))
    predicted = told.predicted
    for quantity, of in (("probability", probability_of), ("log_odds", log_odds_of)):
        fall = of(told.log_probability[rows], predicted[rows]) - of(blanked.log_probability, predicted[rows])
        num_draws = np.bincount(rows, minlength=len(predicted))
        with np.errstate(invalid="ignore"):
            falls[quantity] = np.bincount(rows, fall, minlength=len(predicted)) / num_draws
    return falls


def probability_of(log_probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    return np.exp(log_probability[np.arange(len(label)), label])


def log_odds_of(log_probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """log p / (1 - p) of the class; from the other classes' logarithms, since p itself may round to 1."""
    chosen = np.arange(log_probability.shape[1]) == label[:, None]
    return log_probability[chosen] - logsumexp(np.where(chosen, -np.inf, log_probability), axis=1)


def _effect(
    named: np.ndarray, others: np.ndarray, rows: np.ndarray, seed: int = 0, num_resamples: int = 1000
) -> Effect:
    """Over these rows; intervals are percentiles over bootstrap resamples of events, whose two falls stay together."""
    falls = np.stack([named[rows], others[rows]], axis=1)
    generator = np.random.default_rng(seed)
    drawn = np.stack([falls[generator.integers(len(falls), size=len(falls))].mean(0) for _ in range(num_resamples)])
    mean = falls.mean(0)
    low, high = np.quantile(drawn[:, 0] - drawn[:, 1], INTERVAL_QUANTILES).tolist()
    # Resamples in which no blanking does harm speak against the named regions
    ratios = np.sort(np.nan_to_num(_ratio(*drawn.T), nan=0.0, posinf=math.inf))
    # No interpolation: some may be infinite
    edges = ratios[np.round(np.multiply(INTERVAL_QUANTILES, num_resamples - 1)).astype(int)]
    return Effect(
        num_events=len(falls),
        named=float(mean[0]),
        others=float(mean[1]),
        difference=Ratio(float(mean[0] - mean[1]), low, high),
        ratio=Ratio(float(_ratio(*mean[:, None])[0]), *edges.tolist()),
    )


def _ratio(named: np.ndarray, others: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(others > 0, named / others, np.where(named > 0, math.inf, math.nan))
