import math

import numpy as np
import pytest

from hpc_nuvlm.simulate.em_tables import em_tables
from hpc_nuvlm.simulate.photon_collisions import compton
from nuvlm_kernels.cuts import ELECTRON_CUT_MEV
from nuvlm_kernels.particles import ELECTRON, MASS_MEV, POSITRON
from nuvlm_kernels.photon import convert, distance_to_wall, follow_photon, scatter
from nuvlm_kernels.workspace import (
    COMPTON,
    DEPOSITED,
    ESCAPED,
    KINETIC,
    NUM_SEGMENTS,
    NUM_TRACKS,
    PAIR,
    PRIMARY,
    RELEASED,
    STACK_SIZE,
    clear,
    new_workspace,
    push,
)

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

MASS = MASS_MEV[ELECTRON]
BOX = np.array([[-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]])


def start(energy_mev, direction=(0.0, 0.0, 1.0)):
    return np.array([0.0, 0.0, 0.0, *direction, energy_mev, 0.0])


def generator(seed=1):
    return np.random.Generator(np.random.SFC64(seed))


def one_photon(work, energy_mev, rng, box=BOX):
    clear(work)
    state = start(energy_mev)
    push(work, 0, state, -1, PRIMARY)
    work.counters[STACK_SIZE] = 0
    follow_photon(work, em_tables(), box, state, 0, rng)
    return state


@pytest.mark.parametrize("energy_mev", [0.02, 0.3, 1.5, 30.0, 5e3])
def test_energy_of_a_photon_is_all_accounted_for(energy_mev):
    work, rng = new_workspace(1000, 1000), generator()
    small = np.array([[-50.0, -50.0, -50.0], [50.0, 50.0, 100.0]])
    for box in (BOX, small):
        for _ in range(200):
            one_photon(work, energy_mev, rng, box)
            waiting = work.stack_state[: work.counters[STACK_SIZE], KINETIC].sum()
            gone = work.ledger[DEPOSITED] + work.ledger[ESCAPED] + waiting
            assert abs(gone - energy_mev - work.ledger[RELEASED]) < 1e-13 * energy_mev
            assert math.isclose(work.ledger[DEPOSITED], work.segments[: work.counters[NUM_SEGMENTS], 6].sum())


def test_photons_convert_after_the_tabulated_mean_path():
    work, rng, tables = new_workspace(100, 100), generator(), em_tables()
    energy_mev, number = 2000.0, 4000
    paths = np.array([(one_photon(work, energy_mev, rng), work.track_end[0, 4])[1] for _ in range(number)])
    place = (math.log(energy_mev) - tables.log_first) / tables.log_step
    expected = 1 / np.interp(place, np.arange(len(tables.photon_per_mm)), tables.photon_per_mm)
    # Exponential: its mean is known to 1 / sqrt(N), 4 sigma
    assert paths.mean() == pytest.approx(expected, rel=4 / math.sqrt(number))
    assert np.mean(paths < expected * math.log(2)) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(number))


@pytest.mark.parametrize("energy_mev", [0.05, 1.0, 20.0])
def test_compton_scattering_conserves_momentum_and_follows_klein_and_nishina(energy_mev):
    rng, number = generator(), 10_000
    photons, electrons = np.empty((number, 8)), np.empty((number, 8))
    for i in range(number):
        photons[i] = start(energy_mev, (0.6, 0.0, 0.8))
        scatter(photons[i], electrons[i], rng)
    shares, kinetic = photons[:, KINETIC] / energy_mev, electrons[:, KINETIC]
    assert photons[:, KINETIC] + kinetic == pytest.approx(energy_mev, rel=1e-14)
    total = np.sqrt(kinetic * (kinetic + 2 * MASS))[:, None] * electrons[:, 3:6]
    total += photons[:, KINETIC, None] * photons[:, 3:6]
    assert np.abs(total - energy_mev * np.array([0.6, 0, 0.8])).max() < 1e-6 * energy_mev
    left = np.linspace(1 / (1 + 2 * energy_mev / MASS), 1, 200_001)
    t = MASS * (1 - left) / (energy_mev * left)
    density = (1 / left + left) * (1 - left * t * (2 - t) / (1 + left**2))
    mean = (left * density).sum() / density.sum()
    spread = math.sqrt(((left - mean) ** 2 * density).sum() / density.sum())
    assert shares.mean() == pytest.approx(mean, abs=4 * spread / math.sqrt(number))
    # The same density gives the total cross section: pi r_e^2 m / k per electron, times its integral
    unit = 0.5 * 0.307075 * 18 / 39.948 / MASS / 2
    total = unit * MASS / energy_mev * np.trapezoid(density, left)
    assert total == pytest.approx(compton(np.array([energy_mev]))[0], rel=1e-4)


