import time

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuvlm_kernels import raster, reference
from nuvlm_kernels.levels import level_edges

PROJECTIONS = np.array([[[1.0, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 1]], [[0, -0.58354121, 0.81208326], [1, 0, 0]]])
EDGES = level_edges("sqrt", 500.0)
CANARY = 201
DEPOSIT_TYPES = (np.float32,) * 4
PIXEL_TYPES = (np.uint8, np.uint16, np.uint16, np.float32)

# Edges of 5 mm pixels and their neighbours, the rim of the image, and what no detector gives
BELOW_5, BELOW_40 = np.nextafter(np.float32([5, 40]), np.float32(0))
AWKWARD = [0.0, -0.0, -1e-45, BELOW_5, 5.0, BELOW_40, 40.0, 4.667, 14.001, 1e9, -1e9, 3e38, np.nan, np.inf, -np.inf]
positions = st.one_of(st.sampled_from(AWKWARD), st.floats(-20, 60, width=32))
charges = st.one_of(st.sampled_from([0.0, -0.0, 1e30, np.nan, np.inf, -1.0]), st.integers(0, 1000).map(float))
deposit_hits = st.lists(st.tuples(positions, positions, positions, charges), max_size=30)
pixel_hits = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 40), st.sampled_from([0, 3, 4, 35, 36, 65535]), charges), max_size=30
)


def as_batch(events, dtypes):
    """Concatenated columns and offsets of lists of hits."""
    offsets = np.cumsum([0, *map(len, events)])
    hits = [hit for event in events for hit in event]
    columns = zip(*hits, strict=True) if hits else [()] * len(dtypes)
    return tuple(
        np.array(column, np.float64).astype(dtype) for column, dtype in zip(columns, dtypes, strict=True)
    ), offsets


def guarded(num_events, dtype):
    """A batch of 3 views of 8 x 9 pixels in the middle of canaries: whatever is written outside of it shows."""
    whole = np.full((num_events + 2, 3, 8, 9), CANARY, dtype)
    return whole, whole[1:-1]


def deposit(hits, offsets, image, pixel_mm=5.0):
    num_events, num_views = image.shape[:2]
    windows = (PROJECTIONS[:num_views], np.zeros((num_events, num_views, 2)), np.full((num_views, 2), pixel_mm))
    return raster.deposit_views(hits, offsets, *windows, image)


def assert_same_bits(ours, expected):
    for one, other in zip(ours, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.lists(deposit_hits, max_size=4), st.sampled_from([5.0, 4.667, 0.1]), st.sampled_from([0.0, -7.3, 1e6]))
def test_deposits_equal_numpy_bit_for_bit_and_write_nowhere_else(events, pixel_mm, first_mm):
    hits, offsets = as_batch(events, DEPOSIT_TYPES)
    windows = (PROJECTIONS, np.full((len(events), 3, 2), first_mm), np.full((3, 2), pixel_mm))
    check_against_reference("deposit", len(events), (hits, offsets, *windows))


@settings(max_examples=40, deadline=None)
@given(st.lists(pixel_hits, max_size=4), st.integers(1, 5), st.integers(-40, 40))
def test_pixels_equal_numpy_bit_for_bit_and_write_nowhere_else(events, pool, first):
    hits, offsets = as_batch(events, PIXEL_TYPES)
    check_against_reference("pixel", len(events), (hits, offsets, np.full((len(events), 3, 2), first), pool))


def check_against_reference(kind, num_events, arguments):
    expected_image = np.empty((num_events, 3, 8, 9), np.float32)
    expected_levels = np.empty(expected_image.shape, np.uint8)
    with np.errstate(over="ignore"):
        outside, rejected, first_rejected = getattr(reference, f"{kind}_views")(*arguments, expected_image)
    saturated = reference.to_levels(expected_image, EDGES, expected_levels)

    whole, image = guarded(num_events, np.float32)
    dropped = getattr(raster, f"{kind}_views")(*arguments, image)
    assert_same_bits((image, *dropped), (expected_image, outside, rejected, first_rejected))
    assert (whole[[0, -1]] == CANARY).all()

    whole, levels = guarded(num_events, np.uint8)
    dropped = getattr(raster, f"{kind}_levels")(*arguments, EDGES, levels)
    assert_same_bits((levels, *dropped), (expected_levels, outside, saturated, rejected, first_rejected))
    assert (whole[[0, -1]] == CANARY).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(deposit_hits, min_size=1, max_size=3))
