import numpy as np
import pytest
from numba import njit

from hpc_nuvlm.simulate import argon
from nuvlm_kernels.heavy_track import advance
from nuvlm_kernels.ionization import ROW, at, delta_event, delta_inverse_length, grid_place, largest_transfer
from nuvlm_kernels.particles import ELECTRON, KAON_PLUS, MASS_MEV, MUON_MINUS, PION_PLUS, PROTON
from nuvlm_kernels.workspace import DELTA, KINETIC, NUM_SEGMENTS, NUM_TRACKS, UX, UZ, clear, new_workspace

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

TABLES = argon.ionization_tables(1.0)
ELECTRON_MASS = 0.51099895


@njit
def losses(work, tables, species, kinetic, step, num_steps, num, rng):
    """(num,) loss in num_steps steps, each track anew."""
    result, state = np.empty(num), np.zeros(8)
    for i in range(num):
        state[:] = 0.0
        state[UZ], state[KINETIC] = 1.0, kinetic
        for _ in range(num_steps):
            index, fraction = grid_place(tables, tables.range_mm.shape[1], state[KINETIC])
            stopping = at(tables.stopping_mev_per_mm, ROW[species], index, fraction)
            advance(work, tables, species, state, 0, step, stopping, rng)
            work.counters[NUM_SEGMENTS] = 0
        result[i] = kinetic - state[KINETIC]
    return result


def most_probable(loss):
    """Peak of a cubic through the histogram's top."""
    counts, edges = np.histogram(loss, 300, (np.percentile(loss, 0.05), np.percentile(loss, 80)))
    centres = 0.5 * (edges[1:] + edges[:-1])
    top = counts > 0.6 * counts.max()
    fine = np.linspace(centres[top][0], centres[top][-1], 4_000)
    return fine[np.polyval(np.polyfit(centres[top], counts[top], 3), fine).argmax()]


def landau_most_probable(kinetic_mev, mass_mev, length_mm):
    """PDG eq. 34.12 [MeV], j = 0.200."""
    gamma = 1.0 + kinetic_mev / mass_mev
    beta2 = 1.0 - gamma**-2
    xi = 0.5 * argon.BETHE_CONSTANT_MEV_CM2_PER_G * argon.PER_MM * length_mm / beta2
    excitation = argon.MEAN_EXCITATION_EV * 1e-6
    bracket = np.log(2 * ELECTRON_MASS * (gamma**2 - 1) / excitation) + np.log(xi / excitation) + 0.2 - beta2
    return xi * (bracket - argon.density_effect(np.sqrt(gamma**2 - 1)))


@pytest.mark.parametrize("kinetic_mev", [300.0, 1_000.0])
@pytest.mark.parametrize(("step_mm", "num_steps"), [(5.0, 1), (1.0, 5), (3.0, 1)])
def test_the_most_probable_loss_is_landaus_whatever_the_steps(kinetic_mev, step_mm, num_steps):
    rng = np.random.default_rng(1)
    loss = losses(new_workspace(4, 4), TABLES, MUON_MINUS, kinetic_mev, step_mm, num_steps, 100_000, rng)
    expected = landau_most_probable(kinetic_mev, MASS_MEV[MUON_MINUS], step_mm * num_steps)
    # The histogram fixes the peak to some 0.3 %; the Gaussian for the soft collisions costs up to 0.7 %
    assert most_probable(loss) == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize(
    ("species", "kinetic_mev", "step_mm"),
    [
        (MUON_MINUS, 1_000.0, 5.0),
        (PION_PLUS, 100.0, 5.0),
        (PROTON, 400.0, 5.0),
        (PROTON, 20.0, 0.8),
        (PROTON, 6.0, 0.15),
    ],
)
def test_the_mean_loss_of_many_steps_is_the_restricted_stopping_power(species, kinetic_mev, step_mm):
    loss = losses(new_workspace(4, 4), TABLES, species, kinetic_mev, step_mm, 1, 100_000, np.random.default_rng(2))
    mass_mev = MASS_MEV[species]
    energies = np.linspace(0.0, step_mm, 201)
    kinetic = kinetic_mev
    for length in np.diff(energies):
        kinetic -= length * argon.PER_MM * argon.stopping_mev_cm2_per_g(kinetic, mass_mev, 1.0)
    # 4 sigma of the mean, and 0.5 % for the loss being taken at the middle of the step
    assert loss.mean() == pytest.approx(kinetic_mev - kinetic, rel=0.005, abs=4 * loss.std() / np.sqrt(len(loss)))
    assert (loss >= 0).all() and (loss <= kinetic_mev).all()


