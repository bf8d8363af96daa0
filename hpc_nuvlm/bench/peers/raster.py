"""Rasterizing against NumPy, against an image library, and against what memory allows; on one thread.

The peers know what a general rasterizer does not: that a view's rows and columns are axes of space, and that every hit
is a finite number inside of the picture.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from PIL import Image

from hpc_nuvlm.bench.peers.events import Hits, hits_in_pictures
from hpc_nuvlm.bench.ratios import Ratio, Turns, exactly, of_rounds
from hpc_nuvlm.store import Dataset
from nuvlm_kernels import raster
from nuvlm_kernels.canvas import Canvas
from nuvlm_kernels.levels import level_edges

SIZE, TILE, NUM_EVENTS = 512, 560, 64
FULL_SCALE_MEV = 25.5
# Mllama's, from its published preprocessor_config.json: those of CLIP
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def raster_ratios(dataset: Dataset, split: str) -> list[Ratio]:
    hits = hits_in_pictures(dataset, split, NUM_EVENTS, SIZE)
    return [*charge_ratios(hits), *level_ratios(hits), *tile_ratios(hits)]


def charge_ratios(hits: Hits) -> list[Ratio]:
    """float32 pictures."""
    shape = (hits.num_events, len(hits.pixel_mm), SIZE, SIZE)
    image = np.empty(shape, np.float32)
    canvas = Canvas(*shape)
    random = np.random.default_rng(1).integers(0, SIZE * SIZE, (hits.num_events, shape[1], len(hits.columns[0])))
    random = random[:, :, : hits.offsets[1]].astype(np.uint32)
    windows = (hits.projections, hits.origin_mm, hits.pixel_mm)
    axes, picture = axes_of(hits), np.empty(shape, np.float32)
    turns = Turns(
        {
            "ours": lambda: raster.deposit_views(hits.columns, hits.offsets, *windows, image),
            "ours, cleared where lit": lambda: canvas.deposit_views(hits.columns, hits.offsets, *windows),
            "the same without checks": lambda: _unchecked(*hits.columns, hits.offsets, *windows, picture),
            "numpy.add.at": lambda: by_numpy(hits, axes, picture),
            "clearing": lambda: _clear(picture),
            "as many random updates": lambda: _update(picture, random),
        }
    )
    by_numpy(hits, axes, picture)
    difference = np.abs(image - picture).max() / picture.max()
    return [
        turns.times_as_fast("ours", "numpy.add.at", "float32, a fresh batch, every hit checked", at_least=1.7),
        turns.times_as_long(
            "ours", ("clearing", "as many random updates"), "float32, a fresh batch, every hit checked", at_most=1.2
        ),
        turns.times_as_long("ours, cleared where lit", ("clearing",), "float32, cleared where it was lit", at_most=2),
        turns.times_as_long("ours", ("the same without checks",), "what checking every hit costs", at_most=1.1),
        exactly("largest difference of a pixel, of the brightest", "numpy.add.at", float(difference), at_most=1e-5),
    ]


def level_ratios(hits: Hits) -> list[Ratio]:
    """8-bit pictures, exact: charges are summed before they are rounded."""
    shape = (hits.num_events, len(hits.pixel_mm), SIZE, SIZE)
    levels, theirs, axes = np.empty(shape, np.uint8), np.empty(shape, np.uint8), axes_of(hits)
    edges = level_edges("linear", FULL_SCALE_MEV)
    windows = (hits.projections, hits.origin_mm, hits.pixel_mm)
    turns = Turns(
        {
            "ours": lambda: raster.deposit_levels(hits.columns, hits.offsets, *windows, edges, levels),
            "numpy.add.at, scaled and rounded": lambda: levels_by_numpy(hits, axes, theirs),
        }
    )
    levels_by_numpy(hits, axes, theirs)
    different = np.abs(levels.astype(int) - theirs).max()
    return [
        turns.times_as_fast("ours", "numpy.add.at, scaled and rounded", "8 bits, every hit checked", at_least=7),
        exactly("largest difference of levels", "numpy.add.at, scaled and rounded", float(different), at_most=1),
    ]


def tile_ratios(hits: Hits) -> list[Ratio]:
    """Straight to the 560 pixels of a Mllama tile, against pictures of 512 that an image processor makes larger."""
    views, few = len(hits.pixel_mm), 8
    fine = np.empty((hits.num_events, views, TILE, TILE), np.uint8)
    coarse = np.empty((few, views, SIZE, SIZE), np.uint8)
    edges = level_edges("linear", FULL_SCALE_MEV)
    windows = (hits.projections, hits.origin_mm, hits.pixel_mm)
    some = tuple(column[: hits.offsets[few]] for column in hits.columns), hits.offsets[: few + 1]

    def ours():
        raster.deposit_levels(hits.columns, hits.offsets, hits.projections, hits.origin_mm, finer_mm, edges, fine)

    finer_mm = hits.pixel_mm * SIZE / TILE

    def theirs():
        raster.deposit_levels(*some, windows[0], windows[1][:few], windows[2], edges, coarse)
        for picture in coarse.reshape(-1, SIZE, SIZE):
            processed(picture)

    turns = Turns({"ours": ours, "PIL, resized and normalized": theirs}, rounds=7)
    ratio = turns.seconds["PIL, resized and normalized"] / few / (turns.seconds["ours"] / hits.num_events)
    return [of_rounds(ratio, "560-pixel tiles from hits", "PIL, resized and normalized", at_least=100)]


def processed(picture: np.ndarray) -> np.ndarray:
    """Three channels (3, 560, 560) of an 8-bit picture, as processors of vision-language models make them."""
    resized = Image.fromarray(picture).convert("RGB").resize((TILE, TILE), Image.Resampling.BILINEAR)
    return ((np.asarray(resized, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def axes_of(hits: Hits) -> np.ndarray:
    """(V, 2) the axis of space that a view's rows, and its columns, follow."""
    axes = np.abs(hits.projections).argmax(axis=2)
    if not np.array_equal(hits.projections, np.eye(3)[axes]):
        raise ValueError("views are not along the axes of space, and the peers know of no others")
    return axes


