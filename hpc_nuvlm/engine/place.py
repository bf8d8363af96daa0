"""Place: which of the processes that were started together this one is. The environment's only reader.

One program runs unchanged under python, deepspeed, torchrun, srun and mpirun, because each of them says
the same few things under another name. Nothing here imports torch: simulation and packing start without it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hpc_nuvlm.errors import ConfigError

# (rank, world size, local rank, local size), the first launcher whose rank and size are set wins
LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    "deepspeed": ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_SIZE"),
    # Not SLURM_NTASKS: a batch script has that too, and a program that it starts without srun is alone
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),
}
# Set by Open MPI, and by MPICH and Intel MPI (PMI)
MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
# Set by mpirun alone. Inside a Slurm job its ranks also see the SLURM_PROCID of the mpirun that started them.
MPIRUN_MARKS = ("OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")
# Set by slurm/finetune.sh, since Slurm itself only tells the list in its short form, as node[1-4]
NODES = "NUVLM_NODES"
ARRAY_NAMES = ("ID", "COUNT", "MIN", "MAX", "STEP")


@dataclass(frozen=True)
class Place:
    """Where a process stands among the others, and where they meet."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    address: str = "127.0.0.1"
    # None: any free port (one process, nobody to meet)
    port: int | None = None
    # The launcher itself keeps the store where ranks meet (torchrun), over several attempts it may be
    kept_by_launcher: bool = False
    attempt: int = 0
    # Names of the nodes, in the order of their ranks, where they are known
    nodes: tuple[str, ...] = ()

    def node_of(self, rank: int) -> str:
        """' on NAME', or nothing where the names are not known."""
        number = rank // self.local_size
        return f" on {self.nodes[number]}" if number < len(self.nodes) else ""


@dataclass(frozen=True)
class Worker:
    """One of `count` processes that share work without ever talking to each other."""

    number: int = 0
    count: int = 1
    # True: the one that speaks for the ranks that were started with it
    first_rank: bool = True


def find_place(environment: Mapping[str, str]) -> Place:
    """The place that a launcher set, for processes that must meet; one process on its own if none did."""
    names = _launcher(environment)
    if names is None:
        return _ask_mpi() if _mpi_size(environment) > 1 else Place()
    rank, size, local_rank = (_whole_number(environment, name, 0) for name in names[:3])
    if size == 1:
        return Place()
    if "MASTER_ADDR" not in environment or "MASTER_PORT" not in environment:
        raise ConfigError(
            f"{names[1]}={size} but MASTER_ADDR and MASTER_PORT are not set: the ranks cannot find each other; "
            "set both, to the host name of the first node and a free port"
        )
    nodes = tuple(environment.get(NODES, "").split())
    return Place(
        rank,
        size,
        local_rank,
        _whole_number(environment, names[3], 0) or _ranks_on_a_node(size, nodes, environment["MASTER_ADDR"]),
        environment["MASTER_ADDR"],
        _whole_number(environment, "MASTER_PORT", 0),
        kept_by_launcher=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=_whole_number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
        nodes=nodes,
    )


def find_worker(environment: Mapping[str, str]) -> Worker:
    """The share of this process in work that needs no meeting point.

    Task t of a Slurm array of T, rank r of R in it, is worker t * R + r of T * R.
    """
    names = _launcher(environment)
    if names is not None:
        rank, size = _whole_number(environment, names[0], 0), _whole_number(environment, names[1], 1)
    elif _mpi_size(environment) > 1:
        rank, size = _ask_mpi_rank()
    else:
        rank, size = 0, 1
    task, num_tasks = _array_task(environment)
    return Worker(task * size + rank, num_tasks * size, first_rank=rank == 0)


def this_place() -> Place:
    return find_place(os.environ)


def accelerators_given() -> str:
    """What Slurm says that this task has of accelerators; empty where it says nothing."""
    return os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS") or ""


