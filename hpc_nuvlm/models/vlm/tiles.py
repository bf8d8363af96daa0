"""Views as the tiles that Mllama's vision tower takes, straight from 8-bit pixels.

mosaic: all views are tiles of one picture, a third of the vision tokens of a picture for each of three
views. images: each view is a picture of its own, one tile large, as published. Either equals what the
model's own image processor makes of the same picture.
"""

# B batch, V view, I image, N tile, H row, W column

from __future__ import annotations

from dataclasses import dataclass

import torch

from hpc_nuvlm.errors import ConfigError

# Views -> (tile rows, tile columns) of the picture that holds them
MOSAIC_SHAPES = {1: (1, 1), 2: (1, 2), 3: (2, 2), 4: (2, 2)}


@dataclass(frozen=True)
class Tiling:
    """How views of one size become images and tiles of a model."""

    layout: str
    num_views: int
    max_tiles: int
    # (tile rows, tile columns) -> id, as the vision tower numbers them
    ratio_id: int
    num_tiles: int  # of each image
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_images(self) -> int:
        return 1 if self.layout == "mosaic" else self.num_views

    def inputs(self, image_BVHW: torch.Tensor, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """pixel_values (B, I, N, 3, H, W), aspect_ratio_ids (B, I) and aspect_ratio_mask (B, I, N)."""
        batch, views, height, width = image_BVHW.shape
        device = image_BVHW.device
        mean = torch.tensor(self.mean, dtype=dtype, device=device).view(3, 1, 1)
        std = torch.tensor(self.std, dtype=dtype, device=device).view(3, 1, 1)
        shape = (batch, self.num_images, self.num_tiles, height, width)
        picture = torch.zeros(shape, dtype=torch.uint8, device=device)
        if self.layout == "mosaic":
            picture[:, 0, :views] = image_BVHW
        else:
            picture[:, :, 0] = image_BVHW
        # Tiles beyond the picture are zero after normalization: their content would change the result.
        pixels = torch.zeros((batch, self.num_images, self.max_tiles, 3, height, width), dtype=dtype, device=device)
        pixels[:, :, : self.num_tiles] = (picture.to(dtype).div(255).unsqueeze(3) - mean) / std
        mask = torch.arange(self.max_tiles, device=device) < self.num_tiles
        return {
            "pixel_values": pixels,
            "aspect_ratio_ids": torch.full((batch, self.num_images), self.ratio_id, device=device),
            "aspect_ratio_mask": mask.long().expand(batch, self.num_images, -1),
        }

    def cross_attention_mask(self, batch: int, question: tuple[int, ...], image_id: int, length: int) -> torch.Tensor:
        """(B, length, I, N): from the picture's token on, text sees every tile of it and of the pictures before."""
        places = [place for place, token in enumerate(question) if token == image_id]
        mask = torch.zeros(length, self.num_images, self.max_tiles, dtype=torch.long)
        for image, place in enumerate(places):
            mask[place:, image, : self.num_tiles] = 1
        return mask.expand(batch, -1, -1, -1)


def build_tiling(layout: str, num_views: int, view_size: tuple[int, int], model_config, image_processor) -> Tiling:
    """Check that views of this size are tiles of this model; ConfigError names both sizes and the remedy."""
    vision = model_config.vision_config
    tile = (vision.image_size, vision.image_size)
    if view_size != tile:
        raise ConfigError(
            f"view.size is {list(view_size)}, but a tile of the model is {list(tile)} "
            f"({vision.image_size // vision.patch_size} x {vision.image_size // vision.patch_size} patches of "
            f"{vision.patch_size}); set view.size={list(tile)}, and view.pool so that it covers the event"
        )
    if layout == "mosaic" and (num_views not in MOSAIC_SHAPES or num_views > vision.max_num_tiles):
        raise ConfigError(
            f"model.layout=mosaic holds up to {min(4, vision.max_num_tiles)} views, the detector has {num_views}; "
            "set model.layout=images"
        )
    shape = MOSAIC_SHAPES[num_views] if layout == "mosaic" else (1, 1)
    return Tiling(
        layout=layout,
        num_views=num_views,
        max_tiles=vision.max_num_tiles,
        ratio_id=[tuple(ratio) for ratio in vision.supported_aspect_ratios].index(shape) + 1,
        num_tiles=shape[0] * shape[1],
        mean=tuple(image_processor.image_mean),
        std=tuple(image_processor.image_std),
    )
