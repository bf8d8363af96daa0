"""The watchdog ends processes, so that it is tried on real ones: programs of one rank each, which share a folder."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from hpc_nuvlm.engine.stop import EXIT_HUNG, EXIT_REQUEUE, StopRequest
from hpc_nuvlm.engine.watchdog import Doing, Heartbeat, Watchdog

# arguments: folder, rank, ranks, what the rank does
RANK = """
import signal, sys, time
from pathlib import Path
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.watchdog import Doing, Watchdog

def stuck_reader():
    time.sleep(60)

folder, rank, ranks, what = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
stop = StopRequest().install()
with Watchdog(folder, rank, ranks, stop, hang_after_s=2.0, stop_within_s=1.0) as watchdog:
    print("up", flush=True)
    end_s = time.monotonic() + 3.5
    if what == "reads":
        watchdog.at(7, Doing.READING)
        stuck_reader()
    elif what == "waits":
        watchdog.at(7, Doing.AGREEING)
        time.sleep(60)
    while time.monotonic() < end_s:
        watchdog.at(7, Doing.COMPUTING)
        time.sleep(0.1)
print("done", flush=True)
"""


def start(folder, rank, ranks, what):
    command = [sys.executable, "-c", RANK, str(folder), str(rank), str(ranks), what]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


def test_a_rank_that_gets_on_is_left_alone(tmp_path):
    process = start(tmp_path, 0, 1, "works")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "done\n", "")
    assert not list(tmp_path.iterdir()), "no heartbeat is left of a rank that ended well"


def test_a_hung_rank_says_where_and_the_one_that_waits_says_for_whom(tmp_path):
    waits, reads = (start(tmp_path, rank, 2, what) for rank, what in enumerate(("waits", "reads")))
    waits_said, reads_said = (process.communicate(timeout=30)[1] for process in (waits, reads))
    assert waits.returncode == reads.returncode == EXIT_HUNG
    assert "rank 1 on" in reads_said and "step 7, reading its events" in reads_said and "stuck_reader" in reads_said
    assert "rank 0 on" in waits_said and "; waits for rank 1 on" in waits_said
    assert waits_said.rstrip().endswith("at step 7, reading its events")


def test_a_rank_that_was_frozen_is_named_by_the_one_that_waits(tmp_path):
    waits, frozen = (start(tmp_path, rank, 2, what) for rank, what in enumerate(("waits", "works")))
    try:
        time.sleep(1)
        frozen.send_signal(signal.SIGSTOP)
        said = waits.communicate(timeout=30)[1]
        assert waits.returncode == EXIT_HUNG
        assert "not heard of any more, stopped or lost: rank 1 on" in said
        assert "(last at step 7, computing losses and gradients)" in said
    finally:
        frozen.kill()
        frozen.communicate()


def test_a_stop_that_no_step_ends_for_is_forced_with_the_code_that_means_run_again(tmp_path):
    process = start(tmp_path, 0, 1, "waits")
    process.send_signal(signal.SIGUSR1)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == EXIT_REQUEUE and "asked to stop" in said


@pytest.fixture
def watchdog(tmp_path):
    return Watchdog(tmp_path, 0, 3, StopRequest(), hang_after_s=600, stop_within_s=60)


def test_damaged_heartbeats_are_passed_over(watchdog):
    beat = Heartbeat(1, int(Doing.READING), 0, "node1", 3)
    for rank, text in enumerate((json.dumps(asdict(beat)), '{"step": 1', '{"other": 1}')):
        (watchdog.folder / f"rank-{rank:05d}.json").write_text(text)
    assert watchdog._heard() == {0: beat}
    said = watchdog.describe("no progress", {0: beat}, {0: beat})
    assert "rank 1 (never heard of); rank 2 (never heard of)" in said


def test_of_many_ranks_those_that_are_behind_are_named(watchdog):
    beats = [Heartbeat(9, int(Doing.AGREEING), 0, "node1", 5), Heartbeat(9, int(Doing.COMPUTING), 1, "node1", 5)]
    beats += [Heartbeat(9, int(Doing.AGREEING), 2, "node2", 5)]
    later = [Heartbeat(beat.step, beat.doing, beat.rank, beat.host, 9) for beat in beats]
    said = watchdog.describe("no progress for 600 s", dict(enumerate(beats)), dict(enumerate(later)))
    assert said.endswith("waits for rank 1 on node1 at step 9, computing losses and gradients")
