"""Blocks used by two or more parts of the detector.

Tensor letters: B batch, C channels, H W size. Sources: CSPDarknet blocks as used by YOLOX (Ge et
al. 2021, arXiv 2107.08430); BatchNorm eps 1e-3 and momentum 0.03 as SSTNet and YOLOX set them.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.03


class ConvBnAct(nn.Sequential):
    """Convolution without bias, BatchNorm, activation.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Odd side in cells; padding keeps the size.
        stride: Step in cells.
        act: Activation; None for identity.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        act: type[nn.Module] | None = nn.SiLU,
    ) -> None:
        """Build the three layers."""
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
            ),
            nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM),
        ]
        if act is not None:
            layers.append(act())
        super().__init__(*layers)


class SpaceToDepth(nn.Module):
    """Fold each 2 x 2 block of cells into channels: (B, C, 2h, 2w) -> (B, 4C, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Fold; H and W must be even."""
        folded: Tensor = rearrange(x, "b c (h i) (w j) -> b (i j c) h w", i=2, j=2)
        return folded


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution, with a residual path where asked for."""

    def __init__(self, channels: int, *, is_residual: bool) -> None:
        """Build the two convolutions of equal width."""
        super().__init__()
        self.reduce = ConvBnAct(channels, channels, 1)
        self.conv = ConvBnAct(channels, channels, 3)
        self.is_residual = is_residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        out: Tensor = self.conv(self.reduce(x))
        return x + out if self.is_residual else out


class CspLayer(nn.Module):
    """Cross-stage partial block: half the channels pass ``num_blocks`` bottlenecks."""

    def __init__(
        self, in_channels: int, out_channels: int, num_blocks: int, *, is_residual: bool
    ) -> None:
        """Build the two branches and the 1x1 convolution that joins them."""
        super().__init__()
        hidden = out_channels // 2
        self.branch = ConvBnAct(in_channels, hidden, 1)
        self.bypass = ConvBnAct(in_channels, hidden, 1)
        self.blocks = nn.Sequential(
            *(Bottleneck(hidden, is_residual=is_residual) for _ in range(num_blocks))
        )
        self.join = ConvBnAct(2 * hidden, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        both = torch.cat([self.blocks(self.branch(x)), self.bypass(x)], dim=1)
        out: Tensor = self.join(both)
        return out


class SpatialPyramidPooling(nn.Module):
    """Max-pooling at several sizes, concatenated (SPP of YOLOv3 and YOLOX)."""

    def __init__(self, channels: int, *, kernel_sizes: tuple[int, ...] = (5, 9, 13)) -> None:
        """Build the reduction, the pools and the 1x1 convolution that joins them."""
        super().__init__()
        hidden = channels // 2
        self.reduce = ConvBnAct(channels, hidden, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in kernel_sizes)
        self.join = ConvBnAct(hidden * (len(kernel_sizes) + 1), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = self.reduce(x)
        out: Tensor = self.join(torch.cat([x, *(pool(x) for pool in self.pools)], dim=1))
        return out
