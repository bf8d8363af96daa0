"""Judge what a run says of events: python launch/explain.py RUN --data DATASET --split test --out FOLDER"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.errors import ConfigError, exit_code_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--data", required=True, type=Path, metavar="DATASET")
    parser.add_argument("--split", default="test")
    where = "events that tell how sure a claim must be, never those scored; default: the run's validation split"
    parser.add_argument("--thresholds-from", metavar="DATASET:SPLIT", help=where)
    precision = "share of right claims that is aimed at, for each kind of claim"
    parser.add_argument("--precision", type=float, default=0.95, help=precision)
    parser.add_argument("--events", type=int, metavar="N", help="take N events of each split; default: all")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables, as Markdown")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from hpc_nuvlm.engine.world import start_world

    world = start_world(threads=None)
    from hpc_nuvlm.evaluation import Place
    from hpc_nuvlm.explanation import Request, explain

    fitted = None
    if arguments.thresholds_from is not None:
        dataset, _, split = arguments.thresholds_from.rpartition(":")
        if not (dataset and split):
            raise ConfigError(f"--thresholds-from {arguments.thresholds_from}: write it as DATASET:SPLIT")
        fitted = Place(Path(dataset), split)
    scored = Place(arguments.data, arguments.split)
    asked = (arguments.precision, arguments.events, arguments.markdown)
    explain(Request(arguments.run, scored, arguments.out, fitted, *asked), world)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
