import math

import numpy as np
import pytest

from hpc_nuvlm.simulate.electron_collisions import bhabha, moller
from hpc_nuvlm.simulate.em_tables import em_tables, hard_radiation
from hpc_nuvlm.simulate.radiation import bremsstrahlung
from nuvlm_kernels.annihilation import annihilate_at_rest, annihilate_in_flight
from nuvlm_kernels.bremsstrahlung import radiate
from nuvlm_kernels.cuts import BREMS_CUT_MEV, DELTA_CUT_MEV
from nuvlm_kernels.electron import hard_event, hard_inverse_length, knock_on, soft_stopping, stop_electron
from nuvlm_kernels.particles import ELECTRON, MASS_MEV, PHOTON, POSITRON
from nuvlm_kernels.workspace import (
    ANNIHILATION,
    BREMSSTRAHLUNG,
    DELTA,
    DEPOSITED,
    KINETIC,
    NUM_TRACKS,
    RELEASED,
    STACK_SIZE,
    clear,
    new_workspace,
)

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

MASS = MASS_MEV[ELECTRON]


def start(kinetic_mev):
    return np.array([0.0, 0.0, 0.0, 0.0, 0.6, 0.8, kinetic_mev, 0.0])


def generator(seed=1):
    return np.random.Generator(np.random.SFC64(seed))


def momentum(state, mass):
    return np.sqrt(state[..., KINETIC] * (state[..., KINETIC] + 2 * mass))[..., None] * state[..., 3:6]


@pytest.mark.parametrize(("species", "formula", "highest"), [(ELECTRON, moller, 0.5), (POSITRON, bhabha, 1.0)])
@pytest.mark.parametrize("kinetic_mev", [3.0, 500.0])
def test_knock_on_electrons_follow_the_formula_and_conserve_momentum(species, formula, highest, kinetic_mev):
    work, rng, number = new_workspace(10, 10), generator(), 5000
    states, others = np.empty((number, 8)), np.empty((number, 8))
    for i in range(number):
        clear(work)
        states[i] = start(kinetic_mev)
        knock_on(work, species, states[i], 0, rng)
        others[i] = work.stack_state[0]
    shares = others[:, KINETIC] / kinetic_mev
    assert others[:, KINETIC] + states[:, KINETIC] == pytest.approx(kinetic_mev, rel=1e-14)
    change = momentum(states, MASS) + momentum(others, MASS) - momentum(start(kinetic_mev), MASS)
    assert np.abs(change).max() < 1e-6 * kinetic_mev
    assert tuple(work.track_id[0, [0, 2]]) == (ELECTRON, DELTA)
    lowest = DELTA_CUT_MEV / kinetic_mev
    assert lowest <= shares.min() <= shares.max() <= highest
    share = np.geomspace(lowest, highest, 20_001)
    weight = formula(share, 1 + kinetic_mev / MASS) * share
    median = np.interp(0.5, np.cumsum(weight) / weight.sum(), share)
    assert np.mean(shares < median) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(number))
    tail = np.sum(weight[share > 2 * median]) / weight.sum()
    assert np.mean(shares > 2 * median) == pytest.approx(tail, abs=4 * math.sqrt(tail / number) + 1e-12)


@pytest.mark.parametrize("kinetic_mev", [0.6, 20.0, 5e3])
def test_bremsstrahlung_takes_energy_and_momentum_from_the_electron(kinetic_mev):
    work, rng, tables = new_workspace(10, 10), generator(), em_tables()
    for _ in range(500):
        clear(work)
        state = start(kinetic_mev)
        radiate(work, tables, state, 0, rng)
        photon = work.stack_state[0]
        assert BREMS_CUT_MEV <= photon[KINETIC] <= kinetic_mev
        assert photon[KINETIC] + state[KINETIC] == pytest.approx(kinetic_mev, rel=1e-14)
        left = momentum(start(kinetic_mev), MASS) - photon[KINETIC] * photon[3:6]
        assert state[3:6] == pytest.approx(left / np.linalg.norm(left), abs=1e-9)
    assert tuple(work.track_id[0, [0, 2]]) == (PHOTON, BREMSSTRAHLUNG)


def test_radiated_photons_follow_the_spectrum():
    work, rng, tables, number = new_workspace(10, 10), generator(), em_tables(), 10_000
    drawn = np.empty(number)
    for i in range(number):
        clear(work)
        radiate(work, tables, start(100.0), 0, rng)
        drawn[i] = work.stack_state[0, KINETIC]
    u = (np.arange(20_000) + 0.5) / 20_000
    middle = math.sqrt(100.0 * BREMS_CUT_MEV)
    photon = BREMS_CUT_MEV * (100.0 / BREMS_CUT_MEV) ** u
    density = bremsstrahlung(100.0 / MASS, photon / MASS, 18)
    mean = (density * photon).sum() / density.sum()
    assert drawn.mean() == pytest.approx(mean, abs=4 * drawn.std() / math.sqrt(number) + 0.005 * mean)
    below = density[photon < middle].sum() / density.sum()
    assert np.mean(drawn < middle) == pytest.approx(below, abs=4 * 0.5 / math.sqrt(number) + 0.002)


