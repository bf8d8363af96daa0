"""World: the processes that train together, and what they do together: sums, gathers, barriers."""

from __future__ import annotations

import atexit
import logging
import socket
import time
import warnings
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from hpc_nuvlm.engine.place import Place, accelerators_given, find_and_export_place, set_defaults
from hpc_nuvlm.errors import ConfigError

POLL_S = 0.1


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


def start_world(threads: int | None, meet_within_s: float = 60.0, hang_after_s: float = 600.0) -> World:
    """Join the other processes; sets this process's device and number of CPU threads. Before numba is imported.

    They are left when the program ends. Errors name the ranks that did not come within `meet_within_s` of rank 0.
    """
    place, threads = find_and_export_place(threads)
    torch.set_num_threads(threads)
    quiet_libraries()
    cuda = torch.cuda.is_available()
    require_accelerators(place)
    if not cuda:
        set_defaults(DS_ACCELERATOR="cpu")
    device = torch.device("cuda", place.local_rank % torch.cuda.device_count()) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    # The watchdog is to speak before the library gives up
    patience = timedelta(seconds=2 * hang_after_s)
    store = meet(place, meet_within_s)
    dist.init_process_group(
        "nccl" if cuda else "gloo", store=store, rank=place.rank, world_size=place.size, timeout=patience
    )
    # Also after an error: threads of gloo that outlive the interpreter may abort the process, and with it its exit code
    atexit.register(leave_world)
    return World(place.rank, place.size, place.local_rank, place.local_size, device)


def require_accelerators(place: Place) -> None:
    """ConfigError where Slurm gave accelerators that torch does not see: it would train on the CPU, and nobody know."""
    if accelerators_given() and not torch.cuda.is_available():
        raise ConfigError(
            f"rank {place.rank} on {socket.gethostname()}: Slurm gave accelerators {accelerators_given()}, and torch "
            f"sees {accelerators()}; run nuvlm doctor there: driver, CUDA build of torch, or --nv of a container"
        )


def alone() -> World:
    """One process on the CPU, that meets nobody."""
    quiet_libraries()
    return World(0, 1, 0, 1, torch.device("cpu"))


def accelerators() -> str:
    """Those of this machine, in words."""
    if not torch.cuda.is_available():
        built = torch.version.cuda
        return f"none that torch sees ({f'built for CUDA {built}' if built else 'built for CPU'})"
    devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    told = ", ".join(f"{device.name} {device.total_memory / 1e9:.0f} GB" for device in devices)
    nccl = ".".join(map(str, torch.cuda.nccl.version())) if dist.is_nccl_available() else "none"
    return f"{told}; CUDA {torch.version.cuda}, NCCL {nccl}"


def meet(place: Place, within_s: float) -> dist.Store:
    """Where the ranks find each other; ConfigError that names who is not there in time."""
    patience = timedelta(seconds=within_s)
    try:
        # torchrun keeps the store itself
        keeps = place.rank == 0 and not place.kept_by_launcher
        store = dist.TCPStore(place.address, place.port, place.size, keeps, patience, wait_for_workers=False)
        store = dist.PrefixStore(f"nuvlm/{place.attempt}", store)
        store.set(f"here/{place.rank}", socket.gethostname())
    except dist.DistError as error:
        raise ConfigError(
            f"rank {place.rank} cannot meet the others at {place.address}:{place.port} within {within_s:g} s: "
            f"{str(error).splitlines()[0]} If another run on this machine has the port, give this one its own "
            "(--master_port of deepspeed, --master-port of torchrun)"
        ) from error
    if place.rank == 0:
        await_all(place, store, within_s)
    return store


def await_all(place: Place, store: dist.Store, within_s: float) -> None:
    end_s = time.monotonic() + within_s
    missing = list(range(place.size))
    while missing := [rank for rank in missing if not store.check([f"here/{rank}"])]:
        if time.monotonic() > end_s:
            names = ", ".join(f"rank {rank}{place.node_of(rank)}" for rank in missing)
            raise ConfigError(
                f"{len(missing)} of {place.size} ranks did not come to {place.address}:{place.port} within "
                f"{within_s:g} s: {names}; look at what they printed, or leave out their nodes (sbatch --exclude=NODE)"
            )
        time.sleep(POLL_S)


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether a collective failed since another rank is gone; gloo has no class for it."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def quiet_libraries() -> None:
    """Remarks of libraries about themselves, which a user can do nothing about."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    logging.getLogger("deepspeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated", category=UserWarning)


def leave_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
