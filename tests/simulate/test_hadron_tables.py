"""Cross sections of hadrons on argon against published numbers."""

import numpy as np
import pytest

from hpc_nuvlm.simulate.argon import ATOMIC_MASS_G_PER_MOL
from hpc_nuvlm.simulate.free_hadrons import nucleon_pair_mb
from hpc_nuvlm.simulate.hadron_tables import argon_mb, hadron_tables, pair_mb
from nuvlm_kernels import particles as p

AVOGADRO = 6.02214076e23


def length_g_per_cm2(cross_section_mb: float) -> float:
    return ATOMIC_MASS_G_PER_MOL / (AVOGADRO * cross_section_mb * 1e-27)


def at(kinetic_mev: float) -> tuple[np.ndarray, np.ndarray]:
    """Inelastic and elastic cross sections [mb] of all species at one energy."""
    inelastic, elastic = argon_mb(np.array([kinetic_mev]))
    return inelastic[:, 0], elastic[:, 0]


@pytest.mark.parametrize("species", [p.PION_PLUS, p.PION_MINUS])
def test_fast_pions_have_the_pdg_interaction_length(species: int) -> None:
    # PDG atomic and nuclear properties of argon: pion interaction length, as commonly quoted
    assert length_g_per_cm2(at(1e5)[0][species]) == pytest.approx(149.0, rel=0.01)


@pytest.mark.parametrize("species", [p.PROTON, p.NEUTRON])
def test_fast_nucleons_have_the_pdg_interaction_and_collision_lengths(species: int) -> None:
    inelastic, elastic = at(1e5)
    assert length_g_per_cm2(inelastic[species]) == pytest.approx(119.7, rel=0.01)
    assert length_g_per_cm2(inelastic[species] + elastic[species]) == pytest.approx(75.7, rel=0.01)


def test_neutrons_from_100_to_800_mev_have_the_total_cross_section_that_captain_measured() -> None:
    energies = np.linspace(100.0, 800.0, 200)
    inelastic, elastic = argon_mb(energies)
    # Phys. Rev. Lett. 123 (2019) 042502: 0.91 +- 0.10 +- 0.09 b
    assert np.mean((inelastic + elastic)[p.NEUTRON]) == pytest.approx(910, abs=135)


def test_pions_peak_at_the_delta() -> None:
    energies = np.geomspace(20, 2000, 400)
    inelastic, _ = argon_mb(energies)
    for species in (p.PION_PLUS, p.PION_MINUS):
        assert 100 < energies[np.argmax(inelastic[species])] < 200
    # The Coulomb force holds slow positive pions off
    assert (inelastic[p.PION_PLUS] <= inelastic[p.PION_MINUS] + 1e-9).mean() > 0.95


def test_fast_positive_kaons_have_the_cross_section_that_protodune_measured() -> None:
    # arXiv:2408.00582, 6 GeV/c, as quoted, not checked against the original
    assert at(5500.0)[0][p.KAON_PLUS] == pytest.approx(380, abs=26)


def test_neutrons_below_the_first_level_of_argon_do_not_scatter_inelastically() -> None:
    assert at(1.4)[0][p.NEUTRON] == 0
    assert at(3.0)[0][p.NEUTRON] > 500


def test_capture_at_2200_metres_per_second_is_what_aced_measured() -> None:
    tables = hadron_tables()
    energies = np.exp(tables.log_first + tables.log_step * np.arange(len(tables.capture_per_mm)))
    per_mm = np.interp(2.53e-8, energies, tables.capture_per_mm)
    assert per_mm * 10 / (1.396 / 39.948 * AVOGADRO) == pytest.approx(0.673e-24, rel=0.01)


def test_shares_of_channels_are_shares() -> None:
    energies = np.geomspace(1, 1e5, 300)
    total, elastic, exchange = pair_mb(energies)
    assert (total >= 0).all()
    for share in (elastic, exchange, elastic + exchange):
        assert (share >= 0).all()
        assert (share <= 1 + 1e-12).all()


def test_charge_symmetry_holds_for_pions_and_nucleons() -> None:
    total, elastic, exchange = pair_mb(np.geomspace(1, 1e4, 100))
    for table in (total, elastic, exchange):
        assert (table[p.PION_PLUS, 0] == table[p.PION_MINUS, 1]).all()
        assert (table[p.PION_PLUS, 1] == table[p.PION_MINUS, 0]).all()
        assert (table[p.PROTON] == table[p.NEUTRON, ::-1]).all()


@pytest.mark.parametrize("same", [True, False])
def test_nucleon_cross_sections_are_those_of_another_fit_to_the_data(same: bool) -> None:
    energies = np.array([40.0, 100.0, 200.0, 300.0, 800.0])
    beta2 = 1 - (1 + energies / 938.9) ** -2
    # Charagi and Gupta, Phys. Rev. C 41 (1990) 1610 [mb]
    if same:
        published = 13.73 - 15.04 / np.sqrt(beta2) + 8.76 / beta2 + 68.67 * beta2**2
    else:
        published = -70.67 - 18.18 / np.sqrt(beta2) + 25.26 / beta2 + 113.85 * np.sqrt(beta2)
    total, elastic = nucleon_pair_mb(energies, same)
    assert total == pytest.approx(published, rel=0.15)
    assert ((elastic > 0) & (elastic <= total)).all()


def test_all_tables_are_finite_and_on_one_grid() -> None:
    tables = hadron_tables()
    for name in tables._fields[2:]:
        table = getattr(tables, name)
        assert np.isfinite(table).all()
        assert table.shape[-1] == len(tables.absorption_fm2)
