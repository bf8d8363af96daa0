"""Run by test_distillation.py on two ranks: one student and its teacher under every engine, saved and restored."""

import json
import sys
from pathlib import Path

import torch

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import start_world
from hpc_nuvlm.training import train

ENGINES = {"plain": {"kind": "plain"}} | {f"zero-{stage}": {"kind": "zero", "stage": stage} for stage in range(1, 4)}


def main() -> None:
    fields, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    world = start_world(threads=1)
    for name, engine in ENGINES.items():
        # The second call continues the first, from its checkpoint
        for stop_after in (2, 4):
            changed = {"folder": str(folder / name), "engine": fields["engine"] | engine}
            changed["schedule"] = fields["schedule"] | {"stop_after_steps": stop_after}
            train(parse_run(fields | changed, where="test"), world, StopRequest())
            torch.distributed.barrier()


if __name__ == "__main__":
    main()
