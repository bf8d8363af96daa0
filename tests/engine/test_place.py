import socket

import pytest

from hpc_nuvlm.engine.place import Place, Worker, child_environment, find_place, find_worker, this_worker
from hpc_nuvlm.errors import ConfigError

HERE = socket.gethostname()
MEET = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, Place()),
        (
            {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", **MEET},
            Place(3, 8, 1, 2, "node1", 29500),
        ),
        (
            {
                "SLURM_PROCID": "3",
                "SLURM_STEP_NUM_TASKS": "4",
                "SLURM_LOCALID": "1",
                "SLURM_NTASKS_PER_NODE": "2",
                **MEET,
            },
            Place(3, 4, 1, 2, "node1", 29500),
        ),
        (
            {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_SIZE": "2", **MEET},
            Place(3, 4, 1, 2, "node1", 29500),
        ),
        # One task a node, the first of which is this machine
        (
            {
                "SLURM_PROCID": "0",
                "SLURM_STEP_NUM_TASKS": "2",
                "SLURM_NTASKS_PER_NODE": "1",
                "NUVLM_NODES": f"{HERE} node2",
                **MEET,
                "MASTER_ADDR": HERE,
            },
            Place(0, 2, 0, 1, HERE, 29500, nodes=(HERE, "node2")),
        ),
        # Where nobody says how many are on a node
        (
            {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "6", "SLURM_LOCALID": "2", "NUVLM_NODES": "a b", **MEET},
            Place(5, 6, 2, 3, "node1", 29500, nodes=("a", "b")),
        ),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", **MEET, "MASTER_ADDR": "localhost"},
            Place(1, 2, 1, 2, "localhost", 29500),
        ),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, Place()),
        # What a batch script of four tasks gives a program that it starts without srun (Slurm 22.05)
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0", "SLURM_NTASKS_PER_NODE": "2"}, Place()),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, Place()),
        # torchrun inside a Slurm job: the nearer launcher wins
        (
            {
                "RANK": "1",
                "WORLD_SIZE": "2",
                "LOCAL_RANK": "1",
                "SLURM_PROCID": "0",
                "SLURM_STEP_NUM_TASKS": "2",
                **MEET,
            },
            Place(1, 2, 1, 1, "node1", 29500),
        ),
    ],
)
def test_each_launcher_says_where_a_process_stands(environment, place):
    assert find_place(environment) == place


def test_ranks_without_a_meeting_point_are_refused():
    with pytest.raises(ConfigError, match="WORLD_SIZE=2 but MASTER_ADDR and MASTER_PORT are not set"):
        find_place({"RANK": "0", "WORLD_SIZE": "2"})


def test_a_rank_that_is_no_number_is_refused_by_name():
    with pytest.raises(ConfigError, match="RANK='first' must be a whole number"):
        find_place({"RANK": "first", "WORLD_SIZE": "2", **MEET})


def array(task: int, count: int, first: int = 0, step: int = 1) -> dict[str, str]:
    values = {"ID": task, "COUNT": count, "MIN": first, "MAX": first + (count - 1) * step, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def srun(rank: int, size: int) -> dict[str, str]:
    return {"SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": str(size)}


@pytest.mark.parametrize(
    ("environment", "worker"),
    [
        ({}, Worker(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "8"}, Worker(3, 8, first_rank=False)),
        (srun(2, 4), Worker(2, 4, first_rank=False)),
        (array(0, 5) | srun(0, 1), Worker(0, 5)),
        (array(3, 5), Worker(3, 5)),
        (array(7, 4, first=4), Worker(3, 4)),
        (array(8, 3, step=4), Worker(2, 3)),
        (array(2, 3) | srun(1, 4), Worker(9, 12, first_rank=False)),
    ],
)
def test_ranks_and_array_tasks_multiply_without_a_meeting_point(environment, worker):
    assert find_worker(environment) == worker


def test_every_worker_of_an_array_of_jobs_has_a_number_of_its_own():
    environments = [array(task, 6, 1, 2) | srun(rank, 4) for task in range(1, 12, 2) for rank in range(4)]
    workers = [find_worker(environment) for environment in environments]
    assert [worker.number for worker in workers] == list(range(24)) and {worker.count for worker in workers} == {24}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({**array(3, 2, first=1), "SLURM_ARRAY_TASK_MAX": "3"}, "from 1 to 3 .* number them without"),
        ({**array(5, 3, step=4)}, "SLURM_ARRAY_TASK_ID=5"),
        ({**array(0, 1), "SLURM_ARRAY_TASK_COUNT": "many"}, "SLURM_ARRAY_TASK_COUNT='many' must be a whole number"),
    ],
)
def test_a_task_that_cannot_tell_its_share_is_refused(environment, message):
    with pytest.raises(ConfigError, match=message):
        find_worker(environment)


def test_mpirun_inside_of_a_slurm_job_is_asked_and_not_slurm(monkeypatch):
    """Its ranks all see the SLURM_PROCID of the one process that started them."""
    monkeypatch.setattr("hpc_nuvlm.engine.place._ask_mpi_rank", lambda: (1, 2))
    for marks in ({"OMPI_COMM_WORLD_SIZE": "2"}, {"MPI_LOCALNRANKS": "2", "PMI_SIZE": "2"}):
        assert find_worker(srun(0, 1) | marks) == Worker(1, 2, first_rank=False)
    assert find_worker(srun(1, 2) | {"PMI_SIZE": "2"}) == Worker(1, 2, first_rank=False)  # srun --mpi=pmi2


def test_a_childs_environment_is_not_kept(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    with child_environment(SLURM_PROCID="3", SLURM_STEP_NUM_TASKS="5"):
        assert this_worker().number == 3
    assert this_worker() == Worker(0, 1)
