"""Fields that are measured: functions of hits and detector, which cannot leak what they do not get.

  charge    sum of all hits: calorimetric energy of deposits [MeV], detector units of pixels
  hits      how many there are
  rows      in each view, length [cm] along its rows that holds the middle 90 % of the charge
  columns   the same along its columns
  share     of the charge, in the view that has most of it [%]; unknown for deposits, which every view sees all of
  bright    share of the charge that the brightest tenth of the hits has [%]: high for showers and for protons

Numbers have two digits and a power of ten, 12e3 for 12,345: as many tokens whatever the number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.event import Hits

UNKNOWN = "unknown"
# What the tails leave out: a noise hit in a corner must not make a short track long
MIDDLE = (0.05, 0.95)
ROW, COLUMN = 0, 1


def amount(value: float) -> str:
    """Two digits and a power of ten: 74495.0 -> "74e3", 5.2 -> "05e0"; half a unit is rounded to even."""
    exponent = max(math.floor(math.log10(value)) - 1, 0) if value >= 1 else 0
    digits = round(value / 10**exponent)
    return f"{digits:02d}e{exponent}" if digits < 100 else f"10e{exponent + 1}"


def percent(share: float) -> str:
    """A fraction as two digits; all of it is 99."""
    return f"{min(math.floor(100 * share), 99):02d} %"


def charge_of(hits: Hits, detector: Detector) -> str:
    total = float(_weights(hits).sum())
    return f"energy {amount(total)} MeV" if hits.kind == "deposits" else f"charge {amount(total)}"


def hits_of(hits: Hits, detector: Detector) -> str:
    return f"hits {amount(len(hits))}"


def rows_of(hits: Hits, detector: Detector) -> str:
    return f"rows {_lengths(hits, detector, ROW)} cm"


def columns_of(hits: Hits, detector: Detector) -> str:
    return f"columns {_lengths(hits, detector, COLUMN)} cm"


def share_of(hits: Hits, detector: Detector) -> str:
    weights = _weights(hits)
    if hits.kind == "deposits" or not weights.sum() > 0:
        return f"share {UNKNOWN}"
    return f"share {percent(np.bincount(hits['plane'], weights).max() / weights.sum())}"


def bright_of(hits: Hits, detector: Detector) -> str:
    weights = np.sort(_weights(hits))[::-1]
    if not weights.sum() > 0:
        return f"bright {UNKNOWN}"
    return f"bright {percent(weights[: math.ceil(len(weights) / 10)].sum() / weights.sum())}"


MEASURED: dict[str, Callable[[Hits, Detector], str]] = {
    "charge": charge_of,
    "hits": hits_of,
    "rows": rows_of,
    "columns": columns_of,
    "share": share_of,
    "bright": bright_of,
}


def length_cm(places: np.ndarray, weights: np.ndarray, pitch_mm: float) -> float:
    """Length that holds the middle 90 % of the weights, whole pixels of this pitch; 0 without weight."""
    if not weights.sum() > 0:
        return 0.0
    order = np.argsort(places, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    # Shares of one pixel may sum to less than its share of the whole, by rounding
    low, high = places[order][np.searchsorted(share, MIDDLE).clip(max=len(order) - 1)]
    return float(high - low + 1) * pitch_mm / 10


def _lengths(hits: Hits, detector: Detector, axis: int) -> str:
    weights = _weights(hits)
    lengths = []
    for view, pitch_mm in enumerate(detector.pitches_mm[:, axis]):
        if hits.kind == "pixels":
            inside = hits["plane"] == view
            places = hits[("row", "column")[axis]][inside].astype(np.int64)
            lengths.append(length_cm(places, weights[inside], pitch_mm))
        else:
            position_mm = np.stack([hits[name] for name in ("x_mm", "y_mm", "z_mm")], -1).astype(np.float64)
            along_mm = position_mm @ detector.projections[view, axis] - detector.grid_mm[view, axis]
            lengths.append(length_cm(np.floor(along_mm / pitch_mm), weights, pitch_mm))
    return " ".join(map(amount, lengths))


def _weights(hits: Hits) -> np.ndarray:
    """Charge as float64, and 0 for what is none: rasterizing refuses such a hit, and names it."""
    return np.where(hits.charge > 0, hits.charge, 0).astype(np.float64)
