"""Paired tests: whether two classifiers differ on the same events. Pure functions on arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm, rankdata

from hpc_nuvlm.errors import UserError


@dataclass(frozen=True)
class Paired:
    """Two classifiers on the same events: those that only one of them has right, and McNemar's exact p-value."""

    only_a_right: int
    only_b_right: int
    p_value: float


@dataclass(frozen=True)
class PairedAuc:
    """The areas under two ROC curves of the same events; `difference` is a - b.

    The standard error of the difference and its two-sided p-value are None where the events do not tell them.
    """

    auc_a: float
    auc_b: float
    difference: float
    standard_error: float | None
    p_value: float | None


def mcnemar(truth: np.ndarray, predicted_a: np.ndarray, predicted_b: np.ndarray) -> Paired:
    """Exact two-sided test that two classifiers are right equally often on the same events."""
    truth, predicted_a, predicted_b = _equally_long("truth", truth, predicted_a, predicted_b)
    right_a, right_b = predicted_a == truth, predicted_b == truth
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    # Without a difference there is no evidence of one; binomtest refuses n = 0
    p_value = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return Paired(only_a, only_b, p_value)


def delong(is_positive: np.ndarray, ranking_a: np.ndarray, ranking_b: np.ndarray) -> PairedAuc:
    """Test that two rankings (N,) of the same events, higher for positives, have equal areas under their ROC curves.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, by midranks as in Sun and Xu, IEEE Signal Processing
    Letters 21 (2014) 1389: O(N log N). A normal approximation: below some ten events of either kind it is too sure.
    """
    is_positive, *rankings = _equally_long("is_positive", is_positive, ranking_a, ranking_b)
    is_positive = is_positive.astype(bool)
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not (num_positive and num_negative):
        raise UserError(f"paired AUC: {num_positive} positives and {num_negative} negatives; it needs both")
    above_negatives, below_positives = np.empty((2, num_positive)), np.empty((2, num_negative))
    for i, ranking in enumerate(rankings):
        if not np.isfinite(ranking).all():
            raise UserError(f"paired AUC: ranking {'ab'[i]} holds numbers that are not finite; rank by probabilities")
        rank = rankdata(ranking)
        above_negatives[i] = (rank[is_positive] - rankdata(ranking[is_positive])) / num_negative
        below_positives[i] = 1 - (rank[~is_positive] - rankdata(ranking[~is_positive])) / num_positive
    auc_a, auc_b = above_negatives.mean(1).tolist()
    difference = auc_a - auc_b
    standard_error = _standard_error(above_negatives, below_positives)
    return PairedAuc(auc_a, auc_b, difference, standard_error, _normal_p_value(difference, standard_error))


def _standard_error(above_negatives: np.ndarray, below_positives: np.ndarray) -> float | None:
    """Of the difference of the two rows' means; None where one event of a kind leaves no variance to estimate."""
    variance = 0.0
    for parts in (above_negatives, below_positives):
        if parts.shape[1] < 2:
            return None
        variance += (parts[0] - parts[1]).var(ddof=1) / parts.shape[1]
    return math.sqrt(variance)


def _normal_p_value(difference: float, standard_error: float | None) -> float | None:
    # Rounding of equal areas, not a difference
    if abs(difference) < 1e-12:
        return 1.0
    return None if not standard_error else float(2 * norm.sf(abs(difference) / standard_error))


def _equally_long(name: str, *columns: np.ndarray) -> list[np.ndarray]:
    columns = [np.asarray(column) for column in columns]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        shapes = ", ".join(f"{label} {column.shape}" for label, column in zip((name, "a", "b"), columns))
        raise UserError(f"paired test: shapes are {shapes}; they must be equal: score both runs on the same events")
    return columns
