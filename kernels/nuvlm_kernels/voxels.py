"""Clouds of electrons -> charge of voxels, summed in a hash table: an event lights a millionth of them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from nuvlm_kernels.drift import DEAD, DRIFT_US, ELECTRONS, OUTSIDE, X, Y, Z, is_dead

EMPTY = -1


@njit(cache=True, nogil=True)
def diffuse(clouds, drift, rng):
    """Move each cloud, in place, by one draw of its diffusion: along the drift (x) and across it (y, z)."""
    for cloud in clouds:
        along = math.sqrt(drift.longitudinal_mm2_per_us * cloud[DRIFT_US])
        across = math.sqrt(drift.transverse_mm2_per_us * cloud[DRIFT_US])
        cloud[X] += along * rng.standard_normal()
        cloud[Y] += across * rng.standard_normal()
        cloud[Z] += across * rng.standard_normal()


@njit(cache=True, nogil=True)
def sum_voxels(clouds, low_mm, voxel_mm, shape, drift, voxels, electrons, lost):
    """Sum the clouds into voxels of a grid; the number n of lit ones, whose (i, j, k) and charge fill the first n rows.

    Voxel i covers [low + i * size, low + (i + 1) * size). What falls outside the grid is added to lost[OUTSIDE], on a
    dead pixel of the anode to lost[DEAD].
    """
    size = 16
    while size < 2 * len(clouds):
        size *= 2
    rows = np.full(size, EMPTY, np.int64)
    num_voxels = 0
    for cloud in clouds:
        if cloud[ELECTRONS] <= 0.0:
            continue
        i = math.floor((cloud[X] - low_mm[0]) / voxel_mm[0])
        j = math.floor((cloud[Y] - low_mm[1]) / voxel_mm[1])
        k = math.floor((cloud[Z] - low_mm[2]) / voxel_mm[2])
        if not (0 <= i < shape[0] and 0 <= j < shape[1] and 0 <= k < shape[2]):
            lost[OUTSIDE] += cloud[ELECTRONS]
            continue
        if is_dead(drift, 0, j * shape[2] + k):
            lost[DEAD] += cloud[ELECTRONS]
            continue
        key = np.uint64((i * shape[1] + j) * shape[2] + k)
        slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & (size - 1)
        while rows[slot] != EMPTY:
            row = rows[slot]
            if voxels[row, 0] == i and voxels[row, 1] == j and voxels[row, 2] == k:
                break
            slot = (slot + 1) & (size - 1)
        if rows[slot] == EMPTY:
            rows[slot] = num_voxels
            voxels[num_voxels, 0], voxels[num_voxels, 1], voxels[num_voxels, 2] = i, j, k
            electrons[num_voxels] = 0.0
            num_voxels += 1
        electrons[rows[slot]] += cloud[ELECTRONS]
    return num_voxels


@njit(cache=True, nogil=True)
def read_voxels(electrons, gain, noise, threshold, saturation, rng):
    """Apply gain, noise and saturation in place; True where the charge is at least `threshold` and above 0."""
    kept = np.empty(len(electrons), np.bool_)
    for row in range(len(electrons)):
        charge = gain * electrons[row]
        if noise > 0.0:
            charge += noise * rng.standard_normal()
        kept[row] = charge > 0.0 and charge >= threshold
        electrons[row] = min(charge, saturation)
    return kept
