import json
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.planning import DEVICES, Place, device_named, plan
from hpc_nuvlm.planning.sheets import as_fields, plan_sheets

pytestmark = pytest.mark.slow

H100 = DEVICES["h100"]
ELEVEN_B = {
    "view": {"size": [560, 560], "pool": 1, "full_scale": 510},
    "model": {"family": "vlm", "base": "untrained:llama32-11b", "nf4": True, "lora": {"rank": 8, "alpha": 16}},
    "batch": {"global_size": 8, "per_rank": 1},
    "engine": {"kind": "zero", "stage": 2, "precision": "bf16"},
}
NANO = {
    "view": {"size": [252, 252], "pool": 2, "full_scale": 510},
    "model": {"family": "vlm", "nf4": True, "lora": {"rank": 16, "alpha": 32}},
    "engine": {"kind": "zero", "stage": 2, "threads": 1},
}


def run_of(run_fields: dict, changes: dict):
    return parse_run(run_fields | changes, where="test")


def measured_mb(run_fields: dict, changes: dict, repository, tmp_path) -> float:
    """The largest rank of two, after some steps and a validation."""
    path, folder = tmp_path / "measured.yaml", tmp_path / "measured"
    fields = run_fields | changes | {"folder": str(folder)}
    path.write_text(yaml.safe_dump(fields | {"schedule": {"epochs": 1}}))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*launcher, "launch/train.py", str(path)], cwd=repository, check=True, capture_output=True)
    records = map(json.loads, (folder / "records.jsonl").read_text().splitlines())
    return max(peak["process"] for one in records if one["kind"] == "memory" for peak in one["peaks_mb"])


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": {"global_size": 28, "per_rank": 14}},
        {"batch": {"global_size": 28, "per_rank": 14}, "engine": NANO["engine"] | {"precision": "bf16"}},
        {"batch": {"global_size": 16, "per_rank": 8}, "model": {"family": "vlm"}},
    ],
    ids=["fp32", "bf16", "whole"],
)
def test_memory_is_within_15_percent_of_what_nano_takes(changes, run_fields, repository, tmp_path):
    need = plan(run_of(run_fields, NANO | changes), Place(1, 2, None))
    measured = measured_mb(run_fields, NANO | changes, repository, tmp_path)
    assert need.memory_bytes / 1e6 == pytest.approx(measured, rel=0.15), need.memory


@pytest.fixture(scope="module")
def eleven_b(drawn_dataset):
    """One plan of the real shape, since it takes ten seconds."""
    fields = {"folder": "runs/x", "data": {"dataset": str(drawn_dataset)}, "schedule": {"epochs": 10}}
    return plan(run_of(fields, ELEVEN_B), Place(2, 4, H100, wall_hours=1e-4))


def test_the_published_model_fits_the_published_device(eleven_b):
    """Published: 25.4 GB in use, on devices of 48 GB (arXiv:2508.19376); there gradients were checkpointed."""
    assert 20e9 < eleven_b.memory_bytes < 40e9
    # 10.7 B parameters, nearly all of them in 4 bits, and adapters on both towers
    assert 6e9 < eleven_b.memory["frozen weights"] < 8e9
    assert eleven_b.checkpoint_bytes == pytest.approx(12 * 33.7e6, rel=0.1)


def test_a_job_that_is_too_short_is_told_with_how_many_it_takes(eleven_b):
    assert eleven_b.hours > 1e-4
    assert any(problem.startswith("time: ") and "goes back into the queue" in problem for problem in eleven_b.problems)


def test_a_plan_can_be_read_and_kept(eleven_b):
    memory, time = plan_sheets(eleven_b)
    assert memory.rows[-1][0] == "together" and "MB that a rank may have" in memory.note
    assert dict(time.rows)["steps"] == "40" and "30%" in time.note
    # 4 devices on each of 2 nodes: gradients summed, weights gathered, 33.7 million of 2 bytes, 7 of 8 parts of each
    assert dict(time.rows)["sent by a rank in a step [MB]"] == "117.9"
    assert json.loads(json.dumps(as_fields(eleven_b)))["memory_bytes"] == eleven_b.memory_bytes


def test_what_does_not_fit_is_told_with_the_key_that_changes_it(run_fields):
    large = NANO | {"batch": {"global_size": 64, "per_rank": 28}}
    device = replace(H100, memory_bytes=0.9e9)
    (problem,) = plan(run_of(run_fields, large), Place(1, 2, device)).problems
    assert problem.startswith("memory: ") and "; set batch.per_rank=" in problem
    smaller = int(problem.rpartition("=")[2])
    fits = {"batch": {"global_size": 64, "per_rank": smaller}}
    assert 1 <= smaller < 28 and not plan(run_of(run_fields, NANO | fits), Place(1, 2, device)).problems
    none = replace(H100, memory_bytes=1e6)
    (problem,) = plan(run_of(run_fields, large), Place(1, 2, none)).problems
    assert "engine.stage=3" in problem


def test_more_ranks_than_events_in_a_step_are_refused(run_fields):
    assert any("batch.global_size: 8 events" in one for one in plan(run_of(run_fields, {}), Place(4, 4, H100)).problems)


def test_sharding_more_takes_less(run_fields):
    def bytes_at(stage: int, ranks: int) -> int:
        engine = {"kind": "zero", "stage": stage, "precision": "bf16" if stage else "fp32"}
        changes = {"engine": engine, "model": {"family": "cnn", "widths": [64, 128]}, "batch": {"per_rank": 1}}
        return plan(run_of(run_fields, changes), Place(1, ranks, H100)).memory_bytes

    assert bytes_at(1, 4) < bytes_at(1, 2) and bytes_at(3, 4) < bytes_at(1, 4)


def test_a_device_that_nobody_knows_is_refused_with_those_that_are_known():
    assert device_named("cpu") is None and device_named("h100") is H100
    with pytest.raises(ConfigError, match="--device p100: nothing is known of it; there are cpu, a100-40"):
        device_named("p100")
