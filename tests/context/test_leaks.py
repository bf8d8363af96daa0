"""Planted leaks of each kind are refused, honest columns pass; scikit-learn and SciPy are the oracles."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mutual_info_score

from hpc_nuvlm.context import Table, check_leaks
from hpc_nuvlm.context.leaks import codes, cut, entropy, rank_correlation, true_fields, uncertainty_share
from hpc_nuvlm.context.table import Column
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event, Hits, Identity, Truth, label_of

NUM_EVENTS = 600
NO_HITS = Hits("pixels", {"plane": [], "row": [], "column": [], "charge": []})


def draw_truth(generator) -> Truth:
    nu_pdg, is_cc = int(generator.choice([12, 14, -12, -14])), bool(generator.random() < 0.67)
    energy_gev = float(generator.lognormal(0.9, 0.7))
    return Truth(
        label=label_of(nu_pdg, is_cc),
        nu_pdg=nu_pdg,
        is_cc=is_cc,
        mode=str(generator.choice(["qe", "res", "dis"])),
        nu_energy_gev=energy_gev,
        lepton_energy_gev=energy_gev * generator.uniform(0.1, 1) if is_cc else np.nan,
        vertex_mm=tuple(generator.uniform(-3000, 3000, 3).tolist()),
        counts={"proton": int(generator.poisson(1.2))},
        facts={"michel": bool(generator.random() < 0.3), "visible_energy_mev": 700 * energy_gev},
    )


@pytest.fixture(scope="module")
def events():
    generator = np.random.default_rng(1)
    return [Event(NO_HITS, draw_truth(generator), Identity("ab" * 32, number)) for number in range(NUM_EVENTS)]


def table_of(cells, name="column"):
    cells = tuple(cell.item() if isinstance(cell, np.generic) else cell for cell in cells)
    rows = {(None, None, number): number for number in range(len(cells))}
    return Table("table.csv", ("event", name), {name: Column(cells)}, rows, by_key=False)


def energies(events) -> np.ndarray:
    return np.array([event.truth.nu_energy_gev for event in events])


def labels(events) -> np.ndarray:
    return np.array([event.truth.label for event in events])


def noisy_labels(events):
    """1 % of the events have another class."""
    generator = np.random.default_rng(2)
    names = list(labels(events))
    for place in np.flatnonzero(generator.random(len(names)) < 0.01):
        names[place] = generator.choice([name for name in ("nue_cc", "numu_cc", "nc") if name != names[place]])
    return names


def noise(events, scale) -> np.ndarray:
    return np.random.default_rng(3).normal(0, scale, len(events))


LEAKS = {
    "the label by another name": lambda e: [{"nc": "a", "nue_cc": "b", "numu_cc": "c"}[x] for x in labels(e)],
    "the label with 1 % noise": noisy_labels,
    "the label as a number with a little noise": lambda e: codes(list(labels(e))) + noise(e, 0.01),
    "the label within names that differ in every event": lambda e: [f"{x}_{n:05d}" for n, x in enumerate(labels(e))],
    "events numbered class by class": lambda e: np.argsort(np.argsort(labels(e), kind="stable"), kind="stable"),
    "whether it is a charged current": lambda e: [event.truth.is_cc for event in e],
    "PDG codes": lambda e: [event.truth.nu_pdg for event in e],
    "PDG codes without sign": lambda e: [abs(event.truth.nu_pdg) for event in e],
    "generator codes that merge to the class": lambda e: [f"{x.truth.label}/{x.truth.mode}" for x in e],
    "the mode": lambda e: [event.truth.mode for event in e],
    "a number of particles": lambda e: [event.truth.counts["proton"] for event in e],
    "a yes or no among the facts": lambda e: [event.truth.facts["michel"] for event in e],
    "the energy with a little noise": lambda e: energies(e) * (1 + noise(e, 0.01)),
    "a monotone function of the energy": lambda e: -np.exp(-energies(e) / 3),
    "the energy, the half of it turned round": lambda e: np.where(energies(e) < 2.5, energies(e), 50 - energies(e)),
    "ranges of the energy": lambda e: np.where(energies(e) > 2, "high", "low"),
    "the vertex": lambda e: [event.truth.vertex_mm[1] for event in e],
    "a number that only charged currents have": lambda e: [
        number if event.truth.is_cc else None for number, event in zip(noise(e, 1.0), e)
    ],
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_refused(events, name):
    with pytest.raises(ConfigError, match=r"column 'column' tells truth\..* limit 0\.9.*leave it out of data\.context"):
        check_leaks(table_of(LEAKS[name](events)), events)


def beam_modes(events):
    """FHC in 70 % of electron neutrinos and in 30 % of the others."""
    draws = np.random.default_rng(4).random(len(events))
    return ["FHC" if draw < (0.7 if x == "nue_cc" else 0.3) else "RHC" for draw, x in zip(draws, labels(events))]


def other_classifier(events):
    """Right in 90 % of the events."""
    generator = np.random.default_rng(5)
    return [generator.choice(["nue_cc", "numu_cc", "nc"]) if generator.random() < 0.15 else x for x in labels(events)]


HONEST = {
    "an energy known to 15 %": lambda e: energies(e) * (1 + noise(e, 0.15)),
    "a beam mode that goes with the class": beam_modes,
    "random numbers that differ in every event": lambda e: np.random.default_rng(6).permutation(len(e)),
    "random numbers of which few are alike": lambda e: np.random.default_rng(6).integers(0, 4 * len(e), len(e)),
    "what grows with the energy, seldom alike": lambda e: (1000 * energies(e) * np.exp(noise(e, 0.5))).astype(int),
    "names that differ in every event": lambda e: [f"event {number}" for number in range(len(e))],
    "a run number": lambda e: np.arange(len(e)) // 50,
    "a condition of the detector": lambda e: 3 + noise(e, 0.1),
    "the same everywhere": lambda e: ["FHC"] * len(e),
    "seldom something else": lambda e: ["odd" if number in (3, 400) else "even" for number in range(len(e))],
    "another classifier's class": other_classifier,
    "the energy that is seen, which charge is too": lambda e: [
        700 * event.truth.nu_energy_gev * factor for event, factor in zip(e, 0.7 + noise(e, 0.1))
    ],
    "nothing": lambda e: [None] * len(e),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_column_passes(events, name):
    found = check_leaks(table_of(HONEST[name](events)), events)
    assert all(one.num_events >= 20 and not one.leaks for one in found)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("label", "truth's 'label'"),
        ("Nu Energy", "truth's 'nu_energy_gev'"),
        ("michel", "truth's 'michel'"),
        ("visible_energy_mev", "truth's 'visible_energy_mev'"),
        ("lepton_energy", "truth's 'lepton_energy_gev'"),
        ("true_energy", "what was generated"),
        ("mc flavour", "what was generated"),
        ("interactions", "truth's 'interaction'"),
    ],
)
def test_a_column_that_is_called_like_truth_is_refused(events, name, message):
    with pytest.raises(ConfigError, match=f"column {name!r} is called like {message}"):
        check_leaks(table_of(["a"] * len(events), name), events)


@pytest.mark.parametrize(
    "name", ["beam_mode", "lifetime_ms", "reco_energy_gev", "run_quality", "purity", "charge_loss"]
)
def test_an_honest_name_passes(events, name):
    check_leaks(table_of(["a"] * len(events), name), events)


def test_what_is_not_known_is_not_compared(events):
    unlabelled = [Event(NO_HITS, Truth(), event.identity) for event in events]
    assert check_leaks(table_of(labels(events)), unlabelled) == []
    assert check_leaks(table_of(labels(events)[:10]), events[:10]) == []


def test_every_field_of_the_truth_is_compared(events):
    names = set(true_fields([event.truth for event in events]))
    assert {"label", "is_cc", "nu_pdg", "mode", "nu_energy_gev", "lepton_energy_gev", "q2_gev2", "w_gev"} <= names
    assert {"vertex_mm.x", "counts.proton", "facts.michel", "nu_pdg without sign", "particles, how many"} <= names
    assert "facts.visible_energy_mev" not in names


def test_information_and_rank_correlation_are_the_libraries():
    generator = np.random.default_rng(7)
    first, second = generator.integers(0, 4, 300), generator.integers(0, 6, 300)
    second = np.where(generator.random(300) < 0.5, first, second)
    told, unknown = mutual_info_score(first, second), mutual_info_score(first, first)
    assert entropy(first) == pytest.approx(unknown)
    # Chance explains (4 - 1) (6 - 1) / 2 N of it, to first order (G. A. Miller, 1955)
    chance = 15 / 600
    assert uncertainty_share(first, second) == pytest.approx((told - chance) / (unknown - chance), abs=0.02)
    values = generator.normal(size=300).round(1)
    other = values + generator.normal(size=300).round(0)
    assert rank_correlation(values, other) == pytest.approx(spearmanr(values, other).statistic)
    assert rank_correlation(values, np.zeros(300)) == 0


def test_numbers_are_cut_at_quantiles_and_empty_cells_are_apart():
    code = cut([None, *range(160), None], 10)
    assert code[0] == code[-1] == 0 and np.bincount(code[1:-1])[1:].tolist() == [16] * 10
    # Eight events to each
    assert cut(list(range(24)), 50).max() == 2
