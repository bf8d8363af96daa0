"""What `nuvlm --help` takes from a cold interpreter, which is what a person waits for."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from hpc_nuvlm.bench.ratios import Ratio, of_rounds

ROUNDS, MOST_SECONDS = 11, 0.3


def start_ratios() -> list[Ratio]:
    command = [Path(sys.executable).parent / "nuvlm", "--help"]
    seconds = np.array([_seconds(command) for _ in range(ROUNDS)][1:])
    bare = np.array([_seconds([sys.executable, "-c", "pass"]) for _ in range(ROUNDS)][1:])
    return [
        of_rounds(seconds, "seconds of nuvlm --help", "", at_most=MOST_SECONDS),
        of_rounds(seconds / bare, "nuvlm --help", "python -c pass"),
    ]


def _seconds(command: list) -> float:
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_s
