"""What is written is read back, whatever the facts and the wording; what is no claim never raises."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc_nuvlm.event import Truth
from hpc_nuvlm.rationale import (
    CLASS_TEXT,
    Claim,
    Verdict,
    Window,
    claims_of,
    confidences,
    example_sentences,
    judge,
    keep_sure,
    read,
    read_class,
    sentences,
    write,
)
from hpc_nuvlm.rationale.claims import AMOUNTS, COUNTS, KINDS, LEADS, NEEDS

PLANES = {2: ("XZ", "YZ"), 3: ("U", "V", "Z")}
CLASSES = tuple(CLASS_TEXT)


@st.composite
def events(draw):
    """A truth of random facts, many of them missing, and a window or none."""
    amounts = st.one_of(st.floats(0, 3), st.floats(0, 30_000), st.just(math.nan))
    names = PLANES[draw(st.sampled_from((2, 3)))]
    facts = {name: amounts for name, _ in AMOUNTS.values()}
    facts |= dict.fromkeys(COUNTS, st.integers(0, 4) | st.integers(0, 999))
    facts |= dict.fromkeys(("lepton_visible", "lepton_contained", "michel", "contained"), st.booleans())
    facts["lead"] = st.sampled_from(LEADS[:-1])
    ends = [f"lead_{name}_{end}_{axis}" for name in names for end in ("from", "to") for axis in ("row", "column")]
    facts |= dict.fromkeys(ends, st.floats(-500, 1500))
    missing = draw(st.sets(st.sampled_from(sorted(facts)), max_size=8))
    truth = Truth(facts={name: draw(values) for name, values in facts.items() if name not in missing})
    window = Window(np.full((len(names), 2), draw(st.integers(-300, 300))), (draw(st.integers(1, 900)), 500), names)
    return truth, draw(st.sampled_from((window, None)))


SEEDS = st.integers(0, 2**32)


@settings(max_examples=200, deadline=None)
@given(events(), SEEDS)
def test_every_claim_written_is_read_back_and_true(event, seed):
    claims = claims_of(*event)
    text = write(claims, np.random.default_rng(seed))
    found = read(text)
    assert len(found) == len(claims) and set(found) == set(claims)
    assert all(judge(claim, *event) is Verdict.RIGHT for claim in found)


@settings(max_examples=100, deadline=None)
@given(events(), SEEDS, st.data())
def test_a_text_that_is_cut_mixed_and_shouted_holds_no_new_kinds_of_trouble(event, seed, data):
    """Reading and cutting never raise, and what is read can be judged and written again."""
    text = write(claims_of(*event), np.random.default_rng(seed))
    for _ in range(data.draw(st.integers(1, 6))):
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        text = text[:start] + data.draw(st.sampled_from(("", ".", ", ", " 12 ", "to", text[stop:]))) + text[stop:]
    for shown in (text, text.upper(), text.replace(" ", "\n")):
        for claim in read(shown):
            assert isinstance(judge(claim, *event), Verdict)
        write(read(shown), np.random.default_rng(0))
        keep_sure(shown, [(0, len(shown))], [-1.0], 0.5)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    read(text)
    read_class(text, CLASSES)
    assert all(text[start:stop].strip() == text[start:stop] != "" for start, stop in sentences(text))


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("", []),
        ("The longest track is about cm. The longest track is about 12 km.", []),
        ("The longest track is about 1234567 cm. The longest track is about 1.2.3 cm.", []),
        ("The longest track is about -5 cm. The longest track is about 5 cmx.", []),
        ("the  longest\ttrack is 12.5 cm", [("longest_track_cm", 12.5)]),
        ("The longest track is less than 1 cm!", [("longest_track_cm", 0.0)]),
        ("The visible energy is about 0.35 GeV.", [("visible_energy_mev", 350.0)]),
        ("The visible energy is about 2.3 GeV.", [("visible_energy_mev", 2300.0)]),
        ("The visible energy is about 2.3 MeV/cm.", []),
        # A detail needs its thing, in the same sentence
        (
            "Of about 30 MeV. A Michel electron is seen, of about 30 MeV",
            [("michel", True), ("michel_energy_mev", 30.0)],
        ),
        ("The leading object is a muonic track, about 30 cm long.", []),
        ("The leading object is a muon trackway.", []),
        ("One counts one track, no proton, 12 showers.", [("num_tracks", 1), ("num_protons", 0), ("num_showers", 12)]),
        ("One counts 2 tracks. One counts 2 tracks, 3 tracks.", [("num_tracks", 2), ("num_tracks", 3)]),
        ("The event is led by nothing.", [("lead", "nothing")]),
        # Views of which an end is missing, wrong or there twice are not read
        (
            "The leading object runs from U 12 34, V 1 2, Z 5, Q 1 1, Q 2 2 to U 56 78, V 123 4, Z 5 6, Q 1 1 percent.",
            [("region", (("U", 12, 34, 56, 78),))],
        ),
        ("The leading object runs from U 12 34.", []),
        ("The leading object runs from U 12 34 to the end.", []),
    ],
)
def test_what_is_malformed_is_no_claim(text, claims):
    assert read(text) == tuple(Claim(*claim) for claim in claims)


def test_the_class_named_last_counts():
    assert read_class("Not NuMu CC but NuE CC.", CLASSES) == "nue_cc"
    assert read_class("neutral  current", CLASSES) == "nc"
    assert read_class("It is NuTau CC", ("nue_cc", "nc")) is None
    assert read_class("NuE CCs, aNuE CC, Nu E CC", CLASSES) is None
    for name, called in CLASS_TEXT.items():
        assert read_class(f"The visible energy is 3 MeV. Class: {called}.", CLASSES) == name


def test_a_full_stop_in_a_number_ends_no_sentence():
    text = " The largest shower begins at 2.1 MeV/cm.  It is NuE CC!\nNo end"
    assert [text[start:stop] for start, stop in sentences(text)] == [
        "The largest shower begins at 2.1 MeV/cm.",
        "It is NuE CC!",
        "No end",
    ]


def words(text: str) -> list[tuple[int, int]]:
    """Spans of tokens as a language model has them: each word, with the space before it."""
    starts = [0, *(place for place, letter in enumerate(text) if letter == " "), len(text)]
    return list(pairwise(starts))


def test_confidence_is_the_probability_of_the_value_and_not_of_the_wording():
    text = "What stands out is a muon track, about 230 cm long."
    tokens = words(text)
    probability = {" a": 0.5, " muon": 0.8, " 230": 0.25, "What": 0.1, " about": 0.1, " long.": 0.1}
    logs = [math.log(probability.get(text[start:stop], 1.0)) for start, stop in tokens]
    found = dict(confidences(text, tokens, logs))
    assert found == {
        Claim("lead", "muon"): pytest.approx(0.4),
        Claim("lead_length_cm", 230.0): pytest.approx(0.25),
    }
    assert confidences("The event is contained.", [], []) == [(Claim("contained", True), 1.0)]


def test_confidence_of_a_region_is_the_geometric_mean_over_its_numbers():
    text = "The leading object runs from U 12 34 to U 56 78 percent."
    tokens = words(text)
    logs = [-2.0 if text[start:stop] in (" 12", " 34") else -0.0 for start, stop in tokens]
    assert confidences(text, tokens, logs) == [(Claim("region", (("U", 12, 34, 56, 78),)), pytest.approx(math.exp(-1)))]


@pytest.mark.parametrize(
    ("doubted", "left"),
    [
        ({}, "One counts 2 tracks, 1 proton, no showers. A Michel electron is seen, of about 9 MeV. Class: NuE CC."),
        ({"2": 0.1}, "One counts 1 proton, no showers. A Michel electron is seen, of about 9 MeV. Class: NuE CC."),
        ({"no": 0.1}, "One counts 2 tracks, 1 proton. A Michel electron is seen, of about 9 MeV. Class: NuE CC."),
        ({"2": 0.1, "no": 0.1, "1": 0.1}, "A Michel electron is seen, of about 9 MeV. Class: NuE CC."),
        ({"9": 0.1}, "One counts 2 tracks, 1 proton, no showers. A Michel electron is seen. Class: NuE CC."),
        ({"seen,": 0.1}, "One counts 2 tracks, 1 proton, no showers. Class: NuE CC."),
    ],
)
def test_what_is_doubtful_is_cut_cleanly(doubted, left):
    text = "One counts 2 tracks, 1 proton, no showers. A Michel electron is seen, of about 9 MeV. Class: NuE CC."
    tokens = words(text)
    logs = [math.log(doubted.get(text[start:stop].strip(), 1.0)) for start, stop in tokens]
    assert keep_sure(text, tokens, logs, 0.5) == left
    # By kind: those that have no threshold stay
    assert keep_sure(text, tokens, logs, dict.fromkeys(KINDS, 0.5)) == left
    assert keep_sure(text, tokens, logs, {"region": 0.5}) == text


@settings(max_examples=200, deadline=None)
@given(events(), SEEDS)
def test_cutting_leaves_just_the_sure_claims_that_can_stand(event, seed):
    generator = np.random.default_rng(seed)
    text = write(claims_of(*event), generator)
    tokens = words(text)
    logs = np.log(generator.uniform(0.2, 1.0, len(tokens))).tolist()
    known = dict(confidences(text, tokens, logs))
    sure = {claim for claim, confidence in known.items() if confidence >= 0.5}
    kinds = {claim.kind for claim in sure}
    # Nothing but the lead and what hangs on it is lost with a first clause
    standing = {claim for claim in sure if NEEDS.get(claim.kind, claim.kind) in kinds}
    assert set(read(keep_sure(text, tokens, logs, 0.5))) == standing


def test_every_example_sentence_but_the_names_of_classes_makes_a_claim():
    examples = example_sentences()
    assert examples[-len(CLASS_TEXT) :] == list(CLASS_TEXT.values())
    read_back = [read(example) for example in examples[: -len(CLASS_TEXT)]]
    assert all(read_back)
    assert {claim.kind for claims in read_back for claim in claims} == set(KINDS)
    assert len(set(examples)) == len(examples)
    said = " ".join(examples)
    assert all(f" {number:02d} " in said for number in range(100))
