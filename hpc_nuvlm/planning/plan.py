"""plan(): memory of a rank, steps an hour, hours and checkpoints of a training, part by part, and what to change.

Activations and operations are counted on a shadow of the very step (shadow.py); the rest is what ZeRO documents:
weights p bytes each, master copies 4, moments 8, of which stage 1 and above give a rank a share (arXiv:1910.02054).
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.preflight import NUM_CHECKPOINTS
from hpc_nuvlm.models import build_task
from hpc_nuvlm.planning.communication import Traffic, seconds_of, traffic_of
from hpc_nuvlm.planning.devices import Device
from hpc_nuvlm.planning.shadow import NF4_BYTES, Step, Weights, count_weights, hollow, measured_tflops, step
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data, num_views

# Share of a device's arithmetic that training reaches: of the papers that tell it for transformers, 0.3 to 0.5 on many
# devices (arXiv:2104.04473); small batches and QLoRA's unpacking are at the lower end
UTILIZATION = 0.3
# Of a device's memory, what the driver, communication and fragments take
RESERVED_SHARE = 0.1
# On a CPU, the allocator of the C library keeps freed blocks between living ones: over CNN, ViT, and nano by LoRA and
# whole, in both precisions, a process grew by 1.3 to 2 times what lived at the worst moment (docs/planning.md)
CPU_SLACK = 1.7
# What a rank's first step adds for good, besides tensors: code that is read as it first runs, compiled kernels, open
# shards; measured on nano in bf16
FIRST_STEP_BYTES = 120e6
# What a rank of the launcher has in memory before there is a model
LIBRARIES = (
    "import torch, transformers, peft, bitsandbytes, deepspeed, numba, zarr, torch.utils.tensorboard;"
    "from hpc_nuvlm.engine.memory import peak_resident_bytes; print(peak_resident_bytes())"
)
SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Place:
    """Where one plans to train; no device: on this machine's CPU."""

    nodes: int
    ranks_per_node: int
    device: Device | None
    # Of one job [h]; None: not known
    wall_hours: float | None = None
    # Of a node to the others, one way [bytes/s]: an adapter of 200 Gb/s
    network_bytes_s: float = 25e9

    @property
    def ranks(self) -> int:
        return self.nodes * self.ranks_per_node


@dataclass(frozen=True)
class Need:
    """What a run takes at a place. Bytes are of one rank, at the worst moment."""

    # Part -> bytes
    memory: dict[str, int]
    memory_limit: float
    num_steps: int
    # Of which communication takes so many, if nothing overlaps
    seconds_per_step: float
    communication_s: float
    # That a rank sends in a step
    communication_bytes: float
    utilization: float
    checkpoint_bytes: int
    disk_bytes: int
    micro_batches: int
    # What does not fit, and what to change
    problems: tuple[str, ...]

    @property
    def memory_bytes(self) -> int:
        return sum(self.memory.values())

    @property
    def hours(self) -> float:
        return self.num_steps * self.seconds_per_step / SECONDS_AN_HOUR


