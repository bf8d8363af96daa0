import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.state import Position, Tensors
from hpc_nuvlm.errors import StoreError

POSITION = Position(step=3, samples_seen=24, fingerprint="f", seed=1, best_score=0.5)


@pytest.fixture
def tensors() -> Tensors:
    torch.manual_seed(0)
    values = {"tower.0.weight": torch.randn(4, 3), "head.bias": torch.randn(3)}
    moments = {name: {kind: torch.rand_like(value) for kind in state.MOMENTS} for name, value in values.items()}
    return Tensors(values, moments)


def assert_equal(first: Tensors, second: Tensors):
    assert first.values.keys() == second.values.keys() and first.moments.keys() == second.moments.keys()
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)
    for name, moments in first.moments.items():
        assert all(torch.equal(moments[kind], second.moments[name][kind]) for kind in state.MOMENTS)


def test_what_is_saved_is_loaded(tensors, tmp_path):
    folder = state.checkpoint_folder(tmp_path, 3)
    state.save_checkpoint(folder, tensors, POSITION)
    loaded, position = state.load_checkpoint(folder)
    assert_equal(loaded, tensors)
    assert position == POSITION
    assert state.checkpoints(tmp_path) == [folder]


def test_a_checkpoint_holds_no_pickle(tensors, tmp_path):
    state.save_checkpoint(tmp_path / "c", tensors, POSITION)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["position.json", "tensors.safetensors"]


def test_only_the_last_checkpoints_are_kept_and_leftovers_are_swept(tensors, tmp_path):
    for step in (2, 10, 100):
        state.save_checkpoint(state.checkpoint_folder(tmp_path, step), tensors, replace(POSITION, step=step))
    (tmp_path / "checkpoints" / "step-00000101.partial").mkdir()
    state.keep_last(tmp_path, 2)
    assert [path.name for path in state.checkpoints(tmp_path)] == ["step-00000010", "step-00000100"]
    assert not list((tmp_path / "checkpoints").glob("*.partial"))


def test_a_partial_checkpoint_is_not_one(tmp_path):
    (tmp_path / "checkpoints" / "step-00000007.partial").mkdir(parents=True)
    assert state.checkpoints(tmp_path) == []


@pytest.mark.parametrize("damage", ["truncate", "remove", "json"])
def test_a_damaged_checkpoint_is_refused_by_name(tensors, tmp_path, damage):
    folder = tmp_path / "step-00000003"
    state.save_checkpoint(folder, tensors, POSITION)
    path = folder / "tensors.safetensors"
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "remove":
        path.unlink()
    else:
        (folder / "position.json").write_text(json.dumps({"step": 3, "other": 1}))
    with pytest.raises(StoreError, match="step-00000003: not a readable checkpoint"):
        state.load_checkpoint(folder)


@pytest.mark.parametrize(("name", "change"), [("dataset", {"fingerprint": "g"}), ("seed", {"seed": 2})])
def test_another_dataset_or_seed_is_refused(tmp_path, name, change):
    with pytest.raises(StoreError, match=f"was trained with {name}"):
        state.require_same(replace(POSITION, **change), POSITION.fingerprint, POSITION.seed, tmp_path)


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from hpc_nuvlm.engine import state
from hpc_nuvlm.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
position = state.Position(2, 16, "f", 1)
try:
    state.save_checkpoint(Path(sys.argv[1]), state.Tensors({"w": torch.ones(1_000_000)}, {}), position)
except StoreError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_full_disk_keeps_the_old_checkpoint_and_says_what_is_missing(tensors, tmp_path):
    old, new = tmp_path / "step-00000001", tmp_path / "step-00000002"
    state.save_checkpoint(old, tensors, POSITION)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(new)], capture_output=True, text=True, check=True)
    assert "step-00000002: the checkpoint (4.0 MB) could not be written" in done.stdout
    assert "are free there. Earlier checkpoints are untouched" in done.stdout
    assert_equal(state.load_checkpoint(old)[0], tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001"]
