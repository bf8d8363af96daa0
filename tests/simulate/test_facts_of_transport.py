"""Visible facts of particles that were transported: what the picture of an electron, photon or muon must show."""

import numpy as np
import pytest

from hpc_nuvlm.formats.genie import open_interactions
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.decays import decay_short_lived
from hpc_nuvlm.simulate.facts import visible_facts
from hpc_nuvlm.simulate.transport import Transport
from nuvlm_kernels.particles import MASS_MEV, PDG

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

# Large enough for all of a shower of 500 MeV
ARGON_MM = ((-3000.0, -3000.0, -1000.0), (3000.0, 3000.0, 6000.0))
SEED = 5
MIP_MEV_PER_MM = 0.2105


@pytest.fixture(scope="module")
def transport():
    return Transport(*ARGON_MM)


def gun(pdg: int, kinetic_mev: float, nu_pdg: int | None = None) -> Interaction:
    mass = float(MASS_MEV[PDG.tolist().index(pdg)])
    energy = np.array([kinetic_mev + mass])
    momentum = np.array([[0.0, 0.0, np.sqrt(kinetic_mev * (kinetic_mev + 2 * mass))]])
    return Interaction(
        pdg=np.array([pdg], np.int32),
        momentum_mev=momentum,
        energy_mev=energy,
        position_mm=np.zeros((1, 3)),
        time_ns=np.zeros(1),
        nu_pdg=nu_pdg,
        is_cc=None if nu_pdg is None else True,
    )


def rng_of(number: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([SEED, number])))


def many(transport: Transport, interaction: Interaction, count: int) -> list[dict]:
    vertex_mm = (0.0, 0.0, 0.0)
    traces = (transport.run(interaction, vertex_mm, rng_of(number)) for number in range(count))
    return [visible_facts(interaction, trace, None, ARGON_MM) for trace in traces]


def column(facts: list[dict], name: str) -> np.ndarray:
    return np.array([fact.get(name, np.nan) for fact in facts])


def test_an_electron_is_one_shower_from_the_vertex_that_begins_as_one_particle(transport):
    facts = many(transport, gun(11, 500.0, nu_pdg=12), 100)
    assert all(fact["lepton_visible"] and fact["lepton_contained"] and fact["num_showers"] == 1 for fact in facts)
    assert (column(facts, "shower_gap_mm") == 0).all()
    assert column(facts, "shower_energy_mev") == pytest.approx(500, abs=2)
    dedx = column(facts, "shower_dedx_mev_per_mm")
    # Restricted losses peak under the mean of a minimum-ionizing particle; a tenth of electrons radiate at once
    assert np.median(dedx) == pytest.approx(MIP_MEV_PER_MM, rel=0.1)
    assert (dedx < 1.5 * MIP_MEV_PER_MM).mean() > 0.8


def test_a_photon_leaves_a_gap_and_begins_as_two_particles(transport):
    count = 200
    facts = many(transport, gun(22, 500.0), count)
    gap_mm = column(facts, "shower_gap_mm")
    # 9/7 of 140 mm is the limit of high energy; at 500 MeV pairs are some 8 % rarer. 3 sigma of an exponential
    assert 180 * (1 - 3 / np.sqrt(count)) < gap_mm.mean() < 200 * (1 + 3 / np.sqrt(count))
    dedx = column(facts, "shower_dedx_mev_per_mm")
    assert np.median(dedx) == pytest.approx(2 * MIP_MEV_PER_MM, rel=0.1)
    assert (dedx > 1.5 * MIP_MEV_PER_MM).mean() > 0.9


def test_a_positive_muon_stops_in_a_contained_track_with_a_michel_electron(transport):
    facts = many(transport, gun(-13, 300.0, nu_pdg=-14), 60)
    assert all(fact["lepton_contained"] and fact["num_tracks"] == 1 and fact["num_showers"] == 0 for fact in facts)
    # A few Michel electrons have less than the 5 MeV that are asked for: 0.1 % of the spectrum
    assert column(facts, "michel").mean() > 0.95
    # Mean of the spectrum is 37 MeV, its width 10 MeV; what radiates away at the end is nearly all deposited
    assert np.nanmean(column(facts, "michel_energy_mev")) == pytest.approx(37, abs=3 * 10 / np.sqrt(60))
    assert column(facts, "lepton_track_mm") == pytest.approx(column(facts, "longest_track_mm"))


def test_a_pi0_is_two_showers_for_most(transport):
    facts = many(transport, gun(111, 500.0), 60)
    assert (column(facts, "num_pi0") == 1).all() and (column(facts, "num_showers") == 2).mean() > 0.7


@pytest.mark.parametrize("name", ["genie_c12_small.gst.root", "genie_nue_1000.gtrac.root"])
def test_what_enters_transport_has_the_energy_and_momentum_of_the_generators_file(test_data, name):
    """All events, in a thimble of argon: file = interaction with its decays = particles that are followed."""
    transport, mass_of = Transport((-1.0,) * 3, (1.0,) * 3), dict(zip(PDG.tolist(), MASS_MEV.tolist(), strict=True))
    with open_interactions(test_data / "generators" / name) as file:
        for entry in range(len(file)):
            read, rng = file[entry], rng_of(entry)
            event = decay_short_lived(read, rng)
            np.testing.assert_allclose(event.energy_mev.sum(), read.energy_mev.sum(), rtol=1e-9)
            np.testing.assert_allclose(event.momentum_mev.sum(axis=0), read.momentum_mev.sum(axis=0), atol=1e-5)
            assert event.final_state == read.final_state
            trace = transport.run(event, (0.0, 0.0, 0.0), rng)
            followed = np.isin(event.pdg, PDG)
            others = np.abs(event.pdg[~followed])
            assert ((others >= 10**9) | np.isin(others, (12, 14, 16))).all()
            tracks = trace.primary_track[followed]
            assert (tracks >= 0).all() and (trace.primary_track[~followed] == -1).all()
            mass = np.array([mass_of[code] for code in event.pdg[followed].tolist()])
            kinetic = trace.track_start[tracks, 6]
            momentum = trace.track_start[tracks, 3:6] * np.sqrt(kinetic * (kinetic + 2 * mass))[:, None]
            np.testing.assert_allclose(momentum, event.momentum_mev[followed], rtol=1e-9, atol=1e-6)
            # Masses differ: GENIE's charged kaon has 493.600 MeV, ours 493.677
            np.testing.assert_allclose(kinetic + mass, event.energy_mev[followed], atol=0.08)
