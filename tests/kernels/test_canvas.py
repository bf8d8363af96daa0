import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuvlm_kernels import raster
from nuvlm_kernels.canvas import Canvas

PROJECTIONS = np.array([[[1.0, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 1]]])
SHAPE = (3, 2, 8, 9)
AWKWARD = [np.nan, np.inf, -1.0, 0.0, -0.0]


def draw_hits(seed: int, counts: list[int]):
    generator = np.random.default_rng(seed)
    offsets = np.cumsum([0, *counts])
    charge = generator.uniform(0, 9, offsets[-1]).astype(np.float32)
    odd = generator.random(offsets[-1]) < 0.2
    charge[odd] = generator.choice(AWKWARD, odd.sum())
    return generator, offsets, charge


counts = st.lists(st.integers(0, 40), min_size=3, max_size=3)


@given(st.lists(st.tuples(st.integers(0, 99), counts), min_size=1, max_size=4))
def test_a_canvas_shows_what_a_fresh_batch_does_however_often_it_was_drawn_on(drawings):
    canvas = Canvas(*SHAPE)
    windows = (PROJECTIONS, np.zeros((3, 2, 2)), np.full((2, 2), 5.0))
    for seed, numbers in drawings:
        generator, offsets, charge = draw_hits(seed, numbers)
        position = generator.uniform(-5, 50, (3, offsets[-1])).astype(np.float32)
        fresh = np.full(SHAPE, 7, np.float32)
        expected = raster.deposit_views((*position, charge), offsets, *windows, fresh)
        found = canvas.deposit_views((*position, charge), offsets, *windows)
        assert canvas.image.tobytes() == fresh.tobytes()
        assert all(map(np.array_equal, found, expected))


@given(st.lists(st.tuples(st.integers(0, 99), counts), min_size=1, max_size=4))
def test_pixels_and_deposits_may_be_drawn_on_one_canvas(drawings):
    canvas = Canvas(*SHAPE)
    for seed, numbers in drawings:
        generator, offsets, charge = draw_hits(seed, numbers)
        plane = generator.integers(0, 3, offsets[-1]).astype(np.uint8)
        row, column = generator.integers(0, 40, (2, offsets[-1])).astype(np.uint16)
        arguments = ((plane, row, column, charge), offsets, np.zeros((3, 2, 2), np.int64), 4)
        fresh = np.full(SHAPE, 7, np.float32)
        expected = raster.pixel_views(*arguments, fresh)
        found = canvas.pixel_views(*arguments)
        assert canvas.image.tobytes() == fresh.tobytes()
        assert all(map(np.array_equal, found, expected))


def test_events_beyond_the_canvas_are_refused():
    with pytest.raises(ValueError, match="shape"):
        Canvas(*SHAPE).pixel_views(((),) * 4, np.zeros(5, int), np.zeros((4, 2, 2), int), 4)
