"""Claims against their definitions by hand."""

import math

import numpy as np
import pytest

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Truth
from hpc_nuvlm.rationale import Claim, Verdict, Window, claims_of, judge
from hpc_nuvlm.rationale.claims import rounded

MUON = {
    "lead": "muon",
    "lepton_visible": True,
    "lepton_contained": False,
    "lepton_track_mm": 2312.0,
    "longest_track_mm": 2312.0,
    "num_tracks": 2,
    "num_showers": 0,
    "shower_energy_mev": 20.0,
}


def said(facts: dict, window: Window | None = None) -> dict:
    return {claim.kind: claim.value for claim in claims_of(Truth(facts=facts), window)}


def verdict(kind: str, value, facts: dict, window: Window | None = None) -> Verdict:
    return judge(Claim(kind, value), Truth(facts=facts), window)


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("longest_track_cm", 0.99, 0.0),
        ("longest_track_cm", 1.0, 1.0),
        ("longest_track_cm", 9.6, 10.0),
        ("longest_track_cm", 231.23, 230.0),
        ("longest_track_cm", 996.0, 1000.0),
        ("visible_energy_mev", 99.4, 99.0),
        ("visible_energy_mev", 996.0, 1000.0),
        ("visible_energy_mev", 1249.0, 1200.0),
        ("shower_dedx_mev_per_cm", 2.14, 2.1),
        ("num_tracks", 3.0, 3),
    ],
)
def test_amounts_keep_two_digits_and_none_below_one(kind, value, written):
    assert rounded(kind, value) == written


def test_what_is_not_known_is_not_claimed():
    assert claims_of(Truth()) == ()
    assert said({"visible_energy_mev": math.nan, "num_tracks": math.nan, "michel": math.nan}) == {}
    assert said({"lead": "neutrino"}) == {}


def test_what_is_not_there_or_follows_is_not_claimed():
    assert said(MUON) == {
        "lead": "muon",
        "lead_length_cm": 230.0,
        "lead_contained": False,
        "num_tracks": 2,
        "num_showers": 0,
    }
    longer = said(MUON | {"longest_track_mm": 3000.0})
    assert longer["longest_track_cm"] == 300.0
    assert "lepton_visible" not in said({"lead": "muon", "lepton_visible": False})
    assert said({"lead": "photon", "lepton_visible": False})["lepton_visible"] is False
    # Without what they belong to
    assert (
        said({"lepton_track_mm": 30.0, "lepton_visible": False, "shower_gap_mm": 3.0, "michel_energy_mev": 9.0}) == {}
    )


def test_an_event_of_which_nothing_is_seen_says_so():
    assert said({"visible_energy_mev": 0.0}) == {"lead": "nothing", "visible_energy_mev": 0.0}
    assert verdict("lead", "nothing", {"visible_energy_mev": 0.0}) is Verdict.RIGHT
    assert verdict("lead", "muon", {"visible_energy_mev": 0.0}) is Verdict.WRONG
    assert verdict("lead", "nothing", {"visible_energy_mev": 3.0}) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "value", "facts", "expected"),
    [
        # A quarter of what is claimed, not of the truth
        ("longest_track_cm", 100.0, {"longest_track_mm": 1250.0}, Verdict.RIGHT),
        ("longest_track_cm", 100.0, {"longest_track_mm": 1251.0}, Verdict.WRONG),
        ("longest_track_cm", 100.0, {"longest_track_mm": 749.0}, Verdict.WRONG),
        # The absolute tolerance of each
        ("longest_track_cm", 4.0, {"longest_track_mm": 59.9}, Verdict.RIGHT),
        ("longest_track_cm", 4.0, {"longest_track_mm": 61.0}, Verdict.WRONG),
        ("shower_gap_cm", 0.0, {"shower_gap_mm": 19.0}, Verdict.RIGHT),
        ("shower_gap_cm", 0.0, {"shower_gap_mm": 21.0}, Verdict.WRONG),
        ("vertex_activity_mev", 10.0, {"vertex_activity_mev": 39.0}, Verdict.RIGHT),
        ("vertex_activity_mev", 10.0, {"vertex_activity_mev": 41.0}, Verdict.WRONG),
        ("shower_dedx_mev_per_cm", 1.0, {"shower_dedx_mev_per_mm": 0.149}, Verdict.RIGHT),
        ("shower_dedx_mev_per_cm", 1.0, {"shower_dedx_mev_per_mm": 0.151}, Verdict.WRONG),
        ("num_protons", 2, {"num_protons": 2}, Verdict.RIGHT),
        ("num_protons", 2, {"num_protons": 3}, Verdict.WRONG),
        ("michel", True, {"michel": True}, Verdict.RIGHT),
        ("michel", True, {"michel": False}, Verdict.WRONG),
        ("michel", True, {}, Verdict.UNKNOWN),
        ("lead", "photon", {"lead": "electron"}, Verdict.WRONG),
        # Details of what is not there
        ("shower_energy_mev", 20.0, {"num_showers": 0, "shower_energy_mev": 20.0}, Verdict.WRONG),
        ("shower_dedx_mev_per_cm", 2.0, {"num_showers": 1}, Verdict.UNKNOWN),
        ("michel_energy_mev", 30.0, {"michel": False}, Verdict.WRONG),
        ("longest_track_cm", 9.0, {"num_tracks": 0, "longest_track_mm": 90.0}, Verdict.WRONG),
        ("lead_length_cm", 90.0, {"lead": "hadron"}, Verdict.WRONG),
        ("lead_length_cm", 90.0, {"visible_energy_mev": 0.0}, Verdict.WRONG),
        ("lead_contained", True, {"lepton_visible": False}, Verdict.WRONG),
        ("lead_contained", True, {"lead": "photon"}, Verdict.WRONG),
        ("lead_contained", True, {"lead": "electron", "lepton_contained": True}, Verdict.RIGHT),
    ],
)
def test_a_claim_is_judged_by_its_tolerance(kind, value, facts, expected):
    assert verdict(kind, value, facts) is expected


