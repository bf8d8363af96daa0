"""Scoring: how many claims of texts are true, how much of the truth they tell, and what they make up.

A claim of a *thing* says that something is there: a lead, a count above 0, a Michel electron. So does a claim of a
detail (the energy of the largest shower) in a text that does not claim the thing itself. It is made up if the truth
knows that the thing is not there; things of which the truth knows nothing are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Truth
from hpc_nuvlm.rationale.claims import COUNTS, KINDS, Claim, Verdict, Window, claims_of, held, is_absent, judge
from hpc_nuvlm.rationale.reading import read

INTERVAL_QUANTILES = (0.025, 0.975)
# Detail -> the kind that claims its thing
THING_OF = {
    "lead_length_cm": "lead",
    "lead_contained": "lead",
    "longest_track_cm": "num_tracks",
    "shower_energy_mev": "num_showers",
    "shower_dedx_mev_per_cm": "num_showers",
    "shower_gap_cm": "num_showers",
    "michel_energy_mev": "michel",
}
COLUMNS = ("right", "wrong", "unknown", "possible", "recalled")


@dataclass(frozen=True)
class Ratio:
    """A share and its 95 % interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class KindScores:
    """Claims of one kind. Those that the truth cannot judge (unknown) count in neither ratio."""

    num_stated: int
    num_right: int
    num_wrong: int
    num_unknown: int
    # Events that could be told so, and those that were, and nothing else of the kind
    num_possible: int
    num_recalled: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class ClaimScores:
    """Scores of texts; intervals are percentiles over bootstrap resamples of events, whose claims hang together."""

    num_texts: int
    # Texts in which no claim could be read
    num_silent: int
    # right / (right + wrong), recalled / possible, made up / claims of things
    precision: Ratio
    recall: Ratio
    hallucination_rate: Ratio
    overall: KindScores
    per_kind: dict[str, KindScores]
    num_things: int
    num_made_up: int
    seed: int
    num_resamples: int

    def to_json(self) -> dict:
        """The scores as plain fields that `json.dumps` takes; None becomes null, there is no NaN."""
        return asdict(self)


def score_claims(
    texts: Sequence[str],
    truths: Sequence[Truth],
    windows: Sequence[Window | None] | None = None,
    seed: int = 0,
    num_resamples: int = 1000,
) -> ClaimScores:
    """Score the text of each event against its truth; regions are judged where a window is given."""
    windows = [None] * len(texts) if windows is None else windows
    if not len(texts) == len(truths) == len(windows) or not len(texts):
        raise UserError(
            f"claims: {len(texts)} texts, {len(truths)} truths, {len(windows)} windows; each event needs one of each, "
            "and there must be an event"
        )
    counts = np.zeros((len(texts), len(KINDS), len(COLUMNS)), np.int64)
    things = np.zeros((len(texts), 2), np.int64)
    num_silent = 0
    for row, thing, text, truth, window in zip(counts, things, texts, truths, windows):
        claims = read(text)
        num_silent += not claims
        row[:] = _count(claims, truth, window)
        thing[:] = count_things(claims, truth)
    totals = counts.sum(1)
    # Of each event: numerator and denominator
    parts = {
        "precision": np.stack([totals[:, 0], totals[:, 0] + totals[:, 1]], axis=1),
        "recall": totals[:, [COLUMNS.index("recalled"), COLUMNS.index("possible")]],
        "hallucination_rate": things,
    }
    return ClaimScores(
        num_texts=len(texts),
        num_silent=num_silent,
        **_bootstrap(parts, seed, num_resamples),
        overall=_kind_scores(totals.sum(0)),
        per_kind={kind: _kind_scores(column) for kind, column in zip(KINDS, counts.sum(0)) if column.any()},
        num_things=int(things[:, 1].sum()),
        num_made_up=int(things[:, 0].sum()),
        seed=seed,
        num_resamples=num_resamples,
    )


def count_things(claims: Sequence[Claim], truth: Truth) -> tuple[int, int]:
    """(made up, all) claims of things in one text, of those that the truth can judge."""
    kinds = {claim.kind for claim in claims}
    made_up = num_things = 0
    implied = set()
    for claim in claims:
        thing = THING_OF.get(claim.kind)
        if thing is None and _is_thing(claim):
            verdict = _is_there(claim, truth)
        elif thing is not None and thing not in kinds | implied:
            implied.add(thing)
            verdict = not is_absent(claim.kind, truth.facts) if held(thing, truth.facts, None) is not None else None
        else:
            continue
        num_things += verdict is not None
        made_up += verdict is False
    return made_up, num_things


def _is_thing(claim: Claim) -> bool:
    if claim.kind == "lead":
        return claim.value != "nothing"
    return claim.kind in ("michel", "lepton_visible", *COUNTS) and bool(claim.value)


def _is_there(claim: Claim, truth: Truth) -> bool | None:
    """Whether the thing is there, however many; None if unknown."""
    value = held(claim.kind, truth.facts, None)
    if value is None:
        return None
    return value == claim.value if claim.kind == "lead" else bool(value)


def _count(claims: Sequence[Claim], truth: Truth, window: Window | None) -> np.ndarray:
    """(kinds, COLUMNS) of one text."""
    counts = np.zeros((len(KINDS), len(COLUMNS)), np.int64)
    verdicts: dict[str, list[Verdict]] = {}
    for claim in claims:
        verdict = judge(claim, truth, window)
        verdicts.setdefault(claim.kind, []).append(verdict)
        counts[KINDS.index(claim.kind), COLUMNS.index(verdict.value)] += 1
    for claim in claims_of(truth, window):
        told = verdicts.get(claim.kind, [])
        recalled = bool(told) and all(verdict is Verdict.RIGHT for verdict in told)
        counts[KINDS.index(claim.kind), 3:] += (1, recalled)
    return counts


def _kind_scores(column: np.ndarray) -> KindScores:
    right, wrong, unknown, possible, recalled = column.tolist()
    return KindScores(
        num_stated=right + wrong + unknown,
        num_right=right,
        num_wrong=wrong,
        num_unknown=unknown,
        num_possible=possible,
        num_recalled=recalled,
        precision=right / (right + wrong) if right + wrong else None,
        recall=recalled / possible if possible else None,
    )


def _bootstrap(parts: dict[str, np.ndarray], seed: int, num_resamples: int) -> dict[str, Ratio]:
    """Ratio of the sums of each part's two columns, with its interval."""
    generator = np.random.default_rng(seed)
    num_events = len(next(iter(parts.values())))
    columns = np.concatenate(list(parts.values()), axis=1)
    drawn = np.empty((num_resamples, columns.shape[1]))
    for row in drawn:
        row[:] = np.bincount(generator.integers(num_events, size=num_events), minlength=num_events) @ columns
    ratios = {}
    for number, (name, part) in enumerate(parts.items()):
        above, below = drawn[:, 2 * number], drawn[:, 2 * number + 1]
        shares = above[below > 0] / below[below > 0]
        low, high = np.quantile(shares, INTERVAL_QUANTILES).tolist() if len(shares) else (math.nan, math.nan)
        made, total = part.sum(0).tolist()
        ratios[name] = Ratio(*(value if total else None for value in (made / max(total, 1), low, high)))
    return ratios
