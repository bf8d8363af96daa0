"""Which pixels a text names, and the equally bright ones that they are compared with."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.explaining.regions import (
    SHOWER_HALF_WIDTH_PERCENT,
    TRACK_HALF_WIDTH_PERCENT,
    band,
    light_by_view,
    named_pixels,
    named_region,
    random_pixels,
)

PLANES = ("U", "V", "Z")
percents = st.integers(0, 99)


def draw_picture(seed: int, shape: tuple[int, int, int] = (3, 24, 30), share_lit: float = 0.3) -> np.ndarray:
    generator = np.random.default_rng(seed)
    lit = generator.random(shape) < share_lit
    return np.where(lit, generator.integers(1, 256, shape), 0).astype(np.uint8)


def distance_to_line(point, begin, end) -> float:
    """By a search along the line, without its equation."""
    steps = np.linspace(0, 1, 2001)
    places = np.array(begin) + steps[:, None] * (np.array(end) - np.array(begin))
    return float(np.hypot(*(places - point).T).min())


@given(ends=st.tuples(percents, percents, percents, percents), half_width=st.sampled_from([2.0, 3.0, 5.0, 20.0]))
def test_a_band_holds_the_pixels_whose_centre_is_near_the_line(ends, half_width):
    shape = (12, 17)
    inside = band(shape, ends, half_width)
    begin, end = (ends[0] + 0.5, ends[1] + 0.5), (ends[2] + 0.5, ends[3] + 0.5)
    for row, column in np.ndindex(shape):
        distance = distance_to_line((100 * (row + 0.5) / 12, 100 * (column + 0.5) / 17), begin, end)
        if abs(distance - half_width) > 0.01:
            assert inside[row, column] == (distance < half_width), (row, column)


def test_a_region_that_begins_where_it_ends_is_a_disc():
    inside = band((100, 100), (50, 50, 50, 50), 5.0)
    assert inside.sum() == pytest.approx(math.pi * 25, rel=0.05)
    assert inside[50, 55] and not inside[50, 56]


def test_showers_get_a_wider_band_than_tracks_and_what_the_text_does_not_tell_is_a_track():
    region = "In percent the leading object runs from U 10 20 to U 30 40."
    for told, half_width in (
        ("The leading object is an electron shower, which stays inside. ", SHOWER_HALF_WIDTH_PERCENT),
        ("The event is led by a photon shower. ", SHOWER_HALF_WIDTH_PERCENT),
        ("The leading object is a muon track. ", TRACK_HALF_WIDTH_PERCENT),
        ("", TRACK_HALF_WIDTH_PERCENT),
    ):
        named = named_region(told + region)
        assert (named.places, named.half_width_percent) == ((("U", 10, 20, 30, 40),), half_width)
    assert named_region("The leading object is a muon track.") is None


def test_named_pixels_are_lit_and_in_the_views_that_the_text_tells():
    image = draw_picture(1)
    named = named_region("In percent the leading object runs from U 10 20, Q 1 2, Z 50 50 to U 30 40, Q 3 4, Z 90 50.")
    pixels = named_pixels(image, PLANES, named)
    assert len(pixels) and (image.reshape(-1)[pixels] > 0).all()
    view, row, column = np.unravel_index(pixels, image.shape)
    assert set(view) == {0, 2}
    inside = band((24, 30), (10, 20, 30, 40), TRACK_HALF_WIDTH_PERCENT)
    assert (view == 0).sum() == (inside & (image[0] > 0)).sum() and inside[row, column][view == 0].all()
    assert not len(named_pixels(np.zeros_like(image), PLANES, named))
    # A detector of fewer views than the text tells
    assert set(np.unravel_index(named_pixels(image[:1], PLANES, named), image[:1].shape)[0]) == {0}


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_random_pixels_have_the_light_asked_for_within_one_pixel_in_each_view(seed, share):
    image = draw_picture(seed)
    light = np.floor(share * image.sum((1, 2), dtype=np.int64) * [1.0, 0.5, 0.0]).astype(np.int64)
    pixels = random_pixels(image, light, np.random.default_rng(seed))
    assert len(np.unique(pixels)) == len(pixels) and (image.reshape(-1)[pixels] > 0).all()
    assert (abs(light_by_view(image, pixels) - light) <= 128).all()


def test_random_pixels_are_the_lit_ones_nearest_to_one_of_them():
    image = draw_picture(2, (1, 24, 30))
    pixels = random_pixels(image, np.array([2000]), np.random.default_rng(3))
    rows, columns = np.unravel_index(pixels, image.shape)[1:]
    row, column = np.nonzero(image[0])

    def is_ball_around(start):
        distance = (row - start[0]) ** 2 + (column - start[1]) ** 2
        taken = np.isin(row * 30 + column, rows * 30 + columns)
        return distance[taken].max() <= distance[~taken].min()

    assert any(is_ball_around(start) for start in zip(rows, columns))


def test_pixels_apart_from_others_do_not_touch_them():
    image = draw_picture(4)
    named = np.flatnonzero(image)[: np.count_nonzero(image) // 3]
    light = light_by_view(image, named)
    for seed in range(10):
        pixels = random_pixels(image, np.minimum(light, 3000), np.random.default_rng(seed), named)
        assert len(pixels) and not np.isin(pixels, named).any()


def test_in_a_dark_picture_nothing_is_taken():
    assert not len(random_pixels(np.zeros((3, 5, 5), np.uint8), np.array([0, 0, 0]), np.random.default_rng(0)))
