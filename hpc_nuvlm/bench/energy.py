"""Energy: counters of joules of the devices that a job has, and of the processor package; never a guess.

NVIDIA's library counts what each accelerator took since its driver was loaded; Linux shows the counters of Intel's and
AMD's packages (RAPL), to root alone on most machines. A package's joules are those of all that ran on it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
UNAVAILABLE = "unavailable"
MILLIJOULES, MICROJOULES = 1e-3, 1e-6


@dataclass(frozen=True)
class Counter:
    """Joules so far; it begins again at 0 after `wraps_at_j`."""

    name: str
    joules: float
    wraps_at_j: float | None = None


def read_counters(bus_ids: Sequence[str] = (), powercap: Path = POWERCAP) -> tuple[Counter, ...]:
    """Those that can be read: of accelerators by their PCI bus id, and of processor packages."""
    return (*_accelerators(bus_ids), *_packages(powercap))


def spent(before: Sequence[Counter], after: Sequence[Counter]) -> dict[str, float]:
    """Joules by counter; one that is not in both is left out."""
    earlier = {counter.name: counter for counter in before}
    joules = {}
    for counter in after:
        if counter.name not in earlier:
            continue
        difference = counter.joules - earlier[counter.name].joules
        if difference < 0 and counter.wraps_at_j is not None:
            difference += counter.wraps_at_j
        joules[counter.name] = difference
    return joules


def told(joules: dict[str, float], events: int) -> float | str:
    """Joules of an event over all counters, or that there were none."""
    return sum(joules.values()) / events if joules else UNAVAILABLE


def _packages(folder: Path) -> Iterator[Counter]:
    """Zones like intel-rapl:0; their parts, intel-rapl:0:0, are counted in them."""
    for zone in sorted(folder.glob("*-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        with suppress(OSError, ValueError):
            joules = int((zone / "energy_uj").read_text()) * MICROJOULES
            wraps_at_j = int((zone / "max_energy_range_uj").read_text()) * MICROJOULES
            yield Counter(zone.name, joules, wraps_at_j)


def _accelerators(bus_ids: Sequence[str]) -> Iterator[Counter]:
    if not bus_ids:
        return
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return
    if library.nvmlInit_v2() != 0:
        return
    for bus_id in bus_ids:
        device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        found = library.nvmlDeviceGetHandleByPciBusId_v2(bus_id.encode(), ctypes.byref(device)) == 0
        if found and library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)) == 0:
            yield Counter(f"accelerator {bus_id}", millijoules.value * MILLIJOULES)
    library.nvmlShutdown()
