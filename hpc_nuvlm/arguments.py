"""What command lines say as text (splits, classes, image sizes) as values; shared by `nuvlm` and the launchers."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from hpc_nuvlm import formats
from hpc_nuvlm.config import View, parse_settings
from hpc_nuvlm.detector import Detector, detector_folder, load_detector
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import LABELS
from hpc_nuvlm.packing import ImageWork, PackWork, pack_work
from hpc_nuvlm.store.manifest import load_manifest

SPLIT = "train=0.8,val=0.1,test=0.1"
# What remains to be divided when there are separate test files
SPLIT_BESIDE_TEST = "train=0.85,val=0.15"


def parse_split(text: str) -> dict[str, float]:
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise UserError(f"--split {text!r}: write it as {SPLIT}") from error


def parse_classes(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise UserError(f"--classes: unknown label {unknown[0]!r}; there are {', '.join(LABELS)}")
    return names


def parse_size(text: str) -> tuple[int, int]:
    height, cross, width = text.partition("x")
    if not (cross and height.isdigit() and width.isdigit()):
        raise UserError(f"--size {text!r}: write it as HEIGHTxWIDTH, for instance 512x512")
    return int(height), int(width)


def export_view(detector: Detector, size: str | None, pool: int, **curve: str | float) -> View:
    """The view that an export draws: of the whole readout if no size is given."""
    step = max(1, pool)  # View refuses 0, and says why
    shape = parse_size(size) if size else (-(-detector.num_rows // step), -(-detector.num_columns // step))
    return parse_settings(View, {"size": shape, "pool": pool, **curve}, where="command line")


def find_format(name: str | None, paths: Iterable[Path]) -> formats.Format:
    found = formats.FORMATS.get(name) if name else formats.detect(paths)
    if found is None:
        raise UserError(f"--format {name!r}: no such format; there are {', '.join(formats.FORMATS)}")
    return found


def packing_of(arguments: Namespace, words: list[str]) -> PackWork | ImageWork:
    """The work that the arguments of launch/pack.py ask for; `words` are these as they were given."""
    command = shlex.join(["launch/pack.py", *content_words(words)])
    if bool(arguments.images) == bool(arguments.paths):
        raise UserError("give either event files (PATH ...), or the dataset whose images are wanted (--images DATASET)")
    if arguments.images:
        detector = load_manifest(arguments.images).detector
        look = {"crop": arguments.crop, "curve": arguments.curve, "full_scale": arguments.full_scale}
        view = export_view(detector, arguments.size, arguments.pool, **look)
        return ImageWork(arguments.images, view, command)
    found = find_format(arguments.format, arguments.paths)
    return pack_work(
        arguments.paths,
        arguments.test,
        format=found.name,
        detector=load_detector(arguments.detector or found.default_detector, detector_folder()),
        split=parse_split(arguments.split or (SPLIT_BESIDE_TEST if arguments.test else SPLIT)),
        classes=parse_classes(arguments.classes),
        command=command,
    )


def content_words(words: list[str]) -> list[str]:
    """The words of a command line without those that only say where, and in how many processes, it is done."""
    kept, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if not skip and name not in ("--out", "--jobs", "--overwrite"):
            kept.append(word)
        skip = not skip and name in ("--out", "--jobs") and not equals
    return kept
