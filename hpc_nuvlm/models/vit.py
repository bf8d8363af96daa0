"""Vision transformer: a plain one, or the vision tower of a VLM (tower.py).

In a plain one, views stand above one another in one tall picture, so that each has patches and places of its own. As
channels of one patch they would be a third of the tokens, but the same row and column of two views is not the same
place in the detector, and one patch would mix what is apart.
"""

# B batch, V view, H row, W column, T token, D feature

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from transformers import ViTConfig, ViTModel

from hpc_nuvlm.config import Run
from hpc_nuvlm.families import Vit
from hpc_nuvlm.models.classifier import ClassifierTask
from hpc_nuvlm.sample import Batch

# Lit pixels have level 50 or so, most are black: black stays 0 and the others have size 1
LIT_LEVEL = 51


class Scratch(nn.Module):
    """8-bit pictures (B, V, H, W) to logits (B, C); rows and columns are filled up with black to whole patches."""

    def __init__(self, config: Vit, num_views: int, view_size: tuple[int, int], num_classes: int):
        super().__init__()
        self.patch_size = config.patch_size
        height, width = (pixels + -pixels % config.patch_size for pixels in view_size)
        sizes = ViTConfig(
            image_size=(num_views * height, width),
            patch_size=config.patch_size,
            num_channels=1,
            hidden_size=config.hidden,
            intermediate_size=4 * config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            hidden_dropout_prob=config.dropout,
        )
        self.tower = ViTModel(sizes, add_pooling_layer=False)
        self.head = nn.Linear(2 * config.hidden, num_classes)

    def forward(self, image_BVHW: torch.Tensor, num_views_B: torch.Tensor) -> torch.Tensor:
        height, width = image_BVHW.shape[2:]
        whole_BVHW = functional.pad(image_BVHW, (0, -width % self.patch_size, 0, -height % self.patch_size))
        pixels = whole_BVHW.flatten(1, 2).unsqueeze(1).to(self.head.weight.dtype).div(LIT_LEVEL)
        tokens_BTD = self.tower(pixels).last_hidden_state
        # The class token, and the mean of the patches
        return self.head(torch.cat([tokens_BTD[:, 0], tokens_BTD[:, 1:].mean(1)], 1)).float()


class VitTask(ClassifierTask):
    def logits(self, batch: Batch) -> list[torch.Tensor]:
        image_BVHW = self.pictures(batch)
        return [member(image_BVHW, batch.views_B) for member in self.members]

    def flops(self, batch: Batch) -> int:
        """As of any Task. Torch counts no operation of the CPU's fused attention, so it counts those of the plain."""
        tower = self.members[0].tower
        usual = tower.config._attn_implementation
        tower.set_attn_implementation("eager")
        counted = super().flops(batch)
        tower.set_attn_implementation(usual)
        return counted


def build(run: Run, num_views: int) -> VitTask:
    if run.model.tower == "scratch":
        network = Scratch(run.model, num_views, run.view.size, len(run.data.classes))
    else:
        # Its libraries take seconds to import, and a plain one needs none of them
        from hpc_nuvlm.models.tower import borrow_tower

        network = borrow_tower(run, num_views)
    return VitTask([network], num_views, run.model.label_smoothing)