def delta_spectrum(species, kinetic_mev):
    """Transfers and d(rate)/dT per mm above the cut: PDG eq. 34.8 with Rossi's spin term."""
    mass_mev = MASS_MEV[species]
    largest, total = largest_transfer(mass_mev, kinetic_mev), kinetic_mev + mass_mev
    beta2 = 1.0 - (mass_mev / total) ** 2
    transfer = np.geomspace(TABLES.delta_cut_mev, largest, 4_001)
    bracket = 1.0 - beta2 * transfer / largest
    if species in (MUON_MINUS, PROTON):
        bracket += transfer**2 / (2.0 * total**2)
    return transfer, TABLES.xi_mev_per_mm / beta2 * bracket / transfer**2


@pytest.mark.parametrize("species", [MUON_MINUS, PION_PLUS, KAON_PLUS, PROTON])
def test_delta_rays_follow_their_spectrum_and_conserve_momentum(species):
    kinetic_mev, num = 3_000.0, 4_000
    transfer, rate = delta_spectrum(species, kinetic_mev)
    total_rate = np.trapezoid(rate, transfer)
    assert delta_inverse_length(TABLES, species, kinetic_mev) == pytest.approx(total_rate, rel=1e-5)
    work, rng = new_workspace(num, 1), np.random.default_rng(3)
    state = np.array([0.0, 0.0, 0.0, 0.0, 0.6, 0.8, kinetic_mev, 0.0])
    for _ in range(num):
        state[KINETIC] = kinetic_mev
        delta_event(work, TABLES, species, state, 0, rng)
        assert state[KINETIC] == pytest.approx(kinetic_mev - work.track_start[work.counters[NUM_TRACKS] - 1, KINETIC])
    assert (work.track_id == [ELECTRON, 0, DELTA]).all()
    # ln T, for T itself has a spread that a few thousand draws do not average out
    energy = work.track_start[:, KINETIC]
    expected = np.trapezoid(np.log(transfer) * rate, transfer) / total_rate
    assert np.log(energy).mean() == pytest.approx(expected, abs=4 * np.log(energy).std() / np.sqrt(num))
    # What is left of primary + electron at rest - delta ray has the primary's mass
    momentum = np.sqrt(energy * (energy + 2 * ELECTRON_MASS))
    primary = np.sqrt(kinetic_mev * (kinetic_mev + 2 * MASS_MEV[species]))
    cosine = work.track_start[:, UX : UZ + 1] @ state[UX : UZ + 1]
    left = (kinetic_mev - energy + MASS_MEV[species]) ** 2 - (
        primary**2 + momentum**2 - 2 * primary * momentum * cosine
    )
    assert np.sqrt(left) == pytest.approx(MASS_MEV[species], rel=1e-6)


def test_slow_particles_make_no_delta_rays():
    assert delta_inverse_length(TABLES, PROTON, 300.0) == 0.0
    work = new_workspace(2, 2)
    clear(work)
    state = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 300.0, 0.0])
    delta_event(work, TABLES, PROTON, state, 0, np.random.default_rng(4))
    assert work.counters[NUM_TRACKS] == 0 and state[KINETIC] == 300.0
