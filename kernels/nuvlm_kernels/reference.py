"""The kernels again in slow, plain NumPy: what tests compare the fast ones with, bit for bit."""

import numpy as np


def deposit_views(hits, offsets, projections, origin_mm, pixel_mm, image):
    image[:] = 0
    num_events, num_views = image.shape[:2]
    dropped = _nothing_dropped(num_events, num_views)
    for event in range(num_events):
        x, y, z, charge = (column[offsets[event] : offsets[event + 1]] for column in hits)
        good = np.isfinite(x) & np.isfinite(y) & np.isfinite(z) & np.isfinite(charge) & (charge >= 0)
        _count_rejected(good, event, dropped)
        x, y, z = (column[good].astype(np.float64) for column in (x, y, z))
        for view in range(num_views):
            row, column = (
                np.floor((a * x + b * y + c * z - origin_mm[event, view, axis]) / pixel_mm[view, axis])
                for axis, (a, b, c) in enumerate(projections[view])
            )
            dropped[0][event, view] = _add(image[event, view], row, column, charge[good])
    return dropped


def pixel_views(hits, offsets, origin, pool, image):
    image[:] = 0
    num_events, num_views = image.shape[:2]
    dropped = _nothing_dropped(num_events, num_views)
    for event in range(num_events):
        plane, row, column, charge = (column[offsets[event] : offsets[event + 1]] for column in hits)
        good = np.isfinite(charge) & (charge >= 0) & (plane < num_views)
        _count_rejected(good, event, dropped)
        for view in range(num_views):
            here = good & (plane == view)
            image_row = (row[here].astype(np.int64) - origin[event, view, 0]) // pool
            image_column = (column[here].astype(np.int64) - origin[event, view, 1]) // pool
            dropped[0][event, view] = _add(image[event, view], image_row, image_column, charge[here])
    return dropped


def to_levels(image, edges, levels):
    num_edges_passed = np.searchsorted(edges, image.astype(np.float64), side="right")
    levels[:] = np.minimum(num_edges_passed, 255)
    return (num_edges_passed == 256).sum(axis=(2, 3))


def _add(picture, row, column, charge):
    """Add to the picture in the order of the hits; return the charge outside, summed in that order too."""
    inside = (row >= 0) & (row < picture.shape[0]) & (column >= 0) & (column < picture.shape[1])
    np.add.at(picture, (row[inside].astype(np.int64), column[inside].astype(np.int64)), charge[inside])
    outside = np.zeros(1)
    np.add.at(outside, np.zeros((~inside).sum(), np.int64), charge[~inside])
    return outside[0]


def _nothing_dropped(num_events, num_views):
    return np.zeros((num_events, num_views)), np.zeros(num_events, np.int64), np.full(num_events, -1, np.int64)


def _count_rejected(good, event, dropped):
    _, rejected, first_rejected = dropped
    rejected[event] = (~good).sum()
    if rejected[event]:
        first_rejected[event] = np.argmin(good)
