"""Hits of a wire plane -> pixels of its map: where the window of a map lies, and what its pixels hold.

The rule is the one by which the published DUNE maps were cut (LArSoft's CVN pixel maps: DUNE, PRD 102 (2020) 092003),
found again on 1,000 of them. In time the map is centred on the mean of the view's hits. In wires it begins where charge
begins to be dense: at the first wire, of the 2880 from one before the first hit, after which fewer than 5 of 20 wires
are empty. A view counted from the far end (V) is searched in 2880 wires that end with the last hit, and its map begins
500 before the end at the latest: a short event lies at the high edge of that map, and at the low edge of the others.

A view without dense charge is empty by the published rule unless it is V; there are no such events among the published
ones. Here its map begins at its first hit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

SEARCHED_WIRES = 2880
NEXT_WIRES, LARGEST_EMPTY = 20, 4


@njit(cache=True, nogil=True)
def first_dense_wire(lit, num_rows):
    """First of `lit` (W,) bool after which it is dense, not after W - num_rows; -1 if there is none."""
    for wire in range(max(0, len(lit) - num_rows)):
        empty = 0
        for following in range(wire + 1, wire + 1 + NEXT_WIRES):
            empty += not (following < len(lit) and lit[following])
        if empty <= LARGEST_EMPTY:
            return wire
    return -1


@njit(cache=True, nogil=True)
def first_row(wire, in_time, num_rows, scan, is_reversed):
    """Wire that becomes row 0 of the map; `in_time` (H,) bool tells the hits that lie within it in time."""
    if not in_time.any():
        return 0
    lowest, highest = wire[in_time].min(), wire[in_time].max()
    if not scan:
        return lowest
    first = highest - SEARCHED_WIRES + 1 if is_reversed else lowest - 1
    lit = np.zeros(SEARCHED_WIRES, np.bool_)
    for hit in range(len(wire)):
        if in_time[hit] and 0 <= wire[hit] - first < SEARCHED_WIRES:
            lit[wire[hit] - first] = True
    dense = first_dense_wire(lit, num_rows)
    if dense < 0:
        dense = SEARCHED_WIRES - num_rows if is_reversed else 0
    return first + dense


@njit(cache=True, nogil=True)
def place_hits(wire, column, num_rows, num_columns, scan, is_reversed):
    """Row and column of each hit in the map (-1: outside); the wire of row 0 and the time at which column 0 begins.

    `column` (H,) float is the time of each hit, in columns.
    """
    row, pixel_column = np.empty(len(wire), np.int64), np.empty(len(wire), np.int64)
    if len(wire) == 0:
        return row, pixel_column, 0, 0.0
    begin = column.mean() - 0.5 * num_columns
    in_time = np.empty(len(wire), np.bool_)
    for hit in range(len(wire)):
        pixel_column[hit] = math.floor(column[hit] - begin)
        in_time[hit] = 0 <= pixel_column[hit] < num_columns
    top = first_row(wire, in_time, num_rows, scan, is_reversed)
    for hit in range(len(wire)):
        row[hit] = wire[hit] - top
        if not (in_time[hit] and 0 <= row[hit] < num_rows):
            row[hit], pixel_column[hit] = -1, -1
    return row, pixel_column, top, begin


@njit(cache=True, nogil=True)
def sum_pixels(row, column, charge, num_rows, num_columns):
    """Row, column and summed charge of each pixel that holds a hit, in order; and the charge outside the map."""
    image = np.zeros(num_rows * num_columns)
    lit = np.empty(len(row), np.int64)
    count, outside = 0, 0.0
    for hit in range(len(row)):
        if row[hit] < 0:
            outside += charge[hit]
            continue
        pixel = row[hit] * num_columns + column[hit]
        if charge[hit] > 0.0:
            if image[pixel] == 0.0:
                lit[count] = pixel
                count += 1
            image[pixel] += charge[hit]
    lit = np.sort(lit[:count])
    return lit // num_columns, lit % num_columns, image[lit], outside
