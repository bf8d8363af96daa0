"""Release: the weights of a finished pretraining become those that the package carries, with what they came from."""

from __future__ import annotations

import json
from pathlib import Path

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.state import share_files
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.runs import open_run
from hpc_nuvlm.store import open_dataset


def release_run(folder: Path, out: Path | None = None) -> dict:
    """Copy RUN/model to where nuvlm-nano is opened from (or `out`); returns what release.json says of it."""
    from hpc_nuvlm.models.vlm import nano

    run = open_run(folder)
    model = folder / "model"
    if not (model / nano.WEIGHTS).is_file():
        raise ConfigError(f"{model}: holds no whole model; release a run that has ended, and that has no adapters")
    out = out or nano.shipped_place()
    nano.release(model, out, lineage_of(run, shipped_before(run)))
    share_files(out)
    return json.loads((out / nano.RELEASE).read_text())


def lineage_of(run: Run, shipped: dict) -> dict:
    """Data, work and machine of a run, from the files that it left; and of those that it began with or learned from.

    `shipped`: that of the package's weights, for runs that name them.
    """
    from hpc_nuvlm.models.vlm import nano

    lines = [json.loads(line) for line in (run.folder / "records.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    validation = [line for line in lines if line["kind"] == "validation"]
    machine = json.loads((run.folder / "environment.json").read_text())
    datasets = (run.data.dataset, *(more.dataset for more in run.data.more))
    base, by_name = base_run(run), getattr(run.model, "base", None) == nano.NAME
    earlier = {
        "began_with": lineage_of(base, shipped) if base else shipped if by_name else None,
        "taught_by": lineage_of(open_run(run.distill.teacher), shipped) if run.distill else None,
    }
    return {
        "run": run.folder.name,
        "trained_on": {str(path): open_dataset(path).split(run.data.train_split).fingerprint for path in datasets},
        "base": getattr(run.model, "base", None),
        "patches": getattr(run.model, "patches", None),
        # None of either where a model was taken as it comes
        "samples_seen": steps[-1]["samples_seen"] if steps else 0,
        "steps": steps[-1]["step"] if steps else 0,
        "hours": round(sum(line["seconds"] for line in steps) / 3600, 2),
        "machine": f"{machine['world_size']} x {machine['device']}, {machine['machine']}",
        "packages": machine["packages"],
        "validation_accuracy": max(line["accuracy"] for line in validation),
    } | {how: lineage for how, lineage in earlier.items() if lineage}


def base_run(run: Run) -> Run | None:
    """The run whose weights this one began with, or whose exported model, if a run made it."""
    if run.start is not None:
        return open_run(run.start)
    base = Path(getattr(run.model, "base", ""))
    return open_run(base.parent) if base.name == "model" and (base.parent / "run.yaml").is_file() else None


def shipped_before(run: Run) -> dict:
    """Lineage of the package's weights, as they were before this run's took their place."""
    from hpc_nuvlm.models.vlm import nano

    told = json.loads((nano.shipped_place() / nano.RELEASE).read_text())
    # Released a second time, a run finds its own
    return told["began_with"] if told["run"] == run.folder.name and "began_with" in told else told
