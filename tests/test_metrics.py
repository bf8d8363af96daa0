"""Metrics against counting by hand, slow loops over events, and the libraries of others."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom
from torchmetrics.functional.classification import multiclass_calibration_error

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.metrics import apply_temperature, fit_temperature, reliability, score

CLASSES = ("nue_cc", "numu_cc", "nc")


def simulate(num_events: int, num_classes: int = 3, seed: int = 0, decimals: int | None = None):
    """Truth, and probabilities that are right more often than chance; rounding them makes ties."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(num_classes, size=num_events)
    logits = generator.normal(size=(num_events, num_classes)) + 1.2 * np.eye(num_classes)[truth]
    if decimals is not None:
        logits = logits.round(decimals)
    return truth, apply_temperature(logits, 1.0)


@st.composite
def scored_events(draw):
    num_classes = draw(st.integers(2, 4))
    num_events = draw(st.integers(1, 30))
    truth = draw(arrays(np.int64, num_events, elements=st.integers(0, num_classes - 1)))
    # Few distinct values, so that ties are common
    logits = draw(arrays(np.float64, (num_events, num_classes), elements=st.integers(-3, 3).map(float)))
    return truth, apply_temperature(logits, 1.0), tuple(f"class_{i}" for i in range(num_classes))


def auc_by_pairs(is_positive, values) -> float | None:
    wins = [
        float(high > low) + 0.5 * float(high == low) for high in values[is_positive] for low in values[~is_positive]
    ]
    return sum(wins) / len(wins) if wins else None


def calibration_error_by_loop(truth, probabilities, num_bins=15) -> float:
    total = 0.0
    for i in range(num_bins):
        inside = [
            (max(row), int(np.argmax(row) == label))
            for row, label in zip(probabilities, truth, strict=True)
            if i / num_bins <= max(row) < (i + 1) / num_bins or (i == num_bins - 1 and max(row) >= 1)
        ]
        total += abs(sum(right - confidence for confidence, right in inside))
    return total / len(truth)


def test_a_case_counted_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2])
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]]
    )
    scores = score(truth, probabilities, CLASSES, num_resamples=20)
    assert scores.num_events == 6
    assert scores.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 1))
    assert scores.accuracy.value == pytest.approx(4 / 6)
    assert scores.balanced_accuracy.value == scores.macro_recall == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    nue = scores.per_class["nue_cc"]
    assert (nue.num_events, nue.precision, nue.recall, nue.f1) == pytest.approx((3, 2 / 3, 2 / 3, 2 / 3))
    # Of the 3 x 3 pairs only (0.2 against 0.5) is in the wrong order
    assert nue.auc == pytest.approx(8 / 9)
    assert scores.macro_f1.value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    log_likelihood = math.log(0.8) + math.log(0.6) + math.log(0.2) + math.log(0.9) + math.log(0.4) + math.log(0.7)
    assert scores.negative_log_likelihood == pytest.approx(-log_likelihood / 6)
    assert scores.brier == pytest.approx((0.06 + 0.26 + 1.14 + 0.02 + 0.62 + 0.14) / 6)
    assert scores.expected_calibration_error == pytest.approx((0.2 + 0.4 + abs(1 - 0.7 - 0.7) + 0.1 + 0.5) / 6)


@pytest.mark.parametrize("decimals", [None, 0])
def test_scores_equal_those_of_sklearn_and_torchmetrics(decimals):
    truth, probabilities = simulate(400, seed=3, decimals=decimals)
    scores = score(truth, probabilities, CLASSES, num_resamples=2)
    predicted = probabilities.argmax(1)
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(truth, predicted)
    rows = scores.per_class.values()
    np.testing.assert_allclose([row.precision for row in rows], precision)
    np.testing.assert_allclose([row.recall for row in rows], recall)
    np.testing.assert_allclose([row.f1 for row in rows], f1)
    assert scores.macro_precision == pytest.approx(precision.mean())
    macro_auc = sklearn.metrics.roc_auc_score(truth, probabilities, multi_class="ovr")
    assert scores.macro_auc.value == pytest.approx(macro_auc)
    assert scores.negative_log_likelihood == pytest.approx(sklearn.metrics.log_loss(truth, probabilities))
    brier = sklearn.metrics.brier_score_loss(truth, probabilities, scale_by_half=False)
    assert scores.brier == pytest.approx(brier)
    other = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(truth), 3, n_bins=15)
    assert scores.expected_calibration_error == pytest.approx(float(other), abs=1e-6)


@given(scored_events())
@settings(max_examples=60, deadline=None)
def test_auc_and_calibration_error_equal_slow_counting(events):
    truth, probabilities, classes = events
    scores = score(truth, probabilities, classes, num_resamples=1)
    for i, name in enumerate(classes):
        assert scores.per_class[name].auc == pytest.approx(auc_by_pairs(truth == i, probabilities[:, i]))
    assert scores.expected_calibration_error == pytest.approx(calibration_error_by_loop(truth, probabilities))


