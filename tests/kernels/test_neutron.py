"""Neutrons and what nuclei evaporate: conservation, thresholds, times."""

import numpy as np
import pytest

from hpc_nuvlm.simulate.hadron_tables import hadron_tables
from nuvlm_kernels.evaporation import CAPTURE_MEV, FIRST_LEVEL_MEV, evaporate
from nuvlm_kernels.neutron import follow_neutron
from nuvlm_kernels.particles import NEUTRON, PHOTON, PROTON
from nuvlm_kernels.workspace import (
    DEPOSITED,
    ESCAPED,
    KINETIC,
    NUCLEAR,
    RELEASED,
    STACK_SIZE,
    TIME,
    clear,
    new_workspace,
)

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

TABLES = hadron_tables()
BOX = np.array([[-1000.0, -1000.0, -3500.0], [1000.0, 1000.0, 3500.0]])
ENDLESS = BOX * 1e4


def lives(kinetic_mev: float, box: np.ndarray, number: int, seed: int = 1):
    """Yield (end state (8,), product species, product energies [MeV], ledger, path length [mm]) of neutrons."""
    work, rng = new_workspace(400, 1), np.random.Generator(np.random.SFC64(seed))
    for _ in range(number):
        clear(work)
        state = np.array([0, 0, 0, 0, 0, 1.0, kinetic_mev, 0])
        follow_neutron(work, TABLES, box, state, 0, rng)
        size = work.counters[STACK_SIZE]
        products = work.stack_id[:size, 0].copy(), work.stack_state[:size, KINETIC].copy()
        yield state, *products, work.ledger.copy(), work.track_end[0, 4]


@pytest.mark.parametrize("kinetic_mev", [1e-7, 0.3, 2.5, 7.0, 14.0, 60.0, 800.0])
def test_the_ledger_closes_over_a_neutrons_life(kinetic_mev: float) -> None:
    for state, _, energies, ledger, _ in lives(kinetic_mev, BOX, 200):
        spent = energies.sum() + ledger[ESCAPED] + ledger[NUCLEAR] + ledger[DEPOSITED]
        assert spent == pytest.approx(kinetic_mev + ledger[RELEASED], rel=1e-10, abs=1e-9)
        assert ledger[ESCAPED] == 0 or ledger[ESCAPED] == state[KINETIC]


def test_slow_neutrons_are_captured_after_some_hundred_microseconds() -> None:
    times = []
    for state, kinds, energies, ledger, _ in lives(2e-8, ENDLESS, 400):
        assert (kinds == PHOTON).all()
        assert energies.sum() == pytest.approx(CAPTURE_MEV)
        assert ledger[RELEASED] == CAPTURE_MEV
        times.append(state[TIME] * 1e-3)
    # 1 / (n sigma v): 2.1e22 per cm3, 0.673 b, 2200 m/s, for 1/v at any energy; 4 sigmas
    expected_us = 1e6 / (1.396 / 39.948 * 6.022e23 * 0.673e-24 * 2.2e5)
    assert np.mean(times) == pytest.approx(expected_us, rel=4 / np.sqrt(len(times)))


def test_neutrons_below_the_first_level_make_photons_by_capture_alone() -> None:
    for _, kinds, _, ledger, _ in lives(1.4, BOX, 300):
        assert len(kinds) == 0 or ledger[RELEASED] == CAPTURE_MEV


def test_a_neutron_above_the_first_level_makes_its_photon() -> None:
    photons = [energies[0] for _, kinds, energies, _, _ in lives(1.8, ENDLESS, 300) if len(kinds)]
    assert photons
    assert any(energy == pytest.approx(FIRST_LEVEL_MEV) for energy in photons)


def test_a_neutron_outside_the_box_has_escaped() -> None:
    box = BOX + 10000.0
    for state, kinds, _, ledger, length in lives(5.0, box, 5):
        assert ledger[ESCAPED] == 5.0
        assert len(kinds) == 0
        assert length == 0
        assert state[KINETIC] == 5.0


def test_first_flights_have_the_length_of_the_cross_section() -> None:
    # 14 MeV in a thin slab: the share that crosses it untouched is exp(-thickness / length)
    slab = np.array([[-1e6, -1e6, -1.0], [1e6, 1e6, 200.0]])
    untouched = sum(
        ledger[ESCAPED] == 14.0 and state[2] == pytest.approx(200.0) for state, *_, ledger, _ in lives(14.0, slab, 4000)
    )
    per_mm = 1.396 / 39.948 * 6.022e23 * 2.2e-24 / 10
    share = np.exp(-200.0 * per_mm)
    # 4 sigmas
    assert untouched / 4000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000))


@pytest.mark.parametrize("excitation_mev", [0.01, 0.7, 5.0, 12.0, 30.0, 90.0])
def test_evaporation_spends_the_excitation_and_no_more(excitation_mev: float) -> None:
    work, rng = new_workspace(400, 1), np.random.Generator(np.random.SFC64(2))
    counts = np.zeros(20)
    for _ in range(300):
        clear(work)
        evaporate(work, TABLES, excitation_mev, np.array([0, 0, 0, 0, 0, 1.0, 0, 0]), 0, rng)
        size = work.counters[STACK_SIZE]
        energies = work.stack_state[:size, KINETIC]
        assert (energies > 0).all()
        assert energies.sum() + work.ledger[NUCLEAR] == pytest.approx(excitation_mev)
        assert work.ledger[NUCLEAR] >= -1e-12
        counts += np.bincount(work.stack_id[:size, 0], minlength=20)
    if excitation_mev < 4.0:
        assert counts[NEUTRON] == counts[PROTON] == 0
    else:
        assert counts[NEUTRON] > counts[PROTON]
