import numpy as np
import pytest

from hpc_nuvlm.simulate.argon import PER_MM, RADIATION_LENGTH_G_PER_CM2
from hpc_nuvlm.simulate.electron_collisions import annihilation, bhabha, collision_loss, knock_on, moller
from hpc_nuvlm.simulate.em_tables import radiative_loss


def test_collision_loss_meets_radiative_loss_per_radiation_length_at_the_tabulated_critical_energy():
    # PDG, atomic and nuclear properties, liquid argon: critical energy of electrons 32.84 MeV, by Rossi's definition
    energy = np.geomspace(20.0, 50.0, 2000)
    critical = np.interp(0.0, energy - RADIATION_LENGTH_G_PER_CM2 * collision_loss(energy, positron=False), energy)
    assert critical == pytest.approx(32.84, rel=2e-3)


def test_minimum_of_the_collision_loss_lies_near_the_tabulated_one_of_heavy_particles():
    # An electron's minimum is lower than that of a muon (1.508 MeV cm2/g), as half its energy is the most it can lose
    energy = np.geomspace(0.1, 100.0, 500)
    loss = collision_loss(energy, positron=False)
    assert 0.88 < loss.min() / 1.508 < 0.95
    assert 0.8 < energy[loss.argmin()] < 2.0


def test_positrons_lose_a_few_per_cent_less_at_high_and_more_at_low_energies():
    # ICRU Report 37: the ratio of positrons to electrons is 1.04 at 0.1 MeV and 0.97 at 10 MeV for middle Z
    ratio = collision_loss(np.array([0.1, 10.0]), positron=True) / collision_loss(np.array([0.1, 10.0]), positron=False)
    assert ratio == pytest.approx([1.04, 0.973], abs=0.01)


@pytest.mark.parametrize("positron", [False, True])
def test_restricted_loss_and_hard_collisions_add_up_to_the_whole(positron):
    energy = np.array([0.5, 3.0, 50.0, 5e3])
    whole = collision_loss(energy, positron)
    for cut in (0.3, 1.0):
        parts = collision_loss(energy, positron, cut) + knock_on(energy, positron, cut, power=1)
        assert parts == pytest.approx(whole, rel=1e-12)
    assert (collision_loss(energy, positron, 1.0)[1:] < whole[1:]).all()
    assert (np.diff(collision_loss(np.array([50.0, 5e3, 5e4]), positron, 1.0)) < 0.02).all()


@pytest.mark.parametrize(("positron", "formula", "highest"), [(False, moller, 0.5), (True, bhabha, 1.0)])
def test_hard_collisions_are_the_integral_of_the_formula_and_rutherford_scattering_at_small_shares(
    positron, formula, highest
):
    energy, cut = 20.0, 1.0
    share = (np.arange(200_000) + 0.5) / 200_000 * (highest - cut / energy) + cut / energy
    gamma = 1 + energy / 0.51099895
    mean = (formula(share, gamma) * share).mean() / formula(share, gamma).mean() * energy
    number, loss = (knock_on(np.array([energy]), positron, cut, power)[0] for power in (0, 1))
    assert loss / number == pytest.approx(mean, rel=1e-6)
    assert formula(np.array([1e-5]), gamma) * 1e-10 == pytest.approx(1.0, rel=1e-4)


def test_annihilation_is_heitlers_in_both_limits():
    # Slow: pi r_e^2 / beta; fast: pi r_e^2 / gamma (ln 2 gamma - 1); per electron, in units of 2 pi r_e^2 N_A Z/A
    unit = 0.5 * 0.307075 * 18 / 39.948 / 0.51099895
    slow = annihilation(np.array([1e-6])) / unit
    assert slow == pytest.approx(0.5 / np.sqrt(2e-6 / 0.51099895), rel=1e-2)
    fast = annihilation(np.array([5e4])) / unit
    gamma = 5e4 / 0.51099895
    assert fast == pytest.approx(0.5 / gamma * (np.log(2 * gamma) - 1), rel=1e-3)


def test_radiative_loss_approaches_energy_per_radiation_length():
    energy = np.array([1e3, 1e5])
    ratio = radiative_loss(energy) / PER_MM * RADIATION_LENGTH_G_PER_CM2 / energy
    # Berger & Seltzer: 1 % to 2 % above 1 at the highest energies, from the term 1/9 (1 - y) of the spectrum
    assert ratio == pytest.approx([0.99, 1.013], abs=0.01)