def test_pairs_carry_the_photons_energy_less_two_masses_forward():
    work, rng, tables, other = new_workspace(10, 10), generator(), em_tables(), np.empty(8)
    angles, shares = [], []
    for _ in range(2000):
        clear(work)
        convert(work, tables, BOX, start(500.0), other, 0, rng)
        assert list(work.stack_id[: work.counters[STACK_SIZE], 0]) in ([POSITRON, ELECTRON], [POSITRON])
        assert (work.track_id[: work.counters[NUM_TRACKS], 2] == PAIR).all()
        assert work.ledger[RELEASED] == -2 * MASS
        kinetic = work.stack_state[: work.counters[STACK_SIZE], KINETIC]
        assert abs(kinetic.sum() + work.ledger[DEPOSITED] - 500.0 + 2 * MASS) < 1e-10
        shares.append(kinetic[0] / (500.0 - 2 * MASS))
        angles.append(np.arccos(work.stack_state[0, 5]) * (kinetic[0] + MASS) / MASS)
    # Nearly uniform: 1/sqrt(12), 4 sigma
    assert np.mean(shares) == pytest.approx(0.5, abs=4 * 0.29 / math.sqrt(2000))
    # Tsai's fit: 2 / a with a quarter and 2 / 3a with three quarters of the weight is the mean of angle x E / m
    assert np.mean(angles) == pytest.approx(0.5 * 2 / 0.625, rel=0.1)


def test_slow_electrons_are_deposited_and_fast_ones_followed():
    work, rng = new_workspace(1000, 1000), generator()
    for _ in range(300):
        one_photon(work, 2.0, rng)
        assert (work.segments[: work.counters[NUM_SEGMENTS], 6] <= ELECTRON_CUT_MEV).all()
        scattered = work.track_id[1 : work.counters[NUM_TRACKS]]
        kinetic = work.track_start[1 : work.counters[NUM_TRACKS], KINETIC]
        assert (kinetic[scattered[:, 2] == COMPTON] > ELECTRON_CUT_MEV).all()


def test_a_photon_that_leaves_has_its_end_on_the_wall():
    work, rng = new_workspace(10, 10), generator()
    box = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 0.5]])
    ends = [(one_photon(work, 100.0, rng, box), work.track_end[0].copy(), work.ledger[ESCAPED])[1:] for _ in range(50)]
    end, escaped = next(pair for pair in ends if pair[1] > 0)
    assert end == pytest.approx([0.0, 0.0, 0.5, 100.0, 0.5])
    assert escaped == 100.0


def test_distance_to_the_wall_is_nothing_outside_and_that_of_the_nearest_side_inside():
    box = np.array([[0.0, 0.0, 0.0], [10.0, 20.0, 30.0]])
    assert distance_to_wall(np.array([5.0, 5.0, 5.0, 0.6, 0.0, 0.8, 1.0, 0.0]), box) == pytest.approx(5 / 0.6)
    assert distance_to_wall(np.array([5.0, 5.0, 5.0, 0.0, -1.0, 0.0, 1.0, 0.0]), box) == pytest.approx(5.0)
    assert distance_to_wall(np.array([15.0, 5.0, 5.0, 0.0, 1.0, 0.0, 1.0, 0.0]), box) == 0.0