def test_charge_of_every_good_hit_is_in_the_image_or_outside_in_every_view(events):
    events = [[hit for hit in event if hit[3] != 1e30] for event in events]  # whole numbers, so sums are exact
    hits, offsets = as_batch(events, DEPOSIT_TYPES)
    image = np.empty((len(events), 3, 8, 9), np.float32)
    outside, rejected, _ = deposit(hits, offsets, image)
    for number, event in enumerate(events):
        good = [hit for hit in event if np.isfinite(hit).all() and hit[3] >= 0]
        assert rejected[number] == len(event) - len(good)
        total = sum(hit[3] for hit in good)
        assert (image[number].sum(axis=(1, 2), dtype=np.float64) + outside[number] == total).all()


def test_a_hit_on_an_edge_belongs_to_the_pixel_above_it():
    image = np.empty((1, 1, 2, 2), np.float32)
    x = np.array([0.0, -0.0, BELOW_5, 5.0, np.nextafter(np.float32(10), np.float32(0)), 10.0, -1e-45], np.float32)
    charge = np.array([1, 2, 4, 8, 16, 32, 64], np.float32)
    outside, _, _ = deposit((x, np.zeros_like(x), np.zeros_like(x), charge), [0, len(x)], image)
    assert image[0, 0].tolist() == [[1 + 2 + 4, 0], [8 + 16, 0]]
    assert outside.tolist() == [[32 + 64]]


@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_hit_that_is_no_measurement_is_counted_named_and_summed_nowhere(column, value):
    hits = np.ones((4, 5), np.float32)
    hits[column, [2, 4]] = value
    image = np.empty((1, 3, 8, 9), np.float32)
    outside, rejected, first_rejected = deposit(tuple(hits), [0, 5], image)
    assert rejected.tolist() == [2] and first_rejected.tolist() == [2]
    assert image.sum(axis=(2, 3)).tolist() == [[3, 3, 3]] and not outside.any()


def test_negative_charge_is_rejected_and_its_neighbour_events_are_not():
    ones = np.ones(3, np.float32)
    image = np.empty((3, 3, 8, 9), np.float32)
    _, rejected, first_rejected = deposit((ones, ones, ones, np.array([1, -1e-45, 1], np.float32)), [0, 1, 2, 3], image)
    assert rejected.tolist() == [0, 1, 0] and first_rejected.tolist() == [-1, 0, -1]
    assert image.sum(axis=(1, 2, 3)).tolist() == [3, 0, 3]


def test_a_pixel_of_a_view_that_does_not_exist_is_rejected():
    hits = (np.array([2, 3], np.uint8), *np.zeros((2, 2), np.uint16), np.ones(2, np.float32))
    image = np.empty((1, 3, 8, 9), np.float32)
    _, rejected, first_rejected = raster.pixel_views(hits, [0, 2], np.zeros((1, 3, 2)), 1, image)
    assert rejected.tolist() == [1] and first_rejected.tolist() == [1]
    assert image.sum() == 1


@pytest.mark.parametrize("offsets", [[0], [0, 0, 0]])
def test_no_events_and_no_hits_give_empty_images(offsets):
    image = np.full((len(offsets) - 1, 3, 8, 9), CANARY, np.float32)
    no_hits = (np.empty(0, np.float32),) * 4
    deposit(no_hits, offsets, image)
    assert not image.any()


@settings(max_examples=40, deadline=None)
@given(pixel_hits)
def test_charge_of_every_good_pixel_is_in_the_image_or_outside_in_its_own_view(hits):
    hits = [hit for hit in hits if hit[3] != 1e30]
    image = np.empty((1, 3, 8, 9), np.float32)
    outside, _, _ = raster.pixel_views(*as_batch([hits], PIXEL_TYPES), np.full((1, 3, 2), 2), 4, image)
    for view in range(3):
        total = sum(hit[3] for hit in hits if hit[0] == view and 0 <= hit[3] < np.inf)
        assert image[0, view].sum(dtype=np.float64) + outside[0, view] == total


def test_every_hit_in_one_pixel_is_summed():
    num_hits = 100_000
    image = np.empty((1, 1, 8, 9), np.float32)
    deposit(tuple(np.full(num_hits, value, np.float32) for value in (11, 0, 21, 1)), [0, num_hits], image)
    assert image[0, 0, 2, 4] == num_hits == image.sum()


