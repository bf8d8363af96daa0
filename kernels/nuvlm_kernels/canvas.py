"""Canvas: a float32 batch that is drawn on again and again, where only what was lit before is cleared.

A picture of a liquid-argon detector is black but for one pixel in a hundred: to clear it all takes longer than to draw.
"""

import numpy as np
from numba import njit, prange

from nuvlm_kernels import batch, raster


class Canvas:
    """`image`: float32 (E, V, H, W). What is drawn is there until the next drawing; nobody else may write to it."""

    def __init__(self, num_events, num_views, num_rows, num_columns):
        self.image = np.zeros((num_events, num_views, num_rows, num_columns), np.float32)
        self._lit = np.empty((num_events, 1), np.int32)
        self._num_lit = np.zeros(num_events, np.int64)

    def deposit_views(self, hits, offsets, projections, origin_mm, pixel_mm):
        """As raster.deposit_views, into `image`."""
        dropped, arguments = batch.check_deposits(hits, offsets, projections, origin_mm, pixel_mm, self.image.shape)
        self._make_room(arguments[4])
        _deposit_canvas(*arguments, self.image, self._lit, self._num_lit, *dropped)
        return dropped

    def pixel_views(self, hits, offsets, origin, pool):
        """As raster.pixel_views, into `image`."""
        dropped, arguments = batch.check_pixels(hits, offsets, origin, pool, self.image.shape)
        self._make_room(arguments[4])
        _pixel_canvas(*arguments, self.image, self._lit, self._num_lit, *dropped)
        return dropped

    def _make_room(self, offsets):
        """For every pixel that an event of so many hits can light; what is lit now stays known."""
        most = int(np.diff(offsets).max(initial=0)) * self.image.shape[1] + 1
        if most > self._lit.shape[1]:
            larger = np.empty((len(self._lit), most), np.int32)
            larger[:, : self._lit.shape[1]] = self._lit
            self._lit = larger


@njit(cache=True, nogil=True, parallel=True)
def _deposit_canvas(
    x_mm, y_mm, z_mm, charge, offsets, projections, origin_mm, pixel_mm,
    image, lit, num_lit, outside, rejected, first_rejected,
):  # fmt: skip
    for event in prange(len(offsets) - 1):
        _clear(image[event], lit[event, : num_lit[event]])
        hits = slice(offsets[event], offsets[event + 1])
        rejected[event], first_rejected[event], num_lit[event] = raster._deposit_event(
            x_mm[hits], y_mm[hits], z_mm[hits], charge[hits],
            projections, origin_mm[event], pixel_mm, image[event], lit[event], outside[event],
        )  # fmt: skip


@njit(cache=True, nogil=True, parallel=True)
def _pixel_canvas(
    plane, row, column, charge, offsets, origin, pool, image, lit, num_lit, outside, rejected, first_rejected
):
    for event in prange(len(offsets) - 1):
        _clear(image[event], lit[event, : num_lit[event]])
        hits = slice(offsets[event], offsets[event + 1])
        rejected[event], first_rejected[event], num_lit[event] = raster._pixel_event(
            plane[hits], row[hits], column[hits], charge[hits],
            origin[event], pool, image[event], lit[event], outside[event],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _clear(image, lit):
    flat = image.ravel()
    for place in range(len(lit)):
        flat[lit[place]] = 0
