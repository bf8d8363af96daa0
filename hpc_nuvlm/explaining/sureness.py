"""Sureness: how sure a model must be of a claim for it to be stated, one threshold for each kind of claim.

Fitted on events that are not scored: on the same ones, a threshold would know the claims that it lets through.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Truth
from hpc_nuvlm.explaining.texts import Told
from hpc_nuvlm.rationale import Verdict, Window, confidences, judge, keep_sure
from hpc_nuvlm.rationale.claims import KINDS

# Standard errors by which the precision of the claims kept is taken below what was counted. With 1, twelve claims that
# are all right show 0.92; without, a single one would, and the least threshold of many would be the luckiest.
NUM_STANDARD_ERRORS = 1.0
# More than any claim is sure
NEVER = math.inf


@dataclass(frozen=True)
class Threshold:
    """From which confidence on claims of a kind are stated; NEVER: they are not."""

    confidence: float
    # Claims of the kind that truth could judge where it was fitted, and those that it keeps
    num_judged: int
    num_kept: int
    num_kept_right: int


def check_fitting_events(keys: Sequence[str], truths: Sequence[Truth], scored: Sequence[str]) -> None:
    """UserError if thresholds cannot be fitted on these events: one is scored too, or nothing is known of any."""
    shared = set(keys) & set(scored)
    if shared:
        raise UserError(
            f"thresholds: {len(shared)} of the {len(keys)} events that they would be fitted on are scored too, first "
            f"{min(shared)}; give other events (--thresholds-from DATASET:SPLIT), or take half of them (--events N)"
        )
    if not any(truth.facts for truth in truths):
        raise UserError(
            f"thresholds: of the {len(keys)} events that they would be fitted on no facts are known, so that no claim "
            "can be judged; give simulated events (--thresholds-from DATASET:SPLIT)"
        )


def fit_thresholds(
    told: Told, truths: Sequence[Truth], windows: Sequence[Window], precision: float, scored: Sequence[str]
) -> dict[str, Threshold]:
    """The threshold of every kind, after `check_fitting_events`; `scored`: keys of the events that will be scored.

    It is the least with which the kept claims are right at the wanted precision, at the lower end of Wilson's interval
    (NUM_STANDARD_ERRORS).
    """
    check_fitting_events(told.keys, truths, scored)
    judged: dict[str, list[tuple[float, bool]]] = {kind: [] for kind in KINDS}
    for said, truth, window in zip(told.said, truths, windows, strict=True):
        for claim, confidence in confidences(said.text, said.spans, said.log_probabilities):
            verdict = judge(claim, truth, window)
            if verdict is not Verdict.UNKNOWN:
                judged[claim.kind].append((confidence, verdict is Verdict.RIGHT))
    return {kind: least_threshold(claims, precision) for kind, claims in judged.items()}


def least_threshold(claims: Sequence[tuple[float, bool]], precision: float) -> Threshold:
    """Of (confidence, right) of each claim. Claims of equal confidence are kept together."""
    ordered = np.array(sorted(claims, reverse=True), np.float64).reshape(-1, 2)
    num_kept = np.arange(1, len(ordered) + 1)
    num_right = ordered[:, 1].cumsum()
    last_of_equals = np.append(ordered[1:, 0] != ordered[:-1, 0], True)[: len(ordered)]
    enough = np.flatnonzero(last_of_equals & (lower_bound(num_right, num_kept) >= precision))
    if not len(enough):
        return Threshold(NEVER, len(claims), 0, 0)
    last = enough[-1]
    return Threshold(float(ordered[last, 0]), len(claims), int(num_kept[last]), int(num_right[last]))


def lower_bound(num_right: np.ndarray, num_claims: np.ndarray) -> np.ndarray:
    """Lower end of Wilson's score interval of a share (J. Am. Stat. Assoc. 22 (1927) 209), NUM_STANDARD_ERRORS wide."""
    z, share = NUM_STANDARD_ERRORS, num_right / num_claims
    middle = share + z**2 / (2 * num_claims)
    half = z * np.sqrt(share * (1 - share) / num_claims + z**2 / (4 * num_claims**2))
    return (middle - half) / (1 + z**2 / num_claims)


def leave_out_unsure(told: Told, thresholds: Mapping[str, Threshold]) -> list[str]:
    """The text of each event without the claims below their thresholds; what is no claim stays, as the class does."""
    limits = {kind: threshold.confidence for kind, threshold in thresholds.items()}
    return [keep_sure(said.text, said.spans, said.log_probabilities, limits) for said in told.said]
