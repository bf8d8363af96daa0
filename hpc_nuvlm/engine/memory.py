"""Peak memory of this process: on its device as torch allocated it, and of the process as the system counts it."""

from __future__ import annotations

from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def peak_memory_mb(device: torch.device) -> dict[str, float]:
    """`process`: the largest resident set so far; `device`: the most that tensors took there, 0 on a CPU."""
    allocated = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0
    return {"process": round(peak_resident_bytes() / 1e6, 1), "device": round(allocated, 1)}


def peak_resident_bytes() -> int:
    """The largest resident set of this program; getrusage's would be that of the one that started it, if larger."""
    return _status_bytes("VmHWM:")


def resident_bytes() -> int:
    """The resident set of this process now."""
    return _status_bytes("VmRSS:")


def _status_bytes(name: str) -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(name))
    # proc_pid_status(5): "VmHWM:   1234 kB", of 1024 bytes
    return 1024 * int(line.split()[1])
