"""Other kinds than a plain Mllama under the engines: what tests/engine/test_parity.py asks of nuvlm-nano."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "engine" / "parity_program.py"
KINDS = {"lit patches": {"patches": 40}, "Idefics3": {"layout": "images"}}


@pytest.fixture(scope="module", params=KINDS)
def results(request, tmp_path_factory, drawn_dataset, idefics3_folder) -> dict:
    folder = tmp_path_factory.mktemp("engines")
    base = str(idefics3_folder) if request.param == "Idefics3" else "untrained:tiny"
    fields = {
        "folder": str(folder / "run"),
        "data": {"dataset": str(drawn_dataset)},
        "view": {"size": [112, 112], "pool": 4, "full_scale": 1020},
        "model": {"family": "vlm", "base": base, "nf4": True, "lora": {"dropout": 0.0}, **KINDS[request.param]},
        # 3 events for 2 ranks of 2, computed 1 at a time: padding and accumulation are part of the test
        "batch": {"global_size": 3, "per_rank": 1},
        "optimizer": {"lr": 2e-3, "max_grad_norm": 0.5},
        "engine": {"threads": 1},
        "schedule": {"epochs": 2},
    }
    (folder / "run.json").write_text(json.dumps(fields))
    torchrun = Path(sys.executable).parent / "torchrun"
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}
    command = [torchrun, "--nproc-per-node", "2", "--master-port", "29619", PROGRAM, folder / "run.json", folder]
    command += ["plain", "zero-3", "zero-2 bf16"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=580, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "results.json").read_text())


@pytest.mark.slow
def test_zero_3_gives_the_losses_of_the_plain_engine(results):
    losses = results["plain"]
    assert losses[-1] < 0.9 * losses[0]
    # Losses are of 80 nats, and fp32 has 24 bits
    assert results["zero-3"] == pytest.approx(losses, rel=1e-6)


@pytest.mark.slow
def test_bf16_follows_fp32_within_its_own_precision(results):
    # bf16 has 8 bits of mantissa: 0.4 %
    assert results["zero-2 bf16"] == pytest.approx(results["plain"], rel=0.01)
