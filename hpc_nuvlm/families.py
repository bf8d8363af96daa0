"""Families: the settings of each kind of model. A further one is a class here, and a name in `Model`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpc_nuvlm.settings import Fraction, Part, PositiveInt

# How many patches of an image a vision tower looks at, those with most charge; "all": dark ones too; None: as it was
# trained
Patches = PositiveInt | Literal["all"] | None


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


class Cvn(Part):
    """Convolutional visual network: a tower for each view, then stages that see all views together."""

    family: Literal["cvn"] = "cvn"
    # Channels of each stage; every stage halves height and width
    widths: tuple[PositiveInt, ...] = (16, 48, 96, 192)
    # Residual blocks with squeeze and excitation in each stage
    depths: tuple[PositiveInt, ...] = (1, 1, 3, 2)
    # Stages that each view goes through alone
    separate_stages: PositiveInt = 2
    # Pixels, in rows and in columns, to one of the first convolution
    stem_stride: Literal[2, 4] = 2
    # Whether one tower looks at all views, instead of one at each
    shared: bool = False
    dropout: Fraction = 0.2
    label_smoothing: Fraction = 0.0

    @model_validator(mode="after")
    def _stages_fit(self):
        if len(self.widths) != len(self.depths):
            raise ValueError(
                f"widths has {len(self.widths)} stages, depths {len(self.depths)}; give both one number a stage"
            )
        if self.separate_stages >= len(self.widths):
            raise ValueError(
                f"separate_stages is {self.separate_stages} of {len(self.widths)} stages, and none is left to see all "
                "views together; give fewer"
            )
        return self


class Vit(Part):
    """Vision transformer: a plain one, or the vision tower of a vision-language model with a linear head."""

    family: Literal["vit"] = "vit"
    # "scratch": a plain one of the sizes below; else the model whose tower it is: "nuvlm-nano" (shipped),
    # "untrained:nano" or "untrained:tiny" (random weights by the seed), or a folder with config.json
    tower: str = "scratch"
    # Sizes of a plain one: pixels along a patch, width of a token, layers, attention heads
    patch_size: PositiveInt = 14
    hidden: PositiveInt = 192
    layers: PositiveInt = 6
    heads: PositiveInt = 3
    # How views are shown to a model's tower, and how many lit patches of an image it looks at: as in Vlm
    layout: Literal["mosaic", "images"] = "mosaic"
    patches: Patches = None
    # A model's tower stays as it is, and the head alone is learned (linear probe)
    frozen: bool = False
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    @model_validator(mode="after")
    def _settings_fit_the_tower(self):
        if self.tower == "scratch" and (self.frozen or self.patches is not None):
            raise ValueError(
                "frozen and patches are for a model's tower; set model.tower=nuvlm-nano, or leave them out"
            )
        if self.hidden % self.heads:
            raise ValueError(
                f"hidden is {self.hidden}, which {self.heads} heads do not divide; give a multiple of heads"
            )
        return self


class Lora(Part):
    rank: PositiveInt = 8
    alpha: PositiveInt = 16
    dropout: Fraction = 0.05


class Vlm(Part):
    """A vision-language model: a folder in Hugging Face form, or the embedded nuvlm-nano."""

    family: Literal["vlm"] = "vlm"
    # "nuvlm-nano" (shipped), "untrained:nano" or "untrained:tiny" (random weights by the seed), or a folder with
    # config.json
    base: str = "nuvlm-nano"
    # mosaic: every view is one tile of a single image; images: one image a view, as published
    layout: Literal["mosaic", "images"] = "mosaic"
    patches: Patches = None
    # Store frozen weights in 4-bit NormalFloat with double quantization
    nf4: bool = False
    # None trains every weight
    lora: Lora | None = None
    question: str = "Classify the attached pixel maps as NuE CC, NuMu CC, or Neutral Current."
    answer: str = "I classify the pixel maps as {label}."
    # Asked for an explanation: the rationale, then the answer
    explain: str = "Describe the attached pixel maps, then classify them as NuE CC, NuMu CC, or Neutral Current."
    # Weights of the two losses: of the class in nats an event, and of the rationale in nats a token
    class_weight: Annotated[float, Field(ge=0)] = 1.0
    rationale_weight: Annotated[float, Field(ge=0)] = 0.0
    # The class that an explanation ends with in training: the true one, or that which the model scores highest, so that
    # it learns to say what it scores
    explained_class: Literal["true", "scored"] = "true"
    # Weight of that class by itself, in nats an event: of an explanation's many tokens it is one or two
    ending_weight: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _an_ending_needs_a_rationale(self):
        if self.ending_weight and not self.rationale_weight:
            raise ValueError("ending_weight weighs the end of explanations, and none is taught; set rationale_weight")
        return self

    @model_validator(mode="after")
    def _nf4_needs_adapters(self):
        if self.nf4 and self.lora is None:
            raise ValueError("nf4 weights are frozen, so nothing would be trained; set model.lora, or model.nf4=false")
        return self


Model = Annotated[Cnn | Cvn | Vit | Vlm, Field(discriminator="family")]
