import time

import numpy as np
import pytest

from hpc_nuvlm.bench.ratios import Turns, exactly, of_rounds, ratio_sheet


def test_a_call_that_sleeps_three_times_as_long_is_three_times_as_slow():
    turns = Turns({"short": lambda: time.sleep(0.01), "long": lambda: time.sleep(0.03)}, rounds=5, least_seconds=0.0)
    ratio = turns.times_as_fast("short", "long", "sleeping", at_least=2)
    assert ratio.value == pytest.approx(3, rel=0.2) and ratio.low <= ratio.value <= ratio.high and ratio.met
    limit = turns.times_as_long("long", ("short", "short"), "sleeping", at_most=1.2)
    assert limit.value == pytest.approx(1.5, rel=0.2) and not limit.met and limit.against == "short + short"


def test_quick_calls_are_repeated_and_every_call_has_as_many_turns():
    counts = {"quick": 0, "slow": 0}

    def count(name: str, seconds: float):
        counts[name] += 1
        time.sleep(seconds)

    calls = {"quick": lambda: count("quick", 0.001), "slow": lambda: count("slow", 0.02)}
    turns = Turns(calls, rounds=3, least_seconds=0.02)
    # One call to warm up, one to see how long it takes, and one in each round
    assert counts["slow"] == 5 and counts["quick"] > 20
    assert all(len(seconds) == 3 for seconds in turns.seconds.values())


def test_targets_are_kept_or_not():
    assert exactly("bytes", "", 3.5, at_most=3.6).met and not exactly("bytes", "", 3.7, at_most=3.6).met
    assert exactly("speed", "x", 2.0, at_least=2).met and not exactly("speed", "x", 1.9, at_least=2).met
    assert exactly("difference", "x", 0.0, at_most=1e-5).met
    ratio = of_rounds(np.array([1.0, 2.0, 9.0, 4.0, 3.0]), "speed", "x")
    assert (ratio.low, ratio.value, ratio.high, ratio.met, ratio.target) == (2, 3, 4, True, "")


def test_the_sheet_says_what_was_not_reached():
    ratios = [exactly("a", "b", 1.0, at_least=2), exactly("c", "d", 3.0, at_least=2), exactly("e", "f", 1.0)]
    rows = ratio_sheet("title", ratios).rows
    assert [row[-1] for row in rows] == ["not reached", "reached", ""]
