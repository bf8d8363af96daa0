"""Gallery: which events are shown with their texts, and what is written below each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hpc_nuvlm.event import Truth
from hpc_nuvlm.explaining.regions import named_region
from hpc_nuvlm.explaining.texts import Told
from hpc_nuvlm.rationale import Claim, Verdict, Window, claims_of, judge, read, read_class, write
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.explanations import Example
from hpc_nuvlm.sample import UNLABELLED, Samples

NUM_OF_EACH = 3


class Asked(Protocol):
    """Events as they were asked about (explanation.py)."""

    samples: Samples
    index: tuple[int, ...]
    truths: list[Truth]
    windows: list[Window]


def choose_examples(asked: Asked, told: Told, stated: Sequence[str]) -> list[Example]:
    """The first NUM_OF_EACH events of which all that is stated is right, and the first of which something is wrong.

    Stated are the class and the claims that are sure. Right first; an event of which nothing can be judged is right.
    """
    right, wrong = [], []
    for row, text in enumerate(stated):
        faults = find_faults(text, asked, told, row)
        chosen = wrong if faults else right
        if len(chosen) < NUM_OF_EACH:
            chosen.append(_example(asked, told, row, text, faults))
        if len(right) == len(wrong) == NUM_OF_EACH:
            break
    return [*right, *wrong]


def find_faults(text: str, asked: Asked, told: Told, row: int) -> list[str]:
    """What the text states wrongly, in words."""
    verdicts = ((claim, judge(claim, asked.truths[row], asked.windows[row])) for claim in read(text))
    faults = [_say(claim) for claim, verdict in verdicts if verdict is Verdict.WRONG]
    classes, label = asked.samples.classes, int(told.label[row])
    if label != UNLABELLED and read_class(text, classes) != classes[label]:
        faults.append("class")
    return faults


def _say(claim: Claim) -> str:
    return claim.kind if claim.kind == "region" else f"{claim.kind} {claim.value}"


def _example(asked: Asked, told: Told, row: int, text: str, faults: list[str]) -> Example:
    classes, label = asked.samples.classes, int(told.label[row])
    truth, window = asked.truths[row], asked.windows[row]
    claims = claims_of(truth, window)
    true = next((claim.value for claim in claims if claim.kind == "region"), ())
    named = named_region(told.texts[row])
    predicted = int(told.predicted[row])
    title = f"{'right' if not faults else 'wrong'}: {told.keys[row]}"
    likely = np.exp(told.log_probability[row, predicted])
    known = "" if label == UNLABELLED else f"{class_title(classes[label])}. "
    image = asked.samples.batch([asked.index[row]], np.ones(1, bool), None).image_BVHW[0].numpy()
    return Example(
        title=title,
        image_VHW=image,
        planes=window.names,
        named={} if named is None else {plane: tuple(ends) for plane, *ends in named.places},
        half_width_percent=0.0 if named is None else named.half_width_percent,
        true={plane: tuple(ends) for plane, *ends in true},
        lines=(
            ("written", told.texts[row]),
            ("stated", text),
            ("wrong", "; ".join(faults)),
            ("scored", f"{class_title(classes[predicted])}, {100 * likely:.0f} %"),
            ("true", known + write(claims, np.random.default_rng(row))),
        ),
    )
