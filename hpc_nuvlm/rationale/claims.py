"""Claims: single statements about an event's picture, taken from its facts and judged against them.

kind                       value
  lead                       "muon", "electron", "photon", "hadron", or "nothing" where no energy is seen
  lead_length_cm             path seen of a leading muon
  lead_contained             whether a leading lepton stays inside
  lepton_visible             False; that one is visible follows from the lead
  region                     (plane, from row, from column, to row, to column) of the leading object in each view,
                             whole percent of the picture, 0..99
  num_tracks, num_protons, num_showers, num_pi0, longest_track_cm
  shower_energy_mev          of the largest shower, as are its
  shower_dedx_mev_per_cm     energy a length where it starts, and
  shower_gap_cm              distance of its start from the vertex
  michel                     whether a Michel electron is seen, and its
  michel_energy_mev          energy
  visible_energy_mev, contained, vertex_activity_mev

simulate/facts.py defines the facts behind them. Amounts are rounded as they are written: two significant digits, but
none below 1 (cm, MeV); 0 stands for less than 1. A fact that is unknown (not there, or NaN) gives no claim.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Truth

LEPTONS = ("muon", "electron")
LEADS = (*LEPTONS, "photon", "hadron", "nothing")
# Kind -> name of its fact, and the factor from the fact's unit to the claim's
AMOUNTS = {
    "lead_length_cm": ("lepton_track_mm", 0.1),
    "longest_track_cm": ("longest_track_mm", 0.1),
    "shower_energy_mev": ("shower_energy_mev", 1.0),
    "shower_dedx_mev_per_cm": ("shower_dedx_mev_per_mm", 10.0),
    "shower_gap_cm": ("shower_gap_mm", 0.1),
    "michel_energy_mev": ("michel_energy_mev", 1.0),
    "visible_energy_mev": ("visible_energy_mev", 1.0),
    "vertex_activity_mev": ("vertex_activity_mev", 1.0),
}
COUNTS = ("num_tracks", "num_protons", "num_showers", "num_pi0")
YES_OR_NO = {
    "lead_contained": "lepton_contained",
    "lepton_visible": "lepton_visible",
    "michel": "michel",
    "contained": "contained",
}
# The order in which claims come
KINDS = (
    "lead",
    "lead_length_cm",
    "lead_contained",
    "lepton_visible",
    "region",
    *COUNTS,
    "longest_track_cm",
    "shower_energy_mev",
    "shower_dedx_mev_per_cm",
    "shower_gap_cm",
    "michel",
    "michel_energy_mev",
    "visible_energy_mev",
    "contained",
    "vertex_activity_mev",
)

# What a person would accept as "about": of a track of 100 cm, 80 or 120 cm, but not 150 cm. Near 0 a share would ask
# for more than a picture shows. 2 cm are four pixels of 5 mm. 30 MeV are what the least of showers has (facts.py).
# 0.5 MeV/cm is a quarter of the 2.1 MeV/cm that tell the pair of a photon from one electron. A tenth of a picture is
# what a fingertip covers of it.
SHARE = 0.25
LENGTH_CM, ENERGY_MEV, DEDX_MEV_PER_CM, GAP_CM, REGION_PERCENT = 2.0, 30.0, 0.5, 2.0, 10
TOLERANCE = {
    "lead_length_cm": LENGTH_CM,
    "longest_track_cm": LENGTH_CM,
    "shower_energy_mev": ENERGY_MEV,
    "shower_dedx_mev_per_cm": DEDX_MEV_PER_CM,
    "shower_gap_cm": GAP_CM,
    "michel_energy_mev": ENERGY_MEV,
    "visible_energy_mev": ENERGY_MEV,
    "vertex_activity_mev": ENERGY_MEV,
}
# Kind -> kind without which it is not said, since a sentence holds both
NEEDS = {
    "lead_length_cm": "lead",
    "lead_contained": "lead",
    "lepton_visible": "lead",
    "shower_gap_cm": "shower_dedx_mev_per_cm",
    "michel_energy_mev": "michel",
}
Place = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class Claim:
    """A value that hashes: text, a number, True or False, or for a region a tuple of places."""

    kind: str
    value: str | float | bool | tuple[Place, ...]


class Verdict(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    # The truth does not hold the fact
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Window:
    """Where the pictures of V views lie in the readout.

    `low` (V, 2): native row and column at which each begins. `extent` (V, 2) or (2,): native rows and columns that it
    spans; negative where the picture is turned over. `names`: of the V planes.
    """

    low: np.ndarray
    extent: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self):
        low, extent = np.asarray(self.low, np.float64), np.asarray(self.extent, np.float64)
        shape = (len(self.names), 2)
        finite = np.isfinite(low).all() and np.isfinite(extent).all()
        if low.shape != shape or extent.shape not in (shape, (2,)) or not finite or not extent.all():
            raise UserError(
                f"window of planes {', '.join(self.names)}: low has shape {low.shape}, extent {extent.shape}; they "
                f"must be {shape}, finite, and the extent not 0"
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "extent", np.broadcast_to(extent, shape))

    def mirrored(self, flip_rows: Sequence[int], flip_columns: Sequence[int]) -> Window:
        """The same pictures after these views are turned over."""
        low, extent = self.low.copy(), self.extent.copy()
        for axis, views in enumerate((flip_rows, flip_columns)):
            for view in views:
                low[view, axis] += extent[view, axis]
                extent[view, axis] *= -1
        return Window(low, extent, self.names)

    def moved(self, share: tuple[float, float]) -> Window:
        """The same pictures after all that is in them moved by these shares of their height and width."""
        return Window(self.low - np.array(share) * self.extent, self.extent, self.names)

    def percent(self, native: np.ndarray) -> np.ndarray:
        """(V, 2) native row and column -> whole percent of each picture, int64; what lies outside goes to 0 or 99."""
        share = (np.asarray(native, np.float64) - self.low) / self.extent
        return np.clip(np.floor(100 * share), 0, 99).astype(np.int64)


def claims_of(truth: Truth, window: Window | None = None) -> tuple[Claim, ...]:
    """All that can be claimed of an event, in the order of KINDS; nothing is said of regions without a window.

    What follows from another claim is left out: details of a thing that is not there, or that is not claimed.
    """
    claims: dict[str, Claim] = {}
    for kind in KINDS:
        value = None if is_absent(kind, truth.facts) else held(kind, truth.facts, window)
        if value is None or (kind in NEEDS and NEEDS[kind] not in claims):
            continue
        if kind == "lepton_visible" and (value or claims["lead"].value in LEPTONS):
            continue
        claims[kind] = Claim(kind, rounded(kind, value))
    lengths = [claims[kind].value for kind in ("lead_length_cm", "longest_track_cm") if kind in claims]
    if len(lengths) == 2 and lengths[0] == lengths[1]:
        del claims["longest_track_cm"]
    return tuple(claims.values())


def judge(claim: Claim, truth: Truth, window: Window | None = None) -> Verdict:
    """RIGHT within SHARE of the number or TOLERANCE; counts exactly; a detail of a thing that is not there is WRONG."""
    if is_absent(claim.kind, truth.facts):
        return Verdict.WRONG
    value = held(claim.kind, truth.facts, window)
    if value is None:
        return Verdict.UNKNOWN
    if claim.kind == "region":
        return _judge_region(claim.value, value)
    if claim.kind in AMOUNTS:
        right = abs(value - claim.value) <= max(SHARE * claim.value, TOLERANCE[claim.kind])
    else:
        right = value == claim.value
    return Verdict.RIGHT if right else Verdict.WRONG


def _judge_region(claimed: tuple[Place, ...], places: tuple[Place, ...]) -> Verdict:
    """RIGHT if every coordinate that is claimed is within REGION_PERCENT."""
    true = {plane: np.array(coordinates) for plane, *coordinates in places}
    if not all(plane in true for plane, *_ in claimed):
        return Verdict.UNKNOWN
    right = all(np.all(abs(true[plane] - coordinates) <= REGION_PERCENT) for plane, *coordinates in claimed)
    return Verdict.RIGHT if right else Verdict.WRONG


def is_absent(kind: str, facts: Mapping) -> bool:
    """Whether the thing that a claim of this kind describes is known not to be there."""
    lead = held("lead", facts, None)
    if kind == "lead_length_cm":
        return lead not in (None, "muon")
    if kind == "lead_contained":
        return lead not in (None, *LEPTONS) or facts.get("lepton_visible") is False
    if kind.startswith("shower_"):
        return facts.get("num_showers") == 0
    if kind == "longest_track_cm":
        return facts.get("num_tracks") == 0
    return kind == "michel_energy_mev" and facts.get("michel") is False


def held(kind: str, facts: Mapping, window: Window | None):
    """What the facts hold of a kind, in the claim's unit but not rounded; None if they do not."""
    if kind == "lead":
        nothing = "lead" not in facts and facts.get("visible_energy_mev") == 0
        lead = "nothing" if nothing else facts.get("lead")
        return lead if lead in LEADS else None
    if kind == "region":
        return None if window is None else _region(facts, window)
    if kind in YES_OR_NO:
        value = facts.get(YES_OR_NO[kind])
        return value if isinstance(value, bool) else None
    name, factor = AMOUNTS.get(kind, (kind, 1))
    value = facts.get(name)
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value * factor if known else None


def _region(facts: Mapping, window: Window) -> tuple[Place, ...] | None:
    """Ends of the leading object in each view that the facts know; None if they know none."""
    ends = [
        [[facts.get(f"lead_{name}_{end}_{axis}", math.nan) for axis in ("row", "column")] for name in window.names]
        for end in ("from", "to")
    ]
    known = np.isfinite(ends).all(axis=(0, 2))
    percent = np.concatenate([window.percent(np.where(known[:, None], end, 0.0)) for end in ends], axis=1)
    places = tuple((window.names[view], *percent[view].tolist()) for view in np.flatnonzero(known).tolist())
    return places or None


def rounded(kind: str, value):
    """A value as it is written: see the top of this file."""
    if kind in COUNTS:
        return int(value)
    if kind not in AMOUNTS:
        return value
    if kind == "shower_dedx_mev_per_cm":
        return round(value, 1)
    if value < 1:
        return 0.0
    step = 10.0 ** max(math.floor(math.log10(value)) - 1, 0)
    return float(round(value / step) * step)