def test_hard_collisions_come_at_the_rate_of_the_tables_and_in_their_proportion():
    work, rng, tables, number = new_workspace(10, 10), generator(), em_tables(), 5000
    processes = np.empty(number, np.int64)
    gone = np.empty(number, bool)
    for i in range(number):
        clear(work)
        gone[i] = hard_event(work, tables, POSITRON, start(10.0), 0, rng)
        processes[i] = work.track_id[0, 2]
    assert (gone == (processes == ANNIHILATION)).all()
    radiated = hard_radiation(np.array([10.0]))[0] / hard_inverse_length(tables, POSITRON, 10.0)
    assert np.mean(processes == BREMSSTRAHLUNG) == pytest.approx(radiated, abs=4 * 0.5 / math.sqrt(number))
    assert 0 < np.mean(gone) < np.mean(processes == DELTA)


def test_lookups_between_grid_points_are_linear_and_stop_at_the_ends():
    tables = em_tables()
    at = [math.exp(tables.log_first + i * tables.log_step) for i in (300, 300.5, 301)]
    ends = [soft_stopping(tables, ELECTRON, kinetic) for kinetic in at]
    assert ends[0] == pytest.approx(tables.stopping_mev_per_mm[0, 300])
    assert ends[1] == pytest.approx(0.5 * (ends[0] + ends[2]))
    assert soft_stopping(tables, ELECTRON, 1e-3) == tables.stopping_mev_per_mm[0, 0]
    assert soft_stopping(tables, POSITRON, 1e7) == pytest.approx(tables.stopping_mev_per_mm[1, -1])


@pytest.mark.parametrize("kinetic_mev", [0.3, 5.0, 2e3])
def test_annihilation_in_flight_conserves_energy_and_momentum(kinetic_mev):
    work, rng = new_workspace(10, 10), generator()
    for _ in range(300):
        clear(work)
        state = start(kinetic_mev)
        annihilate_in_flight(work, state, 0, rng)
        photons = work.stack_state[:2]
        assert work.counters[STACK_SIZE] == 2
        assert photons[:, KINETIC].sum() == pytest.approx(kinetic_mev + work.ledger[RELEASED], rel=1e-13)
        assert (photons[:, KINETIC, None] * photons[:, 3:6]).sum(0) == pytest.approx(
            momentum(start(kinetic_mev), MASS), abs=1e-6 * kinetic_mev
        )
        assert state[KINETIC] == 0


def test_annihilation_at_rest_gives_two_photons_back_to_back_in_all_directions():
    work, rng, number = new_workspace(10, 10), generator(), 4000
    directions = np.empty((number, 3))
    for i in range(number):
        clear(work)
        annihilate_at_rest(work, start(0.0), 0, rng)
        photons = work.stack_state[:2]
        assert photons[:, KINETIC] == pytest.approx(MASS)
        assert (photons[0, 3:6] == -photons[1, 3:6]).all()
        directions[i] = photons[0, 3:6]
    assert work.ledger[RELEASED] == 2 * MASS
    assert (work.track_id[: work.counters[NUM_TRACKS], 2] == ANNIHILATION).all()
    # Components of isotropic directions have variance 1/3; 4 sigma
    assert directions.mean(0) == pytest.approx(0.0, abs=4 / math.sqrt(3 * number))
    assert (directions**2).mean(0) == pytest.approx(1 / 3, abs=4 * 0.3 / math.sqrt(number))


def test_a_slow_electron_is_deposited_over_its_practical_range_within_the_box():
    work = new_workspace(10, 10)
    box = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 0.1]])
    # L. Katz, A. S. Penfold, Rev. Mod. Phys. 24, 28 (1952): 0.412 T^(1.265 - 0.0954 ln T) g/cm2
    expected_mm = 4.12 * 0.25 ** (1.265 - 0.0954 * math.log(0.25)) / 1.396
    state = start(0.25)
    stop_electron(work, np.array([[-9.0] * 3, [9.0] * 3]), state, 0)
    assert np.linalg.norm(state[:3]) == pytest.approx(expected_mm, rel=0.05)
    assert work.ledger[DEPOSITED] == 0.25
    assert state[KINETIC] == 0
    state = start(0.25)
    stop_electron(work, box, state, 0)
    assert state[2] == 0.1
