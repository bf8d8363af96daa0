import numpy as np
import pytest

from hpc_nuvlm.simulate.argon import ATOMIC_NUMBER, ELECTRON_MASS_MEV
from hpc_nuvlm.simulate.em_tables import HIGHEST_MEV, em_tables, hard_radiation, pairs, radiative_loss, soft_loss
from hpc_nuvlm.simulate.radiation import bremsstrahlung
from nuvlm_kernels.cuts import BREMS_CUT_MEV, DELTA_CUT_MEV, PHOTON_CUT_MEV


def energies(tables):
    return np.exp(tables.log_first + tables.log_step * np.arange(len(tables.photon_per_mm)))


def test_tables_cover_the_cut_to_the_highest_energy_and_hold_numbers():
    tables = em_tables()
    assert energies(tables)[[0, -1]] == pytest.approx([PHOTON_CUT_MEV, HIGHEST_MEV])
    for table in tables[2:]:
        assert np.isfinite(table).all()
    for share in (tables.radiate_below, tables.delta_below, tables.compton_below, tables.pair_below):
        assert (share >= 0).all()
        assert (share <= 1 + 1e-12).all()
    assert (tables.radiate_below <= tables.delta_below).all()
    assert (tables.compton_below <= tables.pair_below).all()


def test_electrons_below_all_cuts_have_no_hard_collisions_and_positrons_annihilate():
    tables = em_tables()
    slow = energies(tables) < BREMS_CUT_MEV
    assert (tables.hard_per_mm[0, slow] == 0).all()
    assert (tables.hard_per_mm[1, slow] > 0).all()
    assert (tables.delta_below[1, slow] == 0).all()
    knocking = energies(tables) > 2 * DELTA_CUT_MEV
    assert (tables.delta_below > tables.radiate_below)[:, knocking].all()


@pytest.mark.parametrize("kinetic_mev", [2.0, 30.0, 1e3, 3e4])
def test_soft_and_hard_bremsstrahlung_add_up_to_the_radiative_loss(kinetic_mev):
    tables = em_tables()
    row = round((np.log(kinetic_mev) - tables.coarse_log_first) / tables.coarse_log_step)
    kinetic = np.exp(tables.coarse_log_first + tables.coarse_log_step * np.array([row]))
    u = tables.radiate_quantile[row]
    photon = BREMS_CUT_MEV * (kinetic / BREMS_CUT_MEV) ** u
    # What a linear interpolation of the quantiles draws on average
    mean = np.mean(0.5 * (photon[1:] + photon[:-1]))
    hard = hard_radiation(kinetic) * mean
    assert radiative_loss(kinetic, BREMS_CUT_MEV) + hard == pytest.approx(radiative_loss(kinetic), rel=5e-3)


def test_quantiles_of_photon_energies_follow_the_spectrum():
    tables = em_tables()
    kinetic = np.exp(tables.coarse_log_first + 40 * tables.coarse_log_step)
    edges = np.linspace(0, 1, 21)
    quantile = tables.radiate_quantile[40]
    drawn = np.interp(np.linspace(0, 1, 100_001), np.linspace(0, 1, len(quantile)), quantile)
    share = np.histogram(drawn, edges)[0] / len(drawn)
    photon = BREMS_CUT_MEV * (kinetic / BREMS_CUT_MEV) ** (0.5 * (edges[1:] + edges[:-1]))
    expected = bremsstrahlung(kinetic / ELECTRON_MASS_MEV, photon / ELECTRON_MASS_MEV, ATOMIC_NUMBER)
    assert share[:-1] == pytest.approx((expected / expected.sum())[:-1], rel=0.03)


def test_pairs_share_is_symmetric_and_spreads_with_energy():
    tables = em_tables()
    assert tables.pair_quantile + tables.pair_quantile[:, ::-1] == pytest.approx(1.0, abs=1e-3)
    quarter = tables.pair_quantile[:, tables.pair_quantile.shape[1] // 4]
    # Complete screening: 1 - 4/3 x (1 - x) is a little higher at the ends
    assert quarter[-1] == pytest.approx(0.23, abs=0.02)
    assert quarter[10] > quarter[-1]


def test_soft_loss_saturates_near_minimum_ionization():
    # Collisions below 1 MeV: the density effect stops their rise; bremsstrahlung below the cut adds 2 %
    loss = soft_loss(np.array([10.0, 100.0, 1e3, 1e4]), positron=False)
    assert (np.diff(loss) > 0).all()
    # Minimum ionization by muons: 0.2105 MeV/mm, of which some 7 % goes to knock-on electrons above 1 MeV
    assert loss == pytest.approx(0.2105, rel=0.05)


def test_pairs_rise_to_their_plateau():
    rate = pairs(np.array([1.5, 10.0, 100.0, 1e3, 1e4]))
    assert (np.diff(rate) > 0).all()
    assert rate[-1] / rate[-2] < 1.06