def by_numpy(hits: Hits, axes: np.ndarray, image: np.ndarray) -> None:
    image[:] = 0
    for event, (start, stop) in enumerate(zip(hits.offsets[:-1], hits.offsets[1:])):
        for view in range(len(axes)):
            _add_at(hits, axes, event, view, slice(start, stop), image[event, view])


def levels_by_numpy(hits: Hits, axes: np.ndarray, levels: np.ndarray) -> None:
    charge = np.zeros((SIZE, SIZE), np.float32)
    for event, (start, stop) in enumerate(zip(hits.offsets[:-1], hits.offsets[1:])):
        for view in range(len(axes)):
            charge[:] = 0
            _add_at(hits, axes, event, view, slice(start, stop), charge)
            charge *= np.float32(255 / FULL_SCALE_MEV)
            charge += np.float32(0.5)
            np.minimum(charge, 255, out=charge)
            levels[event, view] = charge


def _add_at(hits: Hits, axes: np.ndarray, event: int, view: int, chosen: slice, image: np.ndarray) -> None:
    along = [hits.columns[axis][chosen] for axis in axes[view]]
    row, column = (
        ((one - low) * (1 / step)).astype(np.int64)
        for one, low, step in zip(along, hits.origin_mm[event, view], hits.pixel_mm[view])
    )
    np.add.at(image.reshape(-1), row * image.shape[1] + column, hits.columns[3][chosen])


@njit(nogil=True)
def _clear(image):
    image[:] = 0


@njit(nogil=True)
def _update(image, places):
    for event in range(len(places)):
        for view in range(places.shape[1]):
            flat = image[event, view].ravel()
            for place in places[event, view]:
                flat[place] += np.float32(1)


@njit(nogil=True)
def _unchecked(x_mm, y_mm, z_mm, charge, offsets, projections, origin_mm, pixel_mm, image):
    """The loop of raster._deposit_event without a look at what it is given."""
    for event in range(len(offsets) - 1):
        image[event] = 0
        for hit in range(offsets[event], offsets[event + 1]):
            x, y, z, q = np.float64(x_mm[hit]), np.float64(y_mm[hit]), np.float64(z_mm[hit]), charge[hit]
            for view in range(len(projections)):
                rows, columns = projections[view, 0], projections[view, 1]
                row = (rows[0] * x + rows[1] * y + rows[2] * z - origin_mm[event, view, 0]) / pixel_mm[view, 0]
                column = (columns[0] * x + columns[1] * y + columns[2] * z - origin_mm[event, view, 1]) / pixel_mm[
                    view, 1
                ]
                image[event, view, np.uint64(row), np.uint64(column)] += q
