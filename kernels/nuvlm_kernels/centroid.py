"""The middle of each event's charge: what a window of a picture may follow."""

import numpy as np
from numba import njit

from nuvlm_kernels.batch import DEPOSIT, PIXEL, check_hits


def deposit_centroids(hits, offsets):
    """Charge-weighted mean position [mm] of each event's deposits, float64 (E, 3); not finite without charge.

    hits     x_mm, y_mm, z_mm, charge: float32 (N,) each
    offsets  int64 (E + 1,): hits of event e are offsets[e] to offsets[e + 1]

    A charge that is none (NaN, negative) weighs nothing; the rasterizers refuse it, and name it.
    """
    columns, offsets = check_hits(hits, DEPOSIT, offsets)
    centroid_mm = np.empty((len(offsets) - 1, 3))
    _deposit_centroids(*columns, offsets, centroid_mm)
    return centroid_mm


def pixel_centroids(hits, offsets, num_views):
    """Charge-weighted mean row and column of each event in each view, float64 (E, V, 2); not finite without charge.

    hits  plane uint8, row uint16, column uint16, charge float32: (N,) each; of planes beyond the views none counts
    """
    columns, offsets = check_hits(hits, PIXEL, offsets)
    centroid = np.empty((len(offsets) - 1, num_views, 2))
    _pixel_centroids(*columns, offsets, centroid)
    return centroid


@njit(cache=True, nogil=True, error_model="numpy")
def _deposit_centroids(x_mm, y_mm, z_mm, charge, offsets, centroid_mm):
    for event in range(len(offsets) - 1):
        total, x, y, z = 0.0, 0.0, 0.0, 0.0
        for hit in range(offsets[event], offsets[event + 1]):
            weight = np.float64(charge[hit]) if charge[hit] > 0 else 0.0
            total += weight
            x += weight * x_mm[hit]
            y += weight * y_mm[hit]
            z += weight * z_mm[hit]
        centroid_mm[event, 0], centroid_mm[event, 1], centroid_mm[event, 2] = x / total, y / total, z / total


@njit(cache=True, nogil=True, error_model="numpy")
def _pixel_centroids(plane, row, column, charge, offsets, centroid):
    num_views = centroid.shape[1]
    total = np.empty(num_views)
    for event in range(len(offsets) - 1):
        total[:] = 0
        centroid[event] = 0
        for hit in range(offsets[event], offsets[event + 1]):
            view = plane[hit]
            if view < num_views and charge[hit] > 0:
                weight = np.float64(charge[hit])
                total[view] += weight
                centroid[event, view, 0] += weight * row[hit]
                centroid[event, view, 1] += weight * column[hit]
        for view in range(num_views):
            centroid[event, view, 0] /= total[view]
            centroid[event, view, 1] /= total[view]
