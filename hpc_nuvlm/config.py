"""Run: everything that decides a training run, as one frozen tree, read from YAML plus `a.b=c` overrides.

Every default lives here and nowhere else; a YAML file holds only what differs. A derived number is
computed once, by a method of the part that it derives from.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hpc_nuvlm.errors import ConfigError

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Settings = TypeVar("Settings", bound=Part)


class Data(Part):
    # Folder that holds manifest.json
    dataset: Path
    classes: tuple[str, ...] = ("nue_cc", "numu_cc", "nc")
    train_split: str = "train"
    validation_split: str = "val"


class View(Part):
    """How an event becomes an image: the region around `crop`, `pool` native pixels to an image pixel."""

    kind: Literal["image"] = "image"
    # Height and width of the image
    size: tuple[PositiveInt, PositiveInt] = (125, 125)
    # Native rows (and columns) summed into one image row (column)
    pool: PositiveInt = 4
    # What is put in the centre of the image: middle of the readout, charge-weighted mean, or true vertex
    crop: Literal["fixed", "centroid", "vertex"] = "fixed"
    curve: Literal["linear", "sqrt", "log"] = "sqrt"
    # Charge that becomes 255; more is saturated, and counted
    full_scale: Annotated[float, Field(gt=0)] = 255.0


class Augment(Part):
    # Each mirror symmetry that the detector names is applied to half of the events
    symmetries: bool = False
    # The event is enlarged by factors uniform in [1 - stretch, 1 + stretch], one along rows and one along columns
    stretch: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Columns move by up to this many pixels per row, so that straight tracks stay straight and turn
    shear: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Largest shift of the image in rows and in columns, in image pixels; the same for all views of an event
    shift: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (0, 0)
    # Pixel values are multiplied by a factor uniform in [1 - gain, 1 + gain]
    gain: Fraction = 0.0
    # Probability that a lit pixel is blanked
    dropout: Fraction = 0.0


class Cnn(Part):
    """Siamese convolutional network: one tower, shared by all views."""

    family: Literal["cnn"] = "cnn"
    # Channels of each stage; every stage halves height and width
    widths: tuple[PositiveInt, ...] = (16, 32, 64, 128)
    # Residual blocks in each stage
    blocks: PositiveInt = 1
    # Width of the layer between features and classes
    hidden: PositiveInt = 64
    # Networks that differ in their initial weights alone, and whose probabilities are averaged
    members: PositiveInt = 1
    dropout: Fraction = 0.2
    label_smoothing: Fraction = 0.0


class Lora(Part):
    rank: PositiveInt = 8
    alpha: PositiveInt = 16
    dropout: Fraction = 0.05


class Vlm(Part):
    """A vision-language model: a folder in Hugging Face form, or the embedded nuvlm-nano."""

    family: Literal["vlm"] = "vlm"
    # "nuvlm-nano" (random weights, seeded), or a folder with config.json
    base: str = "nuvlm-nano"
    # mosaic: every view is one tile of a single image; images: one image a view, as published
    layout: Literal["mosaic", "images"] = "mosaic"
    # Store frozen weights in 4-bit NormalFloat with double quantization
    nf4: bool = False
    # None trains every weight
    lora: Lora | None = None
    question: str = "Classify the attached pixel maps as NuE CC, NuMu CC, or Neutral Current."
    answer: str = "I classify the pixel maps as {label}."

    @model_validator(mode="after")
    def _nf4_needs_adapters(self):
        if self.nf4 and self.lora is None:
            raise ValueError("nf4 weights are frozen, so nothing would be trained; set model.lora, or model.nf4=false")
        return self


class Batch(Part):
    # Events per optimizer step over all ranks together: the same at any world size
    global_size: PositiveInt = 32
    # Events that one rank computes at a time; the rest of its share is accumulated
    per_rank: PositiveInt = 16


class Optimizer(Part):
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    # None: gradients are not clipped
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    schedule: Literal["constant", "cosine"] = "cosine"
    # Fraction of all steps over which the rate rises linearly from 0
    warmup: Fraction = 0.05


class Engine(Part):
    kind: Literal["plain", "zero"] = "zero"
    # DeepSpeed ZeRO stage; plain ignores it
    stage: Literal[0, 1, 2, 3] = 2
    precision: Literal["fp32", "bf16"] = "fp32"
    # CPU threads per rank; None: cores divided by the ranks of this node
    threads: PositiveInt | None = None

    @model_validator(mode="after")
    def _bf16_needs_full_precision_copies(self):
        if self.precision == "bf16" and (self.kind == "plain" or self.stage == 0):
            raise ValueError(
                "bf16 weights need fp32 copies, which ZeRO keeps; set engine.kind=zero, engine.stage=1, 2 or 3"
            )
        return self


class Schedule(Part):
    epochs: PositiveInt = 10
    # Stop after this many steps, whatever the epochs; the learning-rate schedule is not changed by it. None: no limit
    stop_after_steps: PositiveInt | None = None
    checkpoint_every_steps: PositiveInt = 200
    keep_checkpoints: PositiveInt = 2
    validate_every_epochs: PositiveInt = 1
    # Control experiment: every training event gets the picture of another one
    shuffle_images: bool = False


class Run(Part):
    """One training run. `folder` is where everything that it writes goes."""

    folder: Path
    seed: int = 1
    data: Data
    view: View = View()
    augment: Augment = Augment()
    model: Annotated[Cnn | Vlm, Field(discriminator="family")]
    batch: Batch = Batch()
    optimizer: Optimizer = Optimizer()
    engine: Engine = Engine()
    schedule: Schedule = Schedule()


def load_run(path: Path, overrides: tuple[str, ...] = ()) -> Run:
    return load_settings(Run, path, overrides)


def load_settings(kind: type[Settings], path: Path, overrides: tuple[str, ...] = ()) -> Settings:
    """Read a YAML file, apply `a.b=c` overrides (c is YAML), and check it; ConfigError names key, value and remedy."""
    try:
        fields = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; configurations are in configs/") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    for override in overrides:
        _apply_override(fields, override)
    return parse_settings(kind, fields, where=str(path))


def parse_run(fields: dict, where: str) -> Run:
    return parse_settings(Run, fields, where)


def parse_settings(kind: type[Settings], fields: dict, where: str) -> Settings:
    """Settings of this kind (Run, Simulation) from plain fields."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(kind, where, problem) for problem in error.errors())) from error


