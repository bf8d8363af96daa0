"""Writing: claims to text. The lead comes first, then where it lies, then the counts; the rest in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpc_nuvlm.rationale.claims import COUNTS, Claim
from hpc_nuvlm.rationale.wording import (
    BLOCKS,
    CLASS_TEXT,
    COUNTED,
    LEAD_SENTENCE,
    REGION,
    WORDINGS,
    Amount,
    Choice,
    Count,
)

PLANES = (("U", "V", "Z"), ("XZ", "YZ"))


def write(claims: Sequence[Claim], generator: np.random.Generator) -> str:
    """A text of short sentences, "" if nothing is claimed; wordings and order come from the generator.

    A claim that cannot stand alone is left out where what it belongs to is not claimed.
    """
    said = {claim.kind: claim.value for claim in claims}
    sentences = [_sentence(LEAD_SENTENCE, said, generator), _region(said, generator), _counts(said, generator)]
    for number in generator.permutation(len(BLOCKS)):
        sentences += [_sentence(kinds, said, generator) for kinds in BLOCKS[number]]
    return " ".join(filter(None, sentences))


def example_sentences(planes: Sequence[tuple[str, ...]] = PLANES) -> list[str]:
    """Every wording with a spread of values, in a fixed order: what a tokenizer should be able to say.

    Regions are in the views of `planes`, with every number 00..99. The names of the classes come last.
    """
    examples = []
    for kinds in (LEAD_SENTENCE, *(kinds for block in BLOCKS for kinds in block)):
        # A later clause follows the first value of the first
        head = WORDINGS[kinds[0]][0]
        head = head.write(_values(head.value)[0])
        for kind in kinds:
            for wording in WORDINGS[kind]:
                clauses = [wording.write(value) for value in _values(wording.value)]
                examples += [_finish(clause if kind == kinds[0] else f"{head}, {clause}") for clause in clauses]
    items = [[WORDINGS[kind][0].write(count) for kind in COUNTS] for count in _values(Count(""))]
    examples += [_finish(f"{opening} {', '.join(counted)}") for opening in COUNTED for counted in items]
    for names in planes:
        for number in range(100):
            places = tuple((name, number, 99 - number, (number + 50) % 100, number) for name in names)
            examples += [wording.format(*_points(places)) for wording in REGION]
    return [*examples, *CLASS_TEXT.values()]


def _values(kind: Choice | Amount | Count) -> list:
    """Values that a wording may be asked for."""
    if isinstance(kind, Choice):
        return list(kind.values.values())
    if isinstance(kind, Count):
        return list(range(21))
    if kind.unit == "MeV/cm":
        return [tenths / 10 for tenths in range(201)]
    # Two significant digits up to 20 m or 20 GeV
    top = 2000 if kind.unit == "cm" else 20_000
    return [
        value
        for step in (1, 10, 100, 1000)
        for value in range(10 * step * (step > 1), 100 * step, step)
        if value <= top
    ]


def _sentence(kinds: tuple[str, ...], said: dict, generator: np.random.Generator) -> str:
    if kinds[0] not in said:
        return ""
    clauses = [_pick(WORDINGS[kind], generator).write(said[kind]) for kind in kinds if kind in said]
    return _finish(", ".join(clauses))


def _counts(said: dict, generator: np.random.Generator) -> str:
    items = [WORDINGS[kind][0].write(said[kind]) for kind in COUNTS if kind in said]
    return _finish(f"{_pick(COUNTED, generator)} {', '.join(items)}") if items else ""


def _region(said: dict, generator: np.random.Generator) -> str:
    return _pick(REGION, generator).format(*_points(said["region"])) if "region" in said else ""


def _points(places: tuple) -> tuple[str, str]:
    """Where it begins and where it ends, in each view: "U 12 45, V 23 45"."""
    return (
        ", ".join(f"{plane} {row:02d} {column:02d}" for plane, row, column, _, _ in places),
        ", ".join(f"{plane} {row:02d} {column:02d}" for plane, _, _, row, column in places),
    )


def _pick(wordings: Sequence, generator: np.random.Generator):
    return wordings[int(generator.integers(len(wordings)))]


def _finish(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
