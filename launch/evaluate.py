"""Score finished runs on the same events: python launch/evaluate.py RUN... --data DATASET --split test"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--data", required=True, type=Path, metavar="DATASET")
    parser.add_argument("--split", default="test")
    parser.add_argument("--explain", action="store_true", help="also generate text (vision-language models)")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON instead of the table")
    arguments = parser.parse_args()
    try:
        from hpc_nuvlm.engine.world import start_world, stop_world

        world = start_world(threads=None)
        from hpc_nuvlm.evaluation import evaluate

        evaluate(arguments.runs, arguments.data, arguments.split, world, arguments.explain, arguments.json)
        stop_world()
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
