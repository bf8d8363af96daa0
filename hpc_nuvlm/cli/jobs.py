"""Commands before a training is queued, and to queue it. Each imports what it works with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hpc_nuvlm.cli.app import ConfigArgument, JsonOption, OverridesArgument, app, console


@app.command()
def plan(
    config: ConfigArgument,
    overrides: OverridesArgument = None,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes.")] = 1,
    gpus: Annotated[int, typer.Option(min=1, help="Accelerators of a node, or ranks on its CPU.")] = 1,
    device: Annotated[str, typer.Option(help="What they are: a name as h100, or cpu for this machine's.")] = "cpu",
    hours: Annotated[float | None, typer.Option(min=0.01, help="Time limit of a job.")] = None,
    network: Annotated[float, typer.Option(min=0.01, help="Of a node to the others, one way [GB/s].")] = 25.0,
    as_json: JsonOption = False,
) -> None:
    """Tell what a training needs before it is queued: memory, hours, disk; exit code 1 if it will not fit."""
    from hpc_nuvlm.config import load_run
    from hpc_nuvlm.planning import Place, device_named
    from hpc_nuvlm.planning import plan as work_out
    from hpc_nuvlm.planning.sheets import as_fields, plan_sheets
    from hpc_nuvlm.report.tables import as_table

    place = Place(nodes, gpus, device_named(device), hours, network * 1e9)
    need = work_out(load_run(config, tuple(overrides or ())), place)
    if as_json:
        print(json.dumps(as_fields(need), indent=1))
    else:
        for sheet in plan_sheets(need):
            Console(width=None if console.is_terminal else 120).print(as_table(sheet))
        for problem in need.problems:
            print(problem)
    if need.problems:
        raise typer.Exit(1)


@app.command(name="validate")
def validate_run(
    config: ConfigArgument,
    overrides: OverridesArgument = None,
) -> None:
    """Look a training over before it is queued: configuration, data, leakage, one real batch, the job."""
    from hpc_nuvlm.checking import check
    from hpc_nuvlm.config import load_run

    changes = tuple(overrides or ())
    for what, finding in check(load_run(config, changes), config, changes, Path.cwd()):
        print(f"{what}: {finding}")
    print("nothing wrong was found")


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where runs would be written.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Report this machine and installation, to paste into a question; exit code 1 if something does not work."""
    from hpc_nuvlm.doctor import FAILS
    from hpc_nuvlm.doctor import doctor as look

    found = look(folder)
    print(json.dumps(found, indent=1) if as_json else "\n".join(f"{name}: {told}" for name, told in found.items()))
    if any(told.startswith(FAILS) for told in found.values()):
        raise typer.Exit(1)


@app.command()
def submit(
    config: ConfigArgument,
    overrides: OverridesArgument = None,
    simulate: Annotated[Path | None, typer.Option(help="Simulation that makes the run's dataset before.")] = None,
    score: Annotated[str | None, typer.Option(metavar="DATASET:SPLIT", help="Events to score afterwards.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Nodes to train on.")] = None,
    tasks_per_node: Annotated[int | None, typer.Option(min=1, help="Ranks on each node.")] = None,
    gpus_per_task: Annotated[int | None, typer.Option(min=1, help="Accelerators of a rank.")] = None,
    time: Annotated[str | None, typer.Option(help="Time limit of the training, HH:MM:SS.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Of sbatch, for all jobs: --option=--account=x.")] = None,
    go: Annotated[bool, typer.Option("--go/--print", help="Submit, or print what would be submitted.")] = False,
) -> None:
    """Put a training into the queue of a Slurm cluster: simulation before and scores after, if asked for."""
    from hpc_nuvlm.config import load_run
    from hpc_nuvlm.submission import Size, chain_of, describe_chain, send_chain

    asked = Size(nodes, tasks_per_node, gpus_per_task, time, tuple(option or ()))
    changes = tuple(overrides or ())
    jobs = chain_of(config, changes, load_run(config, changes), asked, simulate, score)
    if not go:
        print(describe_chain(jobs, Path.cwd()))
        return
    for name, number in send_chain(jobs, Path.cwd()).items():
        print(f"{name} {number}")
