"""Calibration: probabilities that can be taken at their word, fitted on events other than those they are for.

A temperature makes them as sure as they are right. Where the mixture of classes differs from that of the events they
were fitted on, an offset per class is fitted too, and the classes' priors are moved to those of the other mixture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from hpc_nuvlm.conformal import (
    Coverage,
    Method,
    Reference,
    check_coverage,
    measure_coverage,
    prediction_sets,
    prediction_sets_by_class,
)
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.metrics import LARGEST_TEMPERATURE, apply_temperature, fit_temperature, score

Priors = Literal["none", "balanced", "estimate"]
LARGEST_OFFSET = 20.0
# The estimate of priors ends where no prior moves by more
PRIOR_TOLERANCE = 1e-9
MOST_ITERATIONS = 100_000
SMALLEST_PRIOR = 1e-12


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model says of N events: ids, true classes (N,) as indices, and log-probabilities (N, C)."""

    ids: tuple[str, ...]
    truth: np.ndarray
    log_probability: np.ndarray


@dataclass(frozen=True)
class Options:
    # To which priors probabilities are moved: not at all, to equal ones, or to those that the scored events ask for
    priors: Priors = "none"
    # Fraction of events whose set shall hold the true class
    coverage: float = 0.9
    method: Method = "lac"


@dataclass(frozen=True)
class Quality:
    """Calibration errors of one set of probabilities, as `metrics.Scores` defines them, and the accuracy."""

    accuracy: float
    expected_calibration_error: float
    brier: float
    negative_log_likelihood: float


@dataclass(frozen=True)
class PriorCorrected:
    """Priors by class, of the events fitted on and of those moved to, and how good the moved probabilities are."""

    kind: Priors
    source: dict[str, float]
    target: dict[str, float]
    quality: Quality


@dataclass(frozen=True)
class CalibrationScores:
    # Number of events it was fitted on
    num_events: int
    temperature: float
    before: Quality
    # With the temperature
    after: Quality
    # None: priors were left alone
    prior_corrected: PriorCorrected | None
    conformal: Coverage
    conformal_by_class: Coverage

    def to_json(self) -> dict:
        """Plain fields, those of the temperature by short names."""
        moved, priors = self.prior_corrected, None
        if moved is not None:
            priors = {"priors": moved.kind, "source": moved.source, "target": moved.target, **_short(moved.quality)}
        return {
            "num_events": self.num_events,
            "temperature": self.temperature,
            **{f"{name}_before": value for name, value in _short(self.before).items()},
            **{f"{name}_after": value for name, value in _short(self.after).items()},
            "prior_corrected": priors,
            "conformal": asdict(self.conformal),
            "conformal_by_class": asdict(self.conformal_by_class),
        }


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The same events after calibration: probabilities (N, C), and sets (N, C) bool, for all events and by class."""

    probabilities: np.ndarray
    sets: np.ndarray
    sets_by_class: np.ndarray


def calibrate(
    reference: Judged, scored: Judged, classes: tuple[str, ...], options: Options
) -> tuple[Calibrated, CalibrationScores]:
    """Fit on the reference events, apply to the scored ones; the classes of the scored ones are used for scores alone.

    Temperature and conformal thresholds share the reference events. What one temperature learns of them moves the
    coverage by the order of 1 / N, far below its spread of sqrt(coverage (1 - coverage) / N) from one reference sample
    to the next.
    """
    check_coverage(options.coverage)
    refuse_shared(reference.ids, scored.ids)
    temperature = fit_temperature(reference.log_probability, reference.truth)
    before, after = (apply_temperature(scored.log_probability, t) for t in (1.0, temperature))
    if options.priors == "none":
        final, moved = after, None
        final_reference = apply_temperature(reference.log_probability, temperature)
    else:
        final_reference, final, priors = _move(reference, scored, options.priors)
        source, target = (dict(zip(classes, map(float, values), strict=True)) for values in priors)
        moved = PriorCorrected(options.priors, source, target, _quality(scored.truth, final, classes))
    known = Reference(reference.truth, final_reference)
    sets = prediction_sets(known, final, options.coverage, options.method)
    by_class = prediction_sets_by_class(known, final, options.coverage)
    scores = CalibrationScores(
        len(reference.ids),
        temperature,
        _quality(scored.truth, before, classes),
        _quality(scored.truth, after, classes),
        moved,
        measure_coverage(scored.truth, sets, classes, options.coverage),
        measure_coverage(scored.truth, by_class, classes, options.coverage),
    )
    return Calibrated(final, sets, by_class), scores


def refuse_shared(reference: tuple[str, ...], scored: tuple[str, ...]) -> None:
    """Refuse to score events that calibration was fitted on: it would look better than it is."""
    shared = sorted(set(reference) & set(scored))
    if shared:
        raise UserError(
            f"calibration: {len(shared)} events are fitted on and scored too, the first is {shared[0]!r}; name other "
            "events with --calibrate DATASET:SPLIT, or leave calibration out with --calibrate none"
        )


def fit_offsets(logits: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Temperature T and offsets b (C,), of mean 0, that make `truth` likeliest under softmax(logits / T + b).

    At that point the mean probability of each class is its fraction of the events, so that these fractions are the
    probabilities' priors: what moving them needs (Alexandari, Kundaje and Shrikumar, arXiv:1901.06852).
    """
    logits, truth = np.asarray(logits, np.float64), np.asarray(truth)
    temperature = fit_temperature(logits, truth)
    fractions = class_fractions(truth, logits.shape[1])
    observed = np.eye(logits.shape[1])[truth]
    logits = logits - logits.mean(1, keepdims=True)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_probability = log_softmax(parameters[0] * logits + parameters[1:], axis=1)
        excess = (np.exp(log_probability) - observed) / len(truth)
        gradient = np.concatenate([[(excess * logits).sum()], excess.sum(0)])
        return float(-(log_probability * observed).sum() / len(truth)), gradient

    # Convex; the bounds matter only for events without an error or without any skill
    bounds = [(1 / LARGEST_TEMPERATURE, LARGEST_TEMPERATURE), *[(-LARGEST_OFFSET, LARGEST_OFFSET)] * len(fractions)]
    start = np.array([1 / temperature, *np.zeros(len(fractions))])
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options).x
    return float(1 / found[0]), found[1:] - found[1:].mean()


