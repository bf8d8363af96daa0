"""Wordings: the sentences in which claims are made. Both writing and reading take them from here.

A wording is decided before its value comes, wherever English allows ("The leading object is *a muon track*"), so that
a language model's probability of the value is how sure it is of the claim, and not of the choice of words.

A sentence is a list of clauses between commas. Its first clause stands alone; each later one can be cut off it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# How the classes are called in the published prompt (arXiv:2508.19376)
CLASS_TEXT = {"nue_cc": "NuE CC", "numu_cc": "NuMu CC", "nutau_cc": "NuTau CC", "nc": "Neutral Current"}
NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,3})?"
# No letter, digit or part of another unit may follow
END = r"(?![\w/]|\.[0-9])"


@dataclass(frozen=True)
class Choice:
    """One of a few texts, each with its value."""

    values: dict

    @property
    def pattern(self) -> str:
        return f"(?:{'|'.join(_loose(text) for text in sorted(self.values, key=len, reverse=True))}){END}"

    def write(self, value) -> str:
        return next(text for text, meaning in self.values.items() if meaning == value)

    def read(self, text: str):
        words = " ".join(text.lower().split())
        return next(value for name, value in self.values.items() if name.lower() == words)


@dataclass(frozen=True)
class Amount:
    """A number with its unit: "12 cm", "350 MeV", "1.2 GeV", "less than 1 cm"."""

    unit: str

    @property
    def units(self) -> str:
        return "MeV|GeV" if self.unit == "MeV" else self.unit

    @property
    def pattern(self) -> str:
        return rf"(?:less\s+than\s+)?(?<![\w.]){NUMBER}\s*(?:{self.units}){END}"

    def write(self, value: float) -> str:
        if self.unit == "MeV/cm":
            return f"{value:.1f} MeV/cm"
        if value < 1:
            return f"less than 1 {self.unit}"
        if self.unit == "MeV" and value >= 1000:
            return f"{value / 1000:.{1 if value < 10_000 else 0}f} GeV"
        return f"{value:.0f} {self.unit}"

    def read(self, text: str) -> float:
        if text.lower().startswith("less"):
            return 0.0
        number = float(re.search(NUMBER, text)[0])
        return round(number * 1000, 3) if text.lower().endswith("gev") else number


@dataclass(frozen=True)
class Count:
    """How many of a thing: "no tracks", "1 track", "3 tracks"."""

    thing: str

    @property
    def pattern(self) -> str:
        return rf"(?<![\w.])(?:no|one|[0-9]{{1,3}})\s+{_loose(self.thing)}s?{END}"

    def write(self, value: int) -> str:
        return f"{value or 'no'} {self.thing}{'' if value == 1 else 's'}"

    def read(self, text: str) -> int:
        word = text.split()[0].lower()
        return {"no": 0, "one": 1}.get(word) if word.isalpha() else int(word)


@dataclass(frozen=True)
class Wording:
    """Text with one place {} for the value."""

    text: str
    value: Choice | Amount | Count

    @property
    def pattern(self) -> re.Pattern:
        before, _, after = self.text.partition("{}")
        before, after = _loose(before), _loose(after)
        # "about" is said of an amount unless it is less than 1
        before = before.replace(r"ABOUT\s+", r"(?:about\s+)?")
        return re.compile(rf"(?<!\w){before}(?P<value>{self.value.pattern}){after}", re.IGNORECASE | re.ASCII)

    def write(self, value) -> str:
        text = self.value.write(value)
        return self.text.replace("ABOUT ", "" if text.startswith("less") else "about ").replace("{}", text)


def _loose(text: str) -> str:
    """Pattern of a text in which any white space stands for any other."""
    return re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(text))


LENGTH, ENERGY, DEDX = Amount("cm"), Amount("MeV"), Amount("MeV/cm")
OBJECTS = {
    "a muon track": "muon",
    "an electron shower": "electron",
    "a photon shower": "photon",
    "a hadron track": "hadron",
}
LEPTON = Choice({"no lepton": False, "a lepton": True})
SEEN = Choice({"seen": True, "not seen": False})
STAYS = Choice({"stays inside": True, "leaves the detector": False})
WORDINGS: dict[str, tuple[Wording, ...]] = {
    "lead": (
        Wording("the leading object is {}", Choice(OBJECTS | {"missing": "nothing"})),
        Wording("the event is led by {}", Choice(OBJECTS | {"nothing": "nothing"})),
        Wording("what stands out is {}", Choice(OBJECTS | {"nothing": "nothing"})),
    ),
    "lead_length_cm": (Wording("ABOUT {} long", LENGTH), Wording("with a length of ABOUT {}", LENGTH)),
    "lead_contained": (Wording("which {}", STAYS), Wording("and it {}", STAYS)),
    "lepton_visible": (Wording("and {} is visible", LEPTON), Wording("with {} in sight", LEPTON)),
    "num_tracks": (Wording("{}", Count("track")),),
    "num_protons": (Wording("{}", Count("proton")),),
    "num_showers": (Wording("{}", Count("shower")),),
    "num_pi0": (Wording("{}", Count("neutral pion")),),
    "longest_track_cm": (
        Wording("the longest track is ABOUT {}", LENGTH),
        Wording("the longest track measures ABOUT {}", LENGTH),
    ),
    "shower_energy_mev": (
        Wording("the largest shower has ABOUT {}", ENERGY),
        Wording("the largest shower holds ABOUT {}", ENERGY),
    ),
    "shower_dedx_mev_per_cm": (
        Wording("the largest shower starts with {}", DEDX),
        Wording("the largest shower begins at {}", DEDX),
    ),
    "shower_gap_cm": (Wording("ABOUT {} from the vertex", LENGTH), Wording("ABOUT {} off the vertex", LENGTH)),
    "michel": (Wording("a Michel electron is {}", SEEN), Wording("a decay electron is {}", SEEN)),
    "michel_energy_mev": (Wording("with ABOUT {}", ENERGY), Wording("of ABOUT {}", ENERGY)),
    "visible_energy_mev": (
        Wording("the visible energy is ABOUT {}", ENERGY),
        Wording("the event shows ABOUT {}", ENERGY),
    ),
    "contained": (
        Wording("the event is {}", Choice({"contained": True, "not contained": False})),
        Wording("the whole event {}", STAYS),
    ),
    "vertex_activity_mev": (
        Wording("the vertex activity is ABOUT {}", ENERGY),
        Wording("activity at the vertex amounts to ABOUT {}", ENERGY),
    ),
}
# How a sentence of counts begins
COUNTED = ("the picture shows", "one counts", "the event has")
REGION = ("In percent the leading object runs from {} to {}.", "The leading object runs from {} to {} percent.")
# Kinds of each sentence: the first stands alone, the others are cut off it
LEAD_SENTENCE = ("lead", "lead_length_cm", "lead_contained", "lepton_visible")
# Blocks of sentences: blocks change places, sentences of one do not
BLOCKS = (
    (("longest_track_cm",),),
    (("shower_energy_mev",), ("shower_dedx_mev_per_cm", "shower_gap_cm")),
    (("michel", "michel_energy_mev"),),
    (("visible_energy_mev",), ("contained",)),
    (("vertex_activity_mev",),),
)