def dump_run(run: Run) -> str:
    """The complete configuration as YAML, every default spelled out; load_run of it gives an equal Run."""
    return yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False)


def _apply_override(fields: dict, override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"override {override!r}: write it as key=value, for instance optimizer.lr=1e-4")
    *parents, last = name.split(".")
    for parent in parents:
        fields = fields.setdefault(parent, {})
        if not isinstance(fields, dict):
            raise ConfigError(f"override {override!r}: {parent!r} holds a value, not further keys")
    fields[last] = _parse_value(value)


def _parse_value(text: str) -> Any:
    # YAML 1.1 reads 1e-4 as a string because it has no dot; a person means the number.
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)


def _explain(kind: type[Part], where: str, problem: dict) -> str:
    path = [str(part) for part in problem["loc"] if part not in ("cnn", "vlm")]
    name = ".".join(path)
    if problem["type"] == "extra_forbidden":
        keys = _keys_at(kind, path[:-1])
        close = difflib.get_close_matches(path[-1], keys, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(keys)}"
        return f"{where}: {name}: no such key; {hint}"
    if problem["type"] == "missing":
        return f"{where}: {name}: is required and not given; add it, or give {name}=... on the command line"
    return f"{where}: {name} = {problem.get('input')!r}: {problem['msg']}"


def _keys_at(kind: type[Part], path: list[str]) -> list[str]:
    """Names of the keys of the part at `path`; both model families' where it is the model."""
    parts: list[type[BaseModel]] = [kind]
    for name in path:
        parts = [
            inner
            for part in parts
            if name in part.model_fields
            for inner in _part_types(part.model_fields[name].annotation)
        ]
    return sorted({key for part in parts for key in part.model_fields})


def _part_types(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for argument in getattr(annotation, "__args__", ()) for kind in _part_types(argument)]
