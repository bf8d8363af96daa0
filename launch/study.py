"""Train and score all runs of a study: python launch/study.py configs/studies/NAME.yaml [a.b=c ...]"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.errors import exit_code_of
from hpc_nuvlm.settings import load_settings
from hpc_nuvlm.study import Study, run_study


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="a.b=c", help="change one key of the study")
    arguments = parser.parse_args()
    study = load_settings(Study, arguments.study, tuple(arguments.overrides))
    return run_study(study, StopRequest().install(), lambda text: print(text, flush=True))


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
