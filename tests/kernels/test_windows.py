import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nuvlm_kernels import windows

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

ROWS, COLUMNS = 500, 500


def first_dense_slowly(lit, num_rows):
    padded = np.concatenate([lit, np.zeros(windows.NEXT_WIRES, bool)])
    counts = [padded[wire + 1 : wire + 21].sum() for wire in range(max(0, len(lit) - num_rows))]
    return next((wire for wire, count in enumerate(counts) if count > 15), -1)


@given(arrays(bool, st.integers(1, 200)), st.integers(1, 150))
def test_the_first_dense_wire_is_that_of_a_slow_search(lit, num_rows):
    assert windows.first_dense_wire(lit, num_rows) == first_dense_slowly(lit, num_rows)


def place(wires, column=None, is_reversed=False, scan=True):
    wires = np.asarray(wires, np.int64)
    column = np.zeros(len(wires)) if column is None else np.asarray(column, float)
    return windows.place_hits(wires, column, ROWS, COLUMNS, scan, is_reversed)


def test_a_track_begins_at_row_1_and_what_precedes_it_by_much_is_cut():
    track = np.arange(1000, 1200)
    assert place(track)[0][0] == 1
    rows = place(np.concatenate([[500], track]))[0]
    # Four empty wires are left before the track, as in 85 % of the published maps
    assert rows[0] == -1 and rows[1] == 5 and rows[-1] == 204


def test_a_short_event_ends_with_the_last_row_of_a_reversed_view():
    rows = place(np.arange(1000, 1200), is_reversed=True)[0]
    assert rows[-1] == ROWS - 1 and rows[0] == ROWS - 200


def test_a_long_event_begins_at_the_low_edge_of_a_reversed_view():
    rows = place(np.arange(1000, 1700), is_reversed=True)[0]
    assert rows[0] == 5 and (rows[495:] == -1).all()


def test_sparse_hits_begin_at_row_1():
    rows = place(np.arange(0, 900, 9))[0]
    assert rows[0] == 1 and rows.max() < ROWS and (rows == -1).any()


def test_the_map_is_centred_on_the_mean_time_and_cut_at_250_columns():
    rows, columns, _, begin = place(np.arange(100), np.concatenate([[-300.0, 300.0], np.zeros(98)]))
    assert begin == -250.0
    assert columns.tolist()[:3] == [-1, -1, 250] and (rows[:2] == -1).all()


def test_the_simple_placement_begins_at_the_first_hit():
    assert place([7, 30, 900], scan=False)[0].tolist() == [0, 23, -1]


def test_no_hits_give_no_pixels():
    assert all(len(part) == 0 for part in place([])[:2])


def test_pixels_sum_their_hits_and_come_in_order():
    row, column, charge, outside = windows.sum_pixels(
        np.array([2, 0, 2, -1, 1]), np.array([3, 1, 3, -1, 4]), np.array([1.0, 2.0, 4.0, 8.0, 0.0]), 5, 5
    )
    assert (row.tolist(), column.tolist(), charge.tolist(), outside) == ([0, 2], [1, 3], [2.0, 5.0], 8.0)


@pytest.mark.parametrize("is_reversed", [False, True])
def test_no_hit_is_lost_that_fits(is_reversed):
    wires = np.random.default_rng(5).permutation(np.arange(-200, 290))
    assert (place(wires, is_reversed=is_reversed)[0] >= 0).all()
