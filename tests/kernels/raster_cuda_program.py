"""Compares raster_cuda with raster, on a device or on numba's simulator; prints what differs.

A program of its own, since numba decides at its import whether it simulates.
"""

import numpy as np

from nuvlm_kernels import raster, raster_cuda
from nuvlm_kernels.levels import level_edges

PROJECTIONS = np.array([[[1.0, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 1]], [[0, -0.58354121, 0.81208326], [1, 0, 0]]])
EDGES = level_edges("sqrt", 500.0)
AWKWARD = [np.nan, np.inf, -np.inf, 1e9, -1e9, -0.0, 5.0, np.nextafter(np.float32(5), np.float32(0)), 39.99999]
SHAPE = (5, 3, 8, 9)


def draw_offsets(generator):
    """One event has no hits."""
    counts = generator.integers(1, 60, SHAPE[0])
    counts[2] = 0
    return np.cumsum([0, *counts])


def draw_charge(generator, count):
    charge = generator.uniform(0, 50, count).astype(np.float32)
    charge[generator.random(count) < 0.1] = generator.choice([-1, np.nan, np.inf, 0])
    return charge


def draw_deposits(generator):
    offsets = draw_offsets(generator)
    position = generator.uniform(-5, 50, (3, offsets[-1])).astype(np.float32)
    odd = generator.random(position.shape) < 0.05
    position[odd] = generator.choice(AWKWARD, odd.sum())
    windows = (PROJECTIONS, np.zeros((SHAPE[0], 3, 2)), np.full((3, 2), 5.0))
    return ((*position, draw_charge(generator, offsets[-1])), offsets, *windows)


def draw_pixels(generator):
    offsets = draw_offsets(generator)
    count = offsets[-1]
    plane = generator.integers(0, 5, count).astype(np.uint8)
    row, column = generator.integers(0, 60, (2, count)).astype(np.uint16)
    origin = generator.integers(-4, 9, (SHAPE[0], 3, 2))
    return ((plane, row, column, draw_charge(generator, count)), offsets, origin, 4)


def compare(views, levels, arguments) -> list[str]:
    wrong = []
    ours, theirs = (np.full(SHAPE, 7, np.float32) for _ in range(2))
    found = getattr(raster_cuda, views)(*arguments, ours)
    expected = getattr(raster, views)(*arguments, theirs)
    if not np.allclose(ours, theirs, rtol=1e-6, atol=1e-5):
        wrong.append(f"{views}: charge differs by {abs(ours - theirs).max()}")
    if not np.allclose(found[0], expected[0], rtol=1e-12):
        wrong.append(f"{views}: charge outside differs")
    wrong += [
        f"{views}: rejected differ" for one, other in zip(found[1:], expected[1:]) if not np.array_equal(one, other)
    ]
    ours, theirs = (np.full(SHAPE, 7, np.uint8) for _ in range(2))
    found = getattr(raster_cuda, levels)(*arguments, EDGES, ours)
    expected = getattr(raster, levels)(*arguments, EDGES, theirs)
    # A sum on the edge between two levels may round to either
    if abs(ours.astype(int) - theirs).max() > 1 or (ours != theirs).mean() > 0.001:
        wrong.append(f"{levels}: {(ours != theirs).sum()} levels differ")
    if not np.array_equal(found[1], expected[1]):
        wrong.append(f"{levels}: saturated differ")
    return wrong


if __name__ == "__main__":
    for seed in range(3):
        generator = np.random.default_rng(seed)
        for line in compare("deposit_views", "deposit_levels", draw_deposits(generator)):
            print(f"seed {seed}: {line}")
        for line in compare("pixel_views", "pixel_levels", draw_pixels(generator)):
            print(f"seed {seed}: {line}")
    nothing = ((np.empty(0, np.float32),) * 4, np.zeros(1, int), PROJECTIONS, np.zeros((0, 3, 2)), np.full((3, 2), 5.0))
    assert len(raster_cuda.deposit_views(*nothing, np.empty((0, 3, 8, 9), np.float32))[1]) == 0
    print("compared")
