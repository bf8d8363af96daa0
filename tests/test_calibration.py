"""Calibration against exact posteriors, other optimizers, and the guards that keep fit and score apart."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import norm

from hpc_nuvlm.calibration import (
    Judged,
    Options,
    calibrate,
    class_fractions,
    estimate_priors,
    fit_offsets,
    move_priors,
    refuse_shared,
)
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.metrics import fit_temperature, reliability

CLASSES = ("nue_cc", "numu_cc", "nc")
CENTRES = np.array([-1.5, 0.0, 1.5])
EQUAL = np.full(3, 1 / 3)


def posterior(x: np.ndarray, priors) -> np.ndarray:
    """Exact class probabilities (N, 3) of numbers drawn from one normal distribution a class."""
    weighted = norm.pdf(x[:, None], CENTRES) * np.asarray(priors)
    return weighted / weighted.sum(1, keepdims=True)


def draw(num_events: int, seed: int, priors=EQUAL) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.choice(3, num_events, p=priors)
    return truth, generator.normal(CENTRES[truth])


def judged(num_events: int, seed: int, priors=EQUAL, name: str = "event", learned=EQUAL) -> Judged:
    """By a model that learned from the mixture `learned`, and is too sure."""
    truth, x = draw(num_events, seed, priors)
    ids = tuple(f"{name}-{i}" for i in range(num_events))
    return Judged(ids, truth, log_softmax(2 * np.log(posterior(x, learned)), axis=1))


def test_moved_priors_give_the_exact_posterior_of_the_other_mixture():
    _, x = draw(200, seed=0)
    source, target = np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.2, 0.1])
    np.testing.assert_allclose(move_priors(posterior(x, source), source, target), posterior(x, target))


@given(arrays(np.float64, (4, 3), elements=st.floats(-5, 5)), arrays(np.float64, (2, 3), elements=st.floats(-3, 3)))
def test_priors_moved_there_and_back_change_nothing(logits, other):
    probabilities, (source, target) = softmax(logits, axis=1), softmax(other, axis=1)
    moved = move_priors(probabilities, source, target)
    np.testing.assert_allclose(moved.sum(1), 1)
    np.testing.assert_allclose(move_priors(moved, target, source), probabilities, atol=1e-9)
    np.testing.assert_allclose(move_priors(probabilities, source, source), probabilities, atol=1e-12)


@pytest.mark.parametrize("priors", [[0.1, 0.2, 0.7], [0.05, 0.9, 0.05]])
def test_estimated_priors_are_those_of_the_events_and_a_maximum_of_the_likelihood(priors):
    source = np.array([0.5, 0.3, 0.2])
    truth, x = draw(4000, seed=1, priors=priors)
    given_source = posterior(x, source)
    found = estimate_priors(given_source, source)
    # The classes overlap, so that priors are known less well than by counting: 0.007
    np.testing.assert_allclose(found, class_fractions(truth, 3), atol=0.03)

    def loss(logits):
        return -np.log((given_source * softmax(logits) / source).sum(1)).mean()

    # Another optimizer, over unbounded numbers
    best = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000})
    np.testing.assert_allclose(found, softmax(best.x), atol=1e-4)


def test_a_class_that_the_events_lack_is_estimated_as_absent():
    _, x = draw(3000, seed=2, priors=[0.5, 0.5, 0])
    assert estimate_priors(posterior(x, EQUAL), EQUAL)[2] < 0.02


def test_offsets_make_the_mean_probability_of_each_class_its_fraction():
    model = judged(500, seed=3, priors=[0.6, 0.3, 0.1])
    temperature, offsets = fit_offsets(model.log_probability, model.truth)
    fitted = softmax(model.log_probability / temperature + offsets, axis=1)
    np.testing.assert_allclose(fitted.mean(0), class_fractions(model.truth, 3), atol=1e-6)
    assert offsets.mean() == pytest.approx(0)

    def loss(parameters):
        log_probability = log_softmax(model.log_probability * parameters[0] + [0, *parameters[1:]], axis=1)
        return -log_probability[np.arange(500), model.truth].mean()

    # Another optimizer, with the first offset fixed instead of the mean
    best = minimize(loss, [1, 0, 0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).x
    assert temperature == pytest.approx(1 / best[0], rel=1e-4)
    np.testing.assert_allclose(offsets - offsets[0], [0, *best[1:]], atol=1e-4)


def test_temperature_and_offsets_that_made_the_labels_are_found():
    priors = np.array([0.6, 0.3, 0.1])
    model = judged(20_000, seed=4, priors=priors)
    temperature, offsets = fit_offsets(model.log_probability, model.truth)
    expected = np.log(priors) - np.log(priors).mean()
    assert temperature == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(offsets, expected, atol=0.1)


def test_offsets_of_events_without_an_error_stay_finite():
    truth = np.array([0, 1, 2, 0, 1, 2])
    temperature, offsets = fit_offsets(np.log(0.97 * np.eye(3)[truth] + 0.01), truth)
    assert temperature >= 1 / 20 - 1e-9 and np.isfinite(offsets).all()


def test_calibration_makes_scored_probabilities_as_sure_as_they_are_right():
    reference, scored = judged(2000, seed=5, name="val"), judged(2000, seed=6)
    calibrated, scores = calibrate(reference, scored, CLASSES, Options())
    assert scores.temperature == fit_temperature(reference.log_probability, reference.truth)
    assert scores.before.expected_calibration_error > 0.06 > 0.03 > scores.after.expected_calibration_error
    assert scores.after.brier < scores.before.brier
    assert scores.after.accuracy == scores.before.accuracy and scores.prior_corrected is None
    measured = reliability(scored.truth, calibrated.probabilities).expected_calibration_error
    assert scores.after.expected_calibration_error == pytest.approx(measured)
    # Spread of the coverage from one pair of samples to the next: 0.0095
    for coverage in (scores.conformal, scores.conformal_by_class):
        assert coverage.coverage == pytest.approx(0.9, abs=0.03)
    assert scores.conformal.mean_size == pytest.approx(calibrated.sets.sum(1).mean())


@pytest.mark.parametrize(("kind", "atol"), [("balanced", 1e-9), ("estimate", 0.05)])
def test_moved_priors_help_where_the_mixture_of_classes_is_another(kind, atol):
    target = EQUAL if kind == "balanced" else np.array([0.1, 0.2, 0.7])
    learned = [0.7, 0.2, 0.1]
    reference = judged(3000, seed=7, priors=learned, name="val", learned=learned)
    scored = judged(3000, seed=8, priors=target, learned=learned)
    calibrated, scores = calibrate(reference, scored, CLASSES, Options(kind))
    moved = scores.prior_corrected
    np.testing.assert_allclose(list(moved.target.values()), target, atol=atol)
    assert list(moved.source.values()) == pytest.approx(class_fractions(reference.truth, 3).tolist())
    assert moved.quality.expected_calibration_error < 0.03
    assert moved.quality.brier < scores.after.brier - 0.01
    _, x = draw(3000, seed=8, priors=target)
    np.testing.assert_allclose(calibrated.probabilities, posterior(x, target), atol=0.08)
    for row in scores.conformal_by_class.per_class.values():
        assert row.coverage == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("priors", ["none", "balanced", "estimate"])
def test_labels_of_scored_events_touch_no_probability_and_no_set(priors):
    reference, scored = judged(200, seed=9, name="val"), judged(100, seed=10)
    other = replace(scored, truth=np.roll(scored.truth, 1))
    one, two = (calibrate(reference, events, CLASSES, Options(priors, method="aps"))[0] for events in (scored, other))
    for field in ("probabilities", "sets", "sets_by_class"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    assert "truth" not in inspect.signature(estimate_priors).parameters


def test_events_that_are_fitted_on_are_not_scored():
    reference, scored = judged(50, seed=11, name="val"), judged(50, seed=12)
    shared = replace(scored, ids=(*scored.ids[:-1], "val-7"))
    with pytest.raises(UserError, match=r"1 events are fitted on and scored too, the first is 'val-7'.*--calibrate"):
        calibrate(reference, shared, CLASSES, Options())
    with pytest.raises(UserError, match="50 events are fitted on"):
        calibrate(reference, reference, CLASSES, Options())
    refuse_shared(reference.ids, scored.ids)


def test_what_calibration_finds_is_plain_json():
    reference, scored = judged(60, seed=13, name="val"), judged(40, seed=14)
    for priors in ("none", "estimate"):
        _, scores = calibrate(reference, scored, CLASSES, Options(priors, coverage=0.8))
        fields = json.loads(json.dumps(scores.to_json(), allow_nan=False))
        assert fields["ece_before"] == scores.before.expected_calibration_error
        assert fields["brier_after"] == scores.after.brier
        assert fields["conformal"]["nominal"] == 0.8
        assert set(fields["conformal"]["per_class"]) == set(CLASSES)
    assert sum(fields["prior_corrected"]["target"].values()) == pytest.approx(1)
    assert fields["prior_corrected"]["ece"] == scores.prior_corrected.quality.expected_calibration_error


def test_a_class_that_was_not_fitted_on_cannot_be_moved():
    reference, scored = judged(60, seed=15, name="val", priors=[0.5, 0.5, 0]), judged(40, seed=16)
    with pytest.raises(UserError, match="class number 2 has no event among the 60"):
        calibrate(reference, scored, CLASSES, Options("balanced"))
    assert calibrate(reference, scored, CLASSES, Options())[0].sets_by_class[:, 2].all()


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([0.5, 0.5], EQUAL, "source is .* one prior a class"),
        (EQUAL, np.array([0.5, 0.6, -0.1]), "target is .* not negative"),
        (EQUAL, np.array([0.5, 0.6, 0.1]), "sum 1"),
        (np.array([0.5, 0.5, 0]), EQUAL, "a class that never occurred"),
    ],
)
def test_what_are_no_priors_is_refused(source, target, message):
    with pytest.raises(UserError, match=message):
        move_priors(np.full((2, 3), 1 / 3), np.asarray(source), target)


def test_a_coverage_out_of_range_is_refused_before_anything_is_fitted():
    reference, scored = judged(20, seed=0, name="val"), judged(20, seed=1)
    with pytest.raises(UserError, match="coverage is 90"):
        calibrate(reference, scored, CLASSES, Options(coverage=90))
