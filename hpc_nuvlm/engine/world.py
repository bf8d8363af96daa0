"""World: how many processes train together, and which of them this one is. The only file that reads the environment.

One program runs unchanged under python, deepspeed, torchrun, srun and mpirun, because each of them says
the same four things under another name.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist

from hpc_nuvlm.errors import ConfigError

# (rank, world size, local rank, local size), the first launcher whose size is set wins
LAUNCHERS = {
    "torchrun, deepspeed": ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),
}
# Set by Open MPI, and by MPICH and Intel MPI (PMI)
MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


@dataclass(frozen=True)
class World:
    rank: int
    size: int
    local_rank: int
    local_size: int
    device: torch.device

    @property
    def main(self) -> bool:
        return self.rank == 0

    def sum(self, values: list[float]) -> list[float]:
        """Each value summed over all ranks; a collective: every rank must call it."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def gather(self, item: object) -> list:
        """Every rank's item, in the order of ranks, on every rank; a collective."""
        if self.size == 1:
            return [item]
        items = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()


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


def find_place(environment: Mapping[str, str]) -> Place:
    """The place that a launcher set; one process on its own if none did."""
    for names in LAUNCHERS.values():
        if names[1] not in environment or names[0] not in environment:
            continue
        rank, size, local_rank = (_whole_number(environment, name, 0) for name in names[:3])
        if size == 1:
            return Place()
        if "MASTER_ADDR" not in environment or "MASTER_PORT" not in environment:
            raise ConfigError(
                f"{names[1]}={size} but MASTER_ADDR and MASTER_PORT are not set: the ranks cannot find each other; "
                "slurm/finetune.sh sets both"
            )
        return Place(
            rank,
            size,
            local_rank,
            max(1, _whole_number(environment, names[3], 1)),
            environment["MASTER_ADDR"],
            _whole_number(environment, "MASTER_PORT", 0),
        )
    if any(int(environment.get(name, "1")) > 1 for name in MPI_SIZES):
        return _ask_mpi()
    return Place()


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_cores() -> int:
    return len(os.sched_getaffinity(0))


def start_world(threads: int | None) -> World:
    """Join the other processes; sets this process's device and number of CPU threads.

    To be called before numba is imported, which reads its number of threads only then: two ranks on two cores
    with two numba threads each ran 6 times slower than with one, since idle OpenMP threads spin.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    place = find_place(os.environ)
    local_size = place.local_size if place.local_size > 1 else _ranks_here(place)
    threads = threads or max(1, cpu_cores() // local_size)
    torch.set_num_threads(threads)
    os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))
    _quiet_libraries()
    cuda = torch.cuda.is_available()
    if not cuda:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    device = torch.device("cuda", place.local_rank % torch.cuda.device_count()) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    # DeepSpeed reads these even when the process group exists already.
    os.environ.update(
        RANK=str(place.rank),
        WORLD_SIZE=str(place.size),
        LOCAL_RANK=str(place.local_rank),
        MASTER_ADDR=place.address,
        MASTER_PORT=str(place.port or free_port()),
    )
    try:
        dist.init_process_group("nccl" if cuda else "gloo", rank=place.rank, world_size=place.size)
    except dist.DistNetworkError as error:
        raise ConfigError(
            f"rank {place.rank} cannot meet the others at {place.address}:{os.environ['MASTER_PORT']}: "
            f"{str(error).splitlines()[0]} If another run on this machine has the port, give this one its own "
            "(--master_port of deepspeed, --master-port of torchrun)"
        ) from error
    return World(place.rank, place.size, place.local_rank, local_size, device)


def _quiet_libraries() -> None:
    """Remarks of libraries about themselves, which a user can do nothing about."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    logging.getLogger("deepspeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated", category=UserWarning)


def _ranks_here(place: Place) -> int:
    """Ranks of this node where the launcher did not say (deepspeed): all of them if they meet on this machine."""
    meets_here = place.address in ("127.0.0.1", "localhost", socket.gethostname())
    return place.size if meets_here else 1


def stop_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
