import numpy as np
import pytest
from numba import njit

from hpc_nuvlm.simulate import argon
from nuvlm_kernels.scattering import rotate, scatter

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

TABLES = argon.ionization_tables(1.0)
MUON_MEV = 105.6583755


@njit
def projected_angles(tables, momentum, beta, step, num_steps, num, rng):
    """(num,) angle in the x-z plane after num_steps steps without loss."""
    result, state = np.empty(num), np.zeros(8)
    for i in range(num):
        state[:] = 0.0
        state[5] = 1.0
        for _ in range(num_steps):
            scatter(tables, state, momentum, beta, step, rng)
        result[i] = np.arctan2(state[3], state[5])
    return result


def highland(momentum_mev, beta, radiation_lengths):
    """PDG eq. 34.16 [rad]."""
    root = np.sqrt(radiation_lengths)
    return 13.6 / (beta * momentum_mev) * root * (1 + 0.038 * np.log(radiation_lengths / beta**2))


def width(angles):
    """Half of the narrowest symmetric interval with 68.27 %."""
    return np.quantile(np.abs(angles), 0.6827)


@pytest.mark.parametrize("momentum_mev", [200.0, 1_000.0, 10_000.0])
@pytest.mark.parametrize("radiation_lengths", [0.1, 1.0, 5.0])
def test_the_width_is_highlands_whatever_the_step(momentum_mev, radiation_lengths):
    beta = momentum_mev / np.hypot(momentum_mev, MUON_MEV)
    length_mm = radiation_lengths * argon.RADIATION_LENGTH_MM
    widths = []
    for step_mm in (5.0, 2.0):
        num_steps = round(length_mm / step_mm)
        angles = projected_angles(
            TABLES, momentum_mev, beta, length_mm / num_steps, num_steps, 20_000, np.random.default_rng(1)
        )
        widths.append(width(angles))
    # Highland's formula is good to 11 % (PDG 34.3); the quantile of 20,000 angles to 0.75 % (1 sigma)
    assert widths[0] == pytest.approx(highland(momentum_mev, beta, radiation_lengths), rel=0.06)
    assert widths[1] == pytest.approx(widths[0], rel=4 * 0.011)


def test_there_are_more_large_angles_than_a_gaussian_has():
    angles = projected_angles(TABLES, 1_000.0, 0.994, 5.0, 28, 20_000, np.random.default_rng(2))
    # A Gaussian has 0.27 % beyond 3 sigma; Moliere's distribution 1 to 2 %
    beyond = np.mean(np.abs(angles) > 3 * width(angles))
    assert 0.007 < beyond < 0.025


def test_slow_electrons_forget_their_direction():
    momentum_mev = 0.3
    angles = projected_angles(TABLES, momentum_mev, 0.5, 5.0, 3, 4_000, np.random.default_rng(3))
    # Even over the circle: cosine 0 +- 0.011
    assert np.cos(angles).mean() == pytest.approx(0.0, abs=5 * 0.0112)


def test_rotation_keeps_the_length_and_gives_the_angle():
    rng = np.random.default_rng(4)
    directions = np.vstack([rng.normal(size=(500, 3)), [[0, 0, 1], [0, 0, -1], [1, 0, 0], [1e-12, 0, 1]]])
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for direction in directions:
        for radius in (1e-8, 0.01, 1.0, 1.9999):
            azimuth = 2 * np.pi * rng.random()
            state = np.array([0.0, 0, 0, *direction, 1.0, 0.0])
            rotate(state, radius * np.cos(azimuth), radius * np.sin(azimuth))
            assert np.linalg.norm(state[3:6]) == pytest.approx(1.0, abs=1e-14)
            assert state[3:6] @ direction == pytest.approx(1 - 0.5 * radius**2, abs=1e-12)


def test_no_deflection_leaves_the_direction_as_it_is():
    state = np.array([0.0, 0, 0, 0.6, 0.0, 0.8, 1.0, 0.0])
    rotate(state, 0.0, 0.0)
    assert state[3:6].tolist() == [0.6, 0.0, 0.8]
