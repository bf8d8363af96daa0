"""Score finished runs on worse events: python launch/robustness.py RUN... --data DATASET --split test --out FOLDER"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.engine.stop import StopRequest

stop = StopRequest().install()  # before torch, whose import takes seconds in which a signal would kill the process

from hpc_nuvlm.errors import exit_code_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--data", required=True, type=Path, metavar="DATASET")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--also",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=DATASET",
        help="the same split of another dataset, for instance of a simulation with response.variant=recombination_high",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="for robustness.json and .png; continues what it holds",
    )
    arguments = parser.parse_args()
    from hpc_nuvlm.engine.world import start_world

    world = start_world(threads=None)
    from hpc_nuvlm.robustness import Request, parse_also, study

    also = parse_also(arguments.also)
    runs = tuple(arguments.runs)
    return study(Request(runs, arguments.data, arguments.split, also, arguments.out), world, stop)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
