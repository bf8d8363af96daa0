"""Conformal sets against slow loops over sorted scores, and against the coverage that they promise."""

import math

import numpy as np
import pytest
from scipy.stats import beta

from hpc_nuvlm.conformal import (
    Reference,
    measure_coverage,
    name_sets,
    prediction_sets,
    prediction_sets_by_class,
    read_sets,
)
from hpc_nuvlm.errors import UserError

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

CLASSES = ("nue_cc", "numu_cc", "nc")
SKILL = np.array([2.5, 1.5, 0.5])


def simulate(num_events: int, seed: int, priors=(1 / 3, 1 / 3, 1 / 3)) -> Reference:
    """Events of which the last class is hardest; probabilities are too sure."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(3, num_events, p=priors)
    logits = 1.5 * (generator.normal(size=(num_events, 3)) + SKILL[truth, None] * np.eye(3)[truth])
    probabilities = np.exp(logits)
    return Reference(truth, probabilities / probabilities.sum(1, keepdims=True))


def smallest_of_rank(scores, coverage: float) -> float:
    """The ceil((N + 1) coverage)-th smallest score: what split conformal prediction calls the quantile."""
    return sorted(scores)[math.ceil((len(scores) + 1) * coverage) - 1]


@pytest.mark.parametrize("coverage", [0.5, 0.75, 0.9])
def test_least_ambiguous_sets_hold_the_classes_above_one_threshold(coverage):
    reference, scored = simulate(99, seed=1), simulate(200, seed=2)
    scores = [1 - row[label] for row, label in zip(reference.probabilities, reference.truth)]
    threshold = smallest_of_rank(scores, coverage)
    expected = [[1 - p <= threshold for p in row] for row in scored.probabilities]
    np.testing.assert_array_equal(prediction_sets(reference, scored.probabilities, coverage), expected)


def total_down_to(row, label: int, part: float) -> float:
    """Probability of the classes more probable than this one, and of all but `part` of itself."""
    return sum(p for p in row if p > row[label]) + (1 - part) * row[label]


def test_adaptive_sets_hold_the_most_probable_classes_up_to_a_total():
    reference, scored = simulate(99, seed=3), simulate(200, seed=4)
    generator = np.random.RandomState(5)
    parts = generator.uniform(size=99)
    rows = zip(reference.probabilities, reference.truth, parts)
    threshold = smallest_of_rank([total_down_to(*row) for row in rows], 0.9)
    expected = [
        [total_down_to(row, label, part) <= threshold for label in range(3)]
        for row, part in zip(scored.probabilities, generator.uniform(size=200))
    ]
    sets = prediction_sets(reference, scored.probabilities, 0.9, "aps", seed=5)
    np.testing.assert_array_equal(sets, expected)


def mean_coverage(make, *method, priors=(1 / 3, 1 / 3, 1 / 3)) -> tuple[float, np.ndarray]:
    """Over many pairs of reference and scored samples: of all events, and of each class."""
    all_events, by_class = [], []
    for trial in range(60):
        reference, scored = simulate(199, seed=trial), simulate(400, 1000 + trial, priors)
        sets = make(reference, scored.probabilities, 0.9, *method)
        found = measure_coverage(scored.truth, sets, CLASSES, 0.9)
        all_events.append(found.coverage)
        by_class.append([row.coverage for row in found.per_class.values()])
    return float(np.mean(all_events)), np.mean(by_class, 0)


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_hold_the_true_class_as_often_as_promised(method):
    # With 199 reference events the promise is met exactly; a mean of 60 samples has an error of 0.0034
    coverage, by_class = mean_coverage(prediction_sets, method)
    assert coverage == pytest.approx(0.9, abs=0.012)
    assert by_class[2] < 0.87, "the hardest class pays for the others, which is why sets by class exist"


def test_sets_by_class_keep_the_promise_in_each_class_and_so_for_any_mixture():
    coverage, by_class = mean_coverage(prediction_sets_by_class, priors=(0.1, 0.1, 0.8))
    # Some 66 reference events a class: the promise is met up to 1 / 67
    assert 0.9 - 0.012 < coverage < 0.9 + 1 / 67 + 0.012
    assert ((by_class > 0.9 - 0.02) & (by_class < 0.9 + 1 / 67 + 0.02)).all()
    unequal, _ = mean_coverage(prediction_sets, priors=(0.1, 0.1, 0.8))
    assert unequal < 0.87, "sets for all events promise nothing for another mixture"


def test_more_coverage_never_takes_a_class_away():
    reference, scored = simulate(150, seed=6), simulate(150, seed=7)
    for make in (prediction_sets, prediction_sets_by_class):
        small, large = (make(reference, scored.probabilities, coverage) for coverage in (0.8, 0.95))
        assert (small <= large).all() and small.sum() < large.sum()


def test_too_few_reference_events_leave_all_classes_in_every_set():
    scored = simulate(20, seed=8).probabilities
    assert prediction_sets(simulate(10, seed=9), scored, 0.9).all()
    assert not prediction_sets(simulate(30, seed=9), scored, 0.9).all()
    lacking = simulate(300, seed=10, priors=(0.5, 0.5, 0))
    sets = prediction_sets_by_class(lacking, scored, 0.9)
    assert sets[:, 2].all() and not sets[:, 0].all()


def test_equal_seeds_give_equal_sets():
    reference, scored = simulate(99, seed=11), simulate(300, seed=12).probabilities
    one, same, other = (prediction_sets(reference, scored, 0.9, "aps", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_coverage_is_counted_by_hand():
    truth = np.array([0, 0, 1, 1])
    sets = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]], bool)
    found = measure_coverage(truth, sets, CLASSES, 0.9)
    assert (found.nominal, found.coverage, found.mean_size) == (0.9, 0.75, 2)
    assert found.num_of_size == (0, 1, 2, 1)
    # Clopper and Pearson: 3 of 4
    assert (found.low, found.high) == pytest.approx((beta.ppf(0.025, 3, 2), beta.ppf(0.975, 4, 1)))
    nue, numu, nc = found.per_class.values()
    assert (nue.num_events, nue.coverage, nue.mean_size) == (2, 0.5, 1.5)
    assert (numu.coverage, nc.num_events, nc.coverage, nc.mean_size) == (1, 0, None, None)


def test_sets_are_read_back_from_their_names():
    sets = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], bool)
    assert name_sets(sets, CLASSES) == ["nue_cc|nc", "", "numu_cc"]
    np.testing.assert_array_equal(read_sets(["nue_cc|nc", "", "numu_cc"], CLASSES), sets)
    with pytest.raises(UserError, match="no class 'muon'"):
        read_sets(["nc|muon"], CLASSES)


@pytest.mark.parametrize("coverage", [0.0, 0.49, 1.0, 1.5, math.nan])
def test_a_coverage_that_nobody_wants_is_refused(coverage):
    reference = simulate(20, seed=0)
    with pytest.raises(UserError, match=r"at least 0\.5 and below 1"):
        prediction_sets(reference, reference.probabilities, coverage)


def test_adaptive_sets_of_two_classes_are_refused():
    reference = simulate(40, seed=0, priors=(0.5, 0.5, 0))
    with pytest.raises(UserError, match="use --sets lac"):
        prediction_sets(reference, reference.probabilities, 0.9, "aps")


def test_what_are_no_probabilities_or_sets_is_refused():
    with pytest.raises(UserError, match="apply softmax"):
        Reference(np.array([0]), np.array([[1.0, 2.0, 3.0]]))
    for sets in (np.ones((2, 3)), np.ones((1, 3), bool)):
        with pytest.raises(UserError, match=r"for 2 events; they must be bool \(N, 3\)"):
            measure_coverage(np.array([0, 1]), sets, CLASSES, 0.9)
