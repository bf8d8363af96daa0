"""Run by tests on two ranks: one small NF4 + LoRA run under every engine, saved and restored.

With engines named after the folder, under those alone and from the start alone.
"""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.loop import Fit, train_step
from hpc_nuvlm.engine.state import Position
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.watchdog import Watchdog
from hpc_nuvlm.engine.world import World, start_world
from hpc_nuvlm.models import build_task
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data, build_engine

ENGINES = {"plain": {"kind": "plain"}} | {f"zero-{stage}": {"kind": "zero", "stage": stage} for stage in range(4)}
ENGINES["zero-2 bf16"] = {"kind": "zero", "stage": 2, "precision": "bf16"}
NUM_STEPS, SAVED_STEP = 4, 2


class Silent:
    def step(self, step: int, **values: float) -> None:
        self.loss = values["loss"]


def follow(fields: dict, engine: dict, world: World, checkpoint: Path | None, save_to: Path | None) -> list[float]:
    """Losses of the steps from the checkpoint (or the start) on; saved after SAVED_STEP steps if a place is given."""
    run = parse_run(fields | {"engine": fields["engine"] | engine}, where="test")
    plan, training, validation = build_data(run, open_dataset(run.data.dataset))
    task = build_task(run, num_views=3)
    fresh = Position(0, 0, plan.fingerprint, plan.seed)
    built, position = build_engine(run, task, world, fresh, checkpoint)
    recorder, losses = Silent(), []
    stop = StopRequest()
    watchdog = Watchdog(run.folder, world.rank, world.size, stop, hang_after_s=600, stop_within_s=60)
    job = Fit(run, built, world, training, validation, plan, recorder, stop, watchdog)
    while position.step < NUM_STEPS:
        position, _ = train_step(job, position)
        losses.append(recorder.loss)
        if save_to is not None and position.step == SAVED_STEP:
            tensors = built.tensors()
            if world.main:
                state.save_checkpoint(save_to, tensors, position)
            dist.barrier()
    return losses


def compare(fields: dict, folder: Path, world: World) -> dict:
    """Every engine from the start and from its own checkpoint, and some from another's."""
    results = {}
    for name, engine in ENGINES.items():
        whole = follow(fields, engine, world, None, folder / name)
        results[name] = {"whole": whole, "resumed": follow(fields, engine, world, folder / name, None)}
    # Checkpoints fit any stage: written by stage 3, continued by stage 1 and by plain
    results["zero-3 to zero-1"] = follow(fields, ENGINES["zero-1"], world, folder / "zero-3", None)
    results["zero-3 to plain"] = follow(fields, ENGINES["plain"], world, folder / "zero-3", None)
    results["plain to zero-3"] = follow(fields, ENGINES["zero-3"], world, folder / "plain", None)
    return results


def main() -> None:
    fields, folder, named = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), sys.argv[3:]
    world = start_world(threads=1)
    if named:
        results = {name: follow(fields, ENGINES[name], world, None, None) for name in named}
    else:
        results = compare(fields, folder, world)
    if world.main:
        (folder / "results.json").write_text(json.dumps(results))
    torch.distributed.barrier()


if __name__ == "__main__":
    main()