@given(scored_events(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_events_does_not_matter(events, random):
    truth, probabilities, classes = events
    order = list(range(len(truth)))
    random.shuffle(order)
    one = score(truth, probabilities, classes, num_resamples=0)
    two = score(truth[order], probabilities[order], classes, num_resamples=0)
    assert two.confusion == one.confusion and two.notes == one.notes
    assert two.per_class == one.per_class
    for name in ("brier", "negative_log_likelihood", "expected_calibration_error"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), abs=1e-12)


@given(scored_events())
@settings(max_examples=40, deadline=None)
def test_every_number_is_in_its_range_and_plain_json(events):
    truth, probabilities, classes = events
    fields = json.loads(json.dumps(score(truth, probabilities, classes, num_resamples=5).to_json(), allow_nan=False))
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc"):
        assert all(number is None or 0 <= number <= 1 for number in fields[name].values())
    assert sum(map(sum, fields["confusion"])) == len(truth)
    assert 0 <= fields["brier"] <= 2


def test_a_perfect_predictor_scores_one_without_error():
    truth = np.array([0, 1, 2, 2, 1, 0])
    scores = score(truth, np.eye(3)[truth], CLASSES, num_resamples=50)
    for estimate in (scores.accuracy, scores.balanced_accuracy, scores.macro_f1, scores.macro_auc):
        assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1)
    assert (scores.brier, scores.negative_log_likelihood, scores.expected_calibration_error) == (0, 0, 0)


def test_a_class_that_truth_lacks_is_undefined_and_said_so():
    truth, probabilities = simulate(50, num_classes=2)
    probabilities = np.column_stack([probabilities * 0.5, np.full(50, 0.5)])
    scores = score(truth, probabilities, CLASSES, num_resamples=10)
    absent = scores.per_class["nc"]
    assert (absent.num_events, absent.recall, absent.f1, absent.auc) == (0, None, None, None)
    assert any(note.startswith("nc: absent from truth") for note in scores.notes)
    present = [scores.per_class[name].recall for name in ("nue_cc", "numu_cc")]
    assert scores.balanced_accuracy.value == pytest.approx(np.mean(present))


def test_a_class_that_is_never_predicted_has_no_precision():
    scores = score(
        np.array([0, 1, 1]), np.array([[0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]), ("nue_cc", "nc"), num_resamples=3
    )
    assert scores.per_class["nue_cc"].precision is None and scores.macro_precision is None
    assert scores.per_class["nue_cc"].f1 == 0
    assert any("never predicted" in note for note in scores.notes)


def test_with_one_class_in_truth_auc_is_undefined():
    scores = score(np.zeros(5, int), np.tile([0.6, 0.4], (5, 1)), ("nue_cc", "nc"), num_resamples=10)
    assert (scores.macro_auc.value, scores.macro_auc.low, scores.per_class["nue_cc"].auc) == (None, None, None)
    assert any("the only class in truth" in note for note in scores.notes)
    assert not any("resamples" in note for note in scores.notes)


def test_resamples_that_lose_a_class_are_counted_in_the_notes():
    truth = np.array([0, 1, 1, 1])
    scores = score(truth, np.eye(2)[truth], ("nue_cc", "nc"), num_resamples=2000)
    lost = next(int(note.split()[0]) for note in scores.notes if "lost a class" in note)
    # A resample lacks one of them with probability (3/4)^4 + (1/4)^4 = 0.320; five standard deviations are 0.053
    assert lost / 2000 == pytest.approx(0.3203, abs=0.053)


def test_probability_zero_for_the_truth_gives_a_finite_likelihood_and_a_note():
    scores = score(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]), ("nue_cc", "nc"), num_resamples=2)
    assert scores.negative_log_likelihood == pytest.approx(38 * math.log(10) / 2)
    assert any("1 events give their true class probability 0" in note for note in scores.notes)


def test_truth_of_a_small_integer_type_does_not_overflow():
    truth, probabilities = simulate(200, num_classes=20)
    classes = tuple(f"class_{i}" for i in range(20))
    assert score(truth.astype(np.uint8), probabilities, classes, num_resamples=3) == score(
        truth, probabilities, classes, num_resamples=3
    )


def test_the_bootstrap_interval_of_accuracy_is_that_of_the_binomial():
    # Resampling 80 right of 100 events draws the number right from Binomial(100, 0.8), exactly
    truth = np.zeros(100, int)
    probabilities = np.where(np.arange(100)[:, None] < 80, [[0.9, 0.1]], [[0.2, 0.8]])
    accuracy = score(truth, probabilities, ("nue_cc", "nc"), num_resamples=4000).accuracy
    expected = binom.ppf([0.025, 0.975], 100, 0.8) / 100
    np.testing.assert_allclose([accuracy.low, accuracy.high], expected, atol=0.0101)


