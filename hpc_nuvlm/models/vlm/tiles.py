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
from hpc_nuvlm.models.vlm.eyes import check_tile, normalize
from hpc_nuvlm.models.vlm.lit import LIT_PATCHES

# Views -> (tile rows, tile columns) of the picture that holds them
MOSAIC_SHAPES = {1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 2)}


@dataclass(frozen=True)
class Tiling:
    """How views of one size become images and tiles of a model."""

    layout: str
    num_views: int  # at most, where events of several detectors are mixed
    max_tiles: int
    # By number of views: (tile rows, tile columns) of an image, as the vision tower numbers them, and tiles in it
    ratio_ids: dict[int, int]
    num_tiles: dict[int, int]
    # The tower looks at lit patches of an image as a whole: text sees all of them, not tile by tile
    lit: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_images(self) -> int:
        return 1 if self.layout == "mosaic" else self.num_views

    def inputs(self, image_BVHW: torch.Tensor, num_views_B: torch.Tensor, dtype: torch.dtype) -> dict:
        """pixel_values (B, I, N, 3, H, W), aspect_ratio_ids (B, I) and aspect_ratio_mask (B, I, N).

        For a tower that looks at lit patches, pixels are 8-bit (B, I, N, H, W): it normalizes those that it looks at.
        """
        batch, views, height, width = image_BVHW.shape
        device = image_BVHW.device
        shape = (batch, self.num_images, self.max_tiles, height, width)
        picture = torch.zeros(shape, dtype=torch.uint8, device=device)
        if self.layout == "mosaic":
            picture[:, 0, :views] = image_BVHW
        else:
            picture[:, :, 0] = image_BVHW
        mask_BIN = self._by_views(self.num_tiles, num_views_B).view(-1, 1, 1) > torch.arange(
            self.max_tiles, device=device
        )
        mask_BIN = mask_BIN.expand(-1, self.num_images, -1)
        pixels = picture if self.lit else self._normalized(picture, mask_BIN, dtype)
        return {
            "pixel_values": pixels,
            "aspect_ratio_ids": self._by_views(self.ratio_ids, num_views_B).view(-1, 1).expand(-1, self.num_images),
            "aspect_ratio_mask": mask_BIN.long(),
        }

    def _normalized(self, picture: torch.Tensor, mask_BIN: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        # Tiles beyond the picture are zero after normalization: their content would change the result.
        return normalize(picture, self.mean, self.std, dtype) * mask_BIN[..., None, None, None]

    def cross_attention_mask(
        self, num_views_B: torch.Tensor, question: tuple[int, ...], image_id: int, length: int
    ) -> torch.Tensor:
        """(B, length, I, N): from the picture's token on, text sees every tile of it and of the pictures before."""
        places = [place for place, token in enumerate(question) if token == image_id]
        columns = torch.arange(1 if self.lit else self.max_tiles, device=num_views_B.device)
        mask = torch.zeros(len(num_views_B), length, self.num_images, len(columns), dtype=torch.long)
        mask = mask.to(num_views_B.device)
        real_BN = (columns < self._by_views(self.num_tiles, num_views_B).unsqueeze(1)).long()
        for image, place in enumerate(places):
            mask[:, place:, image] = real_BN.unsqueeze(1)
        return mask

    def _by_views(self, table: dict[int, int], num_views_B: torch.Tensor) -> torch.Tensor:
        return torch.tensor([table[views] for views in num_views_B.tolist()], device=num_views_B.device)


def build_tiling(layout: str, num_views: int, view_size: tuple[int, int], model_config, image_processor) -> Tiling:
    """Check that views of this size are tiles of this model; ConfigError names both sizes and the remedy."""
    vision = model_config.vision_config
    check_tile(view_size, vision)
    if layout == "mosaic" and (num_views not in MOSAIC_SHAPES or num_views > vision.max_num_tiles):
        raise ConfigError(
            f"model.layout=mosaic holds up to {min(4, vision.max_num_tiles)} views, the detector has {num_views}; "
            "set model.layout=images"
        )
    # A row of a mosaic may have fewer views than others; images must be equally many, as each has a token of its own
    shapes = {num_views: (1, 1)} if layout == "images" else {n: MOSAIC_SHAPES[n] for n in range(1, num_views + 1)}
    supported = [tuple(ratio) for ratio in vision.supported_aspect_ratios]
    return Tiling(
        layout=layout,
        num_views=num_views,
        max_tiles=vision.max_num_tiles,
        ratio_ids={views: supported.index(shape) + 1 for views, shape in shapes.items()},
        num_tiles={views: shape[0] * shape[1] for views, shape in shapes.items()},
        lit=getattr(model_config, LIT_PATCHES, None) is not None,
        mean=tuple(image_processor.image_mean),
        std=tuple(image_processor.image_std),
    )
