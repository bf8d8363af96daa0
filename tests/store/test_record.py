"""Truth as JSON: nothing is lost on the way, what is unknown stays unknown, and old records are read."""

import json
import math
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.event import LABELS, MODES, Event, Hits, Identity, Truth
from hpc_nuvlm.store.record import read_record, record_of, write_record

HITS = Hits("pixels", {"plane": [0], "row": [1], "column": [2], "charge": [3.0]})
IDENTITY = Identity("a" * 64, 7, run=1)
# What the first version of the store wrote, which knew no kinematics and no facts
OLD_RECORD = b"""{"identity": {"source": "abc", "event": 3, "run": null, "subrun": null}, "truth": {"label": "nue_cc",
"nu_pdg": 12, "is_cc": true, "mode": "dis", "nu_energy_gev": 2.5, "lepton_energy_gev": null,
"vertex_mm": [1.0, null, 3.0], "counts": {"proton": 2}, "particles": [[11, 1.5], [2212, null]]}}"""

# Any number but infinity, which no truth holds
real = st.one_of(st.just(math.nan), st.floats(allow_nan=False, allow_infinity=False))
name = st.text("abcdefgh_", min_size=1, max_size=12)
truth = st.builds(
    Truth,
    label=st.sampled_from((*LABELS, None)),
    nu_pdg=st.none() | st.integers(-16, 16),
    is_cc=st.none() | st.booleans(),
    mode=st.sampled_from((*MODES, None)),
    nu_energy_gev=real,
    lepton_energy_gev=real,
    q2_gev2=real,
    w_gev=real,
    inelasticity=real,
    available_energy_gev=real,
    vertex_mm=st.tuples(real, real, real),
    counts=st.dictionaries(name, st.integers(0, 9), max_size=4),
    particles=st.none() | st.lists(st.tuples(st.integers(-(10**9), 10**9), real), max_size=4).map(tuple),
    facts=st.dictionaries(name, st.one_of(real, st.integers(-(2**53), 2**53), st.booleans(), name), max_size=6),
)


def same(first, second) -> bool:
    """Equal in value and type, where NaN equals NaN."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, tuple | list):
        return len(first) == len(second) and all(map(same, first, second))
    both_nan = isinstance(first, float) and isinstance(second, float) and math.isnan(first) and math.isnan(second)
    return type(first) is type(second) and (both_nan or first == second)


@given(truth)
def test_any_truth_comes_back_as_it_was(value):
    event = read_record(write_record(Event(HITS, value, IDENTITY)), HITS)
    assert same(asdict(event.truth), asdict(value)) and event.identity == IDENTITY


def test_unknown_is_null_in_the_text():
    record = json.loads(write_record(Event(HITS, Truth(facts={"gap_mm": math.nan}), IDENTITY)))
    unknown = {key for key, value in record["truth"].items() if value is None}
    assert {"q2_gev2", "w_gev", "inelasticity", "available_energy_gev", "nu_energy_gev", "particles"} <= unknown
    assert record["truth"]["facts"] == {"gap_mm": None} and record["truth"]["vertex_mm"] == [None] * 3


def test_every_field_of_truth_is_in_the_record():
    assert set(record_of(Event(HITS, Truth(), IDENTITY))["truth"]) == {field.name for field in fields(Truth)}


def test_a_record_without_the_later_keys_is_read():
    value = read_record(OLD_RECORD, HITS).truth
    assert (value.label, value.nu_pdg, value.is_cc, value.mode, value.nu_energy_gev) == ("nue_cc", 12, True, "dis", 2.5)
    assert value.counts == {"proton": 2} and value.facts == {}
    assert np.isnan([value.q2_gev2, value.w_gev, value.inelasticity, value.available_energy_gev]).all()
    assert same(value.particles, ((11, 1.5), (2212, math.nan))) and same(value.vertex_mm, (1.0, math.nan, 3.0))


@pytest.mark.parametrize(
    ("key", "value"), [("facts", [1, 2]), ("facts", 3), ("q2_gev2", "much"), ("w_gev", {}), ("unheard_of", 1)]
)
def test_a_damaged_record_is_a_value_error(key, value):
    record = json.loads(OLD_RECORD)
    record["truth"][key] = value
    with pytest.raises(ValueError, match=r"damaged|could not convert"):
        read_record(json.dumps(record).encode(), HITS)
