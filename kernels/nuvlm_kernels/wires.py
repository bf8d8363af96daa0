"""Clouds of electrons -> hits of one wire plane: (wire, time, charge), as a hit finder returns them.

The charge of each piece of track is shared between neighbouring wires by its diffusion, collected per wire in order of
time, and made into hits (pulses.py). Left out: the shape of the induction signal, and cross-talk between wires:
deconvolution is taken to have removed both.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import njit

from nuvlm_kernels.drift import (
    BELOW_THRESHOLD,
    DEAD,
    DRIFT_US,
    ELECTRONS,
    LENGTH_X,
    LENGTH_Y,
    LENGTH_Z,
    SHIFT_MM,
    X,
    Y,
    Z,
    is_dead,
)
from nuvlm_kernels.pulses import CHARGE, pulse_hits, waveform

# A cloud nearer than this many sigma to the edge of a wire's cell is shared with the next wire; the table of shares
SHARING_SIGMA, TAIL_STEPS = 2.5, 250
# Room for hits of long pulses beyond one per entry
MOST_LONG = 4096
# Clouds are sorted by counting up to this range of samples: 13 m
MOST_SAMPLES = 10_000

Plane = namedtuple(
    "Plane",
    [
        "number",
        "row_axis",  # (3,): dot product with a position [mm] is the wire number
        "column_axis",  # (3,): likewise the time sample
        "pitch_mm",
        "gain",
        "tails",  # (TAIL_STEPS + 1,): share of a Gaussian beyond 0 .. SHARING_SIGMA
        "kernels",  # (D, 2 H + 1): shape of a pulse after a drift of d kernel steps, sum 1
        "widths",  # (D,): their r.m.s. [samples]
        "kernel_us",  # drift time from one to the next
        "threshold",  # [electrons] of an undiffused pulse that just makes a hit
        "noise",  # [electrons], and share of the charge: by how much that of a hit is wrong
        "resolution",
        "gap_period",
        "gap_wires",
    ],
)


@njit(cache=True, nogil=True)
def in_order_of_time(clouds, plane):
    """Sample of each cloud (float64), and the order of the clouds by it (whole samples; a stable counting sort)."""
    axis = plane.column_axis
    samples = np.empty(len(clouds))
    for i, cloud in enumerate(clouds):
        samples[i] = axis[0] * (cloud[X] + cloud[SHIFT_MM]) + axis[1] * cloud[Y] + axis[2] * cloud[Z]
    lowest = math.floor(samples.min())
    if samples.max() - lowest > MOST_SAMPLES:
        return samples, np.argsort(samples, kind="mergesort")
    return samples, grouped((samples - lowest).astype(np.int64), int(samples.max() - lowest) + 1)[1]


@njit(cache=True, nogil=True)
def grouped(group, num_groups):
    """Members of group g are order[first[g] : first[g + 1]], in the order in which they came: (first, order)."""
    first = np.zeros(num_groups + 1, np.int64)
    for i in range(len(group)):
        first[group[i] + 1] += 1
    for i in range(num_groups):
        first[i + 1] += first[i]
    place = first[:-1].copy()
    order = np.empty(len(group), np.int64)
    for i in range(len(group)):
        order[place[group[i]]] = i
        place[group[i]] += 1
    return first, order


@njit(cache=True, nogil=True)
def share_over_wires(clouds, order, plane, transverse_mm2_per_us, wires, entry_cloud, shares):
    """Write one entry per cloud and wire that it reaches; their number. Shares of a cloud add to 1.

    The edge of a piece of track counts as a Gaussian of the same r.m.s., added in square to that of diffusion.
    """
    count = 0
    axis = plane.row_axis
    for i in order:
        cloud = clouds[i]
        place = axis[0] * cloud[X] + axis[1] * cloud[Y] + axis[2] * cloud[Z]
        length = axis[0] * cloud[LENGTH_X] + axis[1] * cloud[LENGTH_Y] + axis[2] * cloud[LENGTH_Z]
        diffusion = transverse_mm2_per_us * cloud[DRIFT_US] / (plane.pitch_mm * plane.pitch_mm)
        sigma = math.sqrt(diffusion + length * length / 12.0)
        wire = math.floor(place)
        below = _tail(plane.tails, place - wire, sigma)
        above = _tail(plane.tails, wire + 1 - place, sigma)
        wires[count], entry_cloud[count], shares[count] = wire, i, 1.0 - below - above
        count += 1
        if below > 0.0:
            wires[count], entry_cloud[count], shares[count] = wire - 1, i, below
            count += 1
        if above > 0.0:
            wires[count], entry_cloud[count], shares[count] = wire + 1, i, above
            count += 1
    return count


@njit(cache=True, nogil=True)
def _tail(tails, distance, sigma):
    """Share of a Gaussian that lies farther than `distance` to one side; 0 beyond SHARING_SIGMA."""
    if distance >= SHARING_SIGMA * sigma:
        return 0.0
    return tails[int(distance / sigma * (TAIL_STEPS / SHARING_SIGMA) + 0.5)]


@njit(cache=True, nogil=True)
def find_hits(clouds, plane, drift, lost, rng):
    """Hits of a plane in order of wire and time: wire (H,) int64, and time [samples] and charge [electrons] (H, 2)."""
    most = 3 * len(clouds)
    # Every entry makes less than one hit, but for long pulses, which MOST_LONG limits
    hit_wire, hits = np.empty(most + MOST_LONG, np.int64), np.empty((most + MOST_LONG, 2))
    num_hits = 0
    if len(clouds) == 0:
        return hit_wire[:0], hits[:0]
    samples, order = in_order_of_time(clouds, plane)
    wires, entry_cloud, shares = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
    count = share_over_wires(clouds, order, plane, drift.transverse_mm2_per_us, wires, entry_cloud, shares)
    lowest, highest = wires[:count].min(), wires[:count].max()
    first, order = grouped(wires[:count] - lowest, highest - lowest + 1)
    scratch = np.empty(int(samples.max() - samples.min()) + plane.kernels.shape[1] + 3)
    entry_sample, entry_charge, entry_drift = np.empty(count), np.empty(count), np.empty(count)
    for i in range(count):
        cloud = entry_cloud[order[i]]
        entry_sample[i] = samples[cloud]
        entry_charge[i] = clouds[cloud, ELECTRONS] * shares[order[i]] * plane.gain
        entry_drift[i] = clouds[cloud, DRIFT_US]
    for wire in range(lowest, highest + 1):
        begin, end = first[wire - lowest], first[wire - lowest + 1]
        if begin == end:
            continue
        if is_dead(drift, plane.number, wire) or _in_gap(plane, wire):
            lost[DEAD] += entry_charge[begin:end].sum()
            continue
        before = num_hits
        num_hits = wire_hits(
            entry_sample[begin:end], entry_charge[begin:end], entry_drift[begin:end],
            plane, scratch, hits, num_hits, lost, rng,
        )  # fmt: skip
        hit_wire[before:num_hits] = wire
    return hit_wire[:num_hits], hits[:num_hits]


@njit(cache=True, nogil=True)
def _in_gap(plane, wire):
    return plane.gap_wires > 0 and wire % plane.gap_period >= plane.gap_period - plane.gap_wires


@njit(cache=True, nogil=True)
def wire_hits(samples, charges, drifts, plane, scratch, hits, num_hits, lost, rng):
    """Hits of one wire from its entries in order of time, cut into groups whose pulses cannot touch."""
    half = plane.kernels.shape[1] // 2
    peak_of_one = plane.kernels[0, half]
    start = 0
    for end in range(1, len(samples) + 1):
        if end < len(samples) and samples[end] - samples[end - 1] < 2 * half + 2:
            continue
        charge, drift_us = 0.0, 0.0
        for entry in range(start, end):
            charge += charges[entry]
            drift_us += charges[entry] * drifts[entry]
        # So little cannot have a peak above threshold, but by noise of 6 sigma
        if charge < plane.threshold - 6.0 * plane.noise or charge <= 0.0:
            lost[BELOW_THRESHOLD] += charge
            start = end
            continue
        kernel = min(len(plane.kernels) - 1, int(drift_us / charge / plane.kernel_us + 0.5))
        wave, origin = waveform(samples[start:end], charges[start:end], plane.kernels[kernel], scratch)
        before = num_hits
        limits = (peak_of_one, plane.threshold, plane.noise, plane.resolution, plane.widths[kernel])
        num_hits = pulse_hits(wave, origin, limits, hits, num_hits, rng)
        # Noise moves charge into or out of a hit: counted with what is lost, so that the sum stays
        for hit in range(before, num_hits):
            charge -= hits[hit, CHARGE]
        lost[BELOW_THRESHOLD] += charge
        start = end
    return num_hits
