import math
from itertools import pairwise

import numpy as np
import pytest

from hpc_nuvlm.simulate.cross_sections import CrossSections
from hpc_nuvlm.simulate.kinematics import hard_process, outgoing_lepton
from hpc_nuvlm.simulate.nucleus import ARGON
from hpc_nuvlm.simulate.quasielastic import differential
from hpc_nuvlm.simulate.relativity import add, length, mass, square, subtract
from hpc_nuvlm.simulate.species import MASS_GEV, baryon_number, charge, strangeness

FLAVOURS = (12, 14, 16, -12, -14, -16)


@pytest.fixture(scope="module")
def tables():
    return {pdg: CrossSections(pdg, ARGON) for pdg in FLAVOURS}


def made(tables, pdg, is_cc, energy, count, modes=None):
    """Hard processes, the same number of each process of the table that is open."""
    rng = np.random.default_rng(18)
    table = tables[pdg]
    for process, part in zip(table.by_current[is_cc][0], table.parts(energy, is_cc)):
        for _ in range(count if part > 1e-4 and (modes is None or process.mode in modes) else 0):
            hard = hard_process(process, pdg, (energy, 0.0, 0.0, energy), ARGON, rng)
            if hard is not None:
                yield process, hard


@pytest.mark.parametrize("pdg", FLAVOURS)
@pytest.mark.parametrize("is_cc", [True, False])
def test_the_hard_process_conserves_everything(tables, pdg, is_cc):
    energy = 7.0
    for process, hard in made(tables, pdg, is_cc, energy, 25):
        neutrino = (energy, 0.0, 0.0, energy)
        missing = subtract(add(neutrino, hard.target), add(hard.lepton[1], *(p for _, p in hard.hadrons)))
        if hard.mode == "coh":
            assert mass(missing) == pytest.approx(ARGON.mass_gev, abs=1e-9)
        else:
            assert missing == pytest.approx((0, 0, 0, 0), abs=1e-11)
        codes = [code for code, _ in hard.hadrons]
        before = 0 if hard.mode == "coh" else sum(map(charge, hard.struck))
        assert charge(hard.lepton[0]) + sum(map(charge, codes)) == before
        assert sum(map(baryon_number, codes)) == len(process.struck)
        assert sum(map(strangeness, codes)) == 0
        for code, p in [hard.lepton, *hard.hadrons]:
            assert mass(p) == pytest.approx(MASS_GEV[abs(code)], abs=1e-6)


def test_q2_and_w_are_those_of_the_four_momenta(tables):
    energy = 3.0
    for _, hard in made(tables, 14, True, energy, 40):
        transfer = subtract((energy, 0.0, 0.0, energy), hard.lepton[1])
        assert hard.q2_gev2 == pytest.approx(-square(transfer), abs=1e-9)
        if hard.mode != "coh":
            assert hard.w_gev == pytest.approx(mass(add(transfer, hard.target)), abs=1e-7)


def test_outgoing_leptons_are_of_the_neutrinos_family():
    assert [outgoing_lepton(pdg, True) for pdg in (12, -14, 16)] == [11, -13, 15]
    assert [outgoing_lepton(pdg, False) for pdg in (12, -14)] == [12, -14]


def test_q2_of_quasielastic_events_follows_llewellyn_smith(tables):
    """Above Q2 of 0.25 GeV2 Pauli's principle is out of the way; Fermi motion shifts the spectrum by percents."""
    energy = 2.0
    q2 = np.array([h.q2_gev2 for _, h in made(tables, 14, True, energy, 4000, {"qe"})])
    edges = np.array([0.25, 0.4, 0.6, 0.9, 1.3, 1.8])
    probe = next(p.probe for p in tables[14].by_current[True][0] if p.mode == "qe")
    fine = [np.linspace(a, b, 200) for a, b in pairwise(edges)]
    expected = np.array([np.trapezoid(differential(np.float64(energy), x, probe), x) for x in fine])
    counts = np.histogram(q2, edges)[0]
    expected *= counts.sum() / expected.sum()
    # Four sigma of counts, and 8 % for Fermi motion and binding
    assert np.all(np.abs(counts - expected) < 4 * np.sqrt(expected) + 0.08 * expected)


def test_no_nucleon_of_a_quasielastic_event_lies_in_the_fermi_sea(tables):
    for _, hard in made(tables, -14, True, 1.0, 200, {"qe"}):
        code, p = hard.hadrons[0]
        assert length(p[1:]) >= ARGON.fermi_of(code)


def test_resonances_peak_at_the_delta_and_deep_inelastic_events_lie_above(tables):
    w = {mode: [h.w_gev for _, h in made(tables, 14, True, 4.0, 150, {mode})] for mode in ("res", "dis")}
    counts, edges = np.histogram(w["res"], np.arange(1.08, 1.72, 0.04))
    assert 1.15 < edges[counts.argmax()] < 1.28
    assert max(w["res"]) <= 1.7
    assert max(w["dis"]) > 2.0


def test_coherent_pions_go_forward_and_leave_the_nucleus_still(tables):
    for _, hard in made(tables, 12, True, 3.0, 100, {"coh"}):
        (_, pion) = hard.hadrons[0]
        transfer = subtract((3.0, 0.0, 0.0, 3.0), hard.lepton[1])
        t = -square(subtract(transfer, pion))
        assert 0.0 < t < 0.25
        assert math.isnan(hard.w_gev)


def test_a_process_below_its_threshold_is_none(tables):
    process = next(p for p in tables[16].by_current[True][0] if p.mode == "dis")
    assert hard_process(process, 16, (2.0, 0.0, 0.0, 2.0), ARGON, np.random.default_rng(0)) is None
