"""What an event looks like, measured alike in our events and in others': from points of energy inside the active argon.

Segments of any length are first cut into pieces of at most 1 mm, so no step size of a simulation remains; energy that
neutral particles leave is put where they end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from hpc_nuvlm.validation.reference import MOLIERE_RADIUS_MM

PIECE_MM = 1.0
# A voxel below the threshold is not seen: about a tenth of what a minimum ionizing particle leaves in one
THRESHOLD_MEV_PER_MM = 0.02
# Geant4's step of a muon goes from delta ray to delta ray, 50 mm in the median: what it lost is not known any finer
SLICE_MM = 100.0
NEUTRAL = (22, 2112, -2112, 111, 130)

# Active argon of the DUNE near-detector prototype "Module 0", as edep-sim has it: the outermost ends of the 31,745
# segments of the three files, and a plate of that thickness in the middle (|x|) from which none comes
ACTIVE_LOW_MM = np.array([-304.31, -838.78, -310.17])
ACTIVE_HIGH_MM = np.array([304.31, 402.31, 310.17])
PLATE_HALF_MM = 1.5875


@dataclass(frozen=True, eq=False)
class Deposits:
    """(N, 3) position [mm], (N,) energy [MeV] and track of the pieces in the active argon; (N,) length [mm]."""

    position_mm: np.ndarray
    energy_mev: np.ndarray
    length_mm: np.ndarray
    track: np.ndarray


def cut(
    start_mm: np.ndarray, end_mm: np.ndarray, energy_mev: np.ndarray, track: np.ndarray, pdg: np.ndarray
) -> Deposits:
    """Pieces of segments whose middle lies in the active argon."""
    start_mm = np.where(np.isin(pdg, NEUTRAL)[:, None], end_mm, start_mm)
    length = np.linalg.norm(end_mm - start_mm, axis=1)
    count = np.maximum(1, np.ceil(length / PIECE_MM).astype(int))
    source = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
    share = ((within + 0.5) / count[source])[:, None]
    position = start_mm[source] + share * (end_mm - start_mm)[source]
    inside = is_active(position)
    source, position = source[inside], position[inside]
    return Deposits(position, (energy_mev / count)[source], (length / count)[source], track[source])


def is_active(position_mm: np.ndarray) -> np.ndarray:
    inside = ((position_mm >= ACTIVE_LOW_MM) & (position_mm < ACTIVE_HIGH_MM)).all(1)
    return inside & (np.abs(position_mm[:, 0]) > PLATE_HALF_MM)


def voxels(deposits: Deposits, voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) whole-number positions and (V,) energies [MeV] of the voxels above threshold."""
    cells = np.floor(deposits.position_mm / voxel_mm).astype(int)
    found, which = np.unique(cells, axis=0, return_inverse=True)
    energy = np.bincount(which.ravel(), weights=deposits.energy_mev, minlength=len(found))
    seen = energy > THRESHOLD_MEV_PER_MM * voxel_mm
    return found[seen], energy[seen]


def num_blobs(cells: np.ndarray) -> int:
    """Number of groups of voxels that touch, corners included."""
    if not len(cells):
        return 0
    pairs = cKDTree(cells).query_pairs(1.8, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells), len(cells)))
    return int(connected_components(graph, directed=False)[0])


def shape(deposits: Deposits, vertex_mm: np.ndarray, direction: np.ndarray) -> dict[str, float]:
    """Energy-weighted extent about the axis of the primary [mm]: mean depth, widths, radius that holds 90 %."""
    away = deposits.position_mm - vertex_mm
    depth = away @ direction
    radius = np.sqrt(np.maximum(0.0, (away**2).sum(1) - depth**2))
    weight = deposits.energy_mev / deposits.energy_mev.sum()
    mean_depth = weight @ depth
    order = np.argsort(radius)
    inside = np.cumsum(weight[order])
    return {
        "mean depth": float(mean_depth),
        "length (rms)": float(np.sqrt(weight @ (depth - mean_depth) ** 2)),
        "width (rms)": float(np.sqrt(weight @ radius**2)),
        "share within 90 mm": float(weight[radius < MOLIERE_RADIUS_MM].sum()),
        "radius of 90 %": float(radius[order][min(np.searchsorted(inside, 0.9), len(order) - 1)]),
    }


def slices(deposits: Deposits, start_mm: np.ndarray, end_mm: np.ndarray) -> np.ndarray:
    """Energy per length [MeV/cm] in slices across a straight track, of all deposits within 50 mm of it.

    The first and last 20 mm are left out, and slices that the middle plate touches.
    """
    length = float(np.linalg.norm(end_mm - start_mm))
    direction = (end_mm - start_mm) / length
    away = deposits.position_mm - start_mm
    depth = away @ direction
    near = (away**2).sum(1) - depth**2 < 50.0**2
    edges = np.arange(20.0, length - 20.0, SLICE_MM)
    energy = np.histogram(depth[near], edges, weights=deposits.energy_mev[near])[0]
    across = start_mm[0] + direction[0] * edges
    is_clear = (across[1:] * across[:-1] > 0) & (np.minimum(np.abs(across[1:]), np.abs(across[:-1])) > 5.0)
    return energy[is_clear] / SLICE_MM * 10
