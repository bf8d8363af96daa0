"""R11 and R12: files that would run code or fill the memory, where a resumed run or a model looks for its own."""

import json
import pickle
import shutil

import pytest
import torch

from hpc_nuvlm.engine import state
from hpc_nuvlm.errors import ConfigError, StoreError
from hpc_nuvlm.families import Vlm
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.models.vlm.base import open_base
from tests.faults import harness

pytestmark = pytest.mark.slow

# Names that other programs load with pickle when they resume
PICKLED = ("optimizer.pt", "rng_state.pth", "training_args.bin", "pytorch_model.bin", "mp_rank_00_model_states.pt")


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_no_pickle_in_a_run_folder_is_ever_loaded(config, tmp_path):
    folder, sung = tmp_path / "run", tmp_path / "sung"
    codes, said = harness.train(config, f"folder={folder}", "schedule.stop_after_steps=6", world_size=1)
    assert codes == [0], said
    for place in (folder, folder / "checkpoints", state.checkpoints(folder)[-1]):
        for name in PICKLED:
            (place / name).write_bytes(pickle.dumps(Canary(sung)))
    codes, said = harness.train(config, f"folder={folder}", world_size=1)
    assert codes == [0] and "continues after step 6" in said
    assert not sung.exists()
    # The canary can sing
    pickle.loads((folder / PICKLED[0]).read_bytes())
    assert sung.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_model_folder_with_a_pickle_is_refused_and_not_loaded(tmp_path, name):
    sung = tmp_path / "sung"
    folder = shutil.copytree(nano.shipped_place(), tmp_path / "model")
    (folder / nano.WEIGHTS).unlink()
    (folder / name).write_bytes(pickle.dumps(Canary(sung)))
    with pytest.raises(ConfigError, match=r"model\.base = '.*model': its weights cannot be read"):
        open_base(Vlm(base=str(folder)), torch.float32, torch.device("cpu"))
    assert not sung.exists()


def test_code_that_lies_in_a_model_folder_does_not_run(tmp_path):
    sung = tmp_path / "sung"
    folder = shutil.copytree(nano.shipped_place(), tmp_path / "model")
    (folder / "evil.py").write_text(f"open({str(sung)!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((folder / "config.json").read_text())
    names = ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor")
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": dict.fromkeys(names, "evil.Evil")}))
    open_base(Vlm(base=str(folder)), torch.float32, torch.device("cpu"))
    assert not sung.exists()


@pytest.mark.parametrize("header", [2**40, 99_000_000])
def test_a_header_of_absurd_size_is_refused_unread(tmp_path, header):
    folder = state.checkpoint_folder(tmp_path, 3)
    state.save_checkpoint(folder, state.Tensors({"w": torch.ones(4)}, {}), state.Position(3, 24, "f", 1))
    path = folder / state.TENSORS
    path.write_bytes(header.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(StoreError, match=r"tensors\.safetensors: is not as it was written"):
        state.load_checkpoint(folder)
