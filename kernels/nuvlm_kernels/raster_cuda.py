"""Rasterizing on an NVIDIA device: the functions of raster.py, with the same arguments and the same rules.

An event has a block of threads, which share its hits. They add where they meet, so that sums come in any order: a pixel
differs from raster.py's by the rounding of float32, and all else is equal. Arrays may lie on the device or in memory;
those in memory are copied there and back.
"""

import math

import numpy as np
from numba import cuda

from nuvlm_kernels import batch

THREADS = 256
NO_HIT = np.iinfo(np.int64).max


def deposit_views(hits, offsets, projections, origin_mm, pixel_mm, image):
    """As raster.deposit_views."""
    _check_image(image)
    dropped, arguments = batch.check_deposits(hits, offsets, projections, origin_mm, pixel_mm, image.shape)
    return _run(_deposit_event, arguments, image, dropped)


def pixel_views(hits, offsets, origin, pool, image):
    """As raster.pixel_views."""
    _check_image(image)
    dropped, arguments = batch.check_pixels(hits, offsets, origin, pool, image.shape)
    return _run(_pixel_event, arguments, image, dropped)


def deposit_levels(hits, offsets, projections, origin_mm, pixel_mm, edges, levels):
    """As raster.deposit_levels."""
    dropped, arguments = batch.check_deposits(hits, offsets, projections, origin_mm, pixel_mm, levels.shape)
    return _run_levels(_deposit_event, arguments, edges, levels, dropped)


def pixel_levels(hits, offsets, origin, pool, edges, levels):
    """As raster.pixel_levels."""
    dropped, arguments = batch.check_pixels(hits, offsets, origin, pool, levels.shape)
    return _run_levels(_pixel_event, arguments, edges, levels, dropped)


def _check_image(image):
    """As raster does, of an array in memory; one on the device is contiguous, or its maker says so."""
    if isinstance(image, np.ndarray):
        batch.check_output("image", image, np.float32, image.shape)
    elif image.dtype != np.float32 or image.ndim != 4:
        raise ValueError(f"image must be float32 (events, views, rows, columns), got {image.dtype} {image.shape}")


def _run(kernel, arguments, image, dropped):
    outside, rejected, first_rejected = dropped
    first_rejected[:] = NO_HIT
    if len(rejected):
        kernel[len(rejected), THREADS](*arguments, image, outside, rejected, first_rejected)
    first_rejected[first_rejected == NO_HIT] = -1
    return dropped


def _run_levels(kernel, arguments, edges, levels, dropped):
    """The charge stays on the device."""
    edges, saturated = batch.check_levels(edges, levels)
    image = cuda.device_array(levels.shape, np.float32)
    outside, rejected, first_rejected = _run(kernel, arguments, image, dropped)
    if len(rejected):
        _level_event[len(rejected), THREADS](image, edges, levels, saturated)
    return outside, saturated, rejected, first_rejected


@cuda.jit
def _deposit_event(
    x_mm, y_mm, z_mm, charge, offsets, projections, origin_mm, pixel_mm, image, outside, rejected, first_rejected
):
    event = cuda.blockIdx.x
    _clear(image, event)
    for hit in range(offsets[event] + cuda.threadIdx.x, offsets[event + 1], cuda.blockDim.x):
        x, y, z, q = np.float64(x_mm[hit]), np.float64(y_mm[hit]), np.float64(z_mm[hit]), charge[hit]
        if not (math.isfinite(x + y + z + q) and q >= 0):
            _reject(rejected, first_rejected, event, hit - offsets[event])
            continue
        for view in range(image.shape[1]):
            row = projections[view, 0, 0] * x + projections[view, 0, 1] * y + projections[view, 0, 2] * z
            column = projections[view, 1, 0] * x + projections[view, 1, 1] * y + projections[view, 1, 2] * z
            row = (row - origin_mm[event, view, 0]) / pixel_mm[view, 0]
            column = (column - origin_mm[event, view, 1]) / pixel_mm[view, 1]
            if 0 <= row < image.shape[2] and 0 <= column < image.shape[3]:
                cuda.atomic.add(image, (event, view, int(row), int(column)), q)
            else:
                cuda.atomic.add(outside, (event, view), np.float64(q))


@cuda.jit
def _pixel_event(plane, row, column, charge, offsets, origin, pool, image, outside, rejected, first_rejected):
    event = cuda.blockIdx.x
    _clear(image, event)
    for hit in range(offsets[event] + cuda.threadIdx.x, offsets[event + 1], cuda.blockDim.x):
        view, q = plane[hit], charge[hit]
        if not (math.isfinite(q) and q >= 0 and view < image.shape[1]):
            _reject(rejected, first_rejected, event, hit - offsets[event])
            continue
        native_row = np.int64(row[hit]) - origin[event, view, 0]
        native_column = np.int64(column[hit]) - origin[event, view, 1]
        if 0 <= native_row < image.shape[2] * pool and 0 <= native_column < image.shape[3] * pool:
            cuda.atomic.add(image, (event, view, native_row // pool, native_column // pool), q)
        else:
            cuda.atomic.add(outside, (event, view), np.float64(q))


@cuda.jit(device=True)
def _clear(image, event):
    """All of the block's threads together."""
    num_rows, num_columns = image.shape[2], image.shape[3]
    for pixel in range(cuda.threadIdx.x, image.shape[1] * num_rows * num_columns, cuda.blockDim.x):
        view, rest = pixel // (num_rows * num_columns), pixel % (num_rows * num_columns)
        image[event, view, rest // num_columns, rest % num_columns] = 0
    cuda.syncthreads()


@cuda.jit(device=True)
def _reject(rejected, first_rejected, event, hit):
    cuda.atomic.add(rejected, event, 1)
    cuda.atomic.min(first_rejected, event, hit)


@cuda.jit
def _level_event(image, edges, levels, saturated):
    event = cuda.blockIdx.x
    num_rows, num_columns = image.shape[2], image.shape[3]
    for pixel in range(cuda.threadIdx.x, image.shape[1] * num_rows * num_columns, cuda.blockDim.x):
        view, rest = pixel // (num_rows * num_columns), pixel % (num_rows * num_columns)
        charge = image[event, view, rest // num_columns, rest % num_columns]
        # The number of edges at or below: that of the 255 levels, and one more if it is saturated
        low, high = 0, 255
        while low < high:
            middle = (low + high) // 2
            if edges[middle] <= charge:
                low = middle + 1
            else:
                high = middle
        levels[event, view, rest // num_columns, rest % num_columns] = low
        if edges[255] <= charge:
            cuda.atomic.add(saturated, (event, view), 1)
