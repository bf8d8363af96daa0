import subprocess
import sys

import pytest
import torch

from hpc_nuvlm.engine.memory import peak_memory_mb, peak_resident_bytes

# The second program of one process: the system goes on counting from the first for getrusage
CHILD = """
import resource
from hpc_nuvlm.engine.memory import peak_resident_bytes
print(peak_resident_bytes(), 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_that_was_given_back_stays_in_the_peak():
    before, size = peak_resident_bytes(), 400_000_000
    block = torch.ones(size, dtype=torch.uint8)
    peak = peak_resident_bytes()
    del block
    # The system's counters lag behind by some pages of every core
    assert peak > max(size, 0.99 * before) and peak_resident_bytes() == pytest.approx(peak, rel=0.01)
    told = peak_memory_mb(torch.device("cpu"))
    assert told["process"] == pytest.approx(peak / 1e6, rel=0.01) and told["device"] == 0.0


def test_the_memory_of_who_started_this_program_is_not_counted():
    block = torch.ones(1_500_000_000, dtype=torch.uint8)
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    own, counted_by_getrusage = map(int, done.stdout.split())
    assert own < len(block) < counted_by_getrusage
