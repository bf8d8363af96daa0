import numpy as np
import pytest

from hpc_nuvlm.simulate.cosmics import cosmic_muons, intensity_per_cm2_s_sr_gev, muons_per_s
from hpc_nuvlm.simulate.settings import Cosmics

LOW, HIGH = (-1000.0, -1000.0, -3500.0), (1000.0, 1000.0, 3500.0)
NUMBER = 40_000


@pytest.fixture(scope="module")
def muons():
    return cosmic_muons(Cosmics(mean_muons=NUMBER), LOW, HIGH, np.random.default_rng(0))


def cosine(muons):
    return -muons.momentum_mev[:, 1] / np.linalg.norm(muons.momentum_mev, axis=1)


def test_the_number_is_poisson(muons):
    assert abs(len(muons.pdg) - NUMBER) < 4 * NUMBER**0.5


def test_they_enter_through_the_top_going_down(muons):
    assert (muons.position_mm[:, 1] < HIGH[1]).all() and (muons.position_mm[:, 1] > HIGH[1] - 1e-9).all()
    assert (muons.momentum_mev[:, 1] < 0).all()
    # Even over the face: 4 sigma of the mean of a uniform variate
    for axis in (0, 2):
        assert abs(muons.position_mm[:, axis].mean()) < 4 * HIGH[axis] / np.sqrt(3 * len(muons.pdg))


def test_vertical_intensity_is_that_of_the_review_of_particle_physics():
    energy = np.exp(np.linspace(np.log(1.0055), np.log(1e4), 4000))
    intensity = np.trapezoid(intensity_per_cm2_s_sr_gev(energy, np.ones(1)), energy) * 1e4
    # 70 muons per m2 s sr above 1 GeV/c, "with more recent measurements favouring a lower normalization by 10-15 %"
    assert 0.8 * 70 < intensity < 70


def test_the_rate_through_a_horizontal_area_is_somewhat_under_one_per_cm2_and_minute():
    assert 0.5 < 60 * muons_per_s(Cosmics(), (0.0, 0.0, 0.0), (10.0, 10.0, 10.0)) < 1.0


def test_zenith_angles_of_a_few_gev_follow_cosine_squared(muons):
    low = (muons.energy_mev > 2e3) & (muons.energy_mev < 5e3)
    # Through a horizontal area cos^2 gets one more cosine: the mean cosine is 4/5
    assert cosine(muons)[low].mean() == pytest.approx(0.8, abs=0.015)


def test_there_are_128_positive_for_100_negative(muons):
    share = (muons.pdg == -13).mean()
    assert share == pytest.approx(1.28 / 2.28, abs=4 * np.sqrt(0.25 / len(muons.pdg)))


def test_energy_and_momentum_are_those_of_a_muon(muons):
    mass = np.sqrt(muons.energy_mev**2 - (muons.momentum_mev**2).sum(axis=1))
    np.testing.assert_allclose(mass[muons.energy_mev < 2e4], 105.658, rtol=1e-4)
    assert muons.energy_mev.min() >= 1e3 and muons.nu_pdg is None


def test_times_are_in_the_window_asked_for(muons):
    assert muons.time_ns.min() >= -2.25e6 and muons.time_ns.max() < 2.25e6


def test_none_come_if_none_are_asked_for():
    assert len(cosmic_muons(Cosmics(), LOW, HIGH, np.random.default_rng(0)).pdg) == 0
