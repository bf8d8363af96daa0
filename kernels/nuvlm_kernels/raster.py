"""Rasterizing: hits of a batch of events -> charge images -> 8-bit images.

Every function works on a whole batch, whose hits are concatenated columns; hits of event e are
offsets[e] to offsets[e + 1]. Threads share the work by event and never meet in one image, and hits
are summed in the order in which they come, so the bits do not depend on the number of threads.
A hit that is no measurement (NaN, infinite, negative charge) is summed nowhere, only counted.

The threads are those of OpenMP where it is installed, and GNU OpenMP ends a process that forks after it
has used them: start data workers by spawn or forkserver, or draw in the process that trains.
"""

import math

import numpy as np
from numba import get_num_threads, njit, prange

from nuvlm_kernels.batch import check_deposits, check_levels, check_output, check_pixels
from nuvlm_kernels.levels import level_event


def deposit_views(hits, offsets, projections, origin_mm, pixel_mm, image):
    """Overwrite `image` with the charge of deposits; return (outside, rejected, first_rejected).

    hits         x_mm, y_mm, z_mm, charge: float32 (N,) each
    projections  (V, 2, 3) direction of rows and of columns; origin_mm (E, V, 2); pixel_mm (V, 2)
    image        float32 (E, V, H, W)

    Row = floor((row direction . position - origin) / pixel) in float64, likewise column: a hit on an edge
    belongs to the pixel above it. `outside` (E, V) is the charge that fell outside each view, `rejected`
    (E,) the number of hits that are no measurement, `first_rejected` (E,) the index within the event of
    the first of them, or -1.
    """
    check_output("image", image, np.float32, image.shape)
    dropped, arguments = check_deposits(hits, offsets, projections, origin_mm, pixel_mm, image.shape)
    _deposit_batch(*arguments, image, *dropped)
    return dropped


def pixel_views(hits, offsets, origin, pool, image):
    """Overwrite `image` with the charge of readout pixels; return (outside, rejected, first_rejected).

    hits    plane uint8, row uint16, column uint16, charge float32: (N,) each
    origin  int64 (E, V, 2) native row and column where each image begins; pool: native pixels to an image pixel
    image   float32 (E, V, H, W)

    Row = floor((row - origin) / pool), likewise column. A hit whose plane is not one of the V views is
    rejected too; otherwise what comes back is as of `deposit_views`.
    """
    check_output("image", image, np.float32, image.shape)
    dropped, arguments = check_pixels(hits, offsets, origin, pool, image.shape)
    _pixel_batch(*arguments, image, *dropped)
    return dropped


def deposit_levels(hits, offsets, projections, origin_mm, pixel_mm, edges, levels):
    """Overwrite `levels` (uint8) with what `deposit_views` gives, as levels of `levels.level_edges`.

    Return (outside, saturated, rejected, first_rejected), `saturated` (E, V) being the number of saturated
    pixels. A thread keeps one event's charge, and clears of it what the event lit.
    """
    dropped, arguments = check_deposits(hits, offsets, projections, origin_mm, pixel_mm, levels.shape)
    edges, saturated = check_levels(edges, levels)
    _deposit_levels_batch(*arguments, edges, levels, saturated, get_num_threads(), *dropped)
    outside, rejected, first_rejected = dropped
    return outside, saturated, rejected, first_rejected


def pixel_levels(hits, offsets, origin, pool, edges, levels):
    """As `deposit_levels`, of what `pixel_views` gives."""
    dropped, arguments = check_pixels(hits, offsets, origin, pool, levels.shape)
    edges, saturated = check_levels(edges, levels)
    _pixel_levels_batch(*arguments, edges, levels, saturated, get_num_threads(), *dropped)
    outside, rejected, first_rejected = dropped
    return outside, saturated, rejected, first_rejected


# Hits are placed and added in blocks: a block stays in the cache nearest to the core between the two
BLOCK_HITS = 1024
# Where a hit is that no pixel shows, and one that is no measurement
OUTSIDE, NO_HIT = -1, -2


