"""Ends of the leading object: on drawn traces, where they are known, and against pixels of real ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hpc_nuvlm.detector import detector_folder, load_detector
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.facts import visible_facts
from hpc_nuvlm.simulate.regions import Views
from hpc_nuvlm.simulate.response import Readout
from hpc_nuvlm.simulate.settings import Response, Wires
from hpc_nuvlm.simulate.transport import Trace, Transport
from nuvlm_kernels import workspace
from nuvlm_kernels.particles import MASS_MEV, PDG

DUNE, PAPER = (load_detector(name, detector_folder()) for name in ("dune_fd_cvn", "paper_lartpc"))
# A view that shows y down and z across, a pixel to the mm
FLAT = Views(("YZ",), lambda points: points[:, None, 1:])
MEV_PER_MM = 0.2


def line(pdg, start, end, parent=-1, process=workspace.PRIMARY):
    return pdg, np.array(start, float), np.array(end, float), parent, process


def draw(*lines) -> Trace:
    """Straight particles that leave MEV_PER_MM, in steps of 2 mm."""
    low, high, track = [np.zeros((0, 3))], [np.zeros((0, 3))], []
    starts, ends = np.zeros((len(lines), 8)), np.zeros((len(lines), 5))
    for number, (_, start, end, *_) in enumerate(lines):
        length = float(np.linalg.norm(end - start))
        count = math.ceil(length / 2.0)
        places = start + np.linspace(0.0, 1.0, count + 1)[:, None] * (end - start)
        low, high, track = [*low, places[:-1]], [*high, places[1:]], track + [number] * count
        starts[number] = [*start, *((end - start) / max(length, 1e-9)), MEV_PER_MM * length, 0.0]
        ends[number] = [*end, 0.0, length]
    low, high = np.concatenate(low), np.concatenate(high)
    return Trace(
        start_mm=low, end_mm=high, energy_mev=MEV_PER_MM * np.linalg.norm(high - low, axis=1),
        time_ns=np.zeros(len(low)), track=np.array(track, np.int64),
        track_pdg=np.array([one[0] for one in lines], np.int32),
        track_parent=np.array([one[3] for one in lines]), track_process=np.array([one[4] for one in lines]),
        track_start=starts, track_end=ends,
        primary_track=np.array([i for i, one in enumerate(lines) if one[3] < 0]), ledger_mev={},
        primary_kinetic_mev=math.nan,
    )  # fmt: skip


def lead_of(*lines, nu_pdg=14, is_cc=True, seen=None, views=FLAT) -> dict:
    pdg = np.array([one[0] for one in lines if one[3] < 0], np.int32)
    zeros = np.zeros((len(pdg), 3))
    interaction = Interaction(pdg, zeros, zeros[:, 0], zeros, zeros[:, 0], nu_pdg=nu_pdg, is_cc=is_cc)
    facts = visible_facts(interaction, draw(*lines), seen, None, views)
    return {name: value for name, value in facts.items() if name == "lead" or name.startswith("lead_")}


def ends(facts: dict) -> list[float]:
    return [facts[f"lead_YZ_{end}_{axis}"] for end in ("from", "to") for axis in ("row", "column")]


MUON = line(13, (0, 0, 0), (0, 30, 240))
PROTON = line(2212, (0, 0, 0), (0, 0, 400))
PHOTON = line(22, (0, 0, 0), (0, 0, 0))
# All of a pair goes one way: a straight line of charge
PAIR = line(11, (0, 0, 100), (0, 0, 500), parent=1, process=workspace.PAIR)


def test_the_visible_lepton_leads_however_small():
    facts = lead_of(MUON, PROTON)
    assert facts["lead"] == "muon" and ends(facts) == [0, 0, 30, 240]
    electron = lead_of(line(11, (0, 0, 0), (0, 0, 200)), PROTON, nu_pdg=12)
    assert electron["lead"] == "electron" and ends(electron)[:2] == [0, 0]
    # 90 % of 200 mm, in the middle of a step
    assert ends(electron)[3] == pytest.approx(180, abs=1.1)


def test_without_a_lepton_the_object_with_most_energy_leads():
    assert lead_of(PROTON, PHOTON, PAIR, is_cc=False)["lead"] in ("photon", "hadron")
    longer = line(2212, (0, 0, 0), (0, 0, 420))
    assert lead_of(longer, PHOTON, PAIR, is_cc=False)["lead"] == "hadron"
    shorter = line(2212, (0, 0, 0), (0, 0, 380))
    photon = lead_of(shorter, PHOTON, PAIR, is_cc=False)
    assert photon["lead"] == "photon"
    assert ends(photon) == pytest.approx([0, 100, 0, 460], abs=1.1)


def test_a_muon_that_is_not_the_lepton_is_a_hadrons_track_unless_there_was_no_neutrino():
    assert lead_of(MUON, is_cc=False)["lead"] == "hadron"
    assert lead_of(MUON, nu_pdg=None, is_cc=None)["lead"] == "muon"
    assert lead_of(line(-11, (0, 0, 0), (0, 0, 90)), is_cc=False)["lead"] == "photon"
    assert lead_of(line(-11, (0, 0, 0), (0, 0, 90)), nu_pdg=None, is_cc=None)["lead"] == "electron"
    assert lead_of(PROTON, nu_pdg=None, is_cc=None)["lead"] == "hadron"


def test_a_track_ends_where_it_is_last_seen():
    seen = draw(MUON).end_mm[:, 2] < 120.5
    assert ends(lead_of(MUON, seen=seen)) == pytest.approx([0, 0, 15, 120], abs=2)


def test_of_a_track_that_passes_outside_its_delta_ray_tells_the_end():
    delta = line(11, (0, 30, 240), (0, 60, 240), parent=0, process=workspace.DELTA)
    seen = draw(MUON, delta).track == 1
    assert ends(lead_of(MUON, delta, is_cc=False, seen=seen)) == [0, 0, 60, 240]


def test_a_photon_without_an_electron_lies_where_it_is_absorbed():
    spot = line(22, (0, 7, 9), (0, 7, 10))
    assert ends(lead_of(spot, is_cc=False)) == pytest.approx([7, 9, 7, 9.5])


def test_nothing_seen_has_no_lead_and_neither_has_a_readout_that_is_not_told():
    assert lead_of(MUON, seen=np.zeros(len(draw(MUON).track), bool)) == {}
    assert lead_of(MUON, views=None) == {}


def test_a_view_without_a_place_is_left_out():
    blind = Views(("A", "YZ"), lambda points: np.stack([np.full((len(points), 2), np.nan), points[:, 1:]], axis=1))
    facts = lead_of(MUON, views=blind)
    assert ends(facts) == [0, 0, 30, 240] and not any("_A_" in name for name in facts)


def gun(pdg, kinetic_mev, direction):
    mass = float(MASS_MEV[PDG.tolist().index(pdg)])
    momentum = np.sqrt(kinetic_mev * (kinetic_mev + 2 * mass)) * np.array(direction) / np.linalg.norm(direction)
    return Interaction(
        np.array([pdg], np.int32), momentum[None], np.array([kinetic_mev + mass]), np.zeros((1, 3)), np.zeros(1)
    )


def mean_places(hits, num_views) -> np.ndarray:
    """(V, 2) charge-weighted row and column of the hits, in the middle of their pixels."""
    return np.array(
        [
            [np.average(hits[axis][hits["plane"] == view] + 0.5, weights=hits.charge[hits["plane"] == view])
             for axis in ("row", "column")]
            for view in range(num_views)
        ]
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("x_mm", [-2000.0, 1500.0])
@pytest.mark.parametrize("direction", [(0.3, 0.2, 1.0), (-0.5, -0.6, 0.4), (0.4, 0.8, -0.3)])
def test_native_places_are_where_the_hits_of_a_particle_land_in_every_view_of_the_wires(x_mm, direction):
    transport = Transport((-3600.0, -6000.0, 0.0), (3600.0, 6000.0, 9000.0))
    whole = transport.run(gun(13, 300.0, direction), (x_mm, 400.0, 3000.0), np.random.default_rng(1))
    # Not what comes of its capture, late and far away
    own = whole.track == 0
    names = ("start_mm", "end_mm", "energy_mev", "time_ns", "track")
    trace = replace(whole, **{name: getattr(whole, name)[own] for name in names})
    # Without what makes charge differ from energy along the track: recombination, capture, pixels that are full
    exact = {"recombination": "none", "lifetime_us": None, "wires": Wires(largest_value=100_000)}
    readout = Readout(Response(kind="wires", **exact), DUNE)
    hits = readout.read(trace, np.random.default_rng(2))
    expected = readout.native(0.5 * (trace.start_mm + trace.end_mm))
    assert mean_places(hits, 3) == pytest.approx(np.average(expected, axis=0, weights=trace.energy_mev), abs=1.5)
    for view in range(3):
        of_view = hits["plane"] == view
        pixels = np.stack([hits["row"], hits["column"]], axis=1)[of_view] + 0.5
        apart = np.abs(pixels[None] - expected[:, view, None]).max(axis=2).min(axis=1)
        assert np.quantile(apart, 0.95) < 1.5


@pytest.mark.slow
def test_native_places_of_voxels_are_pixels_of_the_views():
    readout = Readout(Response(kind="voxels"), PAPER)
    corner_mm = np.array([PAPER.volume_low_mm, (0.0, 0.0, 0.0)])
    # 2 m are 400 rows, 7 m are 1400 columns, and the middle of the volume is that of 512 x 512
    assert readout.native(corner_mm)[:, 0].tolist() == [[56.0, -444.0], [256.0, 256.0]]
    assert readout.native(corner_mm)[:, 1].tolist() == [[56.0, -444.0], [256.0, 256.0]]


@pytest.mark.slow
def test_wires_without_hits_have_no_places():
    readout = Readout(Response(kind="wires"), DUNE)
    assert np.isnan(readout.native(np.zeros((1, 3)))).all()
