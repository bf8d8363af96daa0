"""Score finished runs on the same events: python launch/evaluate.py RUN... --data DATASET --split test"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.errors import exit_code_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--data", required=True, type=Path, metavar="DATASET")
    parser.add_argument("--split", default="test")
    parser.add_argument("--explain", action="store_true", help="also generate text (vision-language models)")
    where = "events that calibration is fitted on, never those scored; own: the run's validation split; or none"
    parser.add_argument("--calibrate", default="own", metavar="DATASET:SPLIT", help=where)
    priors = "move class priors to equal ones, or to those that the scored pictures ask for (no labels are used)"
    parser.add_argument("--priors", choices=("none", "balanced", "estimate"), default="none", help=priors)
    parser.add_argument(
        "--coverage", type=float, default=0.9, help="how often a set of classes shall hold the true one"
    )
    sets = "lac: smallest sets (default); aps: adaptive, larger for hard events"
    parser.add_argument("--sets", choices=("lac", "aps"), default="lac", help=sets)
    hide = 'fields of data.context that read "unknown"'
    parser.add_argument("--hide", nargs="+", default=[], metavar="FIELD", help=hide)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write all tables, as Markdown")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON instead of the tables")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from hpc_nuvlm.engine.world import start_world

    world = start_world(threads=None)
    from hpc_nuvlm.calibration import Options
    from hpc_nuvlm.evaluation import Place, Request, evaluate

    request = Request(
        Place(arguments.data, arguments.split),
        Options(arguments.priors, arguments.coverage, arguments.sets),
        calibrate=arguments.calibrate,
        explain=arguments.explain,
        as_json=arguments.json,
        markdown=arguments.markdown,
        hide=tuple(arguments.hide),
    )
    evaluate(arguments.runs, request, world)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
