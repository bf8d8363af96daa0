"""R7 and R8: signals of all kinds at any moment, and a rank that is frozen."""

import signal
import time
from pathlib import Path

import pytest

from hpc_nuvlm.engine.stop import EXIT_HUNG, EXIT_REQUEUE
from tests.faults import harness

pytestmark = pytest.mark.slow


def await_steps(folder: Path, number: int, ranks) -> None:
    while len(harness.losses(folder)) < number:
        assert all(rank.poll() is None for rank in ranks), harness.finish(ranks)
        time.sleep(0.01)


# To which ranks which signals go, one after the other
SIGNALS = {
    "USR1 to one rank": [(1, signal.SIGUSR1)],
    "TERM to all": [(0, signal.SIGTERM), (1, signal.SIGTERM)],
    "USR1, then TERM, twice": [(0, signal.SIGUSR1), (1, signal.SIGTERM), (0, signal.SIGTERM), (0, signal.SIGUSR1)],
}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_end_in_a_checkpoint_and_nothing_is_lost(config, tmp_path, name):
    folder = tmp_path / "run"
    ranks = harness.start(config, f"folder={folder}", "schedule.epochs=2000")
    await_steps(folder, 10, ranks)
    sent_s = time.monotonic()
    for rank, number in SIGNALS[name]:
        ranks[rank].send_signal(number)
    codes, said = harness.finish(ranks)
    assert codes == [EXIT_REQUEUE] * 2, said
    assert time.monotonic() - sent_s < 30 and "the same command continues here" in said
    steps = len(harness.losses(folder))
    assert harness.state.checkpoints(folder)[-1].name == f"step-{steps:08d}", "not one step is taken again"
    last = f"schedule.stop_after_steps={steps + 5}"
    codes, said = harness.train(config, f"folder={folder}", "schedule.epochs=2000", last)
    assert codes == [0, 0] and f"continues after step {steps}" in said
    assert harness.wrong_steps(config, folder) == []


def test_a_frozen_rank_is_named_and_does_not_keep_the_others(config, tmp_path):
    folder = tmp_path / "run"
    ranks = harness.start(config, f"folder={folder}", "schedule.epochs=2000", "engine.hang_after_s=4")
    await_steps(folder, 10, ranks)
    frozen_s = time.monotonic()
    ranks[1].send_signal(signal.SIGSTOP)
    try:
        said = ranks[0].communicate(timeout=60)[0]
    finally:
        ranks[1].kill()
        ranks[1].communicate()
    assert ranks[0].returncode == EXIT_HUNG, said
    assert time.monotonic() - frozen_s < 4 + 10
    assert "not heard of any more, stopped or lost: rank 1 on" in said
