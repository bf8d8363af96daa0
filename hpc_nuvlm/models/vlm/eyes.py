"""Eyes: all that differs between kinds of vision-language models is how pictures come to the text.

Mllama's text looks at pictures by cross-attention (mllama.py); others, as Idefics3 (idefics3.py), put them among the
tokens. A further kind is a file with such a class, and a row in EYES of base.py.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.sample import Batch


class Eyes(Protocol):
    # Pictures that an event is shown as: each has an image token in the question
    num_images: int

    def expand(self, text: str) -> str:
        """The question as the model takes it, its image tokens as often as the text tower needs them."""

    def see(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What the vision tower makes of the pictures, once for all that is asked about them."""

    def first(self, seen: torch.Tensor, batch: Batch, question: tuple[int, ...], length: int) -> dict:
        """What the model's forward takes beside the first `length` tokens, of which the question is the beginning."""

    def later(self, batch: Batch, question: tuple[int, ...], start: int, stop: int) -> dict:
        """The same for tokens [start, stop) that continue from a cache."""


def whole(model: nn.Module) -> nn.Module:
    """The model itself, without the wrapper that adapters put around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def dtype_of(model: nn.Module) -> torch.dtype:
    return next(parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())


def normalize(gray: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype) -> torch.Tensor:
    """(..., 3, H, W) of 8-bit pixels (..., H, W), as an image processor makes them of a gray picture."""
    mean, std = (torch.tensor(values, dtype=dtype, device=gray.device).view(3, 1, 1) for values in (mean, std))
    return (gray.to(dtype).div(255).unsqueeze(-3) - mean) / std


def check_tile(view_size: tuple[int, int], vision) -> None:
    """ConfigError, with both sizes and the remedy, unless a view is as large as what the vision tower takes."""
    tile, rows = [vision.image_size] * 2, vision.image_size // vision.patch_size
    if list(view_size) != tile:
        raise ConfigError(
            f"view.size is {list(view_size)}, but a tile of the model is {tile} ({rows} x {rows} patches of "
            f"{vision.patch_size}); set view.size={tile}, and view.pool so that it covers the event"
        )
