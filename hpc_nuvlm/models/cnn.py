"""Siamese convolutional network: one tower looks at each view, a small head at all of their features.

The tower's weights are shared, so the number of views changes only the head. GroupNorm, not BatchNorm:
a batch that is split over ranks must give the same result as the whole.
"""

# B batch, V view, H row, W column, C class, F feature

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from hpc_nuvlm.families import Cnn
from hpc_nuvlm.models.classifier import ClassifierTask

CHANNELS_PER_GROUP = 8


def norm(channels: int) -> nn.GroupNorm:
    """Groups of 8 channels, or of the next larger number that divides them."""
    most = max(1, channels // CHANNELS_PER_GROUP)
    return nn.GroupNorm(next(groups for groups in range(most, 0, -1) if channels % groups == 0), channels)


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (arXiv:1512.03385), which averages if strided (arXiv:1812.01187)."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = norm(channels)
        shrink = nn.Identity() if stride == 1 else nn.AvgPool2d(stride, ceil_mode=True)
        widen = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1, bias=False)
        self.shortcut = nn.Sequential(shrink, widen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Siamese(nn.Module):
    """8-bit pictures (B, V, H, W) to logits (B, C)."""

    def __init__(self, config: Cnn, num_views: int, num_classes: int):
        super().__init__()
        channels = config.widths[0]
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 5, 2, 2, bias=False), norm(channels), nn.ReLU()]
        for width in config.widths:
            for block in range(config.blocks):
                layers.append(Residual(channels, width, stride=2 if block == 0 else 1))
                channels = width
        self.tower = nn.Sequential(*layers)
        # Mean and maximum over each view: how much there is, and the most telling place.
        self.head = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(2 * channels * num_views, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, num_classes),
        )

    def forward(self, image_BVHW: torch.Tensor) -> torch.Tensor:
        batch, views, height, width = image_BVHW.shape
        pixels = image_BVHW.to(self.head[1].weight.dtype).div(255)
        features = self.tower(pixels.reshape(batch * views, 1, height, width))
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return self.head(pooled.reshape(batch, -1)).float()


class CnnTask(ClassifierTask):
    def __init__(self, config: Cnn, num_views: int, num_classes: int):
        members = (Siamese(config, num_views, num_classes) for _ in range(config.members))
        super().__init__(members, num_views, config.label_smoothing)