@pytest.mark.slow
def test_ten_million_hits_in_one_event_are_faster_than_numpy_adding_them():
    generator = np.random.default_rng(1)
    num_hits = 10_000_000
    x, z = generator.uniform(0, 512, (2, num_hits)).astype(np.float32)
    charge = np.ones(num_hits, np.float32)
    image = np.zeros((1, 1, 512, 512), np.float32)
    started = time.perf_counter()
    outside, _, _ = deposit((x, x, z, charge), [0, num_hits], image, pixel_mm=1.0)
    ours_s = time.perf_counter() - started
    expected = np.zeros((512, 512), np.float32)
    started = time.perf_counter()
    np.add.at(expected, (x.astype(np.int64), z.astype(np.int64)), charge)
    numpy_s = time.perf_counter() - started
    assert (image[0, 0] == expected).all() and outside.sum() == 0
    assert ours_s < 5 * numpy_s + 1, f"{ours_s:.2f} s for one event, np.add.at took {numpy_s:.2f} s"


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two numba threads")
def test_one_thread_and_two_give_the_same_bits():
    hits = np.random.default_rng(2).uniform(-10, 60, (4, 12_000)).astype(np.float32)
    offsets = np.arange(7) * 2000
    images = np.empty((2, 6, 3, 8, 9), np.float32)
    before = numba.get_num_threads()
    try:
        results = []
        for num_threads, image in zip((1, 2), images, strict=True):
            numba.set_num_threads(num_threads)
            levels = np.empty(image.shape, np.uint8)
            dropped = deposit(hits, offsets, image)
            windows = (PROJECTIONS, np.zeros((6, 3, 2)), np.full((3, 2), 5.0))
            results.append((image, *dropped, levels, *raster.deposit_levels(hits, offsets, *windows, EDGES, levels)))
    finally:
        numba.set_num_threads(before)
    assert_same_bits(*results)


CURVES = {
    "linear": lambda charge, full_scale: charge / full_scale,
    "sqrt": lambda charge, full_scale: np.sqrt(charge / full_scale),
    "log": lambda charge, full_scale: np.log1p(charge) / np.log1p(full_scale),
}