def class_fractions(truth: np.ndarray, num_classes: int) -> np.ndarray:
    """(C,) fraction of the events in each class; UserError if a class has none, for then its prior cannot be moved."""
    counts = np.bincount(truth, minlength=num_classes)
    if not counts.all():
        raise UserError(
            f"priors: class number {int(counts.argmin())} has no event among the {len(truth)} that calibration is "
            "fitted on; name others with --calibrate, or leave priors alone with --priors none"
        )
    return counts / counts.sum()


def move_priors(probabilities: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, C) probabilities under `target` priors (C,) of what is given under `source` priors: p' ~ p target / source.

    Holds where the mixture of classes differs, and events of one class look alike in both (label shift).
    """
    for name, priors in (("source", source), ("target", target)):
        if priors.shape != probabilities.shape[1:] or (priors < 0).any() or abs(priors.sum() - 1) > 1e-6:
            raise UserError(f"priors: {name} is {priors.tolist()}; give one prior a class, not negative, of sum 1")
    if not source.all():
        raise UserError(f"priors: source is {source.tolist()}; a class that never occurred cannot be moved")
    moved = probabilities * (target / source)
    return moved / moved.sum(1, keepdims=True)


def estimate_priors(probabilities: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(C,) priors that make events without labels likeliest, from their (N, C) probabilities under `source` priors.

    Expectation maximization of Saerens, Latinne and Decaestecker, Neural Computation 14 (2002) 21; the likelihood is
    concave, so there is one maximum.
    """
    priors = source
    for _ in range(MOST_ITERATIONS):
        # A prior that reached 0 would leave events that only this class explains without any
        update = np.maximum(move_priors(probabilities, source, priors).mean(0), SMALLEST_PRIOR)
        update /= update.sum()
        if np.abs(update - priors).max() < PRIOR_TOLERANCE:
            return update
        priors = update
    raise UserError(f"priors: no estimate within {MOST_ITERATIONS:,} iterations; use --priors balanced or none")


def _move(
    reference: Judged, scored: Judged, kind: Priors
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Probabilities of reference and of scored events under other priors; and the priors, source and target."""
    temperature, offsets = fit_offsets(reference.log_probability, reference.truth)
    num_classes = len(offsets)
    source = class_fractions(reference.truth, num_classes)
    known, asked = (softmax(judged.log_probability / temperature + offsets, axis=1) for judged in (reference, scored))
    target = np.full(num_classes, 1 / num_classes) if kind == "balanced" else estimate_priors(asked, source)
    return *(move_priors(probabilities, source, target) for probabilities in (known, asked)), (source, target)


def _quality(truth: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> Quality:
    scores = score(truth, probabilities, classes, num_resamples=0)
    return Quality(
        scores.accuracy.value, scores.expected_calibration_error, scores.brier, scores.negative_log_likelihood
    )


def _short(quality: Quality) -> dict[str, float]:
    return {
        "accuracy": quality.accuracy,
        "ece": quality.expected_calibration_error,
        "brier": quality.brier,
        "nll": quality.negative_log_likelihood,
    }
