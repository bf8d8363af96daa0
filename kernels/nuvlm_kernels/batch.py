"""Arguments of the rasterizers, checked and in the one form that kernels are compiled for; room for what they count."""

import numpy as np

# x_mm, y_mm, z_mm, charge of deposits; plane, row, column, charge of readout pixels
DEPOSIT, PIXEL = (np.float32,) * 4, (np.uint8, np.uint16, np.uint16, np.float32)


def check_deposits(hits, offsets, projections, origin_mm, pixel_mm, shape):
    """Room for what is dropped, and the arguments in the one form that the kernels are compiled for."""
    num_events, num_views = shape[:2]
    columns, offsets = check_hits(hits, DEPOSIT, offsets, num_events)
    projections = _array("projections", projections, np.float64, (num_views, 2, 3))
    origin_mm = _array("origin_mm", origin_mm, np.float64, (num_events, num_views, 2))
    pixel_mm = _array("pixel_mm", pixel_mm, np.float64, (num_views, 2))
    if not (pixel_mm > 0).all():
        raise ValueError(f"pixel_mm must be positive, got {pixel_mm.tolist()}")
    return _nothing_dropped(num_events, num_views), (*columns, offsets, projections, origin_mm, pixel_mm)


def check_pixels(hits, offsets, origin, pool, shape):
    """As check_deposits, for readout pixels."""
    num_events, num_views = shape[:2]
    columns, offsets = check_hits(hits, PIXEL, offsets, num_events)
    origin = _array("origin", origin, np.int64, (num_events, num_views, 2))
    if pool < 1:
        raise ValueError(f"pool must be 1 or more, got {pool}")
    return _nothing_dropped(num_events, num_views), (*columns, offsets, origin, int(pool))


def check_levels(edges, levels):
    """The edges in the form that the kernels are compiled for, and room for the number of saturated pixels."""
    check_output("levels", levels, np.uint8, levels.shape)
    return _array("edges", edges, np.float64, (256,)), np.zeros(levels.shape[:2], np.int64)


def check_hits(hits, dtypes, offsets, num_events=None):
    """The columns and offsets in the form that the kernels are compiled for; without a number, any number of events."""
    columns = tuple(np.ascontiguousarray(column, dtype) for column, dtype in zip(hits, dtypes, strict=True))
    if any(column.shape != (len(columns[0]),) for column in columns):
        raise ValueError(f"hits must be columns of equal length, got {[column.shape for column in columns]}")
    num_hits, num_events = len(columns[0]), len(offsets) - 1 if num_events is None else num_events
    offsets = _array("offsets", offsets, np.int64, (num_events + 1,))
    if offsets[0] != 0 or offsets[-1] != num_hits or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must rise from 0 to the number of hits, {num_hits}; got {offsets.tolist()}")
    return columns, offsets


def _array(name, values, dtype, shape):
    array = np.ascontiguousarray(values, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array


def check_output(name, array, dtype, shape):
    """Refuse what a kernel could not address as a whole: it is written in place, so it cannot be converted."""
    if array.dtype != dtype or array.shape != shape or array.ndim != 4 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be a contiguous {np.dtype(dtype)} array of shape {shape} (events, views, rows, columns), "
            f"got {array.dtype} {array.shape}"
        )


def _nothing_dropped(num_events, num_views):
    return np.zeros((num_events, num_views)), np.zeros(num_events, np.int64), np.full(num_events, -1, np.int64)
