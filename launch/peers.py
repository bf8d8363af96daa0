"""Compare the toolkit with peers and limits: python launch/peers.py raster store --data datasets/simulated-bench"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.errors import exit_code_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", help="raster, store, loader, scoring, training, growth, start; all if none is"
    )
    parser.add_argument("--data", type=Path, required=True, help="dataset of the modular detector")
    parser.add_argument("--split", default="train")
    parser.add_argument(
        "--most", type=int, default=100_000, metavar="N", help="events of the largest dataset of growth"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="record to write")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from hpc_nuvlm.engine.world import start_world

    world = start_world(threads=1)
    from hpc_nuvlm.bench.benchmark import write_record
    from hpc_nuvlm.bench.peers.run import Asked, run_peers
    from hpc_nuvlm.bench.show import show_ratios

    asked = Asked(world, arguments.most)
    record = run_peers(arguments.subjects, arguments.data, arguments.split, asked, show_ratios)
    if arguments.out is not None:
        write_record(record, arguments.out)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
