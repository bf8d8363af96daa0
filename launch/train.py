"""Train a model: python | torchrun | mpirun | srun | deepspeed launch/train.py CFG.yaml [a.b=c ...]"""

import argparse
import socket
import sys
from pathlib import Path

from hpc_nuvlm.engine.stop import StopRequest

stop = StopRequest().install()  # before torch, whose import takes seconds in which a signal would kill the process

from hpc_nuvlm.config import load_run
from hpc_nuvlm.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="a.b=c", help="change one key of the configuration")
    parser.add_argument("--local_rank", help=argparse.SUPPRESS)  # DeepSpeed's launcher adds it
    arguments = parser.parse_args()
    world = None
    try:
        run = load_run(arguments.config, tuple(arguments.overrides))
        from hpc_nuvlm.engine.world import start_world

        world = start_world(run.engine.threads, run.engine.meet_within_s, run.engine.hang_after_s)
        from hpc_nuvlm.training import train

        code = train(run, world, stop)
        stop.ignore()
        return code
    except UserError as error:
        # Every rank speaks: the mistake may be one machine's alone.
        where = f"rank {world.rank} on {socket.gethostname()}: " if world and not world.main else ""
        print(f"error: {where}{error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
