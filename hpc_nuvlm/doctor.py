"""doctor(): what this machine is and has, as text to paste into a question; each line is looked up when asked for."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from hpc_nuvlm import __version__
from hpc_nuvlm.engine.place import cpu_cores, this_place

# Programs of a cluster, and the argument that makes them tell their version
PROGRAMS = {"sinfo": "--version", "mpirun": "--version", "apptainer": "--version", "nvidia-smi": "--version"}
SECONDS = 20
# What the finding of a part that does not work begins with
FAILS = "FAILS"
GB = 1e9


def doctor(folder: Path) -> dict[str, str]:
    """Name -> finding. What cannot be found out says why; nothing raises. `folder`: where runs would be written."""
    lookups: dict[str, Callable[[], str]] = {
        "nuvlm": _code,
        "system": lambda: f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": _processor,
        "memory": _memory,
        "disk": lambda: _room(folder),
        "shared memory": lambda: _room(Path("/dev/shm")),
        "packages": _packages,
        "accelerators": _accelerators,
        "started by": _launcher,
        "nuvlm-nano": _weights,
        "kernels": _kernels,
        **{name: lambda name=name: _program(name) for name in PROGRAMS},
    }
    return {name: _told(look) for name, look in lookups.items()}


def _told(look: Callable[[], str]) -> str:
    try:
        return look()
    except Exception as error:  # a report of what is broken must not break
        return f"{FAILS}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _code() -> str:
    from hpc_nuvlm.engine.preflight import code_digest

    return f"{__version__}, code {code_digest()[:12]}, in {Path(__file__).parent}"


def _processor() -> str:
    told = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    extensions = [name for name in ("avx2", "avx512f", "amx_bf16") if name in fields.get("flags", "").split()]
    model = fields.get("model name", "unknown")
    return f"{model}; {cpu_cores()} of {os.cpu_count()} cores are ours; {', '.join(extensions) or 'no AVX'}"


def _memory() -> str:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total_gb, free_gb = (1024 * int(lines[name].split()[0]) / GB for name in ("MemTotal", "MemAvailable"))
    return f"{free_gb:.1f} of {total_gb:.1f} GB available"


def _room(folder: Path) -> str:
    usage = shutil.disk_usage(folder)
    return f"{folder.resolve()}: {usage.free / GB:.1f} of {usage.total / GB:.1f} GB free"


def _packages() -> str:
    from hpc_nuvlm.engine.preflight import versions

    return ", ".join(f"{name} {found or '(not installed)'}" for name, found in versions().items())


def _accelerators() -> str:
    from hpc_nuvlm.engine.world import accelerators

    return accelerators()


def _launcher() -> str:
    place = this_place()
    return "no launcher" if place.size == 1 else f"a launcher of {place.size} ranks; this is rank {place.rank}"


def _weights() -> str:
    from hpc_nuvlm.models.vlm.nano import shipped_folder

    return f"{shipped_folder()}: sha256 as released"


def _kernels() -> str:
    """Whether the compiled code draws one hit where it belongs."""
    import numpy as np

    from nuvlm_kernels.levels import level_edges
    from nuvlm_kernels.raster import pixel_levels

    hits = np.array([0], np.uint8), np.array([5], np.uint16), np.array([3], np.uint16), np.array([255], np.float32)
    levels = np.empty((1, 1, 4, 4), np.uint8)
    pixel_levels(hits, np.array([0, 1]), np.zeros((1, 1, 2), np.int64), 2, level_edges("linear", 255.0), levels)
    if levels[0, 0, 2, 1] != 255 or levels.sum() != 255:
        raise ValueError(f"a hit of 255 at row 5, column 3 became {levels[0, 0].tolist()}")
    return "compile, and draw one hit where it belongs"


def _program(name: str) -> str:
    if shutil.which(name) is None:
        return "not on the path"
    done = subprocess.run([name, PROGRAMS[name]], capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else f"exit code {done.returncode}"
