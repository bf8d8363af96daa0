"""World: the processes that train together, and what they do together: sums, gathers, barriers."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import torch
import torch.distributed as dist

from hpc_nuvlm.engine.place import find_and_export_place, set_defaults
from hpc_nuvlm.errors import ConfigError


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


def start_world(threads: int | None) -> World:
    """Join the other processes; sets this process's device and number of CPU threads. Before numba is imported."""
    place, threads = find_and_export_place(threads)
    torch.set_num_threads(threads)
    _quiet_libraries()
    cuda = torch.cuda.is_available()
    if not cuda:
        set_defaults(DS_ACCELERATOR="cpu")
    device = torch.device("cuda", place.local_rank % torch.cuda.device_count()) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if cuda else "gloo", rank=place.rank, world_size=place.size)
    except dist.DistNetworkError as error:
        raise ConfigError(
            f"rank {place.rank} cannot meet the others at {place.address}:{place.port}: "
            f"{str(error).splitlines()[0]} If another run on this machine has the port, give this one its own "
            "(--master_port of deepspeed, --master-port of torchrun)"
        ) from error
    return World(place.rank, place.size, place.local_rank, place.local_size, device)


def _quiet_libraries() -> None:
    """Remarks of libraries about themselves, which a user can do nothing about."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    logging.getLogger("deepspeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated", category=UserWarning)


def stop_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
