"""Devices: memory and speed of what one trains on, from the makers' data sheets."""

from __future__ import annotations

from dataclasses import dataclass

from hpc_nuvlm.errors import ConfigError

GB = 1e9


@dataclass(frozen=True)
class Device:
    memory_bytes: float
    # Dense matrix products, in 10**12 operations a second
    bf16_tflops: float
    fp32_tflops: float
    # To another device of the same node, one way [bytes/s]: NVLink where the maker builds it in, PCIe 4.0 x 16 else
    link_bytes_s: float


# NVIDIA's data sheets; bf16 without sparsity
DEVICES = {
    "a100-40": Device(40 * GB, 312, 19.5, 300 * GB),
    "a100-80": Device(80 * GB, 312, 19.5, 300 * GB),
    "a6000": Device(48 * GB, 155, 38.7, 32 * GB),
    "h100": Device(80 * GB, 989, 67, 450 * GB),
    "h200": Device(141 * GB, 989, 67, 450 * GB),
    "l40s": Device(48 * GB, 362, 91.6, 32 * GB),
    "v100": Device(32 * GB, 0, 15.7, 150 * GB),
}


def device_named(name: str) -> Device | None:
    """None for cpu; ConfigError if nothing is known of it."""
    if name != "cpu" and name not in DEVICES:
        raise ConfigError(f"--device {name}: nothing is known of it; there are cpu, {', '.join(DEVICES)}")
    return DEVICES.get(name)