def plan(run: Run, place: Place) -> Need:
    """What `run` needs at `place`; its datasets are opened, its weights are not."""
    dataset = open_dataset(run.data.dataset)
    order, training, _ = build_data(run, dataset)
    share = -(-order.global_size // place.ranks)
    at_a_time = min(share, run.batch.per_rank)
    task = hollow(lambda: build_task(run, num_views(run, dataset)))
    weights = count_weights(task, getattr(run.model, "nf4", False))
    # The events of the first epoch's beginning: texts differ in length, and the longest of a batch decides
    indices = order.order(0, 0, at_a_time)
    indices = np.resize(indices, at_a_time)
    batch = training.batch(indices, np.ones(at_a_time, bool), 0)
    one = step(task, batch, run.engine.precision)
    memory = memory_of(run, place, weights, one)
    micro_batches = -(-share // at_a_time)
    computing_s = computing_s_of(run, place, one, micro_batches)
    traffic = traffic_of(zero_stage(run), width_of(run), weights, micro_batches, place.ranks)
    communication_s = communication_s_of(place, traffic)
    last_step = min(order.steps_per_epoch * run.schedule.epochs, run.schedule.stop_after_steps or math.inf)
    checkpoint = 12 * weights.learned
    need = Need(
        memory=memory,
        memory_limit=limit_of(place),
        num_steps=int(last_step),
        seconds_per_step=computing_s + communication_s,
        communication_s=communication_s,
        communication_bytes=traffic.num_bytes,
        utilization=UTILIZATION,
        checkpoint_bytes=checkpoint,
        disk_bytes=(run.schedule.keep_checkpoints + NUM_CHECKPOINTS - 1) * checkpoint,
        micro_batches=micro_batches,
        problems=(),
    )
    return replace(need, problems=tuple(problems_of(run, place, weights, one, need)))


def memory_of(run: Run, place: Place, weights: Weights, one: Step) -> dict[str, int]:
    """Bytes of one rank, by part."""
    stage, width = zero_stage(run), width_of(run)
    learned, cuda = weights.learned, place.device is not None
    share = learned / place.ranks if stage >= 1 else learned
    sharded = place.ranks if stage == 3 else 1
    frozen = (weights.frozen - weights.nf4) * width + weights.nf4 * NF4_BYTES
    parts = {
        "frozen weights": frozen / sharded,
        "learned weights": learned * width / sharded,
        # ZeRO keeps full-precision copies even of full-precision weights
        "master copies": 4 * share if stage >= 1 else 0,
        "moments": 8 * share,
        # A bucket that gradients are summed in over ranks, two where that overlaps with computing
        "gradient buckets": learned * width * (2 if cuda else 1) if stage >= 1 else 0,
        "unpacked weights": weights.largest_nf4 * width,
        "activations and gradients": one.peak_bytes,
    }
    if not cuda:
        parts["freed, and kept"] = (CPU_SLACK - 1) * one.peak_bytes
        parts["libraries"] = libraries_bytes() + FIRST_STEP_BYTES
    return {name: round(size) for name, size in parts.items() if size}


def libraries_bytes() -> int:
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def limit_of(place: Place) -> float:
    """Bytes that a rank may have."""
    if place.device is not None:
        return place.device.memory_bytes * (1 - RESERVED_SHARE)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / place.ranks_per_node


def zero_stage(run: Run) -> int:
    return run.engine.stage if run.engine.kind == "zero" else 0


def width_of(run: Run) -> int:
    """Bytes of a weight that is not packed."""
    return 2 if run.engine.precision == "bf16" else 4


def computing_s_of(run: Run, place: Place, one: Step, micro_batches: int) -> float:
    """Seconds of a step's arithmetic."""
    if place.device is None:
        tflops = measured_tflops(run.engine.precision)
    else:
        tflops = place.device.bf16_tflops if run.engine.precision == "bf16" else place.device.fp32_tflops
    return micro_batches * one.flops / (UTILIZATION * tflops * 1e12) if tflops else math.inf


def communication_s_of(place: Place, traffic: Traffic) -> float:
    """Over the slowest link that a ring goes through; on a CPU, ranks of one machine: none."""
    if place.device is None:
        return 0.0
    link = place.device.link_bytes_s if place.nodes == 1 else min(place.device.link_bytes_s, place.network_bytes_s)
    return seconds_of(traffic, place.ranks, link)


def problems_of(run: Run, place: Place, weights: Weights, one: Step, need: Need) -> list[str]:
    """What does not fit, each with the key to change."""
    found = []
    if need.memory_bytes > need.memory_limit:
        found.append(
            f"memory: {need.memory_bytes / 1e9:.1f} GB are needed and {need.memory_limit / 1e9:.1f} GB are there; "
            + remedy_of(run, weights, one, need)
        )
    if place.wall_hours is not None and need.hours > place.wall_hours:
        jobs = math.ceil(need.hours / place.wall_hours)
        found.append(
            f"time: {need.hours:.1f} h are needed and a job has {place.wall_hours:g} h; it goes back into the queue by "
            f"itself, some {jobs} jobs one after the other, or set more nodes, or a smaller schedule.epochs"
        )
    if place.device is not None and run.engine.precision == "bf16" and not place.device.bf16_tflops:
        found.append("engine.precision: the device has no bf16 arithmetic; set engine.precision=fp32")
    if place.ranks > run.batch.global_size:
        found.append(
            f"batch.global_size: {run.batch.global_size} events a step are fewer than {place.ranks} ranks, and the "
            "others would only wait; set it to a multiple of the ranks, or use fewer"
        )
    return found


def remedy_of(run: Run, weights: Weights, one: Step, need: Need) -> str:
    """The change that costs least: smaller micro-batches, then sharding, then 4-bit weights."""
    growing = need.memory["activations and gradients"] + need.memory.get("freed, and kept", 0)
    room = need.memory_limit - need.memory_bytes + growing
    fits = math.floor(one.num_events * room / growing)
    if 1 <= fits < one.num_events:
        return f"set batch.per_rank={fits}"
    if run.engine.kind == "zero" and run.engine.stage < 2:
        return "set engine.stage=2"
    if getattr(run.model, "nf4", None) is False and weights.frozen > weights.learned:
        return "set model.nf4=true"
    return "set engine.stage=3 and use more ranks, or choose a device with more memory"
