"""measure_case(): the numbers of one case, in the process that has nothing else to do."""

from __future__ import annotations

from dataclasses import asdict

import torch

from hpc_nuvlm.bench.clock import measure
from hpc_nuvlm.bench.energy import read_counters, spent, told
from hpc_nuvlm.bench.peak import peak_flops
from hpc_nuvlm.bench.settings import Bench, Case, Price
from hpc_nuvlm.bench.stages import stages_of
from hpc_nuvlm.bench.subject import Subject, accuracy_of, batches_of, call_of, open_subject, settle_of
from hpc_nuvlm.engine.memory import peak_memory_mb
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError

MILLION, SECONDS_AN_HOUR = 1e6, 3600


def measure_case(bench: Bench, case: Case, world: World) -> list[dict]:
    """One row for each batch size."""
    subject = open_subject(bench, case, world)
    if subject.num_events < max(case.sizes):
        raise ConfigError(
            f"cases, {case.name}: batches of {max(case.sizes)} events, and {bench.dataset} has {subject.num_events} in "
            f"its split {bench.split}; set smaller batches, or another split"
        )
    peak = peak_flops(world.device, subject.run.engine.precision, settle_of(world))
    return [row_of(bench, subject, size, peak) for size in case.sizes]


def row_of(bench: Bench, subject: Subject, size: int, peak: float) -> dict:
    case, world, settle = subject.case, subject.world, settle_of(subject.world)
    batches = batches_of(subject, size, bench.num_events)
    call = call_of(subject, batches)
    counters = read_counters(bus_ids_of(world))
    timing = measure(call, bench.rule, settle, lambda seconds: world.sum([seconds])[0] / world.size)
    joules = spent(counters, read_counters(bus_ids_of(world)))
    # Energy is that of all calls, of which warm-up and dropped repeats are a part
    calls = bench.rule.warm_up + round(timing.num_calls * bench.rule.repeats / (bench.rule.repeats - 2))
    events_per_s = size * world.size / timing.seconds
    flops = flops_of(subject, batches[0]) / size
    accuracy = None if case.asked == "train" else accuracy_of(subject, size)
    return {
        "case": case.name,
        "asked": case.asked,
        "scenario": case.scenario,
        "model": subject.run.model.family,
        "precision": precision_of(subject),
        "ranks": world.size,
        "batch": size,
        "seconds_per_event": timing.seconds / size,
        "events_per_second": events_per_s,
        "latency_s": dict(zip(("p50", "p90", "p99"), timing.percentiles_s)),
        "spread": timing.spread,
        "num_calls": timing.num_calls,
        "memory_mb": peak_memory_mb(world.device),
        "flops_per_event": flops,
        # Of what large matrix products reach on as many devices
        "utilization": flops * events_per_s / (peak * world.size),
        "joules_per_event": told(joules, calls * size),
        "accuracy": None if accuracy is None else asdict(accuracy),
        "stages_s": stages_of(subject, size, settle),
        **cost_of(events_per_s, world.size, bench.price),
    }


def cost_of(events_per_s: float, devices: int, price: Price | None) -> dict:
    """Device-hours of a million events, and money."""
    hours = devices * MILLION / events_per_s / SECONDS_AN_HOUR
    money = None if price is None else {"amount": hours * price.per_device_hour, "currency": price.currency}
    return {"device_hours_per_million": hours, "price_per_million": money}


def flops_of(subject: Subject, batch) -> int:
    """Of what is asked; a training step is taken for three forward passes."""
    return subject.task.flops(batch) * (3 if subject.case.asked == "train" else 1)


def precision_of(subject: Subject) -> str:
    if subject.case.form != "torch":
        return {"onnx": "fp32, onnx", "int8": "int8, onnx"}[subject.case.form]
    return "nf4" if getattr(subject.run.model, "nf4", False) else subject.run.engine.precision


def bus_ids_of(world: World) -> tuple[str, ...]:
    """PCI bus ids of the job's own accelerators."""
    if world.device.type != "cuda":
        return ()
    numbers = range(torch.cuda.device_count())
    devices = [torch.cuda.get_device_properties(number) for number in numbers]
    return tuple(f"{one.pci_domain_id:08x}:{one.pci_bus_id:02x}:{one.pci_device_id:02x}.0" for one in devices)
