"""Convolutional visual network: a tower for each view, whose features are joined and then looked at together.

The form of NOvA's and DUNE's event classifiers (arXiv:1604.01444, arXiv:2006.15052): residual blocks with squeeze and
excitation (arXiv:1709.01507), here transformers' RegNet-Y (arXiv:2003.13678). Its BatchNorm gives way to GroupNorm:
a batch that is split over ranks must give the same result as the whole.
"""

# B batch, V view, H row, W column

from __future__ import annotations

import torch
from torch import nn
from transformers import RegNetConfig, RegNetModel
from transformers.models.regnet.modeling_regnet import RegNetYLayer

from hpc_nuvlm.families import Cvn
from hpc_nuvlm.models.classifier import ClassifierTask
from hpc_nuvlm.models.cnn import norm


def group_normalized(module: nn.Module) -> nn.Module:
    """The module with GroupNorm in place of each BatchNorm2d inside."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, norm(child.num_features))
        else:
            group_normalized(child)
    return module


def build_stages(channels_in: int, widths: tuple[int, ...], depths: tuple[int, ...], stem: nn.Module) -> RegNetModel:
    """The stem, which gives `channels_in` channels, and stages of RegNet-Y."""
    config = RegNetConfig(
        num_channels=channels_in,
        embedding_size=channels_in,
        hidden_sizes=widths,
        depths=depths,
        # Convolutions of one group: on a CPU, groups of 24 channels save 36 % of the operations and 9 % of the time
        groups_width=max(widths),
    )
    stages = RegNetModel(config)
    stages.embedder = stem
    group_normalized(stages)
    for block in stages.modules():
        if isinstance(block, RegNetYLayer):
            # Each block begins as its shortcut (arXiv:1706.02677): else the first losses are up to 3.9, a guess's 1.1
            nn.init.zeros_(block.layer[-1].normalization.weight)
    return stages


class Towers(nn.Module):
    """8-bit pictures (B, V, H, W) to logits (B, C)."""

    def __init__(self, config: Cvn, num_views: int, num_classes: int):
        super().__init__()
        alone = config.separate_stages
        self.num_views = num_views
        self.towers = nn.ModuleList(build_tower(config) for _ in range(1 if config.shared else num_views))
        self.joint = build_stages(
            num_views * config.widths[alone - 1], config.widths[alone:], config.depths[alone:], nn.Identity()
        )
        # Mean and maximum: how much there is, and the most telling place
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * config.widths[-1], num_classes))

    def forward(self, image_BVHW: torch.Tensor) -> torch.Tensor:
        pixels = image_BVHW.to(self.head[1].weight.dtype).div(255)
        towers = [self.towers[0]] * self.num_views if len(self.towers) == 1 else self.towers
        seen = [tower(view).last_hidden_state for tower, view in zip(towers, pixels.split(1, 1), strict=True)]
        features = self.joint(torch.cat(seen, 1)).last_hidden_state
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return self.head(pooled).float()


def build_tower(config: Cvn) -> RegNetModel:
    """The stem and the stages that see one view alone."""
    alone, stride = config.separate_stages, config.stem_stride
    # Blocks squeeze to a quarter of the channels that they are given: of very few, all may be dead from the start
    channels = config.widths[0]
    stem = nn.Sequential(
        nn.Conv2d(1, channels, 2 * stride + 1, stride, stride, bias=False), norm(channels), nn.ReLU(inplace=True)
    )
    return build_stages(channels, config.widths[:alone], config.depths[:alone], stem)


class CvnTask(ClassifierTask):
    def __init__(self, config: Cvn, num_views: int, num_classes: int):
        super().__init__([Towers(config, num_views, num_classes)], num_views, config.label_smoothing)
