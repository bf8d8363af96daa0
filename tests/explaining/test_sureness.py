"""How sure a claim must be, and that this is never learned from the events that are scored."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Truth
from hpc_nuvlm.explaining.sureness import (
    NEVER,
    fit_thresholds,
    least_threshold,
    leave_out_unsure,
    lower_bound,
)
from hpc_nuvlm.explaining.texts import Told
from hpc_nuvlm.models.task import Said
from hpc_nuvlm.rationale import read, read_class
from hpc_nuvlm.rationale.claims import KINDS

CLASS = "I classify the pixel maps as NuMu CC."


def told(texts: list[str], sureness: list[float]) -> Told:
    """Texts of which every character is a token of its own; the first has the text's doubt."""
    said = []
    for text, sure in zip(texts, sureness):
        start = next(i for i, letter in enumerate(text) if letter.isdigit())
        logs = [math.log(sure) if place == start else 0.0 for place in range(len(text))]
        said.append(Said(text, tuple((i, i + 1) for i in range(len(text))), tuple(logs)))
    num = len(texts)
    return Told(tuple(range(num)), tuple(f"e{i}" for i in range(num)), np.zeros(num), np.zeros((num, 3)), tuple(said))


def tracks(num_events: int, right_above: float):
    """Events with two tracks, of which the text tells so where it is sure, else three."""
    sureness = [(number + 1) / num_events for number in range(num_events)]
    texts = [f"The event has {2 if sure > right_above else 3} tracks. {CLASS}" for sure in sureness]
    truths = [Truth(facts={"num_tracks": 2})] * num_events
    return told(texts, sureness), truths, [None] * num_events


def test_the_threshold_leaves_out_what_is_wrong_and_the_class_stays():
    asked, truths, windows = tracks(100, right_above=0.4)
    thresholds = fit_thresholds(asked, truths, windows, 0.9, scored=["other"])
    found = thresholds["num_tracks"]
    assert (found.num_judged, set(thresholds)) == (100, set(KINDS))
    share = found.num_kept_right / found.num_kept
    assert (
        found.num_kept_right == 60
        and share > 0.9
        and found.confidence == pytest.approx(1 - found.num_kept / 100 + 0.01)
    )
    stated = leave_out_unsure(asked, thresholds)
    assert sum(bool(read(text)) for text in stated) == found.num_kept
    assert all(read_class(text, ("nue_cc", "numu_cc")) == "numu_cc" for text in stated)


def test_a_kind_that_never_is_right_enough_is_never_stated_nor_one_that_was_not_met():
    asked, truths, windows = tracks(100, right_above=1.0)
    thresholds = fit_thresholds(asked, truths, windows, 0.9, scored=[])
    assert {threshold.confidence for threshold in thresholds.values()} == {NEVER}
    sure = told([f"One counts 1 proton. {CLASS}"], [1.0])
    assert leave_out_unsure(sure, thresholds) == [CLASS]


def test_thresholds_are_not_fitted_on_events_that_are_scored():
    asked, truths, windows = tracks(5, right_above=0.5)
    with pytest.raises(UserError, match="1 of the 5 events that they would be fitted on are scored too, first e3"):
        fit_thresholds(asked, truths, windows, 0.9, scored=["x", "e3"])


def test_thresholds_are_not_fitted_where_nothing_is_known():
    asked, _, windows = tracks(5, right_above=0.5)
    with pytest.raises(UserError, match="no facts are known, so that no claim can be judged"):
        fit_thresholds(asked, [Truth()] * 5, windows, 0.9, scored=[])


claims = st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]), st.booleans()), max_size=60)


@given(claims=claims, precision=st.sampled_from([0.5, 0.8, 0.92]))
def test_it_is_the_least_confidence_that_keeps_enough_right_claims(claims, precision):
    """By trying every confidence; the bound is that of another library."""
    fitting = []
    for limit in {sure for sure, _ in claims}:
        kept = [right for sure, right in claims if sure >= limit]
        # A level of one standard error on both sides
        interval = binomtest(sum(kept), len(kept)).proportion_ci(math.erf(1 / math.sqrt(2)), method="wilson")
        if interval.low >= precision:
            fitting.append((limit, len(kept), sum(kept)))
    found = least_threshold(claims, precision)
    assert found.num_judged == len(claims)
    assert (found.confidence, found.num_kept, found.num_kept_right) == min(fitting, default=(NEVER, 0, 0))


def test_few_claims_that_are_all_right_do_not_show_a_high_precision():
    count = np.arange(1, 20)
    assert (lower_bound(count, count) < 0.92).sum() == 11
    assert not math.isfinite(least_threshold([(0.9, True)] * 11, 0.92).confidence)
    assert least_threshold([(0.9, True)] * 12, 0.92).confidence == 0.9
