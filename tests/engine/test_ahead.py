import threading
import time

import pytest

from hpc_nuvlm.engine.ahead import Ahead
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.watchdog import Watchdog


def test_what_follows_is_made_before_it_is_asked_for():
    made = [threading.Event() for _ in range(4)]

    def make(place: int) -> int:
        made[place].set()
        return place * 10

    ahead = Ahead(make, lambda place: place + 1 if place < 3 else None)
    assert ahead(0) == 0 and made[1].wait(5) and not made[2].is_set()
    assert ahead(1) == 10 and made[2].wait(5)
    # Somewhere else: what had been begun is left
    assert ahead(3) == 30
    ahead.close()


def test_after_the_last_nothing_is_made():
    asked = []
    ahead = Ahead(lambda place: asked.append(place), lambda place: None if place == 2 else place + 1)
    for place in range(3):
        ahead(place)
    ahead.close()
    assert asked == [0, 1, 2]


def test_an_error_comes_when_it_is_its_turn():
    def make(place: int) -> int:
        if place == 1:
            raise ValueError("damaged")
        return place

    ahead = Ahead(make, lambda place: place + 1)
    assert ahead(0) == 0
    ahead.rest()
    with pytest.raises(ValueError, match="damaged"):
        ahead(1)
    assert ahead(2) == 2
    ahead.close()


def test_rest_waits_until_nothing_is_being_made():
    go, making = threading.Event(), threading.Event()

    def make(place: int) -> int:
        if place:
            making.set()
            assert go.wait(5)
        return place

    ahead = Ahead(make, lambda place: place + 1)
    ahead(0)
    assert making.wait(5)
    threading.Timer(0.05, go.set).start()
    ahead.rest()
    assert go.is_set()
    ahead.close()


def test_the_watchdog_tells_where_reading_hangs(tmp_path):
    go = threading.Event()

    def stuck_disk(place: int) -> int:
        assert go.wait(20)
        return place

    ahead = Ahead(stuck_disk, lambda place: None)
    asking = threading.Thread(target=ahead, args=(0,))
    asking.start()
    watchdog = Watchdog(tmp_path, 0, 1, StopRequest(), hang_after_s=60, stop_within_s=60)
    deadline_s = time.monotonic() + 10
    while "stuck_disk" not in watchdog._stack() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert "stuck_disk" in watchdog._stack()
    go.set()
    asking.join()
    ahead.close()
