import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.state import Position, Tensors
from hpc_nuvlm.errors import CheckpointError, StoreError

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


def test_a_file_system_that_takes_no_permissions_takes_a_checkpoint(tensors, tmp_path, monkeypatch):
    refused = []

    def refuse(path: Path, mode: int):
        refused.append(path.name)
        raise PermissionError("not on this file system")

    monkeypatch.setattr(Path, "chmod", refuse)
    state.save_checkpoint(tmp_path / "c", tensors, POSITION)
    assert refused and sorted(path.name for path in (tmp_path / "c").iterdir()) == [state.POSITION, state.TENSORS]


def test_a_checkpoint_holds_no_pickle(tensors, tmp_path):
    state.save_checkpoint(tmp_path / "c", tensors, POSITION)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["position.json", "tensors.safetensors"]


def test_only_the_last_checkpoints_and_the_best_are_kept_and_leftovers_are_swept(tensors, tmp_path):
    for step in (2, 10, 100):
        for kind in (state.STEP, state.BEST):
            state.save_checkpoint(state.checkpoint_folder(tmp_path, step, kind), tensors, replace(POSITION, step=step))
    (tmp_path / "checkpoints" / "step-00000101.partial").mkdir()
    state.sweep(tmp_path, replace(POSITION, step=100, best_step=10), 2)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best-00000010", "step-00000010", "step-00000100"]


def test_a_partial_checkpoint_is_not_one(tmp_path):
    (tmp_path / "checkpoints" / "step-00000007.partial").mkdir(parents=True)
    assert state.checkpoints(tmp_path) == []


def flip_bit(path: Path, place: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[place // 8] ^= 1 << place % 8
    path.write_bytes(damaged)


def damage(folder: Path, how: str) -> None:
    tensors, position = folder / state.TENSORS, folder / state.POSITION
    if how == "truncated":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif how == "a bit of the tensors":
        flip_bit(tensors, 8 * tensors.stat().st_size - 3)
    elif how == "a bit of the header":
        flip_bit(tensors, 8 * 20)
    elif how == "the step changed":
        position.write_text(position.read_text().replace('"step": 3', '"step": 7'))
    elif how == "another program's":
        position.write_text(json.dumps({"step": 3}))
    else:
        (folder / how).unlink()


DAMAGES = {
    "truncated": r"tensors.safetensors: has \d+ bytes, and \d+ were written",
    "a bit of the tensors": "tensors.safetensors: is not as it was written: its sha256 is",
    "a bit of the header": "tensors.safetensors: is not as it was written: its sha256 is",
    "the step changed": "position.json: is not as it was written",
    "another program's": "position.json: is not the position of a checkpoint",
    "tensors.safetensors": "tensors.safetensors: cannot be read: No such file",
    "position.json": "position.json: cannot be read: No such file",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_is_used(tensors, tmp_path, how):
    older, newer = (state.checkpoint_folder(tmp_path, step) for step in (2, 3))
    state.save_checkpoint(older, tensors, replace(POSITION, step=2))
    state.save_checkpoint(newer, tensors, POSITION)
    damage(newer, how)
    with pytest.raises(StoreError, match="step-00000003/" + DAMAGES[how]):
        state.load_checkpoint(newer)
    said = []
    assert state.newest_good(tmp_path, said.append) == older
    assert len(said) == 1 and re.search("step-00000003/" + DAMAGES[how], said[0]) and ".refused" in said[0]
    assert state.checkpoints(tmp_path) == [older], "what was refused must not count among those that are kept"


def test_the_newest_is_that_of_the_last_step_whatever_clocks_say(tensors, tmp_path):
    for step in (5, 40, 300):
        folder = state.checkpoint_folder(tmp_path, step)
        state.save_checkpoint(folder, tensors, replace(POSITION, step=step))
        # As if the clock had been set back by a day each time
        os.utime(folder, (1e9 - 86400 * step, 1e9 - 86400 * step))
    assert state.newest_good(tmp_path, pytest.fail) == state.checkpoint_folder(tmp_path, 300)


def test_every_flipped_bit_is_found(tensors, tmp_path):
    folder = state.checkpoint_folder(tmp_path, 3)
    state.save_checkpoint(folder, tensors, POSITION)
    for name in state.FILES:
        path = folder / name
        for place in np.random.default_rng(0).integers(8 * path.stat().st_size, size=50).tolist():
            flip_bit(path, place)
            with pytest.raises(StoreError):
                state.load_checkpoint(folder)
            flip_bit(path, place)
    assert state.load_checkpoint(folder)[1] == POSITION


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_over(tensors, tmp_path):
    assert state.newest_good(tmp_path, pytest.fail) is None
    folder = state.checkpoint_folder(tmp_path, 3)
    state.save_checkpoint(folder, tensors, POSITION)
    damage(folder, "truncated")
    for _ in range(2):
        with pytest.raises(StoreError, match="no checkpoint of this run is as it was written"):
            state.newest_good(tmp_path, lambda _: None)


@pytest.mark.parametrize("where", ["values", "moments"])
def test_a_state_that_is_not_finite_is_not_saved(tensors, tmp_path, where):
    changed = tensors.values["head.bias"] if where == "values" else tensors.moments["head.bias"]["exp_avg_sq"]
    changed[1] = torch.inf
    with pytest.raises(CheckpointError, match=r"head\.bias or its optimizer state is not finite"):
        state.save_checkpoint(tmp_path / "c", tensors, POSITION)
    assert not list(tmp_path.iterdir())


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
