"""Texts as a reader meets them."""

import numpy as np
import pytest

from hpc_nuvlm.event import Truth
from hpc_nuvlm.rationale import Claim, Window, claims_of, write
from hpc_nuvlm.rationale.wording import WORDINGS, Amount

FACTS = {
    "lead": "electron",
    "lepton_visible": True,
    "lepton_contained": True,
    "num_tracks": 1,
    "num_protons": 0,
    "num_showers": 2,
    "num_pi0": 0,
    "longest_track_mm": 351.0,
    "shower_energy_mev": 1234.0,
    "shower_dedx_mev_per_mm": 0.213,
    "shower_gap_mm": 0.0,
    "michel": True,
    "michel_energy_mev": 31.4,
    "visible_energy_mev": 1890.0,
    "contained": False,
    "vertex_activity_mev": 0.4,
} | {
    f"lead_{plane}_{end}_{axis}": value
    for plane in ("U", "V", "Z")
    for end, value in (("from", 3.0), ("to", 88.0))
    for axis in ("row", "column")
}
WINDOW = Window(np.zeros((3, 2)), (100, 100), ("U", "V", "Z"))
CLAIMS = claims_of(Truth(facts=FACTS), WINDOW)


def texts(number: int) -> list[str]:
    return [write(CLAIMS, np.random.default_rng(seed)) for seed in range(number)]


def test_the_generator_alone_decides_the_wording():
    assert texts(5) == texts(5)
    assert len(set(texts(200))) > 190


def test_every_wording_is_used():
    together = " ".join(texts(300)).lower()
    for kind in {claim.kind for claim in CLAIMS}:
        for wording in WORDINGS[kind] if kind != "region" else ():
            assert wording.pattern.search(together), (kind, wording)


def test_a_text_is_short_and_begins_with_the_lead_then_its_place_then_the_counts():
    for text in texts(50):
        assert 80 <= len(text.split()) <= 110
        first, second, third, *_ = text.split(". ")
        assert "an electron shower" in first and "runs from U 03 03, V 03 03, Z 03 03 to U 88 88" in second
        assert third.endswith("1 track, no protons, 2 showers, no neutral pions")


def test_a_text_without_claims_is_empty():
    assert write((), np.random.default_rng(0)) == ""
    assert write((Claim("michel_energy_mev", 30.0),), np.random.default_rng(0)) == ""


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("cm", 0.0, "less than 1 cm"),
        ("cm", 1.0, "1 cm"),
        ("cm", 1200.0, "1200 cm"),
        ("MeV", 990.0, "990 MeV"),
        ("MeV", 1000.0, "1.0 GeV"),
        ("MeV", 9900.0, "9.9 GeV"),
        ("MeV", 10_000.0, "10 GeV"),
        ("MeV/cm", 2.1, "2.1 MeV/cm"),
        ("MeV/cm", 0.0, "0.0 MeV/cm"),
    ],
)
def test_an_amount_is_written_in_its_unit(unit, value, text):
    assert Amount(unit).write(value) == text


def test_about_is_said_of_amounts_that_are_not_tiny():
    wording = WORDINGS["shower_gap_cm"][0]
    assert wording.write(12.0) == "about 12 cm from the vertex"
    assert wording.write(0.0) == "less than 1 cm from the vertex"


def test_the_article_and_the_number_fit_the_noun():
    for text in texts(20):
        assert " a electron" not in text and " 1 tracks" not in text and "2 shower," not in text
        assert all(sentence[0].isupper() for sentence in text.split(". "))