def this_worker() -> Worker:
    return find_worker(os.environ)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_cores() -> int:
    return len(os.sched_getaffinity(0))


def set_defaults(**values: str) -> None:
    """Set variables of this process that its user did not set."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def child_environment(**values: str) -> Iterator[None]:
    """What processes that are started meanwhile find in their environment; this one's is restored."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def find_and_export_place(threads: int | None) -> tuple[Place, int]:
    """The place of this process, said again in the names that DeepSpeed reads, and its number of CPU threads.

    To be called before numba is imported, which reads its number of threads only then: two ranks on two cores
    with two numba threads each ran 6 times slower than with one, since idle OpenMP threads spin.
    """
    place = find_place(os.environ)
    place = replace(place, port=place.port or free_port())
    threads = threads or max(1, cpu_cores() // place.local_size)
    set_defaults(HF_HUB_OFFLINE="1", NUMBA_NUM_THREADS=str(threads))
    # DeepSpeed reads these even when the process group exists already
    os.environ.update(
        RANK=str(place.rank),
        WORLD_SIZE=str(place.size),
        LOCAL_RANK=str(place.local_rank),
        MASTER_ADDR=place.address,
        MASTER_PORT=str(place.port),
    )
    return place, threads


def _launcher(environment: Mapping[str, str]) -> tuple[str, str, str, str] | None:
    """Names of the launcher that said rank and size; None if none did, or if it was mpirun."""
    for launcher, names in LAUNCHERS.items():
        if launcher == "srun" and any(mark in environment for mark in MPIRUN_MARKS):
            continue
        if launcher == "torchrun" and names[3] not in environment and "LOCAL_SIZE" in environment:
            continue
        if names[0] in environment and names[1] in environment:
            return names
    return None


def _mpi_size(environment: Mapping[str, str]) -> int:
    return max(_whole_number(environment, name, 1) for name in MPI_SIZES)


def _array_task(environment: Mapping[str, str]) -> tuple[int, int]:
    """Number of this task in its Slurm array, from 0, and how many there are; (0, 1) outside of one."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return 0, 1
    task, count, first, last, step = (_whole_number(environment, f"SLURM_ARRAY_TASK_{name}", 1) for name in ARRAY_NAMES)
    if last - first != (count - 1) * step or (task - first) % step or not first <= task <= last:
        raise ConfigError(
            f"SLURM_ARRAY_TASK_ID={task} is one of {count} tasks from {first} to {last} in steps of {step}: with gaps, "
            "the task cannot tell its share; number them without, for instance --array=0-9"
        )
    return (task - first) // step, count


def _whole_number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"environment variable {name}={text!r} must be a whole number") from error


def _ask_mpi() -> Place:
    """Rank and meeting point from mpi4py; rank 0 tells the others its address."""
    from mpi4py import MPI

    everyone = MPI.COMM_WORLD
    node = everyone.Split_type(MPI.COMM_TYPE_SHARED)
    single_node = node.Get_size() == everyone.Get_size()
    meeting = ("127.0.0.1" if single_node else socket.gethostname(), free_port()) if everyone.Get_rank() == 0 else None
    address, port = everyone.bcast(meeting)
    return Place(everyone.Get_rank(), everyone.Get_size(), node.Get_rank(), node.Get_size(), address, port)


def _ask_mpi_rank() -> tuple[int, int]:
    """Rank and size from mpi4py. MPI ends at once: a rank that is done early, or fails, keeps nobody waiting."""
    from mpi4py import MPI

    rank, size = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    MPI.Finalize()
    return rank, size


def _ranks_on_a_node(size: int, nodes: tuple[str, ...], address: str) -> int:
    """Where the launcher did not say: as many on each node, or all of them if they meet on this machine."""
    if nodes:
        return -(-size // len(nodes))
    return size if address in ("127.0.0.1", "localhost", socket.gethostname()) else 1
