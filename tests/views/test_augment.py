from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from hpc_nuvlm.config import Augment
from hpc_nuvlm.detector import Detector, Symmetry, ViewPlane, load_detector
from hpc_nuvlm.views.augment import apply_symmetry, augment, shift, stretch

PLANES = tuple(ViewPlane(name, (1.0, 0, 0), (0, 0, 1.0), 5.0, 5.0) for name in "UVZ")
DRIFT = Symmetry("drift", flip_columns=(0, 1, 2))
VERTICAL = Symmetry("vertical", flip_rows=(2,), permutation=(1, 0, 2))
DETECTOR = Detector("three", "Three views", PLANES, 500, 500, None, None, 0.75, 0.001, (DRIFT, VERTICAL))
EVERYTHING = Augment(symmetries=True, stretch=0.2, shear=0.1, shift=(2, 1), gain=0.2, dropout=0.1)
images = st_numpy.arrays(np.uint8, st.tuples(st.just(3), st.integers(1, 9), st.integers(1, 9)))


def test_nothing_asked_for_gives_a_copy_with_the_same_bits():
    image = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    augmented = augment(image, Augment(), DETECTOR, np.random.default_rng(1))
    assert (augmented == image).all() and not np.shares_memory(augmented, image)


@settings(max_examples=50, deadline=None)
@given(images, st.integers(0, 2**32))
def test_the_image_depends_on_the_generator_only_and_the_input_is_not_changed(image, seed):
    before = image.copy()
    once, again = (augment(image, EVERYTHING, DETECTOR, np.random.default_rng(seed)) for _ in range(2))
    assert once.tobytes() == again.tobytes()
    assert (image == before).all() and not np.shares_memory(once, image)
    assert once.shape == image.shape and once.dtype == np.uint8 and once.flags.c_contiguous


@settings(max_examples=50, deadline=None)
@given(images, st.sampled_from([DRIFT, VERTICAL]))
def test_a_symmetry_moves_every_pixel_and_is_undone_by_itself(image, symmetry):
    mirrored = apply_symmetry(image, symmetry)
    assert np.bincount(mirrored.ravel()).tolist() == np.bincount(image.ravel()).tolist()
    assert (apply_symmetry(mirrored, symmetry) == image).all()


def test_a_symmetry_flips_the_views_it_names_and_exchanges_them():
    image = np.arange(18, dtype=np.uint8).reshape(3, 2, 3)
    assert (apply_symmetry(image, DRIFT) == image[:, :, ::-1]).all()
    mirrored = apply_symmetry(image, VERTICAL)
    assert (mirrored[0] == image[1]).all() and (mirrored[1] == image[0]).all() and (mirrored[2] == image[2, ::-1]).all()


def test_each_symmetry_is_applied_to_half_of_the_events_independently():
    image = np.arange(18, dtype=np.uint8).reshape(3, 2, 3)
    generator = np.random.default_rng(2)
    seen = [augment(image, Augment(symmetries=True), DETECTOR, generator).tobytes() for _ in range(2000)]
    drift, vertical = apply_symmetry(image, DRIFT), apply_symmetry(image, VERTICAL)
    expected = {picture.tobytes() for picture in (image, drift, vertical, apply_symmetry(drift, VERTICAL))}
    assert set(seen) == expected
    # A quarter each: 500 with a standard deviation of 19
    assert all(400 < seen.count(picture) < 600 for picture in expected)


@pytest.mark.parametrize("name", ["dune_fd_cvn", "paper_lartpc"])
def test_symmetries_of_the_shipped_detectors_are_undone_by_themselves(name, repository):
    detector = load_detector(name, repository / "configs" / "detectors")
    image = np.random.default_rng(3).integers(0, 256, (detector.num_views, 6, 7), np.uint8)
    assert detector.symmetries
    for symmetry in detector.symmetries:
        mirrored = apply_symmetry(image, symmetry)
        assert (mirrored != image).any() and (apply_symmetry(mirrored, symmetry) == image).all()


