"""Estimators: each against a distribution whose answer is known in closed form."""

import numpy as np
import pytest
from scipy.stats import moyal

from hpc_nuvlm.validation import statistics

# Seconds of drawing
pytestmark = pytest.mark.slow


@pytest.fixture
def rng():
    return np.random.Generator(np.random.SFC64(7))


def test_means_and_medians_of_normal_numbers_are_within_four_errors(rng):
    values = rng.normal(5.0, 2.0, 4000)
    for estimate in (statistics.mean(values), statistics.median(values)):
        assert abs(estimate.value - 5.0) < 4 * estimate.error
        assert 0.025 < estimate.error < 0.05


def test_a_share_of_none_still_has_an_error():
    assert statistics.fraction(np.zeros(10, bool)).value == 0
    assert statistics.fraction(np.zeros(10, bool)).error > 0


def test_the_free_path_is_found_though_half_of_the_tracks_are_cut_short(rng):
    length = rng.exponential(180.0, 20_000)
    estimate = statistics.free_path(np.minimum(length, 120.0), length < 120.0)
    assert abs(estimate.value - 180.0) < 4 * estimate.error
    assert estimate.error < 2.5


def test_the_core_width_ignores_tails(rng):
    values = rng.normal(0, 3.0, 20_000)
    values[:100] = 500.0
    estimate = statistics.core_width(values)
    assert abs(estimate.value - 3.0) < 4 * estimate.error + 0.1


def test_the_peak_of_a_skewed_distribution_is_found(rng):
    values = moyal.rvs(1.7, 0.1, size=8000, random_state=rng)
    estimate = statistics.most_probable(values, rng)
    assert abs(estimate.value - 1.7) < max(4 * estimate.error, 0.02)


def test_the_depth_of_maximum_is_that_of_the_gamma_form(rng):
    edges = np.arange(0, 30.5, 0.5)
    expected = statistics.gamma_form((edges[1:] + edges[:-1]) / 2, 1000.0, 4.0, 0.5) * 0.5
    profiles = rng.poisson(expected, (50, len(expected))).astype(float)
    for find in (statistics.gamma_maximum, statistics.top):
        estimate = statistics.of_mean_profile(find, edges, profiles, rng)
        assert abs(estimate.value - 3.0 / 0.5) < max(4 * estimate.error, 0.05)


def test_equal_samples_have_a_large_p_value_and_shifted_ones_a_small_one(rng):
    ours = [rng.normal(0, 1, 5) for _ in range(30)]
    same = [rng.normal(0, 1, 5) for _ in range(30)]
    shifted = [rng.normal(1, 1, 5) for _ in range(30)]
    assert statistics.compare(ours, same, rng)[1] > 0.01
    assert statistics.compare(ours, shifted, rng)[1] < 0.01


def test_values_that_hang_together_in_an_event_do_not_fake_significance(rng):
    """Each event repeats one number 200 times: an ungrouped test would call two such samples different."""
    samples = [[np.repeat(rng.normal(), 200) for _ in range(12)] for _ in range(2)]
    assert statistics.compare(*samples, rng)[1] > 0.01
