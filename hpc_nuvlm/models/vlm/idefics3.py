"""Eyes of Idefics3 (Idefics3-8B-Llama3): pictures stand among the words, each as a row of tokens of its own.

A view is one picture of the size that the vision tower takes, so that nothing is resized or split. A 2 x 2 mosaic would
be split into its tiles and seen once more as a whole: a picture more than its views, where Mllama has three fewer.
"""

# B batch, V view, H row, W column

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.families import Vlm
from hpc_nuvlm.models.vlm.eyes import check_tile, dtype_of, normalize, whole
from hpc_nuvlm.sample import Batch


@dataclass(frozen=True)
class Idefics3Eyes:
    num_images: int
    # The token that stands for a picture in a question, and what the text tower gets in its place
    image_token: str
    image_text: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def expand(self, text: str) -> str:
        return text.replace(self.image_token, self.image_text)

    def pixels(self, image_BVHW: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """(B, V, 3, H, W) as Idefics3's image processor makes them of pictures of this size."""
        return normalize(image_BVHW, self.mean, self.std, dtype)

    def see(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """(pictures, tokens of one, features), in the order of the image tokens."""
        inner = whole(model).model
        pixels = self.pixels(batch.image_BVHW, dtype_of(model))
        return inner.connector(inner.vision_model(pixels.flatten(0, 1)).last_hidden_state)

    def first(self, seen: torch.Tensor, batch: Batch, question: tuple[int, ...], length: int) -> dict:
        return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=seen)}}

    def later(self, batch: Batch, question: tuple[int, ...], start: int, stop: int) -> dict:
        return {}


def build_idefics3_eyes(
    config: Vlm, num_views: int, view_size: tuple[int, int], model_config, processor
) -> Idefics3Eyes:
    """Check that views of this size are pictures of this model; ConfigError names what to set."""
    if config.layout != "images":
        raise ConfigError(
            f"model.layout = {config.layout!r}: an Idefics3 is shown each view as a picture of its own; "
            "set model.layout=images"
        )
    vision = model_config.vision_config
    check_tile(view_size, vision)
    # The connector puts squares of scale_factor x scale_factor patches together
    num_tokens = (vision.image_size // vision.patch_size) ** 2 // model_config.scale_factor**2
    if processor.image_seq_len != num_tokens:
        raise ConfigError(
            f"model.base = '{config.base}': its processor writes {processor.image_seq_len} tokens for a picture, and "
            f"its vision tower makes {num_tokens}; set image_seq_len to {num_tokens} in its processor_config.json"
        )
    around, token = processor.fake_image_token, processor.image_token
    return Idefics3Eyes(
        num_images=num_views,
        image_token=token,
        image_text=around + processor.global_image_tag + token * num_tokens + around,
        mean=tuple(processor.image_processor.image_mean),
        std=tuple(processor.image_processor.image_std),
    )
