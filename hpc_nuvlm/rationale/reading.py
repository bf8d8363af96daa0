"""Reading: text to claims. The text comes from a model: what cannot be read is no claim, and nothing raises."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpc_nuvlm.rationale.claims import COUNTS, NEEDS, Claim, Place
from hpc_nuvlm.rationale.wording import CLASS_TEXT, WORDINGS

PATTERNS = tuple((kind, wording.value, wording.pattern) for kind, wordings in WORDINGS.items() for wording in wordings)
# A full stop within a number ends nothing
SENTENCE = re.compile(r"\S(?:[^.!?\n]|[.!?](?=\S))*[.!?]*")
CLAUSE = re.compile(r"[^,\s](?:[^,])*")
REGION = re.compile(r"\bruns\s+from\s(?P<begin>.*?)\sto\s(?P<end>.*)", re.IGNORECASE | re.DOTALL)
POINT = re.compile(
    r"(?<!\w)(?P<plane>[A-Za-z]\w{0,15})\s+(?P<row>[0-9]{1,2})\s+(?P<column>[0-9]{1,2})(?![\w])", re.ASCII
)
Span = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """A claim in a text: the clause that makes it, and the characters that hold its value (a region: its numbers)."""

    claim: Claim
    clause: Span
    values: tuple[Span, ...]


def read(text: str) -> tuple[Claim, ...]:
    """Claims in the order in which they are made, each once; two that differ in value are two claims."""
    return tuple(dict.fromkeys(found.claim for found in find(text)))


def read_class(text: str, classes: Sequence[str]) -> str | None:
    """The class that the text names last, as CLASS_TEXT calls it; None if it names none of them."""
    last = {}
    for name in classes:
        called = r"\s+".join(map(re.escape, CLASS_TEXT[name].split()))
        matches = list(re.finditer(rf"(?<!\w){called}(?!\w)", text, re.IGNORECASE))
        if matches:
            last[name] = matches[-1].start()
    return max(last, key=last.get) if last else None


def sentences(text: str) -> list[Span]:
    """(start, stop) of each sentence, its full stop within, white space around it without."""
    return [(match.start(), match.start() + len(match[0].rstrip())) for match in SENTENCE.finditer(text)]


def find(text: str) -> list[Found]:
    """Every claim with its place."""
    found: list[Found] = []
    for sentence in sentences(text):
        said: list[Found] = []
        for clause in clauses(text, sentence):
            for one in _read_clause(text, clause):
                needed = NEEDS.get(one.claim.kind)
                if needed is None or any(earlier.claim.kind == needed for earlier in said):
                    said.append(one)
        found += said
    return found


def clauses(text: str, sentence: Span) -> list[Span]:
    """(start, stop) of each part of a sentence between commas; a region is one, commas and all."""
    if _region(text, sentence):
        return [sentence]
    parts = [match.span() for match in CLAUSE.finditer(text, *sentence)]
    return [(start, start + len(text[start:stop].rstrip())) for start, stop in parts]


def _read_clause(text: str, clause: Span) -> list[Found]:
    region = _region(text, clause)
    found = [region] if region else []
    for kind, value, pattern in PATTERNS:
        matches = [pattern.match(text, *clause)] if kind in NEEDS else pattern.finditer(text, *clause)
        for match in filter(None, matches):
            found.append(Found(Claim(kind, value.read(match["value"])), clause, (match.span("value"),)))
    return sorted(found, key=lambda one: one.values[0])


def _region(text: str, clause: Span) -> Found | None:
    """The views of which both ends can be read, and only once; None if there is no such view."""
    match = REGION.search(text, *clause)
    if not match:
        return None
    begin, end = ([*POINT.finditer(text, *match.span(group))] for group in ("begin", "end"))
    places: list[Place] = []
    spans: list[Span] = []
    for point in begin:
        same = [other for other in end if other["plane"] == point["plane"]]
        if len(same) != 1 or sum(other["plane"] == point["plane"] for other in begin) != 1:
            continue
        ends = (point, same[0])
        places.append((point["plane"], *(int(one[axis]) for one in ends for axis in ("row", "column"))))
        spans += [one.span(axis) for one in ends for axis in ("row", "column")]
    return Found(Claim("region", tuple(places)), clause, tuple(spans)) if places else None


def confidences(text: str, spans: Sequence[Span], log_probabilities: Sequence[float]) -> list[tuple[Claim, float]]:
    """Each claim and the probability of its value under the model that wrote it, in the order of the text.

    `spans`: characters (start, stop) of each token, `log_probabilities`: natural logarithm of each token's
    probability. It is the product over the tokens that touch the value; of a region, the geometric mean over its
    numbers, for which no product tells much. No token touches it: 1.
    """
    return [(found.claim, _confidence(found, spans, log_probabilities)) for found in find(text)]


def _confidence(found: Found, spans: Sequence[Span], log_probabilities: Sequence[float]) -> float:
    totals = [
        sum(log for (start, stop), log in zip(spans, log_probabilities) if start < high and low < stop)
        for low, high in found.values
    ]
    return math.exp(min(0.0, sum(totals) / len(totals)))


def keep_sure(
    text: str,
    spans: Sequence[Span],
    log_probabilities: Sequence[float],
    threshold: float | Mapping[str, float],
) -> str:
    """The text without the claims whose confidence (see `confidences`) is below the threshold.

    One threshold for all, or one by kind; kinds that it does not name are kept. With the first clause of a sentence
    goes the sentence, unless the sentence lists counts. What is no claim is kept.
    """
    doubtful = set()
    for found in find(text):
        limit = threshold.get(found.claim.kind, 0.0) if isinstance(threshold, Mapping) else threshold
        if _confidence(found, spans, log_probabilities) < limit:
            doubtful.add(found.clause)
    kept = [_cut(text, sentence, doubtful) for sentence in sentences(text)]
    return " ".join(filter(None, kept))


def _cut(text: str, sentence: Span, doubtful: set[Span]) -> str:
    """The sentence without its doubtful clauses, "" if none is left."""
    parts = clauses(text, sentence)
    if not doubtful.intersection(parts):
        return text[slice(*sentence)]
    opening = ""
    if parts[0] in doubtful:
        first = _read_clause(text, parts[0])[0]
        if first.claim.kind not in COUNTS:
            return ""
        opening = text[parts[0][0] : first.values[0][0]]
    kept = [text[slice(*part)].rstrip(".!?") for part in parts if part not in doubtful]
    return f"{opening}{', '.join(kept)}." if kept else ""
