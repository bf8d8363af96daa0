"""Centroids against sums that do not round."""

import math
from itertools import pairwise

import numpy as np
import pytest

from nuvlm_kernels.centroid import deposit_centroids, pixel_centroids


def exactly(values, weights):
    """Weighted mean, sums exact; NaN without weight."""
    total = math.fsum(weights)
    return (
        math.fsum(float(value) * float(weight) for value, weight in zip(values, weights)) / total if total else math.nan
    )


@pytest.fixture
def offsets() -> np.ndarray:
    return np.array([0, 5000, 5000, 5001, 9000])


def test_deposits_have_their_charge_weighted_mean(offsets):
    rng = np.random.default_rng(3)
    position_mm = rng.normal(2000, 900, (3, offsets[-1])).astype(np.float32)
    charge = rng.exponential(2, offsets[-1]).astype(np.float32)
    charge[5000] = 0
    found = deposit_centroids((*position_mm, charge), offsets)
    for event, (start, stop) in enumerate(pairwise(offsets)):
        expected = [exactly(axis[start:stop], charge[start:stop]) for axis in position_mm]
        np.testing.assert_allclose(found[event], expected, rtol=1e-12)
    assert np.isnan(found[1:3]).all() and np.isfinite(found[[0, 3]]).all()


def test_pixels_have_a_mean_in_each_view_and_other_planes_do_not_count(offsets):
    rng = np.random.default_rng(4)
    plane = rng.integers(0, 3, offsets[-1]).astype(np.uint8)
    row, column = rng.integers(0, 65536, (2, offsets[-1])).astype(np.uint16)
    charge = rng.integers(1, 1000, offsets[-1]).astype(np.float32)
    found = pixel_centroids((plane, row, column, charge), offsets, 2)
    for event, (start, stop) in enumerate(pairwise(offsets)):
        for view in range(2):
            here = np.arange(start, stop)[plane[start:stop] == view]
            expected = [exactly(axis[here], charge[here]) for axis in (row, column)]
            np.testing.assert_allclose(found[event, view], expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_what_is_no_charge_weighs_nothing(bad):
    x_mm, charge = np.array([0, 10, 5000], np.float32), np.array([1, 3, bad], np.float32)
    assert deposit_centroids((x_mm, x_mm, x_mm, charge), np.array([0, 3])).tolist() == [[7.5] * 3]
    plane, row = np.zeros(3, np.uint8), x_mm.astype(np.uint16)
    assert pixel_centroids((plane, row, row, charge), np.array([0, 3]), 1).tolist() == [[[7.5] * 2]]


def test_offsets_beyond_the_hits_are_refused():
    column = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="offsets must rise from 0 to the number of hits, 3"):
        deposit_centroids((column,) * 4, np.array([0, 4]))