def test_the_bootstrap_interval_covers_the_true_accuracy_as_often_as_it_says():
    generator = np.random.default_rng(4)
    truth, num_trials = np.zeros(80, int), 150
    covered = 0
    for trial in range(num_trials):
        right = generator.random(80) < 0.7
        probabilities = np.where(right[:, None], [[0.9, 0.1]], [[0.2, 0.8]])
        accuracy = score(truth, probabilities, ("nue_cc", "nc"), seed=trial, num_resamples=100).accuracy
        covered += accuracy.low <= 0.7 <= accuracy.high
    # Percentile intervals of 80 events cover a little less than 95 %; binomial error of the fraction is 0.018
    assert 0.88 <= covered / num_trials <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_one_differs():
    truth, probabilities = simulate(60)
    one, same, other = (score(truth, probabilities, CLASSES, seed=seed, num_resamples=50) for seed in (1, 1, 2))
    assert one == same
    assert one.macro_auc.value == other.macro_auc.value and one.macro_auc != other.macro_auc


def test_confidence_on_an_edge_belongs_to_the_bin_above_and_one_to_the_last():
    bins = reliability(np.array([0, 0]), np.array([[0.6, 0.4], [1.0, 0.0]]), num_bins=5)
    assert bins.num_events.tolist() == [0, 0, 0, 1, 1]
    assert np.isnan(bins.confidence[:3]).all()


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true_temperature):
    generator = np.random.default_rng(7)
    logits = generator.normal(scale=2, size=(20_000, 3))
    probabilities = apply_temperature(logits, true_temperature)
    truth = (probabilities.cumsum(1) < generator.random((20_000, 1))).sum(1).clip(max=2)
    # Log-probabilities differ from logits by a constant per event, which softmax does not see
    for scores in (logits, np.log(apply_temperature(logits, 1.0))):
        assert fit_temperature(scores, truth) == pytest.approx(true_temperature, rel=0.05)


def test_the_fitted_temperature_is_a_minimum_of_the_loss():
    truth, probabilities = simulate(300)
    logits = 4 * np.log(probabilities)
    best = fit_temperature(logits, truth)

    def loss(temperature):
        return sklearn.metrics.log_loss(truth, apply_temperature(logits, temperature))

    assert loss(best) <= min(loss(temperature) for temperature in np.geomspace(0.05, 20, 60)) + 1e-9


def test_a_validation_split_without_error_gives_the_smallest_temperature():
    truth = np.array([0, 1, 2])
    assert fit_temperature(np.eye(3), truth) == pytest.approx(1 / 20, rel=1e-3)


@given(
    arrays(np.float64, (5, 3), elements=st.integers(-40, 40).map(float)),
    st.floats(0.05, 20, allow_nan=False),
)
def test_temperature_does_not_change_the_predicted_class(logits, temperature):
    probabilities = apply_temperature(logits, temperature)
    np.testing.assert_array_equal(probabilities.argmax(1), logits.argmax(1))
    np.testing.assert_allclose(probabilities.sum(1), 1)


GOOD = np.array([[0.5, 0.5], [0.25, 0.75]])


@pytest.mark.parametrize(
    ("truth", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5], [0.5, np.nan]], r"probabilities\[1, 1\] is nan"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.498]], r"sum of probabilities\[1\] is 0.998"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], r"probabilities\[0, 1\] is -0.5"),
        ([0, 2], GOOD, r"truth\[1\] is 2"),
        ([-1, 0], GOOD, r"truth\[0\] is -1"),
        ([0.0, 1.0], GOOD, "dtype float64"),
        ([0, 1, 1], GOOD, r"truth \(3,\), scores \(2, 2\)"),
        ([0, 1], [0.5, 0.5], r"scores \(2,\)"),
        (np.zeros(0, int), np.zeros((0, 2)), "N > 0"),
        ([0, 1], np.full((2, 3), 1 / 3), "each column needs a class"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_index_and_value(truth, probabilities, message):
    with pytest.raises(UserError, match=message):
        score(np.array(truth), np.array(probabilities), ("nue_cc", "nc"))


def test_two_classes_of_the_same_name_are_refused():
    with pytest.raises(UserError, match="a class of its own"):
        score(np.array([0, 1]), GOOD, ("nc", "nc"))


def test_a_sum_within_the_tolerance_is_accepted():
    assert score(np.array([0, 1]), GOOD + 0.0004, ("nue_cc", "nc"), num_resamples=1).num_events == 2


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(UserError, match="finite and above 0"):
        apply_temperature(GOOD, temperature)


def test_logits_that_are_not_finite_are_refused():
    bad = np.array([[0.0, 1.0], [-np.inf, 0.0]])
    for call in (lambda: apply_temperature(bad, 1.0), lambda: fit_temperature(bad, np.array([0, 1]))):
        with pytest.raises(UserError, match=r"logits\[1, 0\] is -inf"):
            call()
