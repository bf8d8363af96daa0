"""R3: disks that are full, at any byte of a checkpoint."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from hpc_nuvlm.engine import state
from tests.faults import harness

pytestmark = pytest.mark.slow

SIZE_KB = 1500


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1.5 MB: room for the records of a run and its checkpoints of 70 kB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, left_bytes: int) -> Path:
    """Leave so much room on the disk."""
    room = os.statvfs(folder)
    path = folder / "somebody-elses"
    path.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - left_bytes)))
    return path


def test_a_disk_that_fills_up_ends_the_run_and_the_last_checkpoint_is_continued(
    config, undisturbed, small_disk, tmp_path
):
    folder = small_disk / "run"
    ranks = harness.start(config, f"folder={folder}")
    while len(state.checkpoints(folder)) < 1:
        assert all(rank.poll() is None for rank in ranks), harness.finish(ranks)
        time.sleep(0.005)
    theirs = fill(small_disk, left_bytes=30_000)
    codes, said = harness.finish(ranks)
    assert codes == [73, 73], said
    assert "could not be written" in said and "MB are free there" in said and "Traceback" not in said
    state.verify_checkpoint(state.checkpoints(folder)[-1])
    assert not list((folder / "checkpoints").glob("*.partial"))
    theirs.unlink()
    codes, said = harness.train(config, f"folder={folder}")
    assert codes == [0, 0], said
    assert harness.losses(folder) == harness.losses(undisturbed)


def test_a_disk_without_room_is_told_before_the_first_step(config, small_disk):
    fill(small_disk, left_bytes=100_000)
    codes, said = harness.train(config, f"folder={small_disk / 'run'}")
    assert codes == [2, 2] and "checkpoints take" in said and "make room" in said


def test_a_folder_that_cannot_be_written_keeps_what_is_in_it(config, tmp_path):
    folder = tmp_path / "run"
    codes, said = harness.train(config, f"folder={folder}", "schedule.stop_after_steps=6")
    assert codes == [0, 0], said
    before = harness.final_weights(folder)
    # For root, permissions are no obstacle: a file in the place of the next checkpoint's is
    (folder / "checkpoints" / "step-00000009.partial").write_text("in the way")
    (folder / "checkpoints" / "step-00000009").write_text("in the way")
    codes, said = harness.train(config, f"folder={folder}", "schedule.stop_after_steps=9")
    assert codes == [73, 73] and "step-00000009: the checkpoint" in said, said
    assert harness.final_weights(folder) == before


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_limit_at_any_byte_of_the_file_keeps_the_checkpoint_before(tmp_path, share):
    program = f"""
import resource, signal, sys, torch
from pathlib import Path
from hpc_nuvlm.engine import state
from hpc_nuvlm.errors import CheckpointError
folder = Path(sys.argv[1])
tensors = state.Tensors({{"weight": torch.ones(300_000)}}, {{}})
state.save_checkpoint(state.checkpoint_folder(folder, 1), tensors, state.Position(1, 8, "f", 1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = round({share} * 1_200_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    state.save_checkpoint(state.checkpoint_folder(folder, 2), tensors, state.Position(2, 16, "f", 1))
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run([harness.sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "step-00000002: the checkpoint (1.2 MB) could not be written" in done.stdout
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    assert state.newest_good(tmp_path, pytest.fail).name == "step-00000001"