@settings(max_examples=100, deadline=None)
@given(images, st.integers(-12, 12), st.integers(-12, 12))
def test_a_shift_moves_every_pixel_by_that_much_and_fills_with_zero(image, rows, columns):
    shifted = shift(image, rows, columns)
    height, width = image.shape[1:]
    for row, column in np.ndindex(height, width):
        inside = 0 <= row - rows < height and 0 <= column - columns < width
        assert (shifted[:, row, column] == (image[:, row - rows, column - columns] if inside else 0)).all()


def test_shifts_reach_the_limit_on_both_sides_and_are_the_same_in_all_views():
    image = np.zeros((3, 9, 9), np.uint8)
    image[:, 4, 4] = 1
    generator = np.random.default_rng(4)
    moved = [np.argwhere(augment(image, Augment(shift=(2, 1)), DETECTOR, generator)) for _ in range(500)]
    assert all((places[:, 1:] == places[0, 1:]).all() and len(places) == 3 for places in moved)
    assert {tuple(places[0, 1:].tolist()) for places in moved} == {(r, c) for r in range(2, 7) for c in range(3, 6)}


def test_a_stretch_by_whole_factors_repeats_rows_and_columns():
    image = np.zeros((1, 9, 9), np.uint8)
    image[0, 1:4, 3:6] = np.arange(1, 10).reshape(3, 3)
    assert np.array_equal(stretch(image, 1.0, 1.0, 0.0), image)
    slow = np.zeros_like(image)
    for row in range(9):
        for column in range(9):
            from_row, from_column = floor(1 + (row - 1) / 1.5 + 0.5), floor(4 + (column - 4) / 3 + 0.5)
            slow[0, row, column] = image[0, from_row, from_column]
    assert np.array_equal(stretch(image, 1.5, 3.0, 0.0), slow)


def test_a_shear_turns_a_straight_track_into_another_and_keeps_its_start():
    image = np.zeros((2, 20, 21), np.uint8)
    image[:, 2:, 10] = 7
    turned = stretch(image, 1.0, 1.0, 0.5)
    rows, columns = np.nonzero(turned[0])
    assert (rows[0], columns[0]) == (2, 10) and len(rows) == 18
    assert np.abs(columns - (10 + 0.5 * (rows - 2))).max() <= 0.5
    assert np.array_equal(turned[0], turned[1])


def test_an_empty_picture_stays_empty():
    assert not augment(np.zeros((3, 8, 8), np.uint8), EVERYTHING, DETECTOR, np.random.default_rng(0)).any()


def test_gain_multiplies_all_pixels_by_one_factor_within_its_range_and_stops_at_255():
    image = np.tile(np.array([0, 100, 200, 255], np.uint8), (3, 1, 1))
    generator = np.random.default_rng(5)
    for _ in range(200):
        zero, low, middle, high = augment(image, Augment(gain=0.5), DETECTOR, generator)[0, 0].tolist()
        assert zero == 0 and 50 <= low <= 150
        assert abs(middle - min(2 * low, 255)) <= 1 and abs(high - min(2.55 * low, 255)) <= 2


def test_dropout_blanks_the_asked_fraction_of_lit_pixels_and_changes_no_other():
    image = np.random.default_rng(6).integers(0, 3, (3, 100, 100), np.uint8)
    dropped = augment(image, Augment(dropout=0.3), DETECTOR, np.random.default_rng(7))
    kept = dropped == image
    assert (dropped[~kept] == 0).all()
    # 20 000 lit pixels: standard deviation 0.003
    assert abs((~kept).sum() / (image > 0).sum() - 0.3) < 0.02


def test_dropout_of_one_blanks_everything():
    image = np.full((3, 4, 5), 9, np.uint8)
    assert not augment(image, Augment(dropout=1.0), DETECTOR, np.random.default_rng(8)).any()
