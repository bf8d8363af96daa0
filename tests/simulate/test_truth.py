"""Truth of an interaction: available energy by hand and as MINERvA sums it, counts, label."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.truth import available_energy_gev, lepton_pdg, truth_of

MASS_GEV = {2212: 0.93827209, 2112: 0.93956542, 211: 0.13957039, 111: 0.1349768, 13: 0.10565838, 3122: 1.115683}


def interaction_of(*final_state: tuple[int, float], nu_pdg: int | None = 14, is_cc: bool | None = True) -> Interaction:
    count = len(final_state)
    return Interaction(
        pdg=np.array([pdg for pdg, _ in final_state], np.int32),
        momentum_mev=np.zeros((count, 3)),
        energy_mev=np.array([1000 * energy for _, energy in final_state]),
        position_mm=np.zeros((count, 3)),
        time_ns=np.zeros(count),
        nu_pdg=nu_pdg,
        is_cc=is_cc,
        mode="dis",
        nu_energy_gev=5.0,
        q2_gev2=1.5,
        final_state=final_state,
    )


@pytest.mark.parametrize(
    ("pdg", "energy_gev", "expected"),
    [
        (2212, MASS_GEV[2212] + 0.2, 0.2),
        (211, MASS_GEV[211] + 0.3, 0.3),
        (-211, MASS_GEV[211] + 0.3, 0.3),
        (111, 0.5, 0.5),
        (22, 0.4, 0.4),
        (11, 0.4, 0.4),
        (321, 0.9, 0.9),
        (2112, 2.0, 0.0),
        (12, 2.0, 0.0),
        (1000180390, 36.0, 0.0),
        (2000000101, 0.025, 0.0),
        (3122, 1.2, 1.2 - MASS_GEV[2212]),
        (-2212, 1.0, 1.0 + MASS_GEV[2212]),
        (13, MASS_GEV[13] + 0.1, 0.1),
    ],
)
def test_each_particle_beside_the_lepton_adds_what_can_be_seen_of_it(pdg, energy_gev, expected):
    assert available_energy_gev(interaction_of((13, 2.0), (pdg, energy_gev))) == pytest.approx(expected, abs=1e-7)


def test_only_the_outgoing_lepton_is_left_out():
    electron_twice = interaction_of((11, 3.0), (111, 0.5), (11, 0.25), nu_pdg=12)
    assert available_energy_gev(electron_twice) == pytest.approx(0.75)
    assert available_energy_gev(interaction_of((14, 3.0), (11, 0.25), is_cc=False)) == pytest.approx(0.25)


def test_without_a_neutrino_there_is_no_available_energy():
    assert math.isnan(available_energy_gev(interaction_of((13, 2.0), nu_pdg=None, is_cc=None)))


@given(st.lists(st.sampled_from([2212, 2112, 211, -211, 111, 22]), max_size=8), st.floats(0.0, 3.0))
def test_available_energy_never_exceeds_what_the_hadrons_have(codes, kinetic_gev):
    particles = tuple((code, MASS_GEV.get(abs(code), 0.0) + kinetic_gev) for code in codes)
    available = available_energy_gev(interaction_of((13, 2.0), *particles))
    assert -1e-9 <= available <= sum(energy for _, energy in particles) + 1e-9


@pytest.mark.parametrize(
    ("nu_pdg", "is_cc", "expected"),
    [(14, True, 13), (-12, True, -11), (16, True, 15), (14, False, 14), (-14, False, -14), (14, None, None)],
)
def test_the_outgoing_lepton_is_the_partner_or_the_neutrino(nu_pdg, is_cc, expected):
    assert lepton_pdg(interaction_of(nu_pdg=nu_pdg, is_cc=is_cc)) == expected
    assert lepton_pdg(interaction_of(nu_pdg=None, is_cc=None)) is None


def test_truth_holds_what_the_interaction_and_the_facts_say():
    final_state = ((13, 2.0), (2212, 1.1), (211, 0.4), (-211, 0.3), (111, 0.2), (2112, 1.0), (2112, 1.0))
    truth = truth_of(interaction_of(*final_state), (1, 2, 3), {"num_tracks": 3})
    assert (truth.label, truth.nu_pdg, truth.mode, truth.q2_gev2) == ("numu_cc", 14, "dis", 1.5)
    assert truth.counts == {"proton": 1, "pion": 2, "pi0": 1, "neutron": 2}
    assert truth.particles == final_state and truth.vertex_mm == (1.0, 2.0, 3.0) and truth.facts == {"num_tracks": 3}
    expected = sum(energy for _, energy in final_state[1:5]) - MASS_GEV[2212] - 2 * MASS_GEV[211]
    assert truth.available_energy_gev == pytest.approx(expected, abs=1e-7) and math.isnan(truth.w_gev)


def test_without_a_final_state_the_primaries_are_counted():
    gun = interaction_of((2212, 1.1))
    bare = Interaction(gun.pdg, gun.momentum_mev, gun.energy_mev, gun.position_mm, gun.time_ns)
    assert truth_of(bare, (0, 0, 0), {}).particles == ((2212, pytest.approx(1.1)),)
