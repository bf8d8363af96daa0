"""Run: everything that decides a training run, as one frozen tree, read from YAML plus `a.b=c` overrides.

Every default lives here and nowhere else; a YAML file holds only what differs. A derived number is
computed once, by a method of the part that it derives from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from hpc_nuvlm.families import Model
from hpc_nuvlm.settings import Fraction, Part, PositiveInt, load_settings, parse_settings


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


class More(Part):
    """Training events of another dataset, of another detector it may be."""

    dataset: Path
    # How its events become images of the same size; None: as those of data.dataset
    view: View | None = None


class Context(Part):
    # Measured of the hits: charge, hits, rows, columns, share, bright; "detector": its title; else columns of the table
    fields: Annotated[tuple[str, ...], Field(min_length=1)] = ("charge", "hits", "rows", "columns")
    # CSV or Parquet file with a row for each event, found by its columns `key` or `run`, `subrun`, `event`. None: none
    table: Path | None = None
    # Probability that a field of an event reads "unknown" in an epoch of training
    dropout: Fraction = 0.0
    # Fields that always read "unknown"
    hide: tuple[str, ...] = ()


class Data(Part):
    # Folder that holds manifest.json
    dataset: Path
    # Further datasets whose training events are added; events without a class teach the rationale alone
    more: tuple[More, ...] = ()
    classes: tuple[str, ...] = ("nue_cc", "numu_cc", "nc")
    train_split: str = "train"
    validation_split: str = "val"
    # Events of each class that are trained on, chosen by the run's seed; None: all there are
    per_class: PositiveInt | None = None
    # What a vision-language model is told of each event beside its pictures; None: nothing
    context: Context | None = None


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

    def rigid(self) -> Augment:
        """What of it changes no length in a picture."""
        return self.model_copy(update={"stretch": 0.0, "shear": 0.0})


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
    # Ranks that are not there so long after rank 0 are named, and the run ends
    meet_within_s: Annotated[float, Field(gt=0)] = 60.0
    # A rank that gets no further for this long, in one batch or one collective, ends the run, and says where it hangs
    hang_after_s: Annotated[float, Field(gt=0)] = 600.0
    # The same once a stop was asked for: what is lost then are the steps since the last checkpoint
    stop_within_s: Annotated[float, Field(gt=0)] = 120.0

    @model_validator(mode="after")
    def _bf16_needs_full_precision_copies(self):
        if self.precision == "bf16" and (self.kind == "plain" or self.stage == 0):
            raise ValueError(
                "bf16 weights need fp32 copies, which ZeRO keeps; set engine.kind=zero, engine.stage=1, 2 or 3"
            )
        return self


class Schedule(Part):
    # 0: the model as it comes is validated and exported
    epochs: Annotated[int, Field(ge=0)] = 10
    # The run ends after this many steps, whatever the epochs; its rates are those of all epochs. None: no limit
    stop_after_steps: PositiveInt | None = None
    checkpoint_every_steps: PositiveInt = 200
    keep_checkpoints: PositiveInt = 2
    validate_every_epochs: PositiveInt = 1
    # Control experiment: every training event gets the picture of another one
    shuffle_images: bool = False


class Distill(Part):
    # Run folder of the teacher, whose best weights are asked
    teacher: Path
    # Weight of the teacher's word in the loss; the labels have the rest. Events without a class have the teacher alone
    weight: Fraction = 0.5
    # Both distributions are softened by it before they are compared
    temperature: Annotated[float, Field(gt=0)] = 2.0


class Run(Part):
    """One training run. `folder` is where everything that it writes goes."""

    folder: Path
    seed: int = 1
    data: Data
    view: View = View()
    augment: Augment = Augment()
    model: Model
    batch: Batch = Batch()
    optimizer: Optimizer = Optimizer()
    engine: Engine = Engine()
    schedule: Schedule = Schedule()
    # A finished run of the same model, or of a VLM's vision tower, whose best weights this one begins with; None: what
    # the model says of itself
    start: Path | None = None
    # A finished run that teaches this one; None: the labels alone
    distill: Distill | None = None

    @model_validator(mode="after")
    def _context_is_for_those_that_read(self):
        if self.data.context is not None and self.model.family != "vlm":
            raise ValueError(f"data.context is text, which a {self.model.family} reads none of; set data.context=null")
        return self

    @model_validator(mode="after")
    def _images_are_equally_large(self):
        for number, more in enumerate(self.data.more):
            if more.view is not None and more.view.size != self.view.size:
                raise ValueError(
                    f"data.more[{number}].view.size is {list(more.view.size)}, view.size {list(self.view.size)}: "
                    "images of a batch must be equally large; set both alike"
                )
        return self


def load_run(path: Path, overrides: tuple[str, ...] = ()) -> Run:
    return load_settings(Run, path, overrides)


def parse_run(fields: dict, where: str) -> Run:
    return parse_settings(Run, fields, where)


def dump_run(run: Run) -> str:
    """The complete configuration as YAML, every default spelled out; load_run of it gives an equal Run."""
    return yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False)
