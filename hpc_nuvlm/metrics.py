"""Metrics: how well class probabilities agree with truth; pure functions on arrays.

Every number is a ratio, and a ratio without a denominator is None with a note, never 0. Macro
averages run over the classes that occur in truth. One function computes the headline numbers from
events with weights, so that the value and its bootstrap interval cannot differ in definition.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from hpc_nuvlm.errors import UserError

NUM_CALIBRATION_BINS = 15
# Numbers that get an interval, in the order of `_headline`
HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
INTERVAL_QUANTILES = (0.025, 0.975)
SUM_TOLERANCE = 1e-3
# Below about this, a float32 softmax does not tell 0 from "almost 0"
SMALLEST_PROBABILITY = 1e-38
LARGEST_TEMPERATURE = 20.0
FINITE_RULE = "must be finite; look for an overflow in the model"


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest; recall is the efficiency, precision the purity of its selection."""

    num_events: int
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


@dataclass(frozen=True)
class Scores:
    """What `score` finds; intervals are percentiles over plain (not stratified) bootstrap resamples of events."""

    classes: tuple[str, ...]
    num_events: int
    accuracy: Estimate
    # Equal to macro_recall by definition; both names are in use
    balanced_accuracy: Estimate
    macro_f1: Estimate
    macro_auc: Estimate
    macro_precision: float | None
    macro_recall: float | None
    per_class: dict[str, ClassScores]
    # confusion[true class][predicted class] is a number of events
    confusion: tuple[tuple[int, ...], ...]
    expected_calibration_error: float
    # Sum over classes of squared error, mean over events: 0 is perfect, 2 the worst
    brier: float
    negative_log_likelihood: float
    seed: int
    num_resamples: int
    notes: tuple[str, ...]

    def to_json(self) -> dict:
        """The scores as plain fields that `json.dumps` takes; None becomes null, there is no NaN."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Top-label confidence against accuracy, per bin [edges[i], edges[i + 1]); the last bin holds 1 as well."""

    edges: np.ndarray
    num_events: np.ndarray
    num_right: np.ndarray
    # Mean confidence of the events in each bin; NaN in an empty one
    confidence: np.ndarray
    expected_calibration_error: float


@dataclass(frozen=True, eq=False)
class _Events:
    """The events, sorted once: a bootstrap resample is then only a new weight for each."""

    truth: np.ndarray
    predicted: np.ndarray
    # Per class: rank of each event's probability, equal probabilities sharing one
    levels: tuple[np.ndarray, ...]
    # (C,) whether the class occurs in truth
    present: np.ndarray


def score(
    truth: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...], seed: int = 0, num_resamples: int = 1000
) -> Scores:
    """Score (N, C) class probabilities against (N,) class indices; a tie for the top goes to the lower index."""
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, np.float64)
    check_probabilities(truth, probabilities, classes)
    events = _Events(
        truth=truth.astype(np.int64),
        predicted=probabilities.argmax(1),
        levels=tuple(np.unique(column, return_inverse=True)[1] for column in probabilities.T),
        present=np.isin(np.arange(len(classes)), truth),
    )
    confusion, ratios = _count(events, np.ones(len(truth)))
    estimates, num_lost = _bootstrap(events, seed, num_resamples)
    assigned = probabilities[np.arange(len(truth)), truth]
    return Scores(
        classes=tuple(classes),
        num_events=len(truth),
        **estimates,
        macro_precision=_defined(ratios["precision"][events.present].mean()),
        macro_recall=_defined(ratios["recall"][events.present].mean()),
        per_class={
            name: ClassScores(int(confusion[i].sum()), **{key: _defined(ratio[i]) for key, ratio in ratios.items()})
            for i, name in enumerate(classes)
        },
        confusion=tuple(map(tuple, confusion.astype(int).tolist())),
        expected_calibration_error=reliability(truth, probabilities).expected_calibration_error,
        brier=float(((probabilities - np.eye(len(classes))[truth]) ** 2).sum(1).mean()),
        negative_log_likelihood=float(-np.log(np.maximum(assigned, SMALLEST_PROBABILITY)).mean()),
        seed=seed,
        num_resamples=num_resamples,
        notes=_notes(classes, confusion, int((assigned < SMALLEST_PROBABILITY).sum()), num_lost),
    )


def reliability(truth: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_CALIBRATION_BINS) -> Reliability:
    """Bin events by the probability of their top class; the expected calibration error weighs bins by events."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    edges = np.arange(num_bins + 1) / num_bins
    chosen = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, num_bins - 1)
    num_events = np.bincount(chosen, minlength=num_bins)
    num_right = np.bincount(chosen[right], minlength=num_bins)
    total_confidence = np.bincount(chosen, confidence, num_bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = total_confidence / num_events
    error = float(np.abs(num_right - total_confidence).sum() / len(truth))
    return Reliability(edges, num_events, num_right, mean_confidence, error)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that makes (N,) `truth` likeliest under softmax(logits / temperature); fit on validation only.

    Log-probabilities serve as logits. It stays within [1/20, 20]: the likelihood of a validation
    split without an error (or without any skill) has no maximum.
    """
    truth, logits = np.asarray(truth), np.asarray(logits, np.float64)
    _check_shapes(truth, logits)
    _refuse_first(~np.isfinite(logits), logits, "logits", FINITE_RULE)

    def loss(log_temperature: float) -> float:
        scaled = logits * math.exp(-log_temperature)
        return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth]).mean())

    # Convex in 1/temperature (Guo et al. 2017, arXiv:1706.04599), so the logarithm has one minimum too
    bound = math.log(LARGEST_TEMPERATURE)
    return math.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x)


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(N, C) probabilities softmax(logits / temperature)."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise UserError(f"temperature is {temperature}; it must be finite and above 0, as fit_temperature gives it")
    logits = np.asarray(logits, np.float64)
    _refuse_first(~np.isfinite(logits), logits, "logits", FINITE_RULE)
    return softmax(logits / temperature, axis=1)


