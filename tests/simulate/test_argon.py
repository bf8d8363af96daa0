import numpy as np
import pytest

from hpc_nuvlm.simulate import argon

MUON, PION, KAON, PROTON = argon.ROW_MASSES_MEV

# CSDA range of muons in liquid argon [g/cm2] by kinetic energy [MeV]: D. E. Groom, N. V. Mokhov, S. I. Striganov, At.
# Data Nucl. Data Tables 78 (2001) 183, table of liquid argon (pdg.lbl.gov/2012/AtomicNuclearProperties, muonloss_289)
MUON_RANGES = {
    10: 0.9833,
    20: 3.321,
    40: 10.58,
    100: 42.50,
    200: 106.3,
    400: 238.5,
    1_000: 616.3,
    2_000: 1202.0,
    4_000: 2297.0,
    10_000: 5354.0,
    30_000: 14690.0,
    100_000: 43260.0,
    400_000: 130700.0,
}
# The same for protons, in argon: NIST PSTAR (physics.nist.gov/PhysRefData/Star/Text/PSTAR.html). Its argon is a gas;
# the density effect, which the liquid has and the gas lacks, is below 0.1 % under 1 GeV
PROTON_RANGES = {
    1: 4.336e-3,
    5: 5.770e-2,
    10: 0.1887,
    20: 0.6335,
    50: 3.208,
    100: 10.92,
    200: 36.27,
    500: 161.4,
    1_000: 445.4,
}
PROTON_LOSS = {0.01: 272.2, 0.1: 485.5, 0.5: 225.6, 1: 153.3, 2: 97.72, 5: 51.38, 10: 30.60, 50: 8.780, 1_000: 1.629}
# Groom et al. (2001): least ionization and its energy; loss at 10 MeV
LEAST_LOSS, LEAST_LOSS_AT_MEV = 1.508, 266.0


def range_at(mass_mev, kinetic_mev):
    energies, ranges = argon.csda_range_g_per_cm2(mass_mev)
    return float(np.exp(np.interp(np.log(kinetic_mev), np.log(energies), np.log(ranges))))


@pytest.mark.parametrize("kinetic_mev", MUON_RANGES)
def test_muon_ranges_are_within_2_percent_of_the_published_table(kinetic_mev):
    assert range_at(MUON, kinetic_mev) == pytest.approx(MUON_RANGES[kinetic_mev], rel=0.02)


@pytest.mark.parametrize("kinetic_mev", PROTON_RANGES)
def test_proton_ranges_are_within_2_percent_of_pstar(kinetic_mev):
    assert range_at(PROTON, kinetic_mev) == pytest.approx(PROTON_RANGES[kinetic_mev], rel=0.02)


@pytest.mark.parametrize("kinetic_mev", PROTON_LOSS)
def test_proton_stopping_power_is_within_3_percent_of_pstar(kinetic_mev):
    assert argon.stopping_mev_cm2_per_g(kinetic_mev, PROTON) == pytest.approx(PROTON_LOSS[kinetic_mev], rel=0.03)


def test_a_muon_loses_least_at_266_mev():
    kinetic_mev = np.geomspace(50.0, 2_000.0, 2_000)
    loss = argon.stopping_mev_cm2_per_g(kinetic_mev, MUON)
    assert loss.min() == pytest.approx(LEAST_LOSS, rel=0.003)
    assert kinetic_mev[loss.argmin()] == pytest.approx(LEAST_LOSS_AT_MEV, rel=0.05)


def test_collision_loss_depends_on_velocity_but_for_the_largest_transfer():
    """At equal velocity all unit charges lose the same until Tmax differs; ranges then go as the mass."""
    for mass_mev in (PION, KAON):
        for kinetic_mev in (0.02, 0.5, 5.0, 30.0):
            scaled = kinetic_mev * PROTON / mass_mev
            expected = argon.stopping_mev_cm2_per_g(scaled, PROTON)
            assert argon.stopping_mev_cm2_per_g(kinetic_mev, mass_mev) == pytest.approx(expected, rel=0.01)


def test_the_restricted_loss_and_the_delta_rays_above_the_cut_make_the_whole_loss():
    """Oracle: numerical integral of T times the Rutherford spectrum (PDG eq. 34.8) over transfers above the cut."""
    cut_mev = 1.0
    for mass_mev, kinetic_mev in ((PION, 500.0), (PROTON, 3_000.0), (KAON, 5_000.0)):
        largest = float(argon.largest_transfer_mev(np.float64(kinetic_mev), mass_mev))
        beta2 = 1.0 - (1.0 + kinetic_mev / mass_mev) ** -2
        transfer = np.geomspace(cut_mev, largest, 20_001)
        spectrum = 0.5 * argon.BETHE_CONSTANT_MEV_CM2_PER_G / beta2 * (1.0 - beta2 * transfer / largest) / transfer
        whole = argon.stopping_mev_cm2_per_g(kinetic_mev, mass_mev)
        restricted = argon.stopping_mev_cm2_per_g(kinetic_mev, mass_mev, cut_mev)
        assert whole - restricted == pytest.approx(np.trapezoid(spectrum, transfer), rel=1e-5)


def test_tables_are_positive_and_ranges_grow():
    tables = argon.ionization_tables(1.0)
    assert (tables.stopping_mev_per_mm > 0).all()
    assert (np.diff(tables.range_mm, axis=1) > 0).all()


def test_stopping_power_has_no_kink_where_the_slow_form_ends():
    kinetic_mev = np.geomspace(2.0, 12.0, 400)
    slope = np.diff(np.log(argon.stopping_mev_cm2_per_g(kinetic_mev, PROTON))) / np.diff(np.log(kinetic_mev))
    assert ((slope > -0.9) & (slope < -0.6)).all()


def test_the_radiation_length_is_14_cm():
    # PDG 2024, table 6.1
    assert pytest.approx(140.0, abs=0.5) == argon.RADIATION_LENGTH_MM
