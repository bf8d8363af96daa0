import subprocess
import sys
import threading

import pytest
import torch

from hpc_nuvlm.engine.place import Place, free_port
from hpc_nuvlm.engine.world import meet, require_accelerators
from hpc_nuvlm.errors import ConfigError


def place(rank: int, size: int, port: int, **fields) -> Place:
    return Place(rank, size, rank, size, "127.0.0.1", port, **fields)


def test_ranks_that_do_not_come_are_named_with_their_nodes():
    first = place(0, 4, port := free_port(), nodes=("node7", "node9"))
    first = Place(**{**vars(first), "local_size": 2})
    other = threading.Thread(target=meet, args=(place(2, 4, port), 5.0))
    other.start()
    with pytest.raises(ConfigError, match=r"2 of 4 ranks did not come .* rank 1 on node7, rank 3 on node9; look at"):
        meet(first, 1.0)
    other.join()


def test_ranks_whose_nodes_are_not_known_are_named_by_number():
    with pytest.raises(ConfigError, match=r"1 of 2 ranks did not come .* within 0.3 s: rank 1; look at"):
        meet(place(0, 2, free_port()), 0.3)


def test_a_rank_that_finds_no_first_one_says_where_it_looked():
    with pytest.raises(
        ConfigError, match=rf"rank 1 cannot meet the others at 127.0.0.1:{(port := free_port())} within 1 s"
    ):
        meet(place(1, 2, port), 1.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are accelerators here")
def test_accelerators_that_slurm_gave_and_torch_does_not_see_are_told(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_GPUS", "0,1")
    with pytest.raises(ConfigError, match=r"rank 3 on .*: Slurm gave accelerators 0,1, and torch sees none"):
        require_accelerators(place(3, 4, 1))
    monkeypatch.delenv("SLURM_STEP_GPUS")
    require_accelerators(place(3, 4, 1))


def test_ranks_that_all_come_go_on():
    port, here = free_port(), []
    others = [
        threading.Thread(target=lambda rank=rank: here.append(meet(place(rank, 3, port), 20.0))) for rank in (1, 2)
    ]
    for other in others:
        other.start()
    meet(place(0, 3, port), 20.0)
    for other in others:
        other.join()
    assert len(here) == 2


def test_the_others_are_left_before_the_interpreter_ends_whatever_the_program_ends_with():
    program = """
import atexit, torch.distributed as dist
atexit.register(lambda: print("joined at the end:", dist.is_initialized()))
from hpc_nuvlm.engine.world import start_world
start_world(threads=1)
print("joined:", dist.is_initialized())
raise SystemExit(73)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 73, done.stderr
    assert done.stdout.split("\n")[:2] == ["joined: True", "joined at the end: False"]
