"""Every engine gives the same losses for 4-bit weights with adapters, and continues what another saved."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "parity_program.py"
STAGES = [f"zero-{stage}" for stage in range(4)]


@pytest.fixture(scope="module")
def results(tmp_path_factory, drawn_dataset) -> dict:
    folder = tmp_path_factory.mktemp("parity")
    fields = {
        "folder": str(folder / "run"),
        "data": {"dataset": str(drawn_dataset)},
        "view": {"size": [112, 112], "pool": 4, "full_scale": 1020},
        "model": {"family": "vlm", "base": "untrained:tiny", "nf4": True, "lora": {"dropout": 0.0}},
        # 3 events for 2 ranks of 2, computed 1 at a time: padding and accumulation are part of the test
        "batch": {"global_size": 3, "per_rank": 1},
        # 4 times that of the shipped fine-tune. At 1e-2, Adam's first steps, which turn gradients near zero into full
        # ones, carry the rounding of ZeRO-3's sums to 2e-4 of the loss by step 4.
        "optimizer": {"lr": 2e-3, "max_grad_norm": 0.5},
        "engine": {"threads": 1},
        "schedule": {"epochs": 2},
    }
    (folder / "run.json").write_text(json.dumps(fields))
    torchrun = Path(sys.executable).parent / "torchrun"
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}  # idle ones would spin on the other rank's core
    command = [torchrun, "--nproc-per-node", "2", "--master-port", "29613", PROGRAM, folder / "run.json", folder]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=580, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_zero_gives_the_losses_of_the_plain_engine(results, stage):
    assert results[stage]["whole"] == pytest.approx(results["plain"]["whole"], abs=1e-5)


@pytest.mark.slow
def test_bf16_follows_fp32_within_its_own_precision(results):
    # bf16 has 8 bits of mantissa: 0.4 %
    assert results["zero-2 bf16"]["whole"] == pytest.approx(results["plain"]["whole"], rel=0.01)


@pytest.mark.slow
def test_the_run_learns_so_that_equal_losses_mean_something(results):
    losses = results["plain"]["whole"]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["plain", *STAGES, "zero-2 bf16"])
def test_a_resumed_engine_has_the_same_losses_bit_for_bit(results, engine):
    assert results[engine]["resumed"] == results[engine]["whole"][2:]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["zero-3 to zero-1", "zero-3 to plain", "plain to zero-3"])
def test_a_checkpoint_is_continued_by_another_engine(results, change):
    assert results[change] == pytest.approx(results["plain"]["whole"][2:], abs=1e-5)
