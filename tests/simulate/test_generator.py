import math
import time

import numpy as np
import pytest

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.formats.genie import open_interactions
from hpc_nuvlm.simulate.decays import decay_short_lived
from hpc_nuvlm.simulate.generator import Generator
from hpc_nuvlm.simulate.nucleus import CARBON
from hpc_nuvlm.simulate.settings import Flux, Interactions

# Seconds of tables and of drawing
pytestmark = pytest.mark.slow

PROTON_MEV, PION_MEV = 938.272, 139.570


def stream(*key):
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


@pytest.fixture(scope="module")
def generator():
    return Generator(Interactions(flavours={12: 0.5, -14: 0.3, 16: 0.2}))


def test_the_same_stream_makes_the_same_event(generator):
    for number in range(20):
        one, two = (generator.generate(stream(5, number)) for _ in range(2))
        assert np.array_equal(one.pdg, two.pdg)
        assert np.array_equal(one.momentum_mev, two.momentum_mev)
        assert (one.nu_energy_gev, one.mode) == (two.nu_energy_gev, two.mode)
    assert generator.generate(stream(5, 1)).nu_energy_gev != generator.generate(stream(5, 2)).nu_energy_gev


def test_every_field_of_the_truth_is_there_and_consistent(generator):
    for number in range(300):
        event = generator.generate(stream(6, number))
        count = len(event.pdg)
        assert event.momentum_mev.shape == (count, 3)
        assert event.energy_mev.shape == event.time_ns.shape == (count,)
        assert not event.position_mm.any()
        assert event.mode in ("qe", "mec", "res", "dis", "coh")
        assert event.target_pdg == 1000180400
        assert 0.1 <= event.nu_energy_gev <= 10.0
        assert 0.0 < event.inelasticity < 1.0
        assert event.q2_gev2 > 0.0
        assert math.isnan(event.w_gev) == (event.mode == "coh")
        lepton = (abs(event.nu_pdg) - event.is_cc) * (1 if event.nu_pdg > 0 else -1)
        assert event.pdg[0] == lepton
        assert event.lepton_energy_gev == pytest.approx(event.energy_mev[0] / 1e3)
        assert event.final_state == tuple((int(c), pytest.approx(e / 1e3)) for c, e in zip(event.pdg, event.energy_mev))
        assert np.all(event.energy_mev**2 >= (event.momentum_mev**2).sum(1) - 1e-3)


def test_no_more_energy_comes_out_than_went_in(generator):
    for number in range(300):
        event = generator.generate(stream(7, number))
        nucleons = np.isin(event.pdg, (2212, 2112))
        hyperons = (np.abs(event.pdg) > 3000) & (np.abs(event.pdg) < 4000)
        out = event.energy_mev.sum() - PROTON_MEV * (nucleons.sum() + hyperons.sum())
        # 1.3 MeV a nucleon: neutrons are heavier than protons
        assert out <= 1e3 * event.nu_energy_gev + 1.4 * nucleons.sum()


def test_flavours_come_in_the_asked_shares(generator):
    quick = Generator(generator.settings.model_copy(update={"fsi": False}))
    codes = [quick.generate(stream(8, number)).nu_pdg for number in range(1500)]
    # Five sigma
    for pdg, share in ((12, 0.5), (-14, 0.3), (16, 0.2)):
        assert np.mean([c == pdg for c in codes]) == pytest.approx(share, abs=5 * math.sqrt(share / 1500))


def test_the_share_of_charged_currents_is_what_was_asked_or_that_of_nature():
    asked = Generator(Interactions(flavours={14: 1.0}, cc_fraction=0.74, fsi=False))
    share = np.mean([asked.generate(stream(9, n)).is_cc for n in range(700)])
    assert share == pytest.approx(0.74, abs=5 * math.sqrt(0.74 * 0.26 / 700))
    natural = Generator(Interactions(flavours={14: 1.0}, fsi=False))
    share = np.mean([natural.generate(stream(9, n)).is_cc for n in range(700)])
    # 74 % in the published sample of both flavours (arXiv:2508.19376)
    assert share == pytest.approx(0.74, abs=0.07)


def test_the_spectrum_of_events_is_flat_or_follows_the_cross_section():
    energies = [[], []]
    for weighted in (False, True):
        flux = Flux(low_gev=1.0, high_gev=9.0, times_cross_section=weighted)
        made = Generator(Interactions(flavours={14: 1.0}, flux=flux, fsi=False))
        energies[weighted] = [made.generate(stream(10, n)).nu_energy_gev for n in range(1200)]
    assert np.mean(energies[False]) == pytest.approx(5.0, abs=5 * 8 / math.sqrt(12 * 1200))
    # A cross section that rises as E^0.9: mean 6.2
    assert 5.8 < np.mean(energies[True]) < 6.5