@njit(cache=True, nogil=True, parallel=True)
def _deposit_batch(
    x_mm, y_mm, z_mm, charge, offsets, projections, origin_mm, pixel_mm, image, outside, rejected, first_rejected
):
    for event in prange(len(offsets) - 1):
        hits = slice(offsets[event], offsets[event + 1])
        image[event] = 0
        rejected[event], first_rejected[event], _ = _deposit_event(
            x_mm[hits], y_mm[hits], z_mm[hits], charge[hits],
            projections, origin_mm[event], pixel_mm, image[event], np.empty(0, np.int32), outside[event],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _deposit_event(x_mm, y_mm, z_mm, charge, projections, origin_mm, pixel_mm, image, touched, outside):
    """Add the hits of an event to `image`, and list the pixels that were 0 before, (view, row, column) as one number.

    Nothing is listed where `touched` is empty; elsewhere it has room for a pixel of every hit in every view, and one
    more. Returns (rejected, first_rejected, number listed).
    """
    num_views, num_rows, num_columns = image.shape
    flat, place, is_hit = image.ravel(), np.empty(BLOCK_HITS, np.int32), np.empty(BLOCK_HITS, np.bool_)
    rejected, first_rejected, num_touched = 0, -1, 0
    for start in range(0, len(charge), BLOCK_HITS):
        block = slice(start, min(start + BLOCK_HITS, len(charge)))
        x, y, z, q = x_mm[block], y_mm[block], z_mm[block], charge[block]
        num_bad = _measurements(x, y, z, q, is_hit)
        if num_bad > 0 and rejected == 0:
            first_rejected = start + np.argmin(is_hit[: len(q)])
        rejected += num_bad
        for view in range(num_views):
            _deposit_places(
                x, y, z, is_hit, projections[view], origin_mm[view], pixel_mm[view],
                num_rows, num_columns, view * num_rows * num_columns, place,
            )  # fmt: skip
            num_touched, lost = _add(q, place, flat, touched, num_touched, outside[view])
            outside[view] = lost
    return rejected, first_rejected, num_touched


# Loops without branches over contiguous columns, of which the compiler does eight hits at once: four times as fast


@njit(cache=True, nogil=True)
def _measurements(x_mm, y_mm, z_mm, charge, is_hit):
    """Mark the hits that are measurements; returns how many are none."""
    num_bad = 0
    for hit in range(len(charge)):
        # A float64 sum of float32 cannot overflow, so it is finite exactly if every term is
        total = np.float64(x_mm[hit]) + np.float64(y_mm[hit]) + np.float64(z_mm[hit]) + np.float64(charge[hit])
        good = (abs(total) < math.inf) & (charge[hit] >= 0)
        is_hit[hit] = good
        num_bad += not good
    return num_bad


@njit(cache=True, nogil=True, error_model="numpy")
def _deposit_places(x_mm, y_mm, z_mm, is_hit, projection, origin_mm, pixel_mm, num_rows, num_columns, first, place):
    """Number of the pixel that shows each hit in a view whose pixels begin at number `first`; OUTSIDE, NO_HIT."""
    row_x, row_y, row_z = projection[0, 0], projection[0, 1], projection[0, 2]
    column_x, column_y, column_z = projection[1, 0], projection[1, 1], projection[1, 2]
    low_row, low_column, row_mm, column_mm = origin_mm[0], origin_mm[1], pixel_mm[0], pixel_mm[1]
    first, stride = np.int32(first), np.int32(num_columns)
    for hit in range(len(x_mm)):
        x, y, z = np.float64(x_mm[hit]), np.float64(y_mm[hit]), np.float64(z_mm[hit])
        row = (row_x * x + row_y * y + row_z * z - low_row) / row_mm
        column = (column_x * x + column_y * y + column_z * z - low_column) / column_mm
        # Compared as floats: 1e9 mm does not fit every integer type
        inside = (row >= 0) & (row < num_rows) & (column >= 0) & (column < num_columns)
        pixel = np.int32(first + np.int32(row) * stride + np.int32(column))
        shown = pixel if inside else np.int32(OUTSIDE)
        place[hit] = shown if is_hit[hit] else np.int32(NO_HIT)


@njit(cache=True, nogil=True)
def _add(charge, place, flat, touched, num_touched, outside):
    """Add charges to their pixels; returns the number of pixels listed, and the charge outside."""
    lists = len(touched) > 0
    for hit in range(len(charge)):
        pixel, q = place[hit], charge[hit]
        if pixel >= 0:
            if lists:
                # Written always, and kept where it counts: what is new among pixels cannot be foretold
                touched[num_touched] = pixel
                num_touched += (flat[pixel] == 0) & (q > 0)
            flat[pixel] += q
        elif pixel == OUTSIDE:
            outside += q
    return num_touched, outside


@njit(cache=True, nogil=True, parallel=True)
def _pixel_batch(plane, row, column, charge, offsets, origin, pool, image, outside, rejected, first_rejected):
    for event in prange(len(offsets) - 1):
        hits = slice(offsets[event], offsets[event + 1])
        image[event] = 0
        rejected[event], first_rejected[event], _ = _pixel_event(
            plane[hits], row[hits], column[hits], charge[hits],
            origin[event], pool, image[event], np.empty(0, np.int32), outside[event],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _pixel_event(plane, row, column, charge, origin, pool, image, touched, outside):
    """As _deposit_event."""
    num_views, num_rows, num_columns = image.shape
    flat, lists = image.ravel(), len(touched) > 0
    rejected, first_rejected, num_touched = 0, -1, 0
    for hit in range(len(charge)):
        view, q = plane[hit], charge[hit]
        if not (math.isfinite(q) and q >= 0 and view < num_views):
            if rejected == 0:
                first_rejected = hit
            rejected += 1
            continue
        native_row = np.int64(row[hit]) - origin[view, 0]
        native_column = np.int64(column[hit]) - origin[view, 1]
        if 0 <= native_row < num_rows * pool and 0 <= native_column < num_columns * pool:
            pixel = (np.int64(view) * num_rows + native_row // pool) * num_columns + native_column // pool
            if lists:
                touched[num_touched] = pixel
                num_touched += (flat[pixel] == 0) & (q > 0)
            flat[pixel] += q
        else:
            outside[view] += q
    return rejected, first_rejected, num_touched


@njit(cache=True, nogil=True, parallel=True)
def _deposit_levels_batch(
    x_mm, y_mm, z_mm, charge, offsets, projections, origin_mm, pixel_mm,
    edges, levels, saturated, num_threads, outside, rejected, first_rejected,
):  # fmt: skip
    num_events = len(offsets) - 1
    for thread in prange(num_threads):
        # One view at a time: the charge of all of them does not fit into a core's own cache, and of one it does
        image, touched = _workspace(levels[:, :1], offsets)
        for event in range(thread, num_events, num_threads):
            hits = slice(offsets[event], offsets[event + 1])
            for view in range(levels.shape[1]):
                one = slice(view, view + 1)
                rejected[event], first_rejected[event], num_touched = _deposit_event(
                    x_mm[hits], y_mm[hits], z_mm[hits], charge[hits],
                    projections[one], origin_mm[event, one], pixel_mm[one], image, touched, outside[event, one],
                )  # fmt: skip
                level_event(image, touched[:num_touched], edges, levels[event, one], saturated[event, one])


@njit(cache=True, nogil=True, parallel=True)
def _pixel_levels_batch(
    plane, row, column, charge, offsets, origin, pool,
    edges, levels, saturated, num_threads, outside, rejected, first_rejected,
):  # fmt: skip
    num_events = len(offsets) - 1
    for thread in prange(num_threads):
        image, touched = _workspace(levels, offsets)
        for event in range(thread, num_events, num_threads):
            hits = slice(offsets[event], offsets[event + 1])
            rejected[event], first_rejected[event], num_touched = _pixel_event(
                plane[hits], row[hits], column[hits], charge[hits],
                origin[event], pool, image, touched, outside[event],
            )  # fmt: skip
            level_event(image, touched[:num_touched], edges, levels[event], saturated[event])


@njit(cache=True, nogil=True)
def _workspace(levels, offsets):
    """Charge of one event, and room for the pixels that it lights: zero between events, so that no more is cleared."""
    most_hits = 1
    for event in range(len(offsets) - 1):
        most_hits = max(most_hits, offsets[event + 1] - offsets[event])
    return np.zeros(levels.shape[1:], np.float32), np.empty(most_hits * levels.shape[1] + 1, np.int32)
