"""Peak: what the device does of large matrix products, which is what utilization is a share of."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

REPEATS = 5
# Large enough that caches and launches do not count, small enough to take a second on a core
SIZES = {"cpu": 2048, "cuda": 8192}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def peak_flops(device: torch.device, precision: str, settle: Callable[[], None]) -> float:
    """Operations a second, a multiply-add counted as two, with this process's threads; the best of some products."""
    size = SIZES[device.type]
    matrix = torch.ones(size, size, dtype=DTYPES[precision], device=device)
    best_s = float("inf")
    for _ in range(REPEATS):
        settle()
        started_s = time.perf_counter()
        matrix @ matrix
        settle()
        best_s = min(best_s, time.perf_counter() - started_s)
    return 2 * size**3 / best_s
