"""launch/train.py, but one rank is killed in the middle of what the environment names: DIE=RANK,DOING,COUNT,DELAY_S.

DOING is a member of engine.watchdog.Doing, which every rank passes through; the kill comes DELAY_S after the rank has
got there for the COUNT-th time, so that it falls into it. WRITING: into the thread that writes checkpoints.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path

from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.watchdog import Watchdog

WRITING = "WRITING"
LAUNCHER = Path(__file__).parent.parent.parent / "launch" / "train.py"


class Death:
    def __init__(self, rank: str, doing: str, count: str, delay_s: str):
        self.rank, self.doing, self.left, self.delay_s = int(rank), doing, int(count), float(delay_s)

    def meet(self, rank: int, doing: str) -> None:
        if rank != self.rank or doing != self.doing:
            return
        self.left -= 1
        if self.left == 0:
            threading.Timer(self.delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()


def arrange(death: Death) -> None:
    at, write = Watchdog.at, state.save_checkpoint

    def watched_at(watchdog, step, doing):
        death.meet(watchdog.rank, doing.name)
        at(watchdog, step, doing)

    def watched_write(*arguments):
        death.meet(0, WRITING)
        write(*arguments)

    Watchdog.at, state.save_checkpoint = watched_at, watched_write


if __name__ == "__main__":
    if "DIE" in os.environ:
        arrange(Death(*os.environ["DIE"].split(",")))
    sys.argv[0] = str(LAUNCHER)
    runpy.run_path(str(LAUNCHER), run_name="__main__")