def test_tau_neutrinos_begin_at_their_threshold():
    made = Generator(Interactions(flavours={16: 1.0}, cc_fraction=1.0))
    events = [made.generate(stream(11, n)) for n in range(150)]
    assert min(event.nu_energy_gev for event in events) > 2.4
    assert {int(event.pdg[0]) for event in events} == {15}
    assert all(15 not in decay_short_lived(event, stream(12)).pdg for event in events)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="name neutrinos by PDG code"):
        Generator(Interactions(flavours={13: 1.0}))
    with pytest.raises(ConfigError, match="at least one share above 0"):
        Generator(Interactions(flavours={14: 0.0}))
    with pytest.raises(ConfigError, match="the models end at 50 GeV"):
        Generator(Interactions(flux=Flux(high_gev=80.0)))
    with pytest.raises(ConfigError, match="no event is possible"):
        Generator(Interactions(flavours={16: 1.0}, flux=Flux(high_gev=2.0), cc_fraction=1.0))


def test_the_beam_may_point_anywhere():
    made = Generator(Interactions(flavours={14: 1.0}, flux=Flux(low_gev=8.0)), beam=(0.0, 3.0, 0.0))
    total = sum(made.generate(stream(13, n)).momentum_mev.sum(0) for n in range(50)) / 50
    assert total[1] == pytest.approx(9000, rel=0.1)
    assert abs(total[0]) + abs(total[2]) < 400


def test_final_state_interactions_absorb_pions_and_knock_out_nucleons():
    pions, nucleons = {}, {}
    for fsi in (False, True):
        made = Generator(Interactions(flavours={14: 1.0}, flux=Flux(low_gev=0.5, high_gev=1.5), fsi=fsi))
        codes = [made.generate(stream(14, n)).pdg for n in range(600)]
        pions[fsi] = np.mean([np.isin(np.abs(c), (211, 111)).sum() for c in codes])
        nucleons[fsi] = np.mean([np.isin(c, (2212, 2112)).sum() for c in codes])
    assert pions[True] < 0.85 * pions[False]  # 0.67 of 2500 events
    assert nucleons[True] > 1.5 * nucleons[False]


def test_an_event_takes_a_few_milliseconds_at_most(generator):
    start = time.process_time()
    for number in range(200):
        generator.generate(stream(15, number))
    # 0.9 ms measured on one core of 2024; machines are shared
    assert (time.process_time() - start) / 200 < 6e-3


def observables(event):
    """Lepton energy over neutrino energy, protons and charged pions above 50 MeV, neutral pions."""
    kinetic = event.energy_mev - np.where(event.pdg == 2212, PROTON_MEV, PION_MEV)
    fast = kinetic > 50.0
    return (
        event.lepton_energy_gev / event.nu_energy_gev,
        np.sum((event.pdg == 2212) & fast),
        np.sum((np.abs(event.pdg) == 211) & fast),
        np.sum(event.pdg == 111),
    )


@pytest.mark.slow
def test_means_are_those_of_genie_on_carbon(test_data):
    """Charged currents of the sample at its own energies, 0.1 to 5 GeV; our events on carbon at the same energies."""
    with open_interactions(test_data / "generators" / "genie_nue_1000.gtrac.root") as file:
        sample = [file[i] for i in range(len(file))]
    sample = [event for event in sample if event.is_cc and event.nu_pdg == 14]
    made = Generator(Interactions(flavours={14: 1.0}, cc_fraction=1.0), CARBON)
    ours = []
    for repeat in range(3):
        for number, event in enumerate(sample):
            rng = stream(16, repeat, number)
            hard = made.interact(14, event.nu_energy_gev, rng)
            if hard is not None:
                ours.append(made.finish(14, event.nu_energy_gev, hard, rng))
    genie, ours = (np.array([observables(event) for event in events]) for events in (sample, ours))
    assert len(ours) > 0.98 * 3 * len(sample)
    error = genie.std(0) / math.sqrt(len(genie)) + ours.std(0) / math.sqrt(len(ours))
    # Three sigma of both samples' statistics, and what models may differ by: 10 % of the lepton's share, 15 % of
    # protons and charged pions, 30 % of neutral pions
    assert np.all(np.abs(ours.mean(0) - genie.mean(0)) < 3 * error + np.array([0.10, 0.15, 0.15, 0.30]) * genie.mean(0))
