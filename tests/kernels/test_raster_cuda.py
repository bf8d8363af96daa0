"""The kernels of an NVIDIA device, on numba's simulator where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = Path(__file__).parent / "raster_cuda_program.py"


@pytest.mark.slow
def test_a_device_draws_what_the_processor_draws():
    simulated = {} if torch.cuda.is_available() else {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run([sys.executable, PROGRAM], env=os.environ | simulated, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "compared\n"
