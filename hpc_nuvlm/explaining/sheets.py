"""Tables of what was measured of explanations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scipy.stats import binomtest

from hpc_nuvlm.explaining.deletion import ELSEWHERE, RANDOM, Deletion, Effect
from hpc_nuvlm.explaining.sureness import Threshold
from hpc_nuvlm.rationale import ClaimScores, Ratio
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.tables import UNDEFINED, Sheet

TITLES = {RANDOM: "a random region", ELSEWHERE: "a region elsewhere"}


def share_of(num_right: int, num_all: int) -> Ratio:
    """A share with Wilson's 95 % interval."""
    if not num_all:
        return Ratio(None, None, None)
    interval = binomtest(num_right, num_all).proportion_ci(0.95, method="wilson")
    return Ratio(num_right / num_all, float(interval.low), float(interval.high))


def overall_sheet(claims: Mapping[str, ClaimScores], agreement: Ratio) -> Sheet:
    """One row for each set of texts, judged together; intervals are over resamples of events."""
    header = ["texts", "claims", "precision", "recall", "hallucination rate"]
    rows = [
        [
            name,
            f"{scores.overall.num_stated:,}",
            *map(_share, (scores.precision, scores.recall, scores.hallucination_rate)),
        ]
        for name, scores in claims.items()
    ]
    return Sheet(
        "Claims, with 95 % intervals", header, rows, f"class of the text is the scored one: {_share(agreement)}"
    )


def kind_sheet(claims: Mapping[str, ClaimScores], thresholds: Mapping[str, Threshold]) -> Sheet:
    """One row a kind of claim: the threshold; of each set of texts claims, precision with its interval, and recall."""
    kinds = [kind for kind in thresholds if any(kind in scores.per_kind for scores in claims.values())]
    header = ["kind", "stated if sure"]
    header += [column for name in claims for column in (name, "precision", "recall")]
    rows = [
        [
            kind,
            _confidence(thresholds[kind]),
            *(cell for scores in claims.values() for cell in _kind_cells(scores, kind)),
        ]
        for kind in kinds
    ]
    return Sheet("By kind of claim, precision with its 95 % interval", header, rows)


def deletion_sheet(deletion: Deletion) -> Sheet:
    """One row for each group of events and kind of region that the named one is compared with."""
    header = ["events", "compared with", "number", "p falls by", "other: by", "difference", "ratio", "of log odds"]
    rows = [
        [class_title(group), TITLES[kind], f"{of['probability'].num_events:,}", *_effect_cells(of)]
        for kind, groups in deletion.effects.items()
        for group, of in groups.items()
    ]
    note = (
        f"{deletion.num_named:,} of {deletion.num_events:,} texts name a region, {deletion.num_dark:,} a dark one; "
        f"{deletion.num_too_large:,} that hold more than {100 * deletion.largest_share:g} % of the light are left out; "
        f"the others hold {_percent(deletion.share)}, and of the random ones {_percent(deletion.overlap)} is named too"
    )
    return Sheet("Blanking the region that the text names, with 95 % intervals", header, rows, note)


def _kind_cells(scores: ClaimScores, kind: str) -> list[str]:
    found = scores.per_kind.get(kind)
    if found is None:
        return ["0", UNDEFINED, UNDEFINED]
    precision = share_of(found.num_right, found.num_right + found.num_wrong)
    recall = UNDEFINED if found.recall is None else f"{found.recall:.3f}"
    return [f"{found.num_stated:,}", _share(precision), recall]


def _effect_cells(of: Mapping[str, Effect]) -> list[str]:
    probability, log_odds = of["probability"], of["log_odds"]
    falls = (f"{probability.named:.3f}", f"{probability.others:.3f}", _share(probability.difference))
    return [*falls, _ratio(probability.ratio), _ratio(log_odds.ratio)]


def _confidence(threshold: Threshold) -> str:
    return "never" if math.isinf(threshold.confidence) else f"{threshold.confidence:.3f}"


def _share(ratio: Ratio) -> str:
    if ratio.value is None:
        return UNDEFINED
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _ratio(ratio: Ratio) -> str:
    if math.isnan(ratio.value):
        return UNDEFINED
    value, low, high = (
        "∞" if math.isinf(number) else f"{number:.1f}" for number in (ratio.value, ratio.low, ratio.high)
    )
    return f"{value} [{low}, {high}]"


def _percent(share: float | None) -> str:
    return UNDEFINED if share is None else f"{100 * share:.0f} %"
