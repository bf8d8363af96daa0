"""Slices of events: edges, unknowns, and scores equal to those of the events cut out by hand."""

import math

import numpy as np

from hpc_nuvlm.metrics import score
from hpc_nuvlm.slices import by_energy, by_mode, score_slices

CLASSES = ("nue_cc", "nc")


def test_an_energy_on_an_edge_belongs_to_the_slice_above():
    slices = by_energy(np.array([0, 0.99, 1, 2, 7.9, 8, 300, math.nan]))
    assert {name: np.flatnonzero(inside).tolist() for name, inside in slices.items()} == {
        "0 to 1 GeV": [0, 1],
        "1 to 2 GeV": [2],
        "2 to 4 GeV": [3],
        "4 to 8 GeV": [4],
        "above 8 GeV": [5, 6],
        "unknown": [7],
    }


def test_every_event_is_in_one_slice():
    energy = np.random.default_rng(0).exponential(3, 500)
    modes = [("qe", "res", None)[i % 3] for i in range(500)]
    for slices in (by_energy(energy), by_mode(modes)):
        assert (np.sum(list(slices.values()), axis=0) == 1).all()


def test_modes_come_by_number_of_events_with_the_unknown_last():
    slices = by_mode([None] * 5 + ["qe"] + ["dis"] * 3 + ["coh"])
    assert list(slices) == ["dis", "coh", "qe", "unknown"]
    assert slices["dis"].sum() == 3


def test_where_truth_tells_nothing_there_are_no_slices():
    assert by_energy(np.full(3, math.nan)) == {} and by_mode([None, None]) == {}


def test_a_slice_is_scored_as_its_events_alone():
    generator = np.random.default_rng(1)
    truth, energy = generator.integers(2, size=80), generator.uniform(0, 3, 80)
    probabilities = generator.dirichlet((1, 1), 80)
    found = score_slices(truth, probabilities, CLASSES, by_energy(energy))
    assert list(found) == ["0 to 1 GeV", "1 to 2 GeV", "2 to 4 GeV"]
    middle = [i for i in range(80) if 1 <= energy[i] < 2]
    assert found["1 to 2 GeV"] == score(truth[middle], probabilities[middle], CLASSES)
    assert sum(scores.num_events for scores in found.values()) == 80
