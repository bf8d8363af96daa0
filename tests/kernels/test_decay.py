import numpy as np
import pytest

from nuvlm_kernels.decay import KAON_SHARES, decay_in_flight, decay_inverse_length
from nuvlm_kernels.muon import CAPTURED_SHARE, capture_excitation, michel_energy
from nuvlm_kernels.particles import (
    ELECTRON,
    KAON_LONG,
    KAON_MINUS,
    KAON_PLUS,
    MASS_MEV,
    MUON_MINUS,
    MUON_PLUS,
    NUM_SPECIES,
    PHOTON,
    PION_MINUS,
    PION_PLUS,
    PION_ZERO,
    POSITRON,
    PROTON,
)
from nuvlm_kernels.workspace import (
    DEPOSITED,
    KINETIC,
    NEUTRINO,
    NUM_TRACKS,
    RELEASED,
    UX,
    UZ,
    clear,
    new_workspace,
)

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

DECAYING = [MUON_MINUS, MUON_PLUS, PION_PLUS, PION_MINUS, PION_ZERO, KAON_PLUS, KAON_MINUS, KAON_LONG]
CHARGE_OF = {ELECTRON: -1, POSITRON: 1, MUON_MINUS: -1, MUON_PLUS: 1, PION_PLUS: 1, PION_MINUS: -1, KAON_PLUS: 1}
CHARGE_OF[KAON_MINUS] = -1


def decays(species, kinetic_mev, num, seed=1):
    """For each of `num` decays: species, energies (D,), momenta (D, 3) of what was pushed; ledger; parent's state."""
    work, rng = new_workspace(8, 8), np.random.default_rng(seed)
    for _ in range(num):
        clear(work)
        direction = rng.normal(size=3)
        state = np.array([1.0, 2.0, 3.0, *(direction / np.linalg.norm(direction)), kinetic_mev, 7.0])
        decay_in_flight(work, species, state, 0, rng)
        count = work.counters[NUM_TRACKS]
        kinds, born = work.track_id[:count, 0].copy(), work.track_start[:count].copy()
        mass_mev = MASS_MEV[kinds]
        momentum = np.sqrt(born[:, KINETIC] * (born[:, KINETIC] + 2 * mass_mev))
        assert (born[:, :3] == [1.0, 2.0, 3.0]).all() and (born[:, 7] == 7.0).all()
        yield kinds, born[:, KINETIC] + mass_mev, momentum[:, None] * born[:, UX : UZ + 1], work.ledger.copy(), state


@pytest.mark.parametrize("species", DECAYING)
@pytest.mark.parametrize("kinetic_mev", [0.0, 30.0, 5_000.0])
def test_decays_conserve_energy_momentum_and_charge(species, kinetic_mev):
    for kinds, energy, momentum, ledger, state in decays(species, kinetic_mev, 150):
        total = kinetic_mev + MASS_MEV[species]
        assert energy.sum() + ledger[NEUTRINO] == pytest.approx(total, rel=1e-12)
        released = MASS_MEV[species] - MASS_MEV[kinds].sum()
        assert ledger[RELEASED] == pytest.approx(released, abs=1e-9)
        assert sum(CHARGE_OF.get(int(kind), 0) for kind in kinds) == CHARGE_OF.get(species, 0)
        parent = np.sqrt(kinetic_mev * (kinetic_mev + 2 * MASS_MEV[species])) * state[UX : UZ + 1]
        missing = np.linalg.norm(parent - momentum.sum(axis=0))
        if species in (MUON_MINUS, MUON_PLUS):
            # Two neutrinos: any mass from 0 up
            assert missing <= ledger[NEUTRINO] + 1e-6
        else:
            # One neutrino, or none
            assert missing == pytest.approx(ledger[NEUTRINO], abs=1e-6 * total)
        assert ledger[DEPOSITED] == 0.0


