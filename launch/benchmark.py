"""Measure what models cost: python launch/benchmark.py configs/bench/NAME.yaml --out RECORD.json"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.errors import UserError


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="a.b=c", help="change one key of the configuration")
    parser.add_argument("--out", type=Path, metavar="FILE", help="record to write")
    parser.add_argument("--case", metavar="NAME", help="measure this one here, among the ranks that were started")
    parser.add_argument("--local_rank", help=argparse.SUPPRESS)
    return parser.parse_intermixed_args()


def main() -> int:
    arguments = parse()
    try:
        from hpc_nuvlm.bench.settings import Bench
        from hpc_nuvlm.settings import load_settings

        overrides = tuple(arguments.overrides)
        bench = load_settings(Bench, arguments.config, overrides)
        if arguments.case is not None:
            from hpc_nuvlm.engine.world import start_world, stop_world

            world = start_world(threads=None)
            from hpc_nuvlm.bench.benchmark import measure_here

            measure_here(bench, arguments.case, world)
            stop_world()
            return 0
        from hpc_nuvlm.bench.benchmark import benchmark, write_record
        from hpc_nuvlm.bench.show import show

        record = benchmark(bench, arguments.config, overrides, lambda text: print(text, file=sys.stderr, flush=True))
        show(record)
        if arguments.out is not None:
            write_record(record, arguments.out)
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
