"""Visible facts on drawn traces, where the right answer is known by construction."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate import facts as facts_module
from hpc_nuvlm.simulate.ancestry import oldest
from hpc_nuvlm.simulate.facts import visible_facts
from hpc_nuvlm.simulate.transport import Trace
from nuvlm_kernels import workspace

ARGON_MM = ((-1000.0, -1000.0, -1000.0), (1000.0, 1000.0, 1000.0))
MIP_MEV_PER_MM = 0.21
ALONG_Z = (0.0, 0.0, 1.0)
PRIMARY, DECAY, DELTA, PAIR, HADRONIC = (
    workspace.PRIMARY,
    workspace.DECAY,
    workspace.DELTA,
    workspace.PAIR,
    workspace.HADRONIC,
)


@dataclass
class Line:
    """A straight particle that leaves `mev_per_mm` on `length_mm`, and `end_mev` of kinetic energy where it ends."""

    pdg: int
    length_mm: float
    mev_per_mm: float = MIP_MEV_PER_MM
    parent: int = -1
    process: int = PRIMARY
    start_mm: tuple = (0.0, 0.0, 0.0)
    direction: tuple = ALONG_Z
    end_mev: float = 0.0
    time_ns: float = 0.0


def draw(*lines: Line, step_mm: float = 2.0) -> Trace:
    """A trace of these lines, in steps; a particle that is not followed has no line."""
    start, end, energy, track = [], [], [], []
    track_start, track_end = np.zeros((len(lines), 8)), np.zeros((len(lines), 5))
    for number, line in enumerate(lines):
        count = max(1, math.ceil(line.length_mm / step_mm))
        places = np.linspace(0.0, line.length_mm, count + 1)[:, None] * np.array(line.direction) + line.start_mm
        if line.mev_per_mm > 0 and line.length_mm > 0:
            start.append(places[:-1])
            end.append(places[1:])
            energy += [line.mev_per_mm * line.length_mm / count] * count
            track += [number] * count
        kinetic = line.mev_per_mm * line.length_mm + line.end_mev
        track_start[number] = [*line.start_mm, *line.direction, kinetic, line.time_ns]
        track_end[number] = [*places[-1], line.end_mev, line.length_mm]
    return Trace(
        start_mm=np.concatenate([np.zeros((0, 3)), *start]),
        end_mm=np.concatenate([np.zeros((0, 3)), *end]),
        energy_mev=np.array(energy),
        track=np.array(track, np.int64),
        track_pdg=np.array([line.pdg for line in lines], np.int32),
        track_parent=np.array([line.parent for line in lines], np.int64),
        track_process=np.array([line.process for line in lines], np.int64),
        track_start=track_start,
        track_end=track_end,
        time_ns=np.zeros(len(energy)),
        primary_track=np.array([i for i, line in enumerate(lines) if line.parent < 0], np.int64),
        ledger_mev={},
        primary_kinetic_mev=math.nan,
    )


def neutrino(*pdg: int, nu_pdg: int = 14, is_cc: bool = True) -> Interaction:
    count = len(pdg)
    return Interaction(
        pdg=np.array(pdg, np.int32),
        momentum_mev=np.zeros((count, 3)),
        energy_mev=np.ones(count),
        position_mm=np.zeros((count, 3)),
        time_ns=np.zeros(count),
        nu_pdg=nu_pdg,
        is_cc=is_cc,
    )


def facts_of(*lines: Line, nu_pdg: int = 14, is_cc: bool = True, seen=None, argon_mm=ARGON_MM) -> dict:
    interaction = neutrino(*(line.pdg for line in lines if line.parent < 0), nu_pdg=nu_pdg, is_cc=is_cc)
    return visible_facts(interaction, draw(*lines), seen, argon_mm)


MUON = Line(13, 400.0)
MICHEL = Line(11, 150.0, parent=0, process=DECAY, start_mm=(0.0, 0.0, 400.0), direction=(1.0, 0.0, 0.0))


def test_a_muon_that_stops_is_a_contained_track_with_a_michel_electron():
    facts = facts_of(MUON, MICHEL)
    assert facts["lepton_pdg"] == 13 and facts["lepton_visible"] and facts["lepton_contained"] and facts["contained"]
    assert facts["lepton_track_mm"] == facts["longest_track_mm"] == pytest.approx(400)
    assert (facts["num_tracks"], facts["num_vertex_tracks"], facts["num_showers"]) == (1, 1, 0)
    assert facts["michel"] and facts["michel_energy_mev"] == pytest.approx(150 * MIP_MEV_PER_MM)
    assert facts["visible_energy_mev"] == pytest.approx(550 * MIP_MEV_PER_MM)
    assert facts["vertex_activity_mev"] == 0 and "shower_gap_mm" not in facts


def test_an_electron_of_a_muon_that_decays_in_flight_is_no_michel():
    assert not facts_of(replace(MUON, end_mev=50.0), MICHEL)["michel"]


def test_a_muon_that_leaves_the_argon_is_not_contained_however_little_it_takes_along():
    facts = facts_of(Line(13, 1000.0, end_mev=1.0))
    assert facts["lepton_visible"] and not facts["lepton_contained"] and not facts["contained"]
    pion = Line(211, 1000.0, direction=(0.0, 1.0, 0.0))
    assert facts_of(MUON, replace(pion, end_mev=1.0))["contained"]
    leaving = facts_of(MUON, replace(pion, end_mev=500.0))
    assert leaving["lepton_contained"] and not leaving["contained"]
    assert "contained" not in facts_of(MUON, argon_mm=None)


def test_an_electron_begins_at_the_vertex_with_the_loss_of_one_particle():
    brems = Line(22, 100.0, 0.0, parent=0, process=workspace.BREMSSTRAHLUNG, start_mm=(0, 0, 50.0))
    pair = Line(-11, 300.0, parent=1, process=PAIR, start_mm=(0, 0, 150.0), time_ns=1)
    facts = facts_of(Line(11, 300.0), brems, pair, nu_pdg=12)
    assert facts["lepton_visible"] and "lepton_track_mm" not in facts
    assert facts["num_showers"] == 1 and facts["num_tracks"] == 0 and facts["longest_track_mm"] == 0
    assert facts["shower_energy_mev"] == pytest.approx(600 * MIP_MEV_PER_MM)
    assert facts["shower_gap_mm"] == 0 and facts["shower_dedx_mev_per_mm"] == pytest.approx(MIP_MEV_PER_MM, rel=1e-6)


def test_a_photon_begins_after_its_gap_with_the_loss_of_two_particles():
    photon = Line(22, 180.0, 0.0, end_mev=150.0)
    pair = [Line(code, 300.0, parent=0, process=PAIR, start_mm=(0, 0, 180.0), time_ns=0.6) for code in (11, -11)]
    facts = facts_of(photon, *pair, is_cc=False)
    assert facts["lepton_pdg"] == 14 and not facts["lepton_visible"] and "lepton_contained" not in facts
    assert facts["num_showers"] == 1 and facts["num_pi0"] == 0
    assert facts["shower_gap_mm"] == pytest.approx(180)
    assert facts["shower_dedx_mev_per_mm"] == pytest.approx(2 * MIP_MEV_PER_MM, rel=1e-6)


def test_a_compton_dot_on_the_way_does_not_close_the_gap():
    photon = Line(22, 180.0, 0.0)
    dot = Line(11, 5.0, parent=0, process=workspace.COMPTON, start_mm=(0, 0, 30.0), time_ns=0.1)
    pair = Line(11, 300.0, 0.42, parent=0, process=PAIR, start_mm=(0, 0, 180.0), time_ns=0.6)
    assert facts_of(photon, dot, pair, is_cc=False)["shower_gap_mm"] == pytest.approx(180)


def test_a_pi0_with_one_photon_above_threshold_is_one_pi0_and_one_shower():
    photons = [Line(22, 100.0, 0.0, parent=0, process=DECAY) for _ in range(2)]
    pairs = [Line(11, length, parent=i, process=PAIR, start_mm=(0, 0, 100.0)) for i, length in ((1, 300.0), (2, 100.0))]
    facts = facts_of(Line(111, 0.0, 0.0), *photons, *pairs, is_cc=False)
    assert facts["num_pi0"] == 1 and facts["num_showers"] == 1
    assert facts["visible_energy_mev"] == pytest.approx(400 * MIP_MEV_PER_MM)


def test_a_delta_ray_belongs_to_its_muon_however_hard_it_is():
    delta = Line(11, 200.0, parent=0, process=DELTA, start_mm=(0, 0, 20.0))
    facts = facts_of(MUON, delta)
    assert facts["num_showers"] == 0 and facts["vertex_activity_mev"] == 0


@pytest.mark.parametrize(("kinetic_mev", "expected"), [(39.0, 0), (41.0, 1)])
def test_protons_count_above_threshold_and_are_vertex_activity(kinetic_mev, expected):
    proton = Line(2212, 10.0, kinetic_mev / 10.0, direction=(0.0, 1.0, 0.0))
    facts = facts_of(MUON, proton)
    assert facts["num_protons"] == expected and facts["vertex_activity_mev"] == pytest.approx(kinetic_mev)
    assert facts["num_tracks"] == 1


def test_tracks_of_secondaries_count_but_not_as_prongs():
    pion = Line(211, 200.0, direction=(0.0, 1.0, 0.0), end_mev=100.0)
    proton = Line(2212, 60.0, 1.0, parent=1, process=HADRONIC, start_mm=(0.0, 200.0, 0.0))
    facts = facts_of(MUON, pion, proton)
    assert (facts["num_tracks"], facts["num_vertex_tracks"], facts["num_protons"]) == (3, 2, 0)


def test_what_is_outside_the_readout_is_not_claimed():
    nothing = facts_of(MUON, MICHEL, seen=np.zeros(275, bool))
    assert not nothing["lepton_visible"] and nothing["visible_energy_mev"] == 0 and not nothing["michel"]
    assert nothing["num_tracks"] == 0 and nothing["longest_track_mm"] == 0 and not nothing["contained"]
    half = facts_of(MUON, MICHEL, seen=np.arange(275) < 100)
    assert half["lepton_visible"] and not half["lepton_contained"] and not half["michel"]
    assert half["lepton_track_mm"] == pytest.approx(200)


def test_a_shower_whose_start_is_not_seen_has_no_gap_and_no_dedx():
    facts = facts_of(Line(11, 400.0), nu_pdg=12, seen=np.arange(200) >= 10)
    assert facts["num_showers"] == 1 and "shower_gap_mm" not in facts and "shower_dedx_mev_per_mm" not in facts


def test_cosmics_laid_over_an_event_change_no_fact():
    alone = facts_of(MUON, MICHEL)
    cosmic = Line(-13, 900.0, start_mm=(0.0, 20.0, 10.0), end_mev=300.0)
    shower = Line(11, 300.0, parent=2, process=HADRONIC, start_mm=(0.0, 20.0, 10.0))
    trace = draw(MUON, MICHEL, cosmic, shower)
    assert visible_facts(neutrino(13), trace, None, ARGON_MM) == alone


def test_the_vertex_is_where_the_primaries_say_it_is():
    """Also where the first primary came from a decay, away from the vertex, and neutrinos are not followed."""
    interaction = replace(neutrino(16, 13), position_mm=np.array([[0, 0, 0.0], [0, 0, 5.0]]))
    moved = replace(MUON, start_mm=(100.0, -200.0, 305.0))
    short = Line(2212, 10.0, 5.0, parent=0, process=HADRONIC, start_mm=(100.0, -200.0, 300.0))
    trace = replace(draw(moved, short), primary_track=np.array([-1, 0]))
    facts = visible_facts(interaction, trace, None, ARGON_MM)
    assert facts["num_vertex_tracks"] == 1 and facts["vertex_activity_mev"] == pytest.approx(50)


def test_an_interaction_of_which_nothing_is_followed_has_no_facts():
    trace = replace(draw(), primary_track=np.array([-1, -1]))
    assert visible_facts(neutrino(14, 1000180400, is_cc=False), trace, None, ARGON_MM) == {}


def test_a_particle_gun_has_facts_but_no_lepton():
    facts = visible_facts(replace(neutrino(13), nu_pdg=None, is_cc=None), draw(MUON), None, ARGON_MM)
    assert facts["num_tracks"] == 1 and "lepton_pdg" not in facts and "lepton_visible" not in facts


def test_a_trace_of_another_interaction_is_refused():
    with pytest.raises(AssertionError, match="another interaction"):
        visible_facts(neutrino(11), draw(MUON))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
def test_the_oldest_ancestor_is_what_climbing_step_by_step_finds(numbers):
    parent = np.array([-1 if i % 7 == 0 else number % i for i, number in enumerate(numbers)])
    climbed = []
    for track in range(len(parent)):
        while parent[track] >= 0:
            track = parent[track]
        climbed.append(track)
    assert oldest(parent).tolist() == climbed


@given(st.integers(0, 2**32 - 1))
def test_facts_do_not_depend_on_where_the_event_is_or_which_way_it_looks(seed):
    """Moved and turned, a muon, a pion and a photon give the same facts; what is seen never exceeds what is there."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    shift = rng.uniform(-100, 100, 3)
    lines = [
        Line(13, 300.0),
        Line(211, 120.0, direction=(1.0, 0.0, 0.0)),
        Line(22, 60.0, 0.0, direction=(0.0, 1.0, 0.0)),
        Line(11, 200.0, parent=2, process=PAIR, start_mm=(0.0, 60.0, 0.0), direction=(0.0, 1.0, 0.0)),
    ]
    placed = [
        replace(line, start_mm=turn @ line.start_mm + shift, direction=turn @ np.array(line.direction))
        for line in lines
    ]
    facts = facts_of(*placed)
    assert facts == pytest.approx(facts_of(*lines), abs=2e-4)
    assert facts["vertex_activity_mev"] <= facts["visible_energy_mev"]


def test_every_fact_is_listed_in_the_module_that_defines_it():
    names = set(facts_of(MUON, MICHEL)) | set(facts_of(Line(11, 300.0), nu_pdg=12))
    assert all(name in facts_module.__doc__ for name in names), names
    assert {type(value) for value in facts_of(MUON, MICHEL).values()} == {int, bool, float}
