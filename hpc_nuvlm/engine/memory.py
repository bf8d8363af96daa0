"""Peak memory of this process: on its device as torch allocated it, and of the process as the system counts it."""

from __future__ import annotations

import resource

import torch


def peak_memory_mb(device: torch.device) -> dict[str, float]:
    """`process`: the largest resident set so far; `device`: the most that tensors took there, 0 on a CPU."""
    # Linux counts in KiB
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    allocated = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0
    return {"process": round(process, 1), "device": round(allocated, 1)}
