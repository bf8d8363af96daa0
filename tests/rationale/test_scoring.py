"""Scores against counts by hand."""

import json
from itertools import pairwise

import numpy as np
import pytest

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Truth
from hpc_nuvlm.rationale import claims_of, read, score_claims, write
from hpc_nuvlm.rationale.scoring import count_things

PHOTON = Truth(
    facts={
        "lead": "photon",
        "lepton_visible": False,
        "num_tracks": 0,
        "num_showers": 2,
        "michel": False,
        "visible_energy_mev": 300.0,
    }
)
MUON = Truth(
    facts={"lead": "muon", "lepton_track_mm": 1000.0, "lepton_visible": True, "num_tracks": 1, "num_showers": 0}
)


def test_precision_recall_and_what_is_made_up_are_counted_by_hand():
    scores = score_claims(
        [
            # lead wrong and made up, tracks right, showers wrong but there, energy right, protons unknown
            "The leading object is an electron shower. One counts no tracks, 3 showers, 1 proton. "
            "The visible energy is about 310 MeV.",
            # lead right, length right, tracks wrong but there, shower energy wrong: there is no shower
            "The event is led by a muon track, about 90 cm long. One counts 2 tracks. "
            "The largest shower has about 90 MeV.",
        ],
        [PHOTON, MUON],
    )
    overall = scores.overall
    assert (overall.num_stated, overall.num_right, overall.num_wrong, overall.num_unknown) == (9, 4, 4, 1)
    # lead, lepton, tracks, showers, Michel, energy; lead, length, tracks, showers
    assert (overall.num_possible, overall.num_recalled) == (10, 4)
    assert (scores.num_things, scores.num_made_up) == (5, 2)
    assert scores.precision.value == overall.precision == 0.5
    assert scores.recall.value == overall.recall == 0.4
    assert scores.hallucination_rate.value == 0.4
    lead = scores.per_kind["lead"]
    assert (lead.num_right, lead.num_wrong, lead.precision, lead.recall) == (1, 1, 0.5, 0.5)
    michel = scores.per_kind["michel"]
    assert (michel.num_stated, michel.precision, michel.recall) == (0, None, 0.0)
    assert "region" not in scores.per_kind


@pytest.mark.parametrize(
    ("text", "truth", "made_up", "things"),
    [
        ("The event is led by a muon track.", PHOTON, 1, 1),
        ("The event is led by nothing.", PHOTON, 0, 0),
        ("The event is led by a photon shower, and a lepton is visible.", PHOTON, 1, 2),
        ("The event is led by a photon shower, and no lepton is visible.", PHOTON, 0, 1),
        ("One counts 2 tracks, no showers.", PHOTON, 1, 1),
        ("One counts 9 showers, 3 protons.", PHOTON, 0, 1),
        ("A Michel electron is seen, of about 30 MeV.", PHOTON, 1, 1),
        ("A Michel electron is not seen.", PHOTON, 0, 0),
        ("The longest track is about 9 cm.", PHOTON, 1, 1),
        # Two details of one thing
        ("The largest shower has about 90 MeV. The largest shower begins at 2.0 MeV/cm.", PHOTON, 0, 1),
        ("The largest shower has about 90 MeV. One counts 1 shower.", MUON, 1, 1),
        ("The largest shower has about 90 MeV.", Truth(), 0, 0),
        ("The event is led by a muon track.", Truth(), 0, 0),
    ],
)
def test_a_thing_is_made_up_only_where_it_is_known_not_to_be(text, truth, made_up, things):
    assert count_things(read(text), truth) == (made_up, things)


def test_a_text_that_contradicts_itself_recalls_nothing():
    scores = score_claims(["One counts 1 track, 2 tracks."], [MUON])
    assert (scores.per_kind["num_tracks"].num_right, scores.per_kind["num_tracks"].num_recalled) == (1, 0)


def test_the_truth_itself_scores_full_marks():
    truths = [PHOTON, MUON] * 20
    texts = [write(claims_of(truth), np.random.default_rng(seed)) for seed, truth in enumerate(truths)]
    scores = score_claims(texts, truths)
    for ratio, value in ((scores.precision, 1.0), (scores.recall, 1.0), (scores.hallucination_rate, 0.0)):
        assert ratio.value == ratio.low == ratio.high == value
    assert scores.num_silent == 0


def test_intervals_hold_their_value_and_shrink_with_events():
    texts = ["The event is led by a muon track.", "The event is led by a photon shower.", "No claim."]
    widths = []
    for repeats in (10, 100, 1000):
        scores = score_claims(texts * repeats, [MUON] * 3 * repeats, num_resamples=200)
        assert scores.precision.low <= scores.precision.value == 0.5 <= scores.precision.high
        assert scores.num_silent == repeats
        widths.append(scores.precision.high - scores.precision.low)
    # As the root of ten
    assert all(2 < wide / narrow < 5 for wide, narrow in pairwise(widths))


def test_scores_are_plain_json_and_undefined_ones_are_null():
    scores = json.loads(json.dumps(score_claims(["Nothing to say."], [Truth()]).to_json(), allow_nan=False))
    assert scores["precision"] == scores["recall"] == {"value": None, "low": None, "high": None}
    assert scores["per_kind"] == {} and scores["num_silent"] == 1


@pytest.mark.parametrize(("texts", "truths"), [([], []), (["a"], []), (["a"], [MUON, MUON])])
def test_events_that_do_not_match_are_refused(texts, truths):
    with pytest.raises(UserError, match="each event needs one of each"):
        score_claims(texts, truths)