def levels_of(charge, edges):
    """Levels and number of saturated pixels of an image, its pixels given as hits: (E, V, H, W) and (E, V)."""
    num_events, *pixels = charge.shape
    plane, row, column = (np.broadcast_to(axis, charge.shape) for axis in np.indices(pixels))
    hits = tuple(values.ravel() for values in (plane, row, column, charge))
    levels = np.empty(charge.shape, np.uint8)
    offsets = np.arange(num_events + 1) * (charge.size // num_events)
    _, saturated, rejected, _ = raster.pixel_levels(
        hits, offsets, np.zeros((num_events, pixels[0], 2)), 1, edges, levels
    )
    assert not rejected.any()
    return levels, saturated


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("full_scale", [1.0, 255.0, 37.3])
def test_levels_are_the_curve_rounded_half_up(curve, full_scale):
    generator = np.random.default_rng(4)
    # 8 x 9 pixels a view: two blocks of 32 and a rest of 8
    charge = generator.uniform(0, 1.2 * full_scale, (50, 2, 8, 9)).astype(np.float32)
    charge[generator.random(charge.shape) < 0.7] = 0
    charge[0, 0, 0, :4] = [3e38, full_scale, np.nextafter(np.float32(full_scale), np.float32(np.inf)), 1e-45]
    levels, saturated = levels_of(charge, level_edges(curve, full_scale))
    exact = 255 * CURVES[curve](np.minimum(charge, full_scale).astype(np.float64), full_scale)
    # Half up, except where the curve itself is within its own rounding error of a half
    assert (np.abs(levels - exact) <= 0.5 + 1e-9).all()
    assert (levels[charge > full_scale] == 255).all()
    assert (saturated == (charge > full_scale).sum(axis=(2, 3))).all() and saturated.any()


def test_a_saturated_pixel_is_one_above_full_scale():
    charge = np.array([0, 100, 100.01, 5000], np.float32).reshape(1, 1, 2, 2)
    levels, saturated = levels_of(charge, level_edges("linear", 100.0))
    assert levels.ravel().tolist() == [0, 255, 255, 255]
    assert saturated.tolist() == [[2]]


@given(st.sampled_from(sorted(CURVES)), st.floats(1e-3, 1e6), st.integers(0, 99))
def test_a_level_is_the_number_of_edges_that_a_charge_has_reached(curve, full_scale, seed):
    """At edges and beside them too, where a guess from the charge could miss."""
    edges = level_edges(curve, full_scale)
    at = edges[np.random.default_rng(seed).integers(0, 255, 24)].astype(np.float32)
    charge = np.concatenate([at, np.nextafter(at, np.float32(0)), np.nextafter(at, np.float32(np.inf))])
    levels, _ = levels_of(charge.reshape(1, 1, 8, 9), edges)
    assert levels.ravel().tolist() == np.searchsorted(edges[:255], charge.astype(np.float64), side="right").tolist()


def test_a_half_is_rounded_up():
    levels, _ = levels_of(np.array([0.5, 1.5, 2.49], np.float32).reshape(1, 1, 1, 3), level_edges("linear", 255.0))
    assert levels.ravel().tolist() == [1, 2, 2]


def refusals():
    """Each a wrong argument of a kernel that is otherwise called rightly, and what the refusal says."""
    floats = np.zeros((1, 3, 8, 9), np.float32)
    yield {"offsets": [0, 2]}, "offsets must rise from 0 to the number of hits, 1"
    yield {"offsets": [1, 1]}, "offsets must rise"
    yield {"offsets": [0, 2, 1], "image": np.empty((2, 3, 8, 9), np.float32)}, "offsets must rise"
    yield {"offsets": [0]}, r"offsets must have shape \(2,\)"
    yield {"hits": (*np.ones((3, 1)), np.ones(2))}, "columns of equal length"
    yield {"projections": PROJECTIONS[:2]}, r"projections must have shape \(3, 2, 3\), got \(2, 2, 3\)"
    yield {"origin_mm": np.zeros((3, 2))}, r"origin_mm must have shape \(1, 3, 2\)"
    yield {"pixel_mm": np.zeros((3, 2))}, "pixel_mm must be positive"
    yield {"pixel_mm": np.full((3, 2), np.nan)}, "pixel_mm must be positive"
    yield {"image": floats.astype(np.float64)}, "image must be a contiguous float32 array"
    yield {"image": np.empty((1, 3, 8, 18), np.float32)[..., ::2]}, "image must be a contiguous"
    yield {"image": floats[0]}, "image must be a contiguous float32 array"


@pytest.mark.parametrize(("wrong", "message"), list(refusals()))
def test_arguments_with_which_a_kernel_would_leave_its_arrays_are_refused(wrong, message):
    right = {
        "hits": np.ones((4, 1)), "offsets": [0, 1], "projections": PROJECTIONS, "origin_mm": np.zeros((1, 3, 2)),
        "pixel_mm": np.ones((3, 2)), "image": np.empty((1, 3, 8, 9), np.float32),
    }  # fmt: skip
    raster.deposit_views(**right)
    with pytest.raises(ValueError, match=message):
        raster.deposit_views(**(right | wrong))


@pytest.mark.parametrize(
    ("edges", "levels", "message"),
    [
        (EDGES, np.empty((1, 3, 8, 9), np.int8), "levels must be a contiguous uint8 array"),
        (EDGES, np.empty((1, 3, 8, 18), np.uint8)[..., ::2], "levels must be a contiguous uint8 array"),
        (EDGES[:255], np.empty((1, 3, 8, 9), np.uint8), r"edges must have shape \(256,\), got \(255,\)"),
    ],
)
def test_levels_that_cannot_be_written_or_have_too_few_edges_are_refused(edges, levels, message):
    with pytest.raises(ValueError, match=message):
        raster.pixel_levels(np.zeros((4, 1)), [0, 1], np.zeros((1, 3, 2)), 1, edges, levels)


def test_a_pool_below_one_is_refused():
    with pytest.raises(ValueError, match="pool must be 1 or more, got 0"):
        raster.pixel_views(np.zeros((4, 1)), [0, 1], np.zeros((1, 3, 2)), 0, np.empty((1, 3, 8, 9), np.float32))


def test_an_unknown_curve_is_refused():
    with pytest.raises(ValueError, match="curve 'cubic' is unknown; use linear, sqrt or log"):
        level_edges("cubic", 1.0)