def check_probabilities(truth: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> None:
    """Refuse what cannot be scored: UserError names the first index and its value."""
    _check_shapes(truth, probabilities)
    if len(set(classes)) != probabilities.shape[1]:
        raise UserError(
            f"probabilities: shape is {probabilities.shape}; each column needs a class of its own in {classes}"
        )
    _refuse_first(~np.isfinite(probabilities), probabilities, "probabilities", FINITE_RULE)
    _refuse_first(probabilities < 0, probabilities, "probabilities", "must not be negative; apply softmax to logits")
    total = probabilities.sum(1)
    _refuse_first(
        abs(total - 1) > SUM_TOLERANCE, total, "sum of probabilities", "must be 1 within 0.001; apply softmax"
    )


def _check_shapes(truth: np.ndarray, columns: np.ndarray) -> None:
    if truth.ndim != 1 or columns.ndim != 2 or len(truth) != len(columns) or not columns.size:
        raise UserError(f"shapes are truth {truth.shape}, scores {columns.shape}; they must be (N,) and (N, C), N > 0")
    if not np.issubdtype(truth.dtype, np.integer):
        raise UserError(f"truth has dtype {truth.dtype}; it must hold class indices as integers")
    beyond = (truth < 0) | (truth >= columns.shape[1])
    _refuse_first(beyond, truth, "truth", f"must be in [0, {columns.shape[1]}); check the list of classes")


def _refuse_first(bad: np.ndarray, values: np.ndarray, name: str, rule: str) -> None:
    if bad.any():
        where = tuple(map(int, np.argwhere(bad)[0]))
        raise UserError(f"{name}[{', '.join(map(str, where))}] is {values[where]}; it {rule}")


def _count(events: _Events, weights: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Confusion matrix, and per class its ratios (NaN where undefined), with each event counted `weights` times."""
    num_classes = len(events.present)
    cells = np.bincount(events.truth * num_classes + events.predicted, weights, num_classes**2)
    confusion = cells.reshape(num_classes, num_classes)
    right, num_true, num_predicted = np.diagonal(confusion), confusion.sum(1), confusion.sum(0)
    with np.errstate(invalid="ignore"):
        ratios = {
            "precision": right / num_predicted,
            "recall": right / num_true,
            # A class that truth lacks has no recall, so no harmonic mean with it, even where it was predicted
            "f1": np.where(num_true > 0, 2 * right / (num_true + num_predicted), np.nan),
        }
    ratios["auc"] = np.array([_auc(events.truth == i, level, weights) for i, level in enumerate(events.levels)])
    return confusion, ratios


def _auc(is_positive: np.ndarray, level: np.ndarray, weights: np.ndarray) -> float:
    """Probability that a positive ranks above a negative, a tie counting half; NaN where either is absent."""
    positives = np.bincount(level, weights * is_positive)
    negatives = np.bincount(level, weights * ~is_positive)
    num_pairs = positives.sum() * negatives.sum()
    return positives @ (np.cumsum(negatives) - negatives / 2) / num_pairs if num_pairs else math.nan


def _headline(events: _Events, weights: np.ndarray) -> tuple[float, ...]:
    """HEADLINES, with each event counted `weights` times; NaN where undefined."""
    confusion, ratios = _count(events, weights)
    macro = (ratios[name][events.present].mean() for name in ("recall", "f1", "auc"))
    return np.trace(confusion) / confusion.sum(), *macro


def _bootstrap(events: _Events, seed: int, num_resamples: int) -> tuple[dict[str, Estimate], int]:
    """HEADLINES with intervals, and how many resamples lost a class and so have no macro averages to contribute."""
    generator = np.random.default_rng(seed)
    num_events = len(events.truth)
    values = _headline(events, np.ones(num_events))
    draws = np.empty((num_resamples, len(values)))
    for draw in draws:
        draw[:] = _headline(events, np.bincount(generator.integers(num_events, size=num_events), minlength=num_events))
    estimates = {}
    for name, value, drawn in zip(HEADLINES, values, draws.T, strict=True):
        defined = drawn[np.isfinite(drawn)]
        interval = np.quantile(defined, INTERVAL_QUANTILES) if defined.size else (math.nan, math.nan)
        estimates[name] = Estimate(*map(_defined, (value, *interval)))
    return estimates, int(np.isnan(draws[:, HEADLINES.index("balanced_accuracy")]).sum())


def _notes(classes: tuple[str, ...], confusion: np.ndarray, num_zero: int, num_lost: int) -> tuple[str, ...]:
    notes = []
    for name, num_true, num_predicted in zip(classes, confusion.sum(1), confusion.sum(0), strict=True):
        if num_true == 0:
            notes.append(f"{name}: absent from truth; recall, F1 and AUC are undefined, macro averages leave it out")
        if num_true == confusion.sum():
            notes.append(f"{name}: the only class in truth; AUC is undefined")
        if num_predicted == 0:
            notes.append(f"{name}: never predicted; precision is undefined" + ", macro precision too" * bool(num_true))
    if num_zero:
        notes.append(f"{num_zero} events give their true class probability 0; the likelihood takes 1e-38 for it")
    if num_lost:
        notes.append(f"{num_lost} resamples lost a class; intervals of undefined averages leave them out")
    return tuple(notes)


def _defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
