"""Workspace: the arrays that transport of one event fills: particles still to follow, tracks, segments, energy ledger.

Allocated once and reused for all events of a process. A kernel that would overflow an array sets
OVERFLOW and stops; the caller enlarges the workspace and runs the event again from its own seed.

error_model="numpy" on the kernels: without it each division is checked for 0, which doubles the time of transport.
"""

from collections import namedtuple

import numpy as np
from numba import njit

# Columns of a state: position [mm], direction, kinetic energy [MeV], time [ns]
X, Y, Z, UX, UY, UZ, KINETIC, TIME = range(8)

# Ledger: where the energy went [MeV]. Released = kinetic + rest energy freed (annihilation, decay, capture), so that
# sum(entries after RELEASED) == primaries' kinetic energy + RELEASED holds to rounding.
RELEASED, DEPOSITED, ESCAPED, NEUTRINO, NUCLEAR = range(5)
NUM_LEDGER = 5

# Columns of `counters`
STACK_SIZE, NUM_TRACKS, NUM_SEGMENTS, OVERFLOW = range(4)

# How a track began
PRIMARY, DECAY, BREMSSTRAHLUNG, PAIR, COMPTON, PHOTOELECTRIC, ANNIHILATION, DELTA, HADRONIC, CAPTURE = range(10)

Workspace = namedtuple(
    "Workspace",
    [
        "stack_state",  # (S, 8) float64: particles still to follow
        "stack_id",  # (S, 2) int64: species, track
        "track_start",  # (T, 8) float64: state at birth
        "track_end",  # (T, 5) float64: position [mm] and kinetic energy [MeV] at the end, path length [mm]
        "track_id",  # (T, 3) int64: species, parent track (-1: none), process that made it
        "segments",  # (N, 8) float64: start [mm], end [mm], deposited energy [MeV], time [ns]
        "segment_track",  # (N,) int64
        "ledger",  # (5,) float64 [MeV]
        "counters",  # (4,) int64
    ],
)


def new_workspace(num_particles: int, num_segments: int) -> Workspace:
    return Workspace(
        np.zeros((num_particles, 8)),
        np.zeros((num_particles, 2), np.int64),
        np.zeros((num_particles, 8)),
        np.zeros((num_particles, 5)),
        np.zeros((num_particles, 3), np.int64),
        np.zeros((num_segments, 8)),
        np.zeros(num_segments, np.int64),
        np.zeros(NUM_LEDGER),
        np.zeros(4, np.int64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def clear(work):
    work.ledger[:] = 0.0
    work.counters[:] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def push(work, species, state, parent, process):
    """Put a particle of the given state (8,) on the stack, and enter it as a track; its number there."""
    size, track = work.counters[STACK_SIZE], work.counters[NUM_TRACKS]
    if size >= len(work.stack_id) or track >= len(work.track_id):
        work.counters[OVERFLOW] = 1
        return -1
    for i in range(8):
        work.stack_state[size, i] = state[i]
        work.track_start[track, i] = state[i]
    work.stack_id[size, 0] = species
    work.stack_id[size, 1] = track
    work.track_id[track, 0] = species
    work.track_id[track, 1] = parent
    work.track_id[track, 2] = process
    work.counters[STACK_SIZE] = size + 1
    work.counters[NUM_TRACKS] = track + 1
    return track


@njit(cache=True, nogil=True, error_model="numpy")
def deposit(work, track, x0, y0, z0, state, energy_mev):
    """Enter a segment from (x0, y0, z0) to the state's position, and its energy in the ledger; no segment for 0 MeV."""
    if energy_mev <= 0.0:
        return
    number = work.counters[NUM_SEGMENTS]
    if number >= len(work.segments):
        work.counters[OVERFLOW] = 1
        return
    segments = work.segments
    segments[number, 0], segments[number, 1], segments[number, 2] = x0, y0, z0
    segments[number, 3], segments[number, 4], segments[number, 5] = state[X], state[Y], state[Z]
    segments[number, 6], segments[number, 7] = energy_mev, state[TIME]
    work.segment_track[number] = track
    work.counters[NUM_SEGMENTS] = number + 1
    work.ledger[DEPOSITED] += energy_mev


@njit(cache=True, nogil=True, error_model="numpy")
def turn(state, cosine, azimuth):
    """Rotate the state's direction by a polar angle (its cosine) and an azimuth [rad] about itself."""
    sine = np.sqrt(max(0.0, 1.0 - cosine * cosine))
    ux, uy, uz = state[UX], state[UY], state[UZ]
    a, b = sine * np.cos(azimuth), sine * np.sin(azimuth)
    transverse = np.sqrt(ux * ux + uy * uy)
    if transverse < 1e-10:
        state[UX], state[UY], state[UZ] = a, b, cosine * uz
    else:
        state[UX] = ux * cosine + (ux * uz * a - uy * b) / transverse
        state[UY] = uy * cosine + (uy * uz * a + ux * b) / transverse
        state[UZ] = uz * cosine - transverse * a
    norm = 1.0 / np.sqrt(state[UX] ** 2 + state[UY] ** 2 + state[UZ] ** 2)
    state[UX] *= norm
    state[UY] *= norm
    state[UZ] *= norm
