"""R1 and R2: ranks killed at any moment, and checkpoints killed while they are written."""

import random
import subprocess
import sys
import time

import pytest

from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.stop import EXIT_HUNG
from tests.faults import harness

pytestmark = pytest.mark.slow

# Every place once, some five steps one after the other
KILLS = [
    harness.Kill(1, "READING", 5, 0.0),
    harness.Kill(0, "COMPUTING", 5, 0.002),
    harness.Kill(1, "AGREEING", 5, 0.0),
    harness.Kill(0, "UPDATING", 4, 0.001),
    harness.Kill(1, "VALIDATING", 2, 0.003),
    harness.Kill(0, "SAVING", 1, 0.0),
    harness.Kill(0, harness.WRITING, 2, 0.002),
]


def test_a_run_killed_in_every_phase_ends_as_an_undisturbed_one(config, undisturbed, tmp_path):
    folder = tmp_path / "run"
    for kill in KILLS:
        codes, said = harness.train(config, f"folder={folder}", kill=kill)
        assert harness.was_killed(codes), f"{kill} did not happen: {said}"
        others = [code for code in codes if code != -9]
        assert others == [EXIT_HUNG], f"{kill}: {said}"
        assert f"rank {kill.rank} on" in said and "Traceback" not in said
    codes, said = harness.train(config, f"folder={folder}")
    assert codes == [0, 0], said
    assert harness.wrong_steps(config, folder) == []
    assert harness.losses(folder) == harness.losses(undisturbed)
    assert harness.validations(folder) == harness.validations(undisturbed)
    assert harness.final_weights(folder) == harness.final_weights(undisturbed)


# Saves ever new values into the folder, all equal, so that a mixture would show
WRITER = """
import sys, torch
from pathlib import Path
from hpc_nuvlm.engine import state

folder, step = Path(sys.argv[1]), int(sys.argv[2])
print("up", flush=True)
while True:
    step += 1
    tensors = state.Tensors({"weight": torch.full((1_500_000,), float(step))}, {})
    position = state.Position(step, 8 * step, "f", 1, best_step=step)
    state.save_checkpoint(state.checkpoint_folder(folder, step, state.BEST), tensors, position)
    state.save_checkpoint(state.checkpoint_folder(folder, step), tensors, position)
    state.sweep(folder, position, 2)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    generator, step = random.Random(1), 0
    for _ in range(14):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(step)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        while not state.checkpoints(tmp_path):
            time.sleep(0.005)
        time.sleep(generator.uniform(0, 0.6))
        writer.kill()
        writer.communicate()
        newest = state.newest_good(tmp_path, pytest.fail)
        tensors, position = state.load_checkpoint(newest)
        assert position.step >= step
        assert set(tensors.values["weight"].tolist()) == {float(position.step)}, "two checkpoints were mixed"
        best, told = state.load_checkpoint(state.checkpoint_folder(tmp_path, position.best_step, state.BEST))
        assert told.step == position.best_step and set(best.values["weight"].tolist()) == {float(told.step)}
        step = position.step
    assert step > 10, "it was killed before it wrote anything"
    state.sweep(tmp_path, position, 2)
    left = sorted(path.name.partition("-")[0] for path in (tmp_path / "checkpoints").iterdir())
    assert left in (["best", "step"], ["best", "step", "step"]), "what killed writers left is swept"
