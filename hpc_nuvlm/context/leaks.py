"""Leak test: a column of a table that tells what is to be found out is refused, by its name and by its values.

A column is compared with each field of the truth in two ways.

Uncertainty coefficient (Theil's U; H. Theil, Statistics and Econometrics, 1970): I(truth; column) / H(truth), the share
of what is unknown of the truth that the column tells. Small samples raise it, up to 1 for a column that is different in
every event, so chance is taken off: (I - E) / (H - E), where E is the mean of I when the column is permuted (the
adjustment of N. X. Vinh, J. Epps, J. Bailey, JMLR 11, 2837 (2010)); what chance explains counts as 0. Numbers are cut
at quantiles, so that one with a little noise, or events numbered class by class, are seen through. Text is also
compared without its digits. Values that few events have are taken together, and an empty cell is a value like others.
For true numbers the column's own uncertainty is looked at too: that of a column such as "low" and "high" is gone once
the energy is known.

Spearman's rank correlation with true numbers: any monotone function of one has 1.

The limits leave room for what is measured. Of three equally frequent classes, a column that is wrong in 1 % of events
tells 0.94, in 2 % 0.90, in 5 % 0.79. An energy that is known to 15 % has a rank correlation of 0.989 where the
logarithms of energies have a standard deviation of 1, to 5 % of 0.999. Energies and places that can be seen in the
pictures are no secret, and a good measurement agrees with them: facts that are numbers are refused by name alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches

import numpy as np

from hpc_nuvlm.context.table import Column, Table
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event, Truth

LARGEST_UNCERTAINTY_SHARE = 0.90
LARGEST_RANK_CORRELATION = 0.99
# Fewer events than this have such values by chance
LEAST_EVENTS = 20
# Quantiles that a column, and a true number, are cut at
COLUMN_BINS, TRUTH_BINS = 50, 10
NUM_PERMUTATIONS = 10
# Standard deviations above chance that information must be to count
SIGNIFICANT = 5
# Fewer events of one value than this tell nothing: such values are taken together
LEAST_ALIKE = 5
TRUE_NAMES = ("class", "target", "flavour", "flavor", "interaction", "interaction_type", "is_antinu", "is_nc", "nu_pdg")
TRUE_BEGINNINGS = ("true", "truth", "mc", "gen", "simulated")
UNITS = re.compile(r"_(gev2?|mev|mm|cm)$")
CLOSE = 0.9


@dataclass(frozen=True)
class Association:
    """How much a column and a field of the truth have in common, by the measure that finds most."""

    column: str
    truth: str
    measure: str
    value: float
    limit: float
    num_events: int

    @property
    def leaks(self) -> bool:
        return self.value > self.limit


def check_leaks(table: Table, events: Sequence[Event]) -> list[Association]:
    """How much each column tells of each true field; ConfigError for one that tells it all, or has its name."""
    truths = [event.truth for event in events]
    rows = [table.row(event.identity) for event in events]
    _check_names(table, {name for truth in truths for name in truth.facts})
    found = []
    for name, column in table.columns.items():
        cells = [None if row is None else column.cells[row] for row in rows]
        for true_name, values in true_fields(truths).items():
            found += [] if (one := associate(name, cells, true_name, values)) is None else [one]
    worst = max((one for one in found if one.leaks), key=lambda one: one.value / one.limit, default=None)
    if worst is not None:
        raise ConfigError(
            f"{table.path}: column {worst.column!r} tells truth.{worst.truth}: {worst.measure} {worst.value:.3f} on "
            f"{worst.num_events} training events, limit {worst.limit:.2f}: the answer must not stand in the question; "
            "leave it out of data.context.fields, or give what was measured in place of what was generated"
        )
    return found


def true_fields(truths: Sequence[Truth]) -> dict[str, list]:
    """Values of each field of the truth by name, None where it is not known; facts that are numbers are left out."""
    columns: dict[str, list] = {}
    for number, truth in enumerate(truths):
        values = {name: value for name, value in asdict(truth).items() if not isinstance(value, dict | tuple | list)}
        values |= {f"vertex_mm.{axis}": value for axis, value in zip("xyz", truth.vertex_mm)}
        values |= {f"counts.{name}": value for name, value in truth.counts.items()}
        values |= {f"facts.{name}": value for name, value in truth.facts.items() if not isinstance(value, float)}
        values["nu_pdg without sign"] = None if truth.nu_pdg is None else abs(truth.nu_pdg)
        values["particles, how many"] = None if truth.particles is None else len(truth.particles)
        for name, value in values.items():
            columns.setdefault(name, [None] * len(truths))[number] = _known(value)
    return columns


def associate(name: str, cells: list, true_name: str, values: list) -> Association | None:
    """Of the events in which the true value is known; None if they are too few, or all alike."""
    pairs = [(cell, value) for cell, value in zip(cells, values) if value is not None]
    if len(pairs) < LEAST_EVENTS or len({value for _, value in pairs}) < 2 or len({cell for cell, _ in pairs}) < 2:
        return None
    cells, values = map(list, zip(*pairs))
    is_number = _is_amount(true_name, values)
    told = max(_uncertainty_shares(cells, values, is_number))
    one = Association(name, true_name, "uncertainty coefficient", told, LARGEST_UNCERTAINTY_SHARE, len(cells))
    both = [(cell, value) for cell, value in pairs if cell is not None]
    if is_number and Column(tuple(cells)).is_number and len(both) >= LEAST_EVENTS:
        rank = abs(rank_correlation(*map(np.array, zip(*both))))
        other = Association(name, true_name, "rank correlation", rank, LARGEST_RANK_CORRELATION, len(both))
        one = max(one, other, key=lambda each: each.value / each.limit)
    return one


def _uncertainty_shares(cells: list, values: list, is_number: bool) -> list[float]:
    told = [cut(values, TRUTH_BINS) if is_number else codes(values)]
    shares = [uncertainty_share(truth, column) for truth in told for column in _readings(cells)]
    if is_number:
        # The other way round: whether the true number, finely cut, decides the column
        finely = cut(values, COLUMN_BINS)
        shares.append(uncertainty_share(common(cells), finely))
    return shares


def _readings(cells: list) -> list[np.ndarray]:
    """Ways to read a column as categories, (N,) codes each: as it is, cut at quantiles, without digits."""
    if Column(tuple(cells)).is_number:
        return [common(cells), cut(cells, COLUMN_BINS)]
    return [common(cells), common([re.sub(r"[\d\W_]+", "", cell) if isinstance(cell, str) else cell for cell in cells])]


def uncertainty_share(truth: np.ndarray, column: np.ndarray) -> float:
    """Share of the uncertainty of `truth` (N,) that `column` (N,) takes away, beyond chance; codes from 0 on.

    0 where it is no more than by chance, as for a column that is different in every event.
    """
    generator = np.random.default_rng(0)
    unknown, both = entropy(truth), entropy(truth) + entropy(column)
    if unknown == 0:
        return 0.0
    by_chance = [both - _joint_entropy(truth, generator.permutation(column)) for _ in range(NUM_PERMUTATIONS)]
    expected, told = np.mean(by_chance), both - _joint_entropy(truth, column)
    # Rounding alone makes a difference of 1e-15
    if told - expected < SIGNIFICANT * np.std(by_chance) + 1e-9:
        return 0.0
    return float((told - expected) / (unknown - expected))


def entropy(code: np.ndarray) -> float:
    """Of codes (N,), in nats."""
    share = np.unique(code, return_counts=True)[1] / len(code)
    return float(-(share * np.log(share)).sum())


def _joint_entropy(first: np.ndarray, second: np.ndarray) -> float:
    return entropy(first * (second.max() + 1) + second)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's: the correlation of ranks, equal values having the mean of theirs; 0 if either has one value only."""
    ranks = [_ranks(values) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def codes(cells: list) -> np.ndarray:
    """(N,) a number for each different cell, None among them."""
    numbers: dict = {}
    return np.array([numbers.setdefault(cell, len(numbers)) for cell in cells], np.int64)


def common(cells: list) -> np.ndarray:
    """(N,) codes, one for all that few events have."""
    code = codes(cells)
    return np.where(np.bincount(code)[code] < LEAST_ALIKE, code.max() + 1, code)


def cut(cells: list, most: int) -> np.ndarray:
    """(N,) the quantile that each number lies in; up to `most` of them, of eight events at least; empty cells apart."""
    known = np.array([cell is not None for cell in cells])
    numbers = np.array([float(cell) for cell in cells if cell is not None])
    num_bins = min(max(len(numbers) // 8, 2), most)
    edges = np.quantile(numbers, np.arange(1, num_bins) / num_bins)
    code = np.zeros(len(cells), np.int64)
    code[known] = 1 + np.searchsorted(edges, numbers, side="right")
    return np.unique(code, return_inverse=True)[1]


def _known(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_amount(true_name: str, values: list) -> bool:
    numbers = not any(isinstance(value, bool | str) for value in values)
    return numbers and not true_name.startswith(("nu_pdg", "facts.lepton_pdg"))


def _check_names(table: Table, facts: set[str]) -> None:
    """ConfigError for a column that is called as a true field is, or nearly so."""
    known = {_plain(name): name for name in (*TRUE_NAMES, *(field.name for field in fields(Truth)), *sorted(facts))}
    for name in table.columns:
        plain = _plain(name)
        close = get_close_matches(plain, known, n=1, cutoff=CLOSE)
        begins = plain.split("_")[0] in TRUE_BEGINNINGS
        if close or begins:
            called = f"truth's {known[close[0]]!r}" if close else "what was generated"
            raise ConfigError(
                f"{table.path}: column {name!r} is called like {called}: the answer must not stand in the question; "
                "leave it out of data.context.fields, or, if it was measured, say so in its name"
            )


def _plain(name: str) -> str:
    return UNITS.sub("", re.sub(r"[ -]+", "_", name.strip().lower()))
