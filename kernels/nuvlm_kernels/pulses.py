"""Charge on one wire -> hits (time, charge), as a hit finder returns them.

The charge is drawn on a fine time axis, smeared by shaping and longitudinal diffusion, and cut into pulses at the
minima; a pulse much longer than a single one is shared out over several hits, as finders do. The constants were chosen
so that hits follow each other along a wire as in 1,000 published DUNE maps: of neighbouring hits, 11 % are in adjacent
columns of 3.2 us, 21 % two apart, 11 % three apart.
"""

from __future__ import annotations

import math

from numba import njit

# Time samples in a column of the map: the peak of a pulse is found to about a tenth of a column
SAMPLES_PER_COLUMN = 4
# Two pulses are one if the minimum between them is higher than this share of the lower peak
MERGE_SHARE = 0.9
# A pulse wider (in r.m.s.) than this factor times a single one is shared out, a hit per this many samples (5 us)
LONG_PULSE, HIT_SAMPLES = 1.5, 6.25
LARGEST_PIECES = 32
# A long pulse begins and ends where it is this share of its peak
EDGE_SHARE = 0.1
# Columns of hits: time [samples], charge [electrons]
TIME, CHARGE = range(2)


@njit(cache=True, nogil=True)
def waveform(samples, charges, kernel, scratch):
    """Charge per sample, smeared by the kernel (a view of `scratch`), and the sample at which it begins.

    Entries are first shared between two samples each; their times are in order but for less than a sample.
    """
    low, high = samples[0], samples[0]
    for sample in samples:
        low, high = min(low, sample), max(high, sample)
    low, taps = math.floor(low), len(kernel)
    wave = scratch[: math.floor(high) - low + 1 + taps]
    wave[:] = 0.0
    sample, first, second = 0, 0.0, 0.0
    for i in range(len(samples)):
        place = samples[i] - low
        if int(place) != sample:
            _add_pulse(wave, sample, first, second, kernel)
            sample, first, second = int(place), 0.0, 0.0
        second += charges[i] * (place - sample)
        first += charges[i] * (sample + 1 - place)
    _add_pulse(wave, sample, first, second, kernel)
    return wave, low - taps // 2


@njit(cache=True, nogil=True)
def _add_pulse(wave, sample, first, second, kernel):
    """Add two pulses, one sample apart, that begin at `sample`."""
    taps = len(kernel)
    part = wave[sample : sample + taps]
    for tap in range(taps):
        part[tap] += first * kernel[tap]
    part = wave[sample + 1 : sample + 1 + taps]
    for tap in range(taps):
        part[tap] += second * kernel[tap]


@njit(cache=True, nogil=True)
def pulse_hits(wave, origin, limits, hits, num_hits, rng):
    """Cut a waveform at its minima into pulses, and enter the hits of each; how many hits there are now.

    `limits`: peak of a single pulse of charge 1, threshold and noise [electrons], resolution, width of a single
    pulse [samples].
    """
    last = len(wave) - 1
    begin, sample = 0, 0
    while sample < last:
        # Up to the next peak, then down to the next minimum; a shallow minimum is passed over
        peak = 0.0
        while sample < last:
            while sample < last and wave[sample + 1] >= wave[sample]:
                sample += 1
            peak = max(peak, wave[sample])
            while sample < last and wave[sample + 1] <= wave[sample]:
                sample += 1
            if sample < last and wave[sample] < MERGE_SHARE * min(peak, _next_peak(wave, sample)):
                break
        end = len(wave) if sample == last else sample
        if num_hits < len(hits) - LARGEST_PIECES:
            num_hits = enter_pulse(wave[begin:end], origin + begin, peak, limits, hits, num_hits, rng)
        begin = sample
    return num_hits


@njit(cache=True, nogil=True)
def _next_peak(wave, sample):
    while sample < len(wave) - 1 and wave[sample + 1] >= wave[sample]:
        sample += 1
    return wave[sample]


@njit(cache=True, nogil=True)
def enter_pulse(pulse, origin, peak, limits, hits, num_hits, rng):
    """Enter the hits of a pulse, if its height is above threshold; `limits` as in pulse_hits."""
    peak_of_one, threshold, noise, resolution, width = limits
    # One draw for height and charge: a finder reads both from the same waveform
    error = rng.standard_normal() if noise > 0.0 or resolution > 0.0 else 0.0
    if peak <= 0.0 or peak < (threshold - error * noise) * peak_of_one:
        return num_hits
    charge, mean, square = 0.0, 0.0, 0.0
    for sample in range(len(pulse)):
        charge += pulse[sample]
        mean += pulse[sample] * sample
        square += pulse[sample] * (sample * sample)
    mean /= charge
    error *= noise + resolution * charge
    spread = math.sqrt(max(0.0, square / charge - mean * mean))
    if spread > LONG_PULSE * width:
        return _enter_long(pulse, origin, peak, spread, error, hits, num_hits)
    hits[num_hits, TIME], hits[num_hits, CHARGE] = origin + mean, max(0.0, charge + error)
    return num_hits + 1


@njit(cache=True, nogil=True)
def _enter_long(pulse, origin, peak, spread, error, hits, num_hits):
    """Share a long pulse out over hits that follow each other at equal times."""
    # sqrt(12) spread is the length of an even pulse
    pieces = min(LARGEST_PIECES, max(1, round(3.4641 * spread / HIT_SAMPLES)))
    low, high = 0, len(pulse)
    while pulse[low] < EDGE_SHARE * peak:
        low += 1
    while pulse[high - 1] < EDGE_SHARE * peak:
        high -= 1
    begin = 0
    for piece in range(pieces):
        end = len(pulse) if piece == pieces - 1 else low + (high - low) * (piece + 1) // pieces
        charge, mean = 0.0, 0.0
        for sample in range(begin, end):
            charge += pulse[sample]
            mean += pulse[sample] * sample
        begin = end
        if charge > 0.0:
            hits[num_hits, TIME] = origin + mean / charge
            hits[num_hits, CHARGE] = max(0.0, charge + error / pieces)
            num_hits += 1
    return num_hits
