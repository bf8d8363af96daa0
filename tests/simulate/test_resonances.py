import numpy as np
import pytest

from hpc_nuvlm.simulate import resonance_decay, resonances
from hpc_nuvlm.simulate.constants import Probe
from hpc_nuvlm.simulate.cross_sections import nucleon_table
from hpc_nuvlm.simulate.relativity import add, mass, on_shell
from hpc_nuvlm.simulate.species import MASS_GEV, PION_PLUS, PROTON, baryon_number, charge, strangeness

MUON = MASS_GEV[13]


def test_line_shapes_are_normalized_and_peak_near_their_mass():
    for one in resonances.RESONANCES:
        w = np.linspace(resonances.W_PION_GEV, one.mass_gev + 5 * one.width_gev, 20001)
        shape = resonances.line_shape(w, one)
        assert np.trapezoid(shape, w) == pytest.approx(1.0, abs=2e-3)
        assert w[shape.argmax()] == pytest.approx(one.mass_gev, abs=0.5 * one.width_gev)


def test_nu_p_to_mu_p_pi_is_as_measured_on_deuterium():
    # Reanalysis of ANL and BNL, C. Wilkinson et al., Phys. Rev. D90 (2014) 112017: some 0.5 to 0.7 e-38 cm2
    # at 1.5 to 3 GeV for W below 1.4 GeV and all W; approximate, not checked against the original
    table = nucleon_table("res", Probe(1, True, 1, MUON))
    assert 0.45 < float(table.cross_section(1.5)) < 0.95


def test_protons_of_the_delta_are_three_to_one_by_isospin():
    w, q2, energy = np.array(1.232), np.array(0.2), np.float64(1.5)
    stretched, plain = (resonances.per_resonance(energy, w, q2, Probe(1, True, nucleon, MUON))[0] for nucleon in (1, 0))
    assert stretched == pytest.approx(3.0 * plain)


def test_isospin_half_is_absent_where_charge_forbids_it():
    parts = resonances.per_resonance(np.float64(2.0), np.array(1.5), np.array(0.3), Probe(1, True, 1, MUON))
    for one, part in zip(resonances.RESONANCES, parts):
        assert (part == 0.0) == (one.isospin == 1)


def test_neutrinos_exceed_antineutrinos_on_mirror_nucleons():
    for energy in (1.0, 3.0):
        ours, mirror = (
            float(nucleon_table("res", Probe(sign, True, nucleon, MUON)).cross_section(energy))
            for sign, nucleon in ((1, 1), (-1, 0))
        )
        assert mirror < ours


@pytest.mark.parametrize("probe", [Probe(s, cc, n, MUON * cc) for s in (1, -1) for cc in (True, False) for n in (0, 1)])
def test_decays_conserve_everything(probe):
    rng = np.random.default_rng(6)
    for w in rng.uniform(1.09, 1.7, 150):
        system = on_shell(float(w), 0.3, 0.0, 0.8)
        products = resonance_decay.decay_resonance(system, float(w), 0.4, probe, rng)
        assert add(*(p for _, p in products)) == pytest.approx(system, abs=1e-12)
        codes = [code for code, _ in products]
        assert sum(map(charge, codes)) == probe.hadron_charge
        assert sum(map(baryon_number, codes)) == 1
        assert sum(map(strangeness, codes)) == 0
        assert [mass(p) for _, p in products] == pytest.approx([MASS_GEV[abs(c)] for c in codes], abs=1e-7)


def test_the_double_charged_delta_gives_a_proton_and_a_positive_pion():
    rng = np.random.default_rng(7)
    probe = Probe(1, True, 1, MUON)
    assert resonance_decay.final_state(1.2, 0.2, probe, rng) == (PROTON, PION_PLUS)
    assert resonance_decay.decay_resonance(on_shell(1.0, 0, 0, 0.5), 1.0, 0.2, probe, rng) is None


def test_branchings_add_up():
    for one in resonances.RESONANCES:
        assert sum(resonance_decay.BRANCHING[one.name]) == pytest.approx(1.0)
    for states in [*resonance_decay.TWO_PION_STATES.values()]:
        assert sum(probability for _, probability in states) == pytest.approx(1.0)
