"""Paired tests against permutations, slow loops over pairs of events, and the frequency of false alarms."""

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import norm, permutation_test

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.paired import delong, mcnemar


def test_mcnemar_equals_a_permutation_test_of_the_swapped_pairs():
    truth = np.zeros(14, int)
    a = np.array([0] * 12 + [1] * 2)
    b = np.array([0] * 3 + [1] * 9 + [0] * 2)
    paired = mcnemar(truth, a, b)
    assert (paired.only_a_right, paired.only_b_right) == (9, 2)
    # Under the null hypothesis each event's two answers may be swapped: all 2^11 ways are tried
    differ = a != b
    exact = permutation_test(
        (a[differ] == 0, b[differ] == 0),
        lambda x, y: np.sum(x) - np.sum(y),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert paired.p_value == pytest.approx(exact.pvalue)


def test_mcnemar_is_symmetric_and_without_difference_gives_one():
    generator = np.random.default_rng(0)
    truth, a, b = generator.integers(3, size=(3, 40))
    ab, ba = mcnemar(truth, a, b), mcnemar(truth, b, a)
    assert (ab.only_a_right, ab.only_b_right, ab.p_value) == (ba.only_b_right, ba.only_a_right, ba.p_value)
    assert mcnemar(truth, a, a).p_value == 1


def rankings(num_events: int, seed: int, decimals: int | None = None):
    """Which events are positive, and two rankings that share half of their noise; rounding makes ties."""
    generator = np.random.default_rng(seed)
    is_positive = generator.random(num_events) < 0.4
    shared, *own = generator.normal(size=(3, num_events))
    found = [is_positive * strength + shared + noise for strength, noise in zip((1.0, 0.6), own)]
    return is_positive, *(found if decimals is None else np.round(found, decimals))


def delong_by_pairs(is_positive, a, b) -> tuple[float, float]:
    """Difference and its standard error from every pair of a positive and a negative, as DeLong et al. write it."""
    wins = np.array(
        [
            [[(x > y) + 0.5 * (x == y) for y in ranking[~is_positive]] for x in ranking[is_positive]]
            for ranking in (a, b)
        ],
        float,
    )
    auc = wins.mean((1, 2))
    by_positive, by_negative = np.cov(wins.mean(2)), np.cov(wins.mean(1))
    covariance = by_positive / wins.shape[1] + by_negative / wins.shape[2]
    contrast = np.array([1, -1])
    return auc[0] - auc[1], float(np.sqrt(contrast @ covariance @ contrast))


@pytest.mark.parametrize("decimals", [None, 0])
def test_delong_by_midranks_equals_the_sum_over_all_pairs(decimals):
    is_positive, a, b = rankings(60, seed=1, decimals=decimals)
    found = delong(is_positive, a, b)
    difference, standard_error = delong_by_pairs(is_positive, a, b)
    assert found.auc_a == pytest.approx(sklearn.metrics.roc_auc_score(is_positive, a))
    assert found.auc_b == pytest.approx(sklearn.metrics.roc_auc_score(is_positive, b))
    assert found.difference == pytest.approx(difference)
    assert found.standard_error == pytest.approx(standard_error)
    assert found.p_value == pytest.approx(2 * (1 - norm.cdf(abs(difference) / standard_error)))


def test_delong_changes_sign_with_the_order_and_sees_ranks_alone():
    is_positive, a, b = rankings(80, seed=2)
    ab, ba, other = delong(is_positive, a, b), delong(is_positive, b, a), delong(is_positive, np.exp(a), b**3)
    assert ab.difference == pytest.approx(-ba.difference)
    assert (ab.standard_error, ab.p_value) == pytest.approx((ba.standard_error, ba.p_value))
    assert other.p_value == pytest.approx(ab.p_value)


def test_delong_gives_a_false_alarm_as_often_as_it_says():
    generator = np.random.default_rng(3)
    is_positive = np.arange(120) < 50
    p_values = []
    for _ in range(600):
        shared, *own = generator.normal(size=(3, 120))
        p_values.append(delong(is_positive, *(is_positive + shared + noise for noise in own)).p_value)
    # Three binomial standard deviations of 600 trials are 0.027 and 0.061
    assert np.mean(np.less(p_values, 0.05)) == pytest.approx(0.05, abs=0.027)
    assert np.mean(np.less(p_values, 0.5)) == pytest.approx(0.5, abs=0.061)


def test_delong_says_one_without_difference_and_nothing_where_events_do_not_tell():
    is_positive, a, _ = rankings(30, seed=4)
    assert delong(is_positive, a, 2 * a).p_value == 1
    truth = np.array([True, True, False, False])
    opposite = delong(truth, np.array([4, 3, 2, 1]), np.array([1, 2, 3, 4]))
    assert (opposite.difference, opposite.standard_error, opposite.p_value) == (1, 0, None)
    single = delong(np.array([True, False, False]), np.array([2, 1, 3]), np.array([3, 1, 2]))
    assert (single.standard_error, single.p_value) == (None, None)


def test_paired_tests_of_different_numbers_of_events_are_refused():
    for test in (mcnemar, delong):
        with pytest.raises(UserError, match="same events"):
            test(np.array([0, 1]), np.array([0, 1]), np.array([0, 1, 1]))


def test_rankings_that_cannot_be_compared_are_refused():
    with pytest.raises(UserError, match="2 positives and 0 negatives"):
        delong(np.array([True, True]), np.zeros(2), np.zeros(2))
    with pytest.raises(UserError, match="ranking b holds numbers that are not finite"):
        delong(np.array([True, False]), np.zeros(2), np.array([0, np.nan]))