def test_the_muon_of_a_pion_at_rest_has_4_12_mev():
    for kinds, energy, *_ in decays(PION_PLUS, 0.0, 5):
        # (m_pi - m_mu)^2 / (2 m_pi)
        assert kinds.tolist() == [MUON_PLUS]
        assert energy[0] - MASS_MEV[MUON_PLUS] == pytest.approx(4.12, abs=0.01)


def test_michel_spectrum_has_its_mean_and_endpoint():
    rng = np.random.default_rng(2)
    energy = np.array([michel_energy(rng) for _ in range(40_000)])
    # x^2 (3 - 2x): mean 7/10 of 52.83 MeV, spread 0.2 of it; the electron's mass shifts the mean by 1e-4
    assert energy.mean() == pytest.approx(0.7 * 52.83, abs=4 * energy.std() / 200)
    assert 52.5 < energy.max() <= 52.8304
    below = np.mean(energy < 0.5 * 52.83)
    # Integral of 2 x^2 (3 - 2x) to 1/2: 3/16
    assert below == pytest.approx(3 / 16, abs=4 * np.sqrt(3 / 16 * 13 / 16 / 40_000))


def test_muons_at_rest_send_electrons_everywhere():
    sample = decays(MUON_MINUS, 0.0, 4_000)
    cosines = np.array([momentum[0, 2] / np.linalg.norm(momentum[0]) for _, _, momentum, _, _ in sample])
    assert cosines.mean() == pytest.approx(0.0, abs=4 * np.sqrt(1 / 3 / 4_000))
    assert (cosines**2).mean() == pytest.approx(1 / 3, abs=4 * np.sqrt(4 / 45 / 4_000))


def test_kaons_and_pi0_decay_in_their_shares():
    two_body = np.mean([len(kinds) == 1 for kinds, *_ in decays(KAON_PLUS, 0.0, 4_000)])
    assert two_body == pytest.approx(KAON_SHARES[0] / KAON_SHARES[-1], abs=4 * 0.0076)
    dalitz = np.mean([len(kinds) == 3 for kinds, *_ in decays(PION_ZERO, 100.0, 20_000)])
    assert dalitz == pytest.approx(0.01174, abs=4 * 0.00076)


def test_photons_of_a_pi0_in_flight_have_its_mass():
    for kinds, energy, momentum, *_ in decays(PION_ZERO, 800.0, 50):
        if (kinds == PHOTON).all():
            mass = np.sqrt(energy.sum() ** 2 - np.sum(momentum.sum(axis=0) ** 2))
            assert mass == pytest.approx(MASS_MEV[PION_ZERO], rel=1e-9)


def test_decay_lengths_are_those_of_the_lifetimes():
    # PDG 2024: c tau of the charged pion 7.8045 m; at beta gamma = 2 it flies twice that
    kinetic = MASS_MEV[PION_PLUS] * (np.sqrt(5.0) - 1.0)
    assert decay_inverse_length(PION_PLUS, kinetic) == pytest.approx(1 / (2 * 7804.5), rel=1e-9)
    stable = set(range(NUM_SPECIES)) - set(DECAYING)
    assert all(decay_inverse_length(species, 100.0) == 0.0 for species in stable)
    assert PROTON in stable


def test_muon_capture_on_argon_has_its_rate_and_excitation():
    # Suzuki, Measday, Roalsvig 1987, as commonly quoted: captures 1.41 +- 0.11 per us, disappearance 1.862 per us
    assert pytest.approx(1.41 / 1.862, abs=0.02) == CAPTURED_SHARE
    rng = np.random.default_rng(5)
    excitation = np.array([capture_excitation(rng) for _ in range(4_000)])
    # Measday, Phys. Rep. 354 (2001) 243, as commonly quoted: 15 to 20 MeV on average
    assert 15.0 < excitation.mean() < 20.0
    assert excitation.min() > 0.0 and excitation.max() < 60.0
