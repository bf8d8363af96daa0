"""Commands that make models, and hand them on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hpc_nuvlm.cli.app import OverridesArgument, app, console


@app.command()
def nano(
    out: Annotated[Path, typer.Option(help="Folder of the new model.")],
    seed: Annotated[int, typer.Option(help="Seed of its random weights.")] = 1,
    shape: Annotated[str, typer.Option(help="Its sizes: nano, or tiny.")] = "nano",
) -> None:
    """Build a small Llama 3.2 Vision with random weights, as a folder in Hugging Face form."""
    # Seconds of imports that no other command needs
    from hpc_nuvlm.models.vlm.nano import write_nano

    num_parameters = write_nano(out, seed, shape)
    console.print(f"{out}: {shape}, {num_parameters:,} parameters, seed {seed}", highlight=False)


@app.command()
def release(
    run: Annotated[Path, typer.Argument(help="Folder of a finished pretraining.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; the package's own if not given.")] = None,
) -> None:
    """Make the model of a run the nuvlm-nano that the package carries, in bf16, with its sha256 and lineage."""
    from hpc_nuvlm.release import release_run

    print(json.dumps(release_run(run, out), indent=1))


@app.command(name="export-onnx")
def export_onnx(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run of a cnn, cvn or vit.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Write OUT.int8.onnx too, in 8 bits.")] = False,
    events: Annotated[
        int | None, typer.Option(min=1, help="Validation events to compare on; all if not given.")
    ] = None,
) -> None:
    """Write a run's model as ONNX for other programs, if it gives what the model gives; exit code 1 if it does not."""
    # Seconds of imports that no other command needs
    from hpc_nuvlm.deployment import export_onnx as write
    from hpc_nuvlm.report.tables import as_table

    sheet, failures = write(run, out, int8, events)
    # A log file has no width of its own, and a wrapped table cannot be read
    Console(width=None if console.is_terminal else 120).print(as_table(sheet))
    for failure in failures:
        console.print(f"{out}: not written: {failure}", highlight=False, soft_wrap=True)
    if failures:
        raise typer.Exit(1)


@app.command()
def bench(
    config: Annotated[Path, typer.Argument(help="YAML file of a benchmark, as configs/bench/families.yaml.")],
    overrides: OverridesArgument = None,
    out: Annotated[Path | None, typer.Option(help="Record to write, and pictures beside it.")] = None,
) -> None:
    """Measure what models cost: seconds, memory, operations and energy of an event, and where the time goes."""
    from hpc_nuvlm.bench.show import run_and_show

    run_and_show(config, tuple(overrides or ()), out)
