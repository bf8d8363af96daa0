import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Event, Hits, Identity, Truth, label_of


def pixels(order) -> Hits:
    generator = np.random.default_rng(0)
    columns = {
        "plane": [0, 1, 2, 0, 1],
        "row": generator.integers(0, 9, 5),
        "column": range(5),
        "charge": generator.random(5),
    }
    return Hits("pixels", {name: np.array(column)[list(order)] for name, column in columns.items()})


@given(st.permutations(range(5)))
def test_the_content_hash_does_not_depend_on_order_label_or_file(order):
    first = Event(pixels(range(5)), Truth(label="nc"), Identity("a", 1))
    second = Event(pixels(order), Truth(label="nue_cc"), Identity("b", 2))
    assert first.content_hash == second.content_hash


@pytest.mark.parametrize("name", ["plane", "row", "column", "charge"])
def test_the_content_hash_sees_every_column(name):
    hits = pixels(range(5))
    changed = Hits("pixels", hits.columns | {name: hits[name] + 1})
    identity = Identity("a", 1)
    assert Event(hits, Truth(), identity).content_hash != Event(changed, Truth(), identity).content_hash


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        ("voxels", {}, "kind 'voxels' is unknown"),
        ("pixels", {"plane": [1], "row": [1], "column": [1]}, r"missing columns \['charge'\]"),
        ("pixels", {"plane": [1], "row": [1], "column": [1], "charge": [1], "x": [1]}, r"unknown columns \['x'\]"),
        ("pixels", {"plane": [1], "row": [1, 2], "column": [1], "charge": [1]}, "equal length"),
    ],
)
def test_hits_that_are_no_table_are_refused(kind, columns, message):
    with pytest.raises(UserError, match=message):
        Hits(kind, columns)


def test_columns_have_the_dtypes_of_the_contract():
    hits = pixels(range(5))
    assert [hits[name].dtype for name in ("plane", "row", "column", "charge")] == [
        np.uint8,
        np.uint16,
        np.uint16,
        np.float32,
    ]


@pytest.mark.parametrize(("name", "value"), [("label", "nuecc"), ("mode", "quasi")])
def test_a_truth_outside_the_vocabulary_is_refused(name, value):
    with pytest.raises(UserError, match=f"truth.{name} is '{value}'"):
        Truth(**{name: value})


def test_what_is_unknown_is_not_made_up():
    truth = Truth()
    assert truth.label is truth.nu_pdg is truth.is_cc is truth.mode is truth.particles is None
    assert np.isnan([truth.nu_energy_gev, *truth.vertex_mm]).all() and truth.counts == {}


@pytest.mark.parametrize(
    ("nu_pdg", "is_cc", "label"),
    [
        (12, True, "nue_cc"),
        (-12, True, "nue_cc"),
        (14, True, "numu_cc"),
        (16, True, "nutau_cc"),
        (14, False, "nc"),
        (None, False, "nc"),
        (14, None, None),
        (None, True, None),
        (22, True, None),
    ],
)
def test_a_label_is_current_times_flavour(nu_pdg, is_cc, label):
    assert label_of(nu_pdg, is_cc) == label


def test_a_key_is_a_safe_file_name():
    assert Identity("0123456789abcdef0123", 7, run=1).key == "0123456789abcdef-1-x-7"
