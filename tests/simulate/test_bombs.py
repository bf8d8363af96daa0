import numpy as np
import pytest

from hpc_nuvlm.detector import detector_folder, load_detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import label_of
from hpc_nuvlm.simulate.bombs import BombMaker
from hpc_nuvlm.simulate.chain import Simulator
from hpc_nuvlm.simulate.settings import Bombs, Interactions, Simulation
from hpc_nuvlm.simulation import SimulationWork
from nuvlm_kernels.particles import MASS_MEV, PDG

NUM_BOMBS = 4000
MASS_OF = dict(zip(PDG.tolist(), MASS_MEV.tolist(), strict=True))


@pytest.fixture(scope="module")
def bombs():
    maker, rng = BombMaker(Bombs()), np.random.default_rng(3)
    return [maker.generate(rng) for _ in range(NUM_BOMBS)]


def kinetic_mev(bombs) -> np.ndarray:
    return np.concatenate([bomb.energy_mev - [MASS_OF[code] for code in bomb.pdg.tolist()] for bomb in bombs])


def test_numbers_of_particles_are_uniform_and_their_kinds_follow_the_shares(bombs):
    numbers = np.bincount([len(bomb.pdg) for bomb in bombs])
    assert numbers[0] == 0 and len(numbers) == 5
    # 4 sigma of a count
    assert numbers[1:] == pytest.approx(NUM_BOMBS / 4, abs=4 * np.sqrt(NUM_BOMBS / 4))
    kinds = np.concatenate([bomb.pdg for bomb in bombs])
    shares = Bombs().particles
    for code, share in shares.items():
        expected = len(kinds) * share / sum(shares.values())
        assert (kinds == code).sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_kinetic_energies_are_log_uniform_between_their_limits(bombs):
    place = np.log(kinetic_mev(bombs) / 30.0) / np.log(100.0)
    assert place.min() >= -1e-6 and place.max() <= 1 + 1e-6
    assert place.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * len(place)))
    assert place.var() == pytest.approx(1 / 12, rel=0.05)


def test_directions_are_isotropic_and_energies_fit_momenta(bombs):
    momentum = np.concatenate([bomb.momentum_mev for bomb in bombs])
    mass = np.concatenate([[MASS_OF[code] for code in bomb.pdg.tolist()] for bomb in bombs])
    energy = np.concatenate([bomb.energy_mev for bomb in bombs])
    np.testing.assert_allclose(energy**2 - (momentum**2).sum(axis=1), mass**2, atol=1e-6 * energy.max() ** 2)
    direction = momentum / np.linalg.norm(momentum, axis=1, keepdims=True)
    limit = 4 / np.sqrt(3 * len(direction))
    assert np.abs(direction.mean(axis=0)).max() < limit
    assert direction.T @ direction / len(direction) == pytest.approx(np.eye(3) / 3, abs=limit)


def test_a_bomb_has_no_neutrino_and_thus_no_class(bombs):
    assert all(bomb.nu_pdg is None and label_of(bomb.nu_pdg, bomb.is_cc) is None for bomb in bombs[:10])


@pytest.mark.parametrize("particles", [{9999: 1.0}, {13: 0.0}, {}])
def test_particles_that_cannot_be_followed_and_none_at_all_are_refused(particles):
    with pytest.raises(ConfigError, match=r"interactions\.bombs\.particles"):
        BombMaker(Bombs(particles=particles))


def test_limits_must_be_in_order_and_bombs_come_from_no_file():
    for wrong in ({"least": 5}, {"low_mev": 4000.0}):
        with pytest.raises(ValueError, match="exchange them"):
            Bombs(**wrong)
    with pytest.raises(ValueError, match="leave out one"):
        Interactions(bombs=Bombs(), files=["events.root"])


@pytest.mark.slow
def test_bombs_are_simulated_and_stored_without_a_class(tmp_path):
    detector = load_detector("paper_lartpc", detector_folder())
    # eta: decayed before transport; pi0: by it
    bombs = Bombs(particles={13: 1, 111: 1, 221: 1, 22: 1, -11: 1, 2212: 1}, high_mev=500.0)
    settings = Simulation(
        detector="paper_lartpc", events=12, interactions=Interactions(bombs=bombs), split={"train": 1}
    )
    simulator = Simulator(settings, detector)
    leads = {simulator.event(number).truth.facts.get("lead") for number in range(12)}
    assert {"muon", "photon"} < leads <= {"muon", "electron", "photon", "hadron", None}
    (tmp_path / "train").mkdir()
    part = SimulationWork(settings, detector).open(tmp_path)(0, lambda number: True)
    assert part.labels == {"train": {"unlabelled": 12}}
