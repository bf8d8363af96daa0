"""Conformal prediction: sets of classes that hold the true one as often as promised, whatever the classifier.

The promise holds on average over events drawn like the reference events, which must be others than those the sets are
for. By class, it holds for the events of each class alone, and so for any mixture of classes. Sets are made by MAPIE
(split conformal): `lac` is the least ambiguous set (Sadinle, Lei and Wasserman, JASA 114 (2019) 223), all classes of a
probability above one threshold; `aps` is the adaptive one (Romano, Sesia and Candes, arXiv:2006.02544), the most
probable classes up to a total, larger for hard events. With few classes there are no long tails of improbable ones to
cut off, which is what regularized sets (arXiv:2009.14193) add.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from mapie.classification import SplitConformalClassifier
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.metrics import check_probabilities

Method = Literal["lac", "aps"]
CONFIDENCE = 0.95
SEPARATOR = "|"


@dataclass(frozen=True)
class ClassCoverage:
    """Sets of the events of one true class; None where there is no event."""

    num_events: int
    coverage: float | None
    low: float | None
    high: float | None
    mean_size: float | None


@dataclass(frozen=True)
class Coverage:
    """How often sets hold the true class, with the exact (Clopper-Pearson) 95 % interval, and how large they are."""

    nominal: float
    coverage: float
    low: float
    high: float
    mean_size: float
    # num_of_size[k] events have a set of k classes
    num_of_size: tuple[int, ...]
    per_class: dict[str, ClassCoverage]


class _Given(ClassifierMixin, BaseEstimator):
    """The classifier that MAPIE asks for: what it is to classify are the probabilities themselves."""

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.classes_ = np.arange(num_classes)

    def fit(self, features: np.ndarray, labels: np.ndarray) -> _Given:
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return features.argmax(1)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return features


@dataclass(frozen=True, eq=False)
class Reference:
    """Events with known class by which sets are made: `truth` (N,) indices, `probabilities` (N, C)."""

    truth: np.ndarray
    probabilities: np.ndarray

    def __post_init__(self):
        check_probabilities(self.truth, self.probabilities, tuple(map(str, range(self.probabilities.shape[1]))))


def prediction_sets(
    reference: Reference, probabilities: np.ndarray, coverage: float, method: Method = "lac", seed: int = 0
) -> np.ndarray:
    """(N, C) bool: the classes in the set of each event; a set may be empty, where no class is probable enough.

    Too few reference events for this coverage (at most 1 / (1 - coverage)) leave all classes in every set. `aps` draws
    random numbers, without which its sets are too large.
    """
    check_coverage(coverage)
    num_classes = probabilities.shape[1]
    if len(reference.truth) <= 1 / (1 - coverage):
        return np.ones(probabilities.shape, bool)
    if method == "aps" and len(np.unique(reference.truth)) < 3:
        raise UserError("sets: aps needs reference events of three classes or more; use --sets lac")
    classifier = SplitConformalClassifier(
        _Given(num_classes),
        confidence_level=coverage,
        conformity_score=method,
        # One stream for reference events and others: their numbers must be independent
        random_state=np.random.RandomState(seed),
    )
    with warnings.catch_warnings():
        # By class, the reference events lack all other classes, as they should
        warnings.filterwarnings("ignore", "WARNING: your conformalization dataset has less labels", UserWarning)
        classifier.conformalize(_normalized(reference.probabilities), reference.truth)
    parameters = {"include_last_label": "randomized"} if method == "aps" else None
    _, sets = classifier.predict_set(_normalized(probabilities), conformity_score_params=parameters)
    return sets[:, :, 0].astype(bool)


def prediction_sets_by_class(reference: Reference, probabilities: np.ndarray, coverage: float) -> np.ndarray:
    """(N, C) bool: sets that keep the promise in each class (Mondrian: Vovk, arXiv:1209.2673).

    The threshold of each class is that of `lac`, from the reference events of that class alone.
    """
    sets = np.ones(probabilities.shape, bool)
    for i in range(probabilities.shape[1]):
        chosen = reference.truth == i
        if chosen.any():
            alone = Reference(reference.truth[chosen], reference.probabilities[chosen])
            sets[:, i] = prediction_sets(alone, probabilities, coverage)[:, i]
    return sets


def measure_coverage(truth: np.ndarray, sets: np.ndarray, classes: tuple[str, ...], nominal: float) -> Coverage:
    """How often the (N, C) sets hold the (N,) true classes."""
    if sets.dtype != bool or sets.shape != (len(truth), len(classes)) or not len(truth):
        raise UserError(
            f"sets: {sets.dtype} {sets.shape} for {len(truth)} events; they must be bool (N, {len(classes)}), N > 0"
        )
    held, sizes = sets[np.arange(len(truth)), truth], sets.sum(1)
    return Coverage(
        nominal,
        *_fraction(held),
        mean_size=float(sizes.mean()),
        num_of_size=tuple(np.bincount(sizes, minlength=len(classes) + 1).tolist()),
        per_class={name: _class_coverage(held[truth == i], sizes[truth == i]) for i, name in enumerate(classes)},
    )


def name_sets(sets: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    """Each set as text, `nue_cc|nc`; an empty set is an empty text."""
    return [SEPARATOR.join(name for name, inside in zip(classes, row, strict=True) if inside) for row in sets]


def read_sets(texts: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """(N, C) bool: what `name_sets` wrote; UserError names a class that there is not."""
    sets = np.zeros((len(texts), len(classes)), bool)
    for row, text in zip(sets, texts):
        for name in filter(None, text.split(SEPARATOR)):
            if name not in classes:
                raise UserError(f"set {text!r}: there is no class {name!r}; there are {', '.join(classes)}")
            row[classes.index(name)] = True
    return sets


def check_coverage(coverage: float) -> None:
    if not 0.5 <= coverage < 1:
        raise UserError(f"coverage is {coverage}; it must be at least 0.5 and below 1, for instance 0.9")


def _class_coverage(held: np.ndarray, sizes: np.ndarray) -> ClassCoverage:
    if not len(held):
        return ClassCoverage(0, None, None, None, None)
    return ClassCoverage(len(held), *_fraction(held), float(sizes.mean()))


def _fraction(held: np.ndarray) -> tuple[float, float, float]:
    interval = binomtest(int(held.sum()), len(held)).proportion_ci(CONFIDENCE, method="exact")
    return float(held.mean()), float(interval.low), float(interval.high)


def _normalized(probabilities: np.ndarray) -> np.ndarray:
    # MAPIE allows the sum 1e-5, metrics allow 1e-3
    probabilities = np.asarray(probabilities, np.float64)
    return probabilities / probabilities.sum(1, keepdims=True)
