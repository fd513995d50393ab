"""BP-FPN: plain FPN with a gradient-isolated low-level shortcut and directional gradients.

    C5 -1x1-up-> cat(., C4) -CSP-> P4 -1x1-up-> cat(., C3) -CSP-> P3 --join--> P3'
                     ^                              ^                   ^
               DGR routes the gradients of these steps       S = Down(stop_gradient(C2))

Symbols: GILS, the shortcut S; Down, its learned downsampling (c2, 2h, 2w) -> (c3, h, w). With
output stride 4 the same wiring sits one level lower: S = Down(stop_gradient(C1)) joins at P2.

Source: "You Only Look Omni Gradient Backpropagation for Moving Infrared Small Target Detection",
arXiv 2511.13013. The paper's words: low-level detail joins without gradient flowing back, and
gradients between levels are regularised by direction. Our reading: which Down, which join (add or
concat) and the DGR family of ``dgr.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from stdet.models.layers import ConvBnAct, SpaceToDepth
from stdet.models.necks.dgr import GradientRouter
from stdet.models.necks.fpn import Fpn

Down = Literal["space_to_depth", "strided_conv", "max_pool"]
Join = Literal["add", "concat"]


class GradientIsolatedShortcut(nn.Module):
    """GILS: bring shallow detail to the output level; only this module learns from that path.

    Args:
        shallow_channels: Channels of the map one level above the output level.
        out_channels: Channels of the output level.
        down: ``space_to_depth`` (2x2 blocks to channels, 1x1), ``strided_conv`` (3x3, stride 2) or
            ``max_pool`` (2x2, 1x1).
        join: ``add``, or ``concat`` followed by a 1x1 convolution.
    """

    def __init__(
        self, shallow_channels: int, out_channels: int, *, down: Down, join: Join
    ) -> None:
        """Build Down and, for ``concat``, the joining convolution."""
        super().__init__()
        if down == "space_to_depth":
            self.down = nn.Sequential(
                SpaceToDepth(), ConvBnAct(4 * shallow_channels, out_channels, 1)
            )
        elif down == "strided_conv":
            self.down = nn.Sequential(ConvBnAct(shallow_channels, out_channels, 3, stride=2))
        else:
            self.down = nn.Sequential(
                nn.MaxPool2d(2), ConvBnAct(shallow_channels, out_channels, 1)
            )
        self.join = ConvBnAct(2 * out_channels, out_channels, 1) if join == "concat" else None

    def forward(self, fused: Tensor, shallow: Tensor) -> Tensor:
        """Join (N, out_channels, h, w) with detail from (N, shallow_channels, 2h, 2w)."""
        shortcut: Tensor = self.down(shallow.detach())
        if self.join is None:
            return fused + shortcut
        out: Tensor = self.join(torch.cat([fused, shortcut], dim=1))
        return out


class BpFpn(nn.Module):
    """The pyramid of YOLO-BP; same interface as ``Fpn``.

    Args:
        pyramid: The plain pyramid whose steps are used.
        router: How gradients travel between levels.
        shortcut: GILS, or None to leave it out.
    """

    def __init__(
        self, pyramid: Fpn, *, router: GradientRouter, shortcut: GradientIsolatedShortcut | None
    ) -> None:
        """Keep the parts."""
        super().__init__()
        self.pyramid = pyramid
        self.router = router
        self.shortcut = shortcut
        self.output_stride = pyramid.output_stride
        self.out_channels = pyramid.out_channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse the backbone levels of each frame; shapes as in ``Fpn.forward``."""
        deep = features[-1]
        for step, lateral in self.pyramid.steps_with_laterals(features):
            upsampled = step.upsample(deep)
            fused = step(upsampled, self.router.lateral(lateral))
            deep = self.router.fused(fused, upsampled)
        if self.shortcut is None:
            return deep
        out: Tensor = self.shortcut(deep, features[self.pyramid.output_index - 1])
        return out
