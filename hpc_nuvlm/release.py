"""Release: the weights of a finished pretraining become those that the package carries, with what they came from."""

from __future__ import annotations

import json
from pathlib import Path

from hpc_nuvlm.config import Run
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
    nano.release(model, out, lineage_of(run))
    return json.loads((out / nano.RELEASE).read_text())


def lineage_of(run: Run) -> dict:
    """Data, work and machine of a run, from the files that it left; and of those that it began with or learned from."""
    lines = [json.loads(line) for line in (run.folder / "records.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    validation = [line for line in lines if line["kind"] == "validation"]
    machine = json.loads((run.folder / "environment.json").read_text())
    datasets = (run.data.dataset, *(more.dataset for more in run.data.more))
    base = base_run(run)
    earlier = {
        "began_with": lineage_of(base) if base else shipped_lineage(run),
        "taught_by": lineage_of(open_run(run.distill.teacher)) if run.distill else None,
    }
    return {
        "run": run.folder.name,
        "trained_on": {str(path): open_dataset(path).split(run.data.train_split).fingerprint for path in datasets},
        "base": getattr(run.model, "base", None),
        "patches": getattr(run.model, "patches", None),
        "samples_seen": steps[-1]["samples_seen"],
        "steps": steps[-1]["step"],
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


def shipped_lineage(run: Run) -> dict | None:
    """Of the package's weights before this run's: what it began with, if that is nuvlm-nano by its name."""
    from hpc_nuvlm.models.vlm import nano

    if getattr(run.model, "base", None) != nano.NAME:
        return None
    told = json.loads((nano.shipped_place() / nano.RELEASE).read_text())
    # Released a second time, it finds its own
    return told.get("began_with") if told["run"] == run.folder.name else told
