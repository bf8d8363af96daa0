"""Measure what models cost: python launch/benchmark.py configs/bench/NAME.yaml --out RECORD.json"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.errors import exit_code_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="?")
    parser.add_argument("overrides", nargs="*", metavar="a.b=c", help="change one key of the configuration")
    parser.add_argument("--out", type=Path, metavar="FILE", help="record to write")
    parser.add_argument("--compare", type=Path, nargs=2, metavar="RECORD", help="set two records side by side")
    parser.add_argument("--case", metavar="NAME", help="measure this one here, among the ranks that were started")
    parser.add_argument("--local_rank", help=argparse.SUPPRESS)
    arguments = parser.parse_intermixed_args()
    if (arguments.config is None) == (arguments.compare is None):
        parser.error("give a configuration, or two records to --compare")
    return arguments


def main() -> None:
    arguments = parse()
    if arguments.compare is not None:
        from hpc_nuvlm.bench.show import compare

        compare(*arguments.compare)
    elif arguments.case is not None:
        from hpc_nuvlm.engine.world import start_world

        world = start_world(threads=None)
        from hpc_nuvlm.bench.benchmark import measure_here

        measure_here(arguments.config, tuple(arguments.overrides), arguments.case, world)
    else:
        from hpc_nuvlm.bench.show import run_and_show

        run_and_show(arguments.config, tuple(arguments.overrides), arguments.out)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
