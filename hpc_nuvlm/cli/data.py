"""Commands that make datasets, and look at them. Each imports what it works with: `nuvlm --help` needs none of it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from hpc_nuvlm.cli.app import JsonOption, OverridesArgument, app, console
from hpc_nuvlm.errors import UserError

if TYPE_CHECKING:
    from hpc_nuvlm.store import Split
    from hpc_nuvlm.store.manifest import Manifest

DatasetArgument = Annotated[Path, typer.Argument(help="Folder that holds manifest.json.")]


@app.command()
def pack(
    paths: Annotated[list[Path], typer.Argument(help="Event files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder of the new dataset.")],
    format: Annotated[str | None, typer.Option(help="dune_cvn or edepsim_hdf5; found out if not given.")] = None,
    detector: Annotated[
        str | None, typer.Option(help="Name in configs/detectors; the format's own if not given.")
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="Files or folders whose events all become the test split.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Fractions by content hash, for instance train=0.8,val=0.1,test=0.1.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Keep only these labels, for instance nue_cc,numu_cc,nc.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the dataset that the folder holds.")] = False,
) -> None:
    """Read foreign event files into a dataset of sharded zarr archives."""
    from hpc_nuvlm import formats
    from hpc_nuvlm.arguments import SPLIT, SPLIT_BESIDE_TEST, find_format, parse_classes, parse_split
    from hpc_nuvlm.detector import detector_folder, load_detector
    from hpc_nuvlm.store.manifest import describe_manifest
    from hpc_nuvlm.store.pack import pack as pack_events

    found = find_format(format, paths)
    name = detector or found.default_detector
    fractions = parse_split(split or (SPLIT_BESIDE_TEST if test else SPLIT))
    with counting("packing") as advance:
        manifest = pack_events(
            formats.read_events(paths, found.name),
            out,
            load_detector(name, detector_folder()),
            test_events=formats.read_events(test or [], found.name),
            split=fractions,
            classes=parse_classes(classes),
            command=shlex.join(["nuvlm", *sys.argv[1:]]),
            source=", ".join(map(str, [*paths, *(test or [])])),
            on_progress=advance,
            overwrite=overwrite,
        )
    console.print(f"{out}: {describe_manifest(manifest)}; detector {name}", highlight=False, soft_wrap=True)


@app.command()
def simulate(
    config: Annotated[Path, typer.Argument(help="YAML file of a simulation.")],
    overrides: OverridesArgument = None,
    out: Annotated[Path, typer.Option(help="Folder of the new dataset.")] = ...,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; as many as there are cores if not given.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another dataset that the folder holds.")] = False,
) -> None:
    """Simulate neutrino events in a detector into a dataset; started again, it continues what was interrupted."""
    from hpc_nuvlm.config import load_settings
    from hpc_nuvlm.engine.place import Worker, cpu_cores
    from hpc_nuvlm.engine.stop import StopRequest
    from hpc_nuvlm.simulate.settings import Simulation
    from hpc_nuvlm.simulation import simulation_work
    from hpc_nuvlm.workers import run

    stop = StopRequest().install()
    settings = load_settings(Simulation, config, tuple(overrides or ()))
    work = simulation_work(settings, shlex.join(["nuvlm", "simulate", str(config), *(overrides or ())]))
    code = run(work, out, Worker(), jobs or cpu_cores(), stop, overwrite=overwrite)
    raise typer.Exit(code)


@app.command(name="simulate-validate")
def simulate_validate(
    out: Annotated[Path, typer.Option(help="Folder for validation.md, .html, .json and validation/*.png.")] = Path(
        "validation"
    ),
    geant4: Annotated[
        Path | None, typer.Option(help="Folder of edep-sim files (electron, muon) to compare with.")
    ] = None,
) -> None:
    """Hold the simulation against published tables, and write the page; exit code 1 if a row fails."""
    from hpc_nuvlm.validation.page import validate

    if not validate(out, geant4, command=shlex.join(["nuvlm", *sys.argv[1:]]), tell=print):
        raise typer.Exit(1)


@app.command()
def inspect(dataset: DatasetArgument, as_json: JsonOption = False) -> None:
    """Show what a dataset holds: events, hits, charge, labels, views, shards, bytes."""
    from hpc_nuvlm import store

    opened = store.open_dataset(dataset)
    report = {name: inspect_split(opened.split(name), opened.manifest, name) for name in opened.splits}
    detector = opened.manifest.detector
    if as_json:
        lineage = opened.manifest.lineage.model_dump(mode="json")
        views = [plane.name for plane in detector.planes]
        print(json.dumps({"detector": detector.name, "views": views, "splits": report, "lineage": lineage}))
        return
    views = ", ".join(plane.name for plane in detector.planes)
    readout = f"{detector.num_rows} x {detector.num_columns}"
    print(f"{dataset}: {opened.manifest.kind} of {detector.title}; views {views}, {readout}")
    columns = {name: values | values["labels"] for name, values in report.items()}
    table = Table("split", *(Column(name, justify="right") for name in columns))
    for key in dict.fromkeys(key for values in columns.values() for key in values if key != "labels"):
        table.add_row(key.replace("_", " "), *(f"{values.get(key, 0):,.0f}" for values in columns.values()))
    Console().print(table)


@app.command()
def verify(dataset: DatasetArgument, as_json: JsonOption = False) -> None:
    """Read every byte and compare it with the checksums; names damaged shards and the events lost with them."""
    from hpc_nuvlm import store

    problems = store.verify(dataset)
    num_shards = len(store.open_dataset(dataset).manifest.shards)
    if as_json:
        listed = [{"file": p.file, "reason": p.reason, "unreadable_events": list(p.unreadable)} for p in problems]
        print(json.dumps({"shards": num_shards, "problems": listed}))
    else:
        for problem in problems:
            print(problem)
        print(f"{dataset}: {num_shards - len(problems)} of {num_shards} shards are as they were written")
    if problems:
        raise typer.Exit(1)


@app.command()
def export(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Option(help="Folder of the exported dataset.")],
    to: Annotated[str, typer.Option(help="Only webdataset: tars of one PNG per view, and JSON.")] = "webdataset",
    pool: Annotated[int, typer.Option(min=1, help="Native pixels summed into one image pixel, each way.")] = 1,
    size: Annotated[str | None, typer.Option(help="Image size HEIGHTxWIDTH; the whole readout if not given.")] = None,
    crop: Annotated[str, typer.Option(help="Centre of the image: fixed, centroid or vertex.")] = "fixed",
    curve: Annotated[str, typer.Option(help="Charge to gray: linear, sqrt or log.")] = "linear",
    full_scale: Annotated[float, typer.Option(help="Charge that becomes 255.")] = 255.0,
) -> None:
    """Write a dataset's images as standard WebDataset tars, for any other tool."""
    from hpc_nuvlm import store
    from hpc_nuvlm.arguments import export_view
    from hpc_nuvlm.packing import pictures
    from hpc_nuvlm.store.manifest import describe_manifest
    from hpc_nuvlm.store.tar_store import export as export_tars
    from hpc_nuvlm.views.image import ImageView

    if to != "webdataset":
        raise UserError(f"--to {to!r}: only webdataset can be written")
    opened = store.open_dataset(dataset)
    detector = opened.manifest.detector
    view = ImageView(export_view(detector, size, pool, crop=crop, curve=curve, full_scale=full_scale), detector)
    with counting("exporting") as advance:
        chosen = {name: opened.split(name) for name in opened.splits}
        splits = {name: pictures(split, view, counted(len(split), advance)) for name, split in chosen.items()}
        manifest = export_tars(opened.manifest, splits, out, pool=pool, command=shlex.join(["nuvlm", *sys.argv[1:]]))
    console.print(f"{out}: {describe_manifest(manifest)}", highlight=False, soft_wrap=True)


def counted(number: int, advance: Callable[[int], None]) -> Iterator[int]:
    for place in range(number):
        yield place
        advance(place + 1)


def inspect_split(split: Split, manifest: Manifest, name: str) -> dict:
    from hpc_nuvlm.event import CHARGE_COLUMN

    shards = [shard for shard in manifest.shards if shard.split == name]
    num_events, num_bytes = len(split), sum(shard.bytes for shard in shards)
    charge = sum(float(split[number].hits.charge.sum(dtype=float)) for number in range(num_events))
    return {
        "events": num_events,
        "hits": sum(shard.hits for shard in shards),
        CHARGE_COLUMN[manifest.hit_kind]: charge,
        "shards": len(shards),
        "bytes": num_bytes,
        "bytes_per_event": num_bytes / max(1, num_events),
        "labels": manifest.labels[name],
    }


@contextmanager
def counting(verb: str) -> Iterator[Callable[[int], None]]:
    """A live count of events on a terminal; silence in a log file."""
    columns: Iterable = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("events"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(verb, total=None)
        yield lambda count: progress.update(task, completed=count)
