import time

import numpy as np
import pytest

from hpc_nuvlm.bench.ratios import Turns, exactly, of_rounds, ratio_sheet


class Clock:
    """Goes on when it is told to, so that a busy machine changes nothing."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def takes(self, seconds: float, counts: list | None = None):
        def call():
            self.now_s += seconds
            if counts is not None:
                counts.append(seconds)

        return call


def test_a_call_that_takes_three_times_as_long_is_three_times_as_slow():
    clock = Clock()
    calls = {"short": clock.takes(0.01), "long": clock.takes(0.03)}
    turns = Turns(calls, rounds=5, least_seconds=0.0, clock=clock)
    ratio = turns.times_as_fast("short", "long", "waiting", at_least=2)
    assert ratio.value == pytest.approx(3) and ratio.low == pytest.approx(ratio.high) and ratio.met
    limit = turns.times_as_long("long", ("short", "short"), "waiting", at_most=1.2)
    assert limit.value == pytest.approx(1.5) and not limit.met and limit.against == "short + short"


def test_quick_calls_are_repeated_and_every_call_has_as_many_turns():
    clock, quick, slow = Clock(), [], []
    calls = {"quick": clock.takes(0.001, quick), "slow": clock.takes(0.02, slow)}
    turns = Turns(calls, rounds=3, least_seconds=0.02, clock=clock)
    # One call to warm up, one to see how long it takes, and in each of three rounds as many as fill a turn
    assert (len(slow), len(quick)) == (2 + 3 * 1, 2 + 3 * 20)
    assert all(len(seconds) == 3 for seconds in turns.seconds.values())


def test_the_clock_is_the_wall_by_default():
    turns = Turns({"sleeping": lambda: time.sleep(0.01)}, rounds=2, least_seconds=0.0)
    assert (turns.seconds["sleeping"] >= 0.01).all()


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
