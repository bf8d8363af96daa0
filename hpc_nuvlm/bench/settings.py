"""What is measured: cases, each a model asked for something, on the same events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hpc_nuvlm.bench.clock import Rule
from hpc_nuvlm.settings import Part, PositiveInt


class Price(Part):
    """Of an hour of one device."""

    per_device_hour: Annotated[float, Field(ge=0)]
    currency: str = "EUR"


class Case(Part):
    """One model, asked for one thing, with batches of several sizes."""

    name: str
    # Configuration of the model, and changes of it
    config: Path
    set: dict[str, Any] = Field({})
    # A finished run of it, whose weights are measured and whose accuracy is told; None: random weights
    run: Path | None = None
    # Whether accuracy is told of weights that are no run's, as those of a pretrained model
    judged: bool = False
    # label: probabilities of the classes; explain: these and a text; train: a training step
    asked: Literal["label", "explain", "train"] = "label"
    # onnx, int8: exported by `nuvlm export-onnx`, and computed by onnxruntime
    form: Literal["torch", "onnx", "int8"] = "torch"
    # single: one event after the other; offline: batches, all events there at once
    scenario: Literal["single", "offline"] = "offline"
    # Processes that share the work, each with a batch of its own
    ranks: PositiveInt = 1
    # Events at a time: 32 if nothing is said; of `single` it is 1
    batches: tuple[PositiveInt, ...] | None = None

    @model_validator(mode="after")
    def _single_means_one(self):
        if self.scenario == "single" and (self.asked == "train" or self.batches not in (None, (1,))):
            raise ValueError("scenario single asks for one event at a time; set scenario=offline to give batches")
        return self

    @model_validator(mode="after")
    def _exported_are_runs(self):
        if self.form != "torch" and (self.run is None or self.asked != "label" or self.ranks > 1):
            raise ValueError(f"form {self.form} is that of a finished run, asked for labels by one process; set run")
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        return (1,) if self.scenario == "single" else self.batches or (32,)


class Bench(Part):
    """A benchmark. Every case runs in a process of its own, so that memory is its own."""

    title: str
    dataset: Path
    split: str = "val"
    # Of these events the first are measured on, of all of them the accuracy is told
    num_events: PositiveInt = 256
    rule: Rule = Rule()
    price: Price | None = None
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self):
        names = [case.name for case in self.cases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two cases are called {twice[0]!r}; give each a name of its own")
        return self
