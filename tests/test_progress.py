"""What a log file says of long work."""

import pytest

from hpc_nuvlm.progress import Meter, duration


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_log_file_gets_a_line_every_ten_seconds_with_rate_and_time_left(capsys):
    clock = Clock()
    with Meter("simulating", "events", 10_000, clock=clock) as meter:
        for made in range(1, 3001):
            clock.now += 0.01
            meter.update(made, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 or len(lines) == 3
    assert lines[0].startswith("simulating: 2,00") and lines[0].endswith(
        "of 10,000 events, 100 events/s, 1 min 20 s left"
    )
    assert meter.rate == pytest.approx(100)


def test_a_silent_meter_counts_and_says_nothing(capsys):
    clock = Clock()
    with Meter("packing", "files", 3, silent=True, clock=clock) as meter:
        clock.now += 60
        meter.update(3, 0)
    assert capsys.readouterr().err == "" and meter.rate == pytest.approx(0.05)


def test_nothing_made_has_no_time_left():
    assert Meter("packing", "files", 0, silent=True).line() == "packing: 0 of 0 files"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (750, "12 min 30 s"), (12_000, "3 h 20 min")],
)
def test_a_duration_has_two_units_at_most(seconds, text):
    assert duration(seconds) == text
