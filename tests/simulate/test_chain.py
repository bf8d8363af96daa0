import math
from dataclasses import replace

import numpy as np
import pytest

from hpc_nuvlm.detector import load_detector
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.chain import Simulator, box_of, overlaid, source_digest
from hpc_nuvlm.simulate.settings import Cosmics, Geometry, Interactions, Simulation

SETTINGS = Simulation(detector="paper_lartpc", interactions=Interactions(flavours={14: 1.0}))


@pytest.fixture(scope="module")
def detector(repository):
    return load_detector("paper_lartpc", repository / "configs" / "detectors")


def primaries(pdg, position_mm=(0.0, 0.0, 0.0)) -> Interaction:
    number = len(pdg)
    return Interaction(
        np.array(pdg, np.int32),
        np.tile([0.0, 0.0, 400.0], (number, 1)),
        np.full(number, math.hypot(400.0, 105.6583755)),
        np.tile(position_mm, (number, 1)).astype(float),
        np.zeros(number),
        nu_pdg=14,
    )


def same(first, second) -> bool:
    columns = all((first.hits[name] == second.hits[name]).all() for name in first.hits.columns)
    return columns and first.identity == second.identity and repr(first.truth) == repr(second.truth)


@pytest.mark.slow
def test_an_event_is_the_same_in_any_order_and_any_process(detector):
    there = Simulator(SETTINGS, detector)
    back = Simulator(SETTINGS.model_copy(update={"events": 7, "shard_events": 1}), detector)
    events = {number: there.event(number) for number in range(6)}
    assert all(same(back.event(number), events[number]) for number in reversed(range(6)))
    assert len({event.content_hash for event in events.values() if len(event.hits)}) > 1


@pytest.mark.slow
def test_an_event_carries_its_full_truth(detector):
    simulator = Simulator(SETTINGS, detector)
    events = [simulator.event(number) for number in range(12)]
    for event in events:
        truth = event.truth
        assert truth.label == ("numu_cc" if truth.is_cc else "nc") and truth.nu_pdg == 14
        assert 0 < truth.lepton_energy_gev <= truth.nu_energy_gev <= 10
        assert truth.inelasticity == pytest.approx(1 - truth.lepton_energy_gev / truth.nu_energy_gev)
        assert truth.q2_gev2 > 0 and truth.available_energy_gev >= 0 and truth.particles
        assert all(low <= at <= high for low, at, high in zip((-1e3, -1e3, -3.5e3), truth.vertex_mm, (1e3, 1e3, 3.5e3)))
        assert truth.facts["visible_energy_mev"] <= 1e3 * truth.nu_energy_gev


@pytest.mark.slow
def test_cosmic_muons_add_hits_and_leave_the_truth_alone(detector):
    busy = SETTINGS.model_copy(update={"cosmics": Cosmics(mean_muons=40.0)})
    quiet, loud = Simulator(SETTINGS, detector).event(3), Simulator(busy, detector).event(3)
    assert len(loud.hits) > len(quiet.hits) + 1000
    assert loud.truth.nu_energy_gev == quiet.truth.nu_energy_gev and loud.truth.particles == quiet.truth.particles


def test_cosmics_come_after_the_interaction_and_stay_where_they_are():
    vertex = (100.0, -50.0, 2000.0)
    both = overlaid(primaries([13, 2212]), vertex, primaries([-13], position_mm=(5.0, 1000.0, 7.0)))
    assert both.pdg.tolist() == [13, 2212, -13] and both.nu_pdg == 14
    assert (both.position_mm[2] + vertex == [5.0, 1000.0, 7.0]).all() and not both.position_mm[:2].any()
    alone = primaries([13])
    assert overlaid(alone, vertex, primaries([])) is alone


def test_boxes_are_those_given_or_the_detectors(detector):
    assert box_of("argon", None, None, detector) == (detector.volume_low_mm, detector.volume_high_mm)
    assert box_of("argon", (0, 0, 0), (1, 1, 1), detector) == ((0, 0, 0), (1, 1, 1))
    with pytest.raises(ConfigError, match=r"geometry\.vertex: low corner .* is above"):
        box_of("vertex", (0, 2, 0), (1, 1, 1), detector)
    with pytest.raises(ConfigError, match="names no volume; give both corners"):
        box_of("vertex", None, None, replace(detector, volume_low_mm=None, volume_high_mm=None))


def test_only_what_decides_events_is_in_their_source():
    same_events = SETTINGS.model_copy(update={"events": 5, "shard_events": 3, "split": {"train": 1.0}, "least_hits": 9})
    assert source_digest(same_events) == source_digest(SETTINGS)
    others = ({"seed": 2}, {"cosmics": Cosmics(mean_muons=1.0)}, {"geometry": Geometry(argon_low_mm=(0, 0, 0))})
    assert len({source_digest(SETTINGS.model_copy(update=other)) for other in others} | {source_digest(SETTINGS)}) == 4


def test_files_need_something_to_read_them_with(detector):
    settings = Simulation(detector="paper_lartpc", interactions={"files": ["events.root"]})
    with pytest.raises(ConfigError, match=r"interactions\.files"):
        Simulator(settings, detector)


@pytest.mark.slow
def test_cosmic_muons_do_not_move_the_map_of_the_wires_away_from_the_interaction(repository):
    dune = load_detector("dune_fd_cvn", repository / "configs" / "detectors")
    argon = Geometry(argon_low_mm=(-3600, -6000, 0), argon_high_mm=(3600, 6000, 9000))
    geometry = argon.model_copy(update={"vertex_low_mm": (900.0, 0.0, 4000.0), "vertex_high_mm": (1100.0, 0.0, 4000.0)})
    seen = []
    for mean_muons in (0.0, 4.0):
        settings = Simulation(
            detector="dune_fd_cvn",
            geometry=geometry,
            interactions={"files": ["events.root"]},
            response={"kind": "wires"},
            cosmics={"mean_muons": mean_muons},
        )
        simulator = Simulator(settings, dune, lambda number: primaries([13, 211]))
        seen.append([simulator.event(number).truth.facts["visible_energy_mev"] for number in range(12)])
    assert np.mean(seen[1]) == pytest.approx(np.mean(seen[0]), rel=0.2)


def test_what_transport_cannot_follow_names_the_event(detector):
    settings = Simulation(detector="paper_lartpc", interactions={"files": ["events.root"]})
    simulator = Simulator(settings, detector, lambda number: primaries([13, 9999]))
    with pytest.raises(UserError, match=r"^event 7: primary 1 has PDG code 9999"):
        simulator.event(7)


def test_vertices_out_of_the_argon_are_refused(detector):
    geometry = Geometry(vertex_low_mm=(0, 0, 0), vertex_high_mm=(0, 0, 9000))
    with pytest.raises(ConfigError, match="not all in the argon"):
        Simulator(SETTINGS.model_copy(update={"geometry": geometry}), detector)
