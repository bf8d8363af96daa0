import time

import pytest

from hpc_nuvlm.bench.clock import Rule, measure
from hpc_nuvlm.errors import ConfigError

SHORT = Rule(warm_up=2, least_seconds=0.0, least_calls=5, repeats=5)


def test_warm_up_is_not_timed_and_every_repeat_has_its_calls():
    calls = []

    def call():
        calls.append(1)
        # The first calls are slow, as where code is compiled
        time.sleep(0.05 if len(calls) <= 2 else 0.001)

    timing = measure(call, SHORT)
    assert len(calls) == 2 + 5 * 5 and timing.num_calls == 3 * 5
    assert max(timing.repeats_s) < 0.04 and list(timing.repeats_s) == sorted(timing.repeats_s)


def test_the_best_and_the_worst_repeat_are_dropped():
    number = iter(range(1000))

    def call():
        repeat = (next(number) - 2) // 5
        time.sleep({0: 0.03, 3: 0.0}.get(repeat, 0.01))

    timing = measure(call, SHORT)
    assert timing.repeats_s[0] > 0.009 and timing.repeats_s[-1] < 0.025
    assert timing.spread < 0.5


def test_a_repeat_lasts_as_long_as_it_must():
    timing = measure(lambda: time.sleep(0.001), Rule(warm_up=2, least_seconds=0.1, least_calls=1, repeats=3))
    assert (
        40 < timing.num_calls <= 100 and timing.percentiles_s[0] <= timing.percentiles_s[1] <= timing.percentiles_s[2]
    )


def test_what_was_begun_is_waited_for():
    pending = []

    def settle():
        while pending:
            time.sleep(pending.pop())

    timing = measure(lambda: pending.append(0.01), SHORT, settle)
    assert timing.seconds > 0.009


def test_too_few_repeats_are_refused():
    with pytest.raises(ConfigError, match="give at least 3"):
        measure(lambda: None, Rule(repeats=2))
