"""Simulate a dataset: python | mpirun | srun | a Slurm array of launch/simulate.py CFG.yaml --out DIR [a.b=c ...]

Every rank makes its share of the shards, and the last to finish publishes the dataset. The events are the same for any
number of ranks. Started again, the same command continues.
"""

import argparse
import shlex
import sys
from pathlib import Path

from hpc_nuvlm.engine.stop import StopRequest

stop = StopRequest().install()  # before the imports that take a second, in which a signal would kill the process

from hpc_nuvlm.config import load_settings
from hpc_nuvlm.simulate.settings import Simulation
from hpc_nuvlm.workers import launch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="a.b=c", help="change one key of the configuration")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the new dataset")
    parser.add_argument("--jobs", type=int, default=1, help="processes that each rank starts; 1: the rank alone")
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset that the folder holds")
    arguments = parser.parse_intermixed_args()

    def describe():
        from hpc_nuvlm.simulation import simulation_work

        settings = load_settings(Simulation, arguments.config, tuple(arguments.overrides))
        return simulation_work(settings, shlex.join(["nuvlm", "simulate", str(arguments.config), *arguments.overrides]))

    return launch(describe, arguments.out, arguments.jobs, stop, overwrite=arguments.overwrite)


if __name__ == "__main__":
    sys.exit(main())
