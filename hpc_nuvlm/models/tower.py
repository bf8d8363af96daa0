"""The vision tower of a VLM with a linear head: what its pretraining sees, without the text tower."""

# B batch, V view, H row, W column, I image, N tile, T token, D feature

from __future__ import annotations

import torch
from torch import nn
from transformers import MllamaForConditionalGeneration

from hpc_nuvlm.config import Run
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.families import Vit, Vlm
from hpc_nuvlm.models.vlm.base import open_base
from hpc_nuvlm.models.vlm.tiles import Tiling, build_tiling


class Tower(nn.Module):
    """The vision tower of a Mllama, the mean of the tokens that it looked at, and a linear head."""

    def __init__(self, tower: nn.Module, tiling: Tiling, config: Vit, num_classes: int):
        super().__init__()
        self.tower = tower.requires_grad_(not config.frozen)
        self.tiling = tiling
        width = tower.config.vision_output_dim
        # Features of several layers stand side by side, each of its own size
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(config.dropout), nn.Linear(width, num_classes))

    def forward(self, image_BVHW: torch.Tensor, num_views_B: torch.Tensor) -> torch.Tensor:
        inputs = self.tiling.inputs(image_BVHW, num_views_B, self.tower.patch_embedding.weight.dtype)
        seen_BINTD = self.tower(**inputs).last_hidden_state
        # A tower that looks at lit patches has one sequence an image, a plain one a sequence for each tile
        real_BIN = inputs["aspect_ratio_mask"][:, :, : seen_BINTD.shape[2]]
        weight = (real_BIN / real_BIN.sum((1, 2), keepdim=True)).to(seen_BINTD.dtype)
        pooled_BD = torch.einsum("bin,bind->bd", weight, seen_BINTD.mean(3))
        return self.head(pooled_BD.to(self.head[2].weight.dtype)).float()


def borrow_tower(run: Run, num_views: int) -> Tower:
    """The tower of model.tower; ConfigError if it is none, or of another family than Mllama."""
    config = run.model
    dtype = torch.bfloat16 if run.engine.precision == "bf16" else torch.float32
    try:
        base = Vlm(base=config.tower, patches=config.patches)
        model, processor = open_base(base, dtype, torch.device("cpu"))
    except ConfigError as error:
        raise ConfigError(str(error).replace("model.base", "model.tower")) from error
    if not isinstance(model, MllamaForConditionalGeneration):
        raise ConfigError(f"model.tower = '{config.tower}': is no Mllama; give the folder of one")
    tiling = build_tiling(config.layout, num_views, run.view.size, model.config, processor.image_processor)
    return Tower(model.model.vision_model, tiling, config, len(run.data.classes))
