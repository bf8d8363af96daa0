"""Estimates with their statistical errors, and fits, for validation; errors are one standard deviation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import curve_fit
from scipy.special import gammaln
from scipy.stats import ks_2samp, norm

NUM_BOOTSTRAP = 100
NUM_PERMUTATIONS = 500
# To either side of the highest bin
TOP_BINS = 3


class Estimate(NamedTuple):
    value: float
    error: float


def mean(values: np.ndarray) -> Estimate:
    values = np.asarray(values, float)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def median(values: np.ndarray) -> Estimate:
    """The median, with the error of a normal distribution's: 1.2533 standard errors of the mean."""
    values = np.asarray(values, float)
    # Width from the quartiles: a few outliers are why the median was asked for
    width = np.subtract(*np.percentile(values, [75, 25])) / (2 * norm.ppf(0.75))
    return Estimate(float(np.median(values)), float(1.2533 * width / np.sqrt(len(values))))


def fraction(is_one: np.ndarray) -> Estimate:
    """Share of True; the error is that of the rule of succession, so it is not 0 for none or all."""
    num, total = int(np.sum(is_one)), len(is_one)
    smoothed = (num + 1) / (total + 2)
    return Estimate(num / total, float(np.sqrt(smoothed * (1 - smoothed) / total)))


def free_path(path_mm: np.ndarray, has_ended: np.ndarray) -> Estimate:
    """Mean free path from tracks of which some left before the process ended them: all path over number of ends.

    The maximum likelihood estimate for an exponential law with right-censored lengths.
    """
    num_ends = int(np.sum(has_ended))
    length = float(np.sum(path_mm)) / num_ends
    return Estimate(length, length / np.sqrt(num_ends))


def core_width(values: np.ndarray, share: float = 0.98) -> Estimate:
    """Standard deviation of the normal distribution whose central `share` is as wide as that of the values."""
    values = np.sort(np.asarray(values, float))
    cut = round(len(values) * (1 - share) / 2)
    edge = norm.ppf((1 + share) / 2)
    # Variance of a normal distribution truncated at +-edge
    truncated = 1 - 2 * edge * norm.pdf(edge) / share
    width = float(np.sqrt(np.mean(values[cut : len(values) - cut] ** 2) / truncated))
    return Estimate(width, width / np.sqrt(2 * len(values)))


def most_probable(values: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Peak of a skewed distribution: highest point of a cubic fitted to the logarithm of a histogram."""
    values = np.asarray(values, float)
    peaks = [_peak(values)] + [_peak(rng.choice(values, len(values))) for _ in range(NUM_BOOTSTRAP // 2)]
    return Estimate(peaks[0], float(np.std(peaks[1:])))


def _peak(values: np.ndarray) -> float:
    low, middle = np.percentile(values, [0.5, 50])
    edges = np.linspace(low, low + 3 * (middle - low), 61)
    counts = np.histogram(values, edges)[0].astype(float)
    centres = (edges[1:] + edges[:-1]) / 2
    smooth = np.convolve(counts, np.ones(5) / 5, "same")
    top = int(smooth.argmax())
    below = np.flatnonzero(smooth < 0.4 * smooth[top])
    first = below[below < top].max(initial=-1) + 1
    last = below[below > top].min(initial=len(counts))
    use = np.arange(first, last)[counts[first:last] > 0]
    scale = centres[use] - centres[top]
    polynomial = np.polynomial.Polynomial.fit(scale, np.log(counts[use]), 3, w=np.sqrt(counts[use]))
    grid = np.linspace(scale[0], scale[-1], 1001)
    return float(centres[top] + grid[polynomial(grid).argmax()])


def gamma_form(t: np.ndarray, energy: float, shape: float, rate: float) -> np.ndarray:
    """dE/dt of a shower: E b (bt)^(a-1) exp(-bt) / Gamma(a). PDG review, Passage of particles through matter, 34.5."""
    t = np.maximum(t, 1e-9)
    return energy * rate * np.exp((shape - 1) * np.log(rate * t) - rate * t - gammaln(shape))


def fit_gamma(edges: np.ndarray, profile: np.ndarray) -> tuple[float, float, float]:
    """(energy, shape a, rate b) of the gamma form that fits energies per bin of depth."""
    centres, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    total, depth = profile.sum(), (profile * centres).sum() / profile.sum()
    found, _ = curve_fit(gamma_form, centres, profile / widths, p0=(total, depth / 2, 0.5), maxfev=5000)
    return tuple(float(value) for value in found)


def gamma_maximum(edges: np.ndarray, profile: np.ndarray) -> float:
    """(a - 1)/b of the gamma form fitted to a profile in equal bins of depth."""
    _, shape, rate = fit_gamma(edges, profile)
    return (shape - 1) / rate


def top(edges: np.ndarray, profile: np.ndarray) -> float:
    """Depth at which a profile in equal bins is highest: vertex of a parabola through the seven bins at the top.

    No form is assumed: a cascade rises faster than the gamma form, whose own maximum lies up to a tenth before this.
    """
    highest = int(np.clip(profile.argmax(), TOP_BINS, len(profile) - TOP_BINS - 1))
    near = slice(highest - TOP_BINS, highest + TOP_BINS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    curvature, slope, _ = np.polyfit(centres[near] - centres[highest], profile[near], 2)
    return float(centres[highest] - slope / (2 * curvature))


def of_mean_profile(
    find: Callable[[np.ndarray, np.ndarray], float], edges: np.ndarray, profiles: np.ndarray, rng: np.random.Generator
) -> Estimate:
    """`find` on the mean of the profiles, (num_events, num_bins); the error by resampling events."""
    return Estimate(find(edges, profiles.mean(0)), bootstrap(profiles, lambda rows: find(edges, rows.mean(0)), rng))


def bootstrap(rows: np.ndarray, statistic: Callable[[np.ndarray], float], rng: np.random.Generator) -> float:
    """Standard deviation of a statistic under resampling of the rows."""
    picks = (rng.integers(0, len(rows), len(rows)) for _ in range(NUM_BOOTSTRAP))
    return float(np.std([statistic(rows[pick]) for pick in picks], ddof=1))


def compare(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], rng: np.random.Generator) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of all values, and its p-value; one array of values per event.

    Values of one event are not independent, so the p-value is the share of permutations of whole events between the two
    samples that are at least as far apart (counting the observed one: never 0).
    """
    events = [np.atleast_1d(np.asarray(values, float)) for values in (*ours, *theirs)]
    distance = _distance(events, np.arange(len(ours)))
    shuffled = (rng.permutation(len(events))[: len(ours)] for _ in range(NUM_PERMUTATIONS))
    num_farther = sum(_distance(events, pick) >= distance - 1e-12 for pick in shuffled)
    return distance, (num_farther + 1) / (NUM_PERMUTATIONS + 1)


def _distance(events: list[np.ndarray], picked: np.ndarray) -> float:
    is_first = np.zeros(len(events), bool)
    is_first[picked] = True
    first = np.concatenate([event for event, mine in zip(events, is_first, strict=True) if mine])
    second = np.concatenate([event for event, mine in zip(events, is_first, strict=True) if not mine])
    return float(ks_2samp(first, second, method="asymp").statistic) if len(first) and len(second) else 1.0
