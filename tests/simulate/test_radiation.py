import numpy as np
import pytest

from hpc_nuvlm.simulate import radiation
from hpc_nuvlm.simulate.radiation import FINE_STRUCTURE, bremsstrahlung, coulomb_correction, pair_production

ELECTRON_MASS_MEV = 0.51099895
# alpha r_e^2 N_A [cm2/mol]
UNIT = FINE_STRUCTURE * 2.8179403205e-13**2 * 6.02214076e23
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
SHARE, WEIGHTS = 0.5 * (NODES + 1), 0.5 * WEIGHTS


def radiative_loss(kinetic_mev, charge, mass_g_per_mol):
    tau = kinetic_mev / ELECTRON_MASS_MEV
    return UNIT / mass_g_per_mol * kinetic_mev * (bremsstrahlung(tau, tau * SHARE, charge) * WEIGHTS).sum()


@pytest.mark.parametrize(
    ("kinetic_mev", "published", "within"), [(1, 0.01280, 0.02), (10, 0.1814, 0.01), (20, 0.4086, 0.01)]
)
def test_radiative_loss_in_water_is_that_of_the_tables(kinetic_mev, published, within):
    # NIST ESTAR (Berger, Coursey, Zucker, Chang), liquid water, MeV cm2/g: a check of the method at another charge
    water = 0.888106 * radiative_loss(kinetic_mev, 8, 15.999) + 0.111894 * radiative_loss(kinetic_mev, 1, 1.00794)
    assert water == pytest.approx(published, rel=within)


@pytest.mark.parametrize(("kinetic_mev", "published"), [(1, 0.02748), (10, 0.3595), (20, 0.7949), (100, 4.614)])
def test_radiative_loss_in_argon_is_that_of_the_tables(kinetic_mev, published):
    # NIST ESTAR (Berger, Coursey, Zucker, Chang), argon, MeV cm2/g
    assert radiative_loss(kinetic_mev, 18, 39.948) == pytest.approx(published, rel=0.03)


def test_bare_nucleus_gives_the_high_energy_formulas():
    # Bethe & Heitler: 4 (1 + (E/E0)^2 - 2/3 E/E0) (ln(2 E0 E / k) - 1/2); pairs alike
    first, last = 1e5, 0.3e5
    expected = 4 * (1 + 0.09 - 0.2) * (np.log(2 * first * last / (first - last)) - 0.5)
    assert radiation._bare_bremsstrahlung(first, last) == pytest.approx(expected, rel=1e-6)
    plus, minus = 4e4, 6e4
    expected = 4 * (0.16 + 0.36 + 2 / 3 * 0.24) * (np.log(2 * plus * minus / (plus + minus)) - 0.5)
    assert radiation._bare_pair(plus, minus) == pytest.approx(expected, rel=1e-6)


def test_total_pair_cross_section_of_a_bare_nucleus_is_racahs():
    # G. Racah, Nuovo Cim. 11, 461 (1934): 28/9 ln(2k) - 218/27 at high k, 2 pi / 3 ((k - 2) / k)^3 near threshold
    k = 2e4
    electron = 1 + (k - 2) * SHARE
    total = (radiation._bare_pair(k - electron, electron) * WEIGHTS).sum() * (k - 2) / k
    assert total == pytest.approx(28 / 9 * np.log(2 * k) - 218 / 27, rel=1e-5)
    k = 2.05
    electron = 1 + (k - 2) * SHARE
    total = (radiation._bare_pair(k - electron, electron) * WEIGHTS).sum() * (k - 2) / k
    assert total == pytest.approx(2 * np.pi / 3 * ((k - 2) / k) ** 3, rel=0.05)


def test_complete_screening_gives_the_radiation_length():
    # PDG 2024, section 34.4.2: 1/X0 = 4 alpha r_e^2 N_A / A (Z^2 (L_rad - f) + Z L'_rad); liquid argon: 19.55 g/cm2
    charge = 18
    l_rad, l_rad_electrons = np.log(184.15 / charge ** (1 / 3)), np.log(1194 / charge ** (2 / 3))
    sum_of_logs = charge**2 * (l_rad - coulomb_correction(charge)) + charge * l_rad_electrons
    assert 39.948 / (4 * UNIT * sum_of_logs) == pytest.approx(19.55, rel=2e-3)
    y = np.array([0.1, 0.5, 0.9])
    spectrum = bremsstrahlung(1e9, 1e9 * y, charge)
    expected = 4 * (4 / 3 - 4 / 3 * y + y**2) * sum_of_logs + 4 / 9 * (1 - y) * charge * (charge + 1)
    assert spectrum == pytest.approx(expected, rel=1e-3)


def test_pairs_share_energy_symmetrically_and_nothing_is_negative():
    for k in (2.1, 5.0, 100.0, 1e5):
        electron = 1 + (k - 2) * SHARE
        density = pair_production(k, electron, 18)
        assert (density >= 0).all()
        assert density == pytest.approx(density[::-1], rel=1e-6, abs=1e-9)
    for tau in (1.0, 10.0, 1e5):
        assert (bremsstrahlung(tau, tau * SHARE, 18) > 0).all()
