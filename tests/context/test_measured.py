"""What is measured is a function of the hits: hand-made events, and a slow twin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.config import Context
from hpc_nuvlm.context import MEASURED, open_context
from hpc_nuvlm.context.measured import amount, length_cm, percent
from hpc_nuvlm.detector import Detector, ViewPlane
from hpc_nuvlm.event import Event, Hits, Identity, Truth

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture
def detector():
    planes = (ViewPlane("XZ", Z, X, 5.0, 10.0), ViewPlane("YZ", Y, Z, 5.0, 10.0))
    low, high = (-1000.0,) * 3, (1000.0,) * 3
    return Detector("box", "A box (XZ, YZ)", planes, 400, 200, low, high, 0.1, 0.001)


def pixels(rows, columns, charges, planes=None) -> Hits:
    planes = np.zeros(len(rows)) if planes is None else planes
    return Hits("pixels", {"plane": planes, "row": rows, "column": columns, "charge": charges})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "00e0"), (5.2, "05e0"), (9.7, "10e0"), (12, "12e0"), (99.6, "10e1"), (74495.0, "74e3"), (123456789, "12e7")],
)
def test_an_amount_has_two_digits_and_a_power_of_ten(value, text):
    assert amount(value) == text


@given(st.floats(0, 1e9))
def test_an_amount_is_as_long_as_any_other_and_right_within_its_digits(value):
    text = amount(value)
    assert len(text) == 4
    assert abs(float(text) - value) <= max(0.05 * value, 0.5) + 1e-9


def test_a_share_is_two_digits():
    assert [percent(share) for share in (0, 0.051, 0.5, 0.999, 1)] == ["00 %", "05 %", "50 %", "99 %", "99 %"]


def test_fields_of_pixels_are_those_of_a_hand_count(detector):
    # 40 rows of 5 mm are 20 cm, a column of 10 mm is 1 cm; the second view has a quarter of the charge
    rows, columns = np.arange(100, 140), np.full(40, 7)
    charge = np.where(np.arange(40) < 4, 100.0, 10.0)
    hits = pixels(np.r_[rows, 50], np.r_[columns, 60], np.r_[charge, 250.0], np.r_[np.zeros(40), 1])
    said = {name: field(hits, detector) for name, field in MEASURED.items()}
    assert said["charge"] == "charge 10e2" and said["hits"] == "hits 41e0"
    # 5 % of 760 lies in the first pixel; 95 % ends 3.8 pixels of 10 before the last
    assert said["rows"] == "rows 18e0 00e0 cm"
    assert said["columns"] == "columns 01e0 01e0 cm"
    assert said["share"] == "share 75 %" and said["bright"] == "bright 64 %"


def test_deposits_are_measured_where_a_readout_would_put_them(detector):
    generator = np.random.default_rng(3)
    position_mm = generator.uniform(-900, 900, (60, 3))
    energy = generator.uniform(1, 9, 60)
    deposits = Hits("deposits", dict(zip(("x_mm", "y_mm", "z_mm"), position_mm.T)) | {"energy_mev": energy})
    rows = {0: (position_mm[:, 2] + 1000) / 5, 1: (position_mm[:, 1] + 1000) / 5}
    columns = {0: (position_mm[:, 0] + 1000) / 10, 1: (position_mm[:, 2] + 1000) / 10}
    readout = pixels(
        *(np.floor(np.r_[places[0], places[1]]) for places in (rows, columns)),
        np.r_[energy, energy],
        np.repeat([0, 1], 60),
    )
    for name in ("rows", "columns"):
        assert MEASURED[name](deposits, detector) == MEASURED[name](readout, detector)
    assert MEASURED["charge"](deposits, detector) == f"energy {amount(energy.sum())} MeV"
    assert MEASURED["share"](deposits, detector) == "share unknown"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50)), min_size=1, max_size=40))
def test_the_length_holds_the_middle_of_the_charge(hits):
    places, weights = (np.array(column) for column in zip(*hits))
    charges = np.repeat(places, weights)  # each unit of charge by itself
    low, high = (np.sort(charges)[int(np.ceil(share * len(charges) - 1e-9)) - 1] for share in (0.05, 0.95))
    assert length_cm(places, weights.astype(float), 10.0) == high - low + 1


def test_an_event_without_hits_can_be_told_of(detector):
    said = [field(pixels([], [], []), detector) for field in MEASURED.values()]
    assert said == [
        "charge 00e0",
        "hits 00e0",
        "rows 00e0 00e0 cm",
        "columns 00e0 00e0 cm",
        "share unknown",
        "bright unknown",
    ]


def test_measured_lines_are_the_same_whatever_the_truth_is(detector):
    lines = open_context(Context(fields=(*MEASURED, "detector")))
    hits = pixels(np.arange(9), np.arange(9), np.arange(9.0))
    event = Event(hits, Truth("nue_cc", 12, True, "qe", 1.0), Identity("ab" * 32, 1))
    others = [Truth(), Truth("nc", 14, False, "dis", 9.0, facts={"lead": "muon"}, counts={"proton": 3})]
    told = lines.write([event, *(replace(event, truth=truth) for truth in others)], detector)
    assert len(set(told)) == 1 and told[0].endswith(", detector A box.")
