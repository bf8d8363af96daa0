"""Published numbers: formulas and tables from different sources agree where they overlap."""

import itertools

import numpy as np
import pytest

from hpc_nuvlm.validation import reference


def bethe_mev_cm2_per_g(kinetic_mev: float, mass_mev: float) -> float:
    """Mean loss without radiation, PDG review, eq. 34.5, written again here."""
    beta, gamma = reference.beta_gamma(kinetic_mev, mass_mev)
    electron = reference.ELECTRON_MASS_MEV
    ratio = electron / mass_mev
    largest = 2 * electron * (beta * gamma) ** 2 / (1 + 2 * gamma * ratio + ratio**2)
    argument = 2 * electron * (beta * gamma) ** 2 * largest / reference.MEAN_EXCITATION_MEV**2
    bracket = 0.5 * np.log(argument) - beta**2 - reference.density_effect(beta, gamma) / 2
    return reference.BETHE_K_MEV_CM2 * reference.CHARGE_OVER_MASS / beta**2 * bracket


@pytest.mark.parametrize(("kinetic_mev", "loss"), reference.MUON_LOSS_MEV_CM2_PER_G.items())
def test_tabulated_muon_losses_follow_the_bethe_formula(kinetic_mev, loss):
    assert bethe_mev_cm2_per_g(kinetic_mev, reference.MUON_MASS_MEV) == pytest.approx(loss, rel=0.01)


@pytest.mark.parametrize(
    ("table", "mass_mev"),
    [(reference.MUON_RANGE_G_PER_CM2, 105.658), (reference.PROTON_RANGE_G_PER_CM2, 938.272)],
)
def test_tabulated_ranges_are_integrals_of_one_over_the_loss(table, mass_mev):
    energies = list(table)
    for low, high in itertools.pairwise(energies):
        grid = np.geomspace(low, high, 400)
        losses = np.array([bethe_mev_cm2_per_g(kinetic, mass_mev) for kinetic in grid])
        assert table[high] - table[low] == pytest.approx(np.trapezoid(1 / losses, grid), rel=0.01)


def test_a_muon_of_one_gev_leaves_most_often_1_7_mev_per_cm_in_3_mm():
    per_cm = reference.most_probable_loss_mev(900.0, reference.MUON_MASS_MEV, 3.0) / 0.3
    assert 1.6 < per_cm < 1.8


def test_lengths_in_mm_are_those_of_the_tables_in_cm():
    assert pytest.approx(140.0, abs=0.5) == reference.RADIATION_LENGTH_MM
    assert pytest.approx(90.4, abs=0.1) == reference.MOLIERE_RADIUS_MM
    assert pytest.approx(52.83, abs=0.01) == reference.MICHEL_ENDPOINT_MEV
    assert pytest.approx(4.12, abs=0.01) == reference.DECAY_MUON_MEV


def test_the_tabulated_attenuation_nears_seven_ninths_of_a_radiation_length():
    """At 20 MeV pairs are not yet all, and Compton is not yet nothing: the two about cancel to 40 %."""
    high = 7 / 9 / reference.RADIATION_LENGTH_G_PER_CM2
    assert 0.5 * high < reference.ATTENUATION_CM2_PER_G[20.0] < high


def test_a_muon_of_10_gev_scatters_by_1_4_mrad_in_one_radiation_length():
    assert reference.highland_rad(1e4, reference.MUON_MASS_MEV, 140.0) == pytest.approx(1.36e-3, rel=0.02)