def lead_at(plane: str, *ends: float) -> dict:
    names = ("from_row", "from_column", "to_row", "to_column")
    return {f"lead_{plane}_{name}": value for name, value in zip(names, ends)}


def test_a_window_turns_native_pixels_into_percent_of_each_picture():
    window = Window([[100, 200], [0, 0]], [[50, 400], [10, 10]], ("XZ", "YZ"))
    facts = lead_at("XZ", 100.0, 200.0, 149.9, 599.0) | lead_at("YZ", 0.05, 9.95, -300.0, 10.0)
    assert said(facts, window)["region"] == (("XZ", 0, 0, 99, 99), ("YZ", 0, 99, 0, 99))
    assert window.percent([[125.0, 204.0], [5.0, 0.1]]).tolist() == [[50, 1], [50, 1]]
    assert "region" not in said(facts)


def test_one_extent_serves_all_views_and_a_negative_one_turns_the_picture_over():
    window = Window(np.zeros((2, 2)), (100, 50), ("XZ", "YZ"))
    assert window.percent([[30, 10], [30, 10]]).tolist() == [[30, 20], [30, 20]]
    turned = Window([[100.0, 0.0]], (-100, 50), ("Z",))
    assert turned.percent([[30, 10]]).tolist() == [[70, 20]]


def test_a_view_of_which_an_end_is_not_known_is_left_out():
    window = Window(np.zeros((3, 2)), (100, 100), ("U", "V", "Z"))
    facts = lead_at("U", 1.0, 2.0, 3.0, 4.0) | lead_at("V", 1.0, math.nan, 3.0, 4.0) | {"lead_Z_from_row": 3.0}
    assert said(facts, window)["region"] == (("U", 1, 2, 3, 4),)
    assert "region" not in said(lead_at("V", 1.0, math.nan, 3.0, 4.0), window)


def test_every_coordinate_of_a_region_must_be_near():
    window = Window(np.zeros((2, 2)), (100, 100), ("XZ", "YZ"))
    facts = lead_at("XZ", 10.5, 20.5, 30.5, 40.5) | lead_at("YZ", 10.5, 20.5, 30.5, 40.5)
    assert verdict("region", (("XZ", 20, 30, 20, 50), ("YZ", 10, 20, 30, 40)), facts, window) is Verdict.RIGHT
    assert verdict("region", (("XZ", 20, 30, 20, 51), ("YZ", 10, 20, 30, 40)), facts, window) is Verdict.WRONG
    assert verdict("region", (("XZ", 10, 20, 30, 40), ("Q", 10, 20, 30, 40)), facts, window) is Verdict.UNKNOWN
    assert verdict("region", (("XZ", 10, 20, 30, 40),), facts) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("low", "extent"),
    [([[0, 0]], (9, 9)), ([[0, 0], [0, math.nan]], (9, 9)), ([[0, 0]] * 2, (9, 0)), ([[0, 0]] * 2, (9, math.inf))],
)
def test_a_window_that_is_none_is_refused(low, extent):
    with pytest.raises(UserError, match="window of planes XZ, YZ"):
        Window(low, extent, ("XZ", "YZ"))
