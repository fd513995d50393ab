"""Plain top-down feature pyramid that yields one level.

    C5 -1x1-> P5' -up-> cat(., C4) -CSP-> P4 -1x1-> P4' -up-> cat(., C3) -CSP-> P3

with shapes, for C3..C5 of (c3, h, w), (c4, h/2, w/2), (c5, h/4, w/4): P5' (c4, h/4, w/4),
P4 (c4, h/2, w/2), P4' (c3, h/2, w/2), P3 (c3, h, w). With output stride 4 one step more joins C2.

Source: Lin et al. 2017, "Feature Pyramid Networks for Object Detection" (arXiv 1612.03144), with
the steps of SSTNet (TGRS 2024), itself the top-down half of YOLOX's PAFPN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stdet.models.layers import ConvBnAct, CspLayer


class TopDownStep(nn.Module):
    """One step down the pyramid: reduce and upsample the deep map, join the lateral one."""

    def __init__(
        self, deep_channels: int, lateral_channels: int, out_channels: int, num_blocks: int
    ) -> None:
        """Build the 1x1 reduction and the CSP block."""
        super().__init__()
        self.reduce = ConvBnAct(deep_channels, out_channels, 1)
        self.mix = CspLayer(
            out_channels + lateral_channels, out_channels, num_blocks, is_residual=False
        )

    def upsample(self, deep: Tensor) -> Tensor:
        """Map the deep level (N, deep_channels, h, w) to (N, out_channels, 2h, 2w)."""
        return F.interpolate(self.reduce(deep), scale_factor=2.0, mode="nearest")

    def forward(self, upsampled: Tensor, lateral: Tensor) -> Tensor:
        """Join the upsampled deep map with the lateral one of the same size."""
        out: Tensor = self.mix(torch.cat([upsampled, lateral], dim=1))
        return out


class Fpn(nn.Module):
    """Top-down pyramid from the deepest backbone level to ``output_stride``.

    Args:
        in_channels: Channels of C1, C2, ... at feature strides 2, 4, ...
        output_stride: feature_stride of the level that is returned.
        depth: Depth factor of the backbone; each CSP block has round(3 depth) bottlenecks.
        out_channels: Channels of the returned level; None keeps those of its backbone level.

    Raises:
        ValueError: If no backbone level has that stride, or none is deeper.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        output_stride: int,
        depth: float,
        out_channels: int | None = None,
    ) -> None:
        """Build one step for every level between the deepest and the returned one."""
        super().__init__()
        self.output_index = output_stride.bit_length() - 2
        if not 0 <= self.output_index < len(in_channels) - 1:
            raise ValueError(
                f"output_stride {output_stride} needs a backbone level of that stride and a "
                f"deeper one; there are {len(in_channels)} levels, from stride 2."
            )
        self.output_stride = output_stride
        self.out_channels = out_channels or in_channels[self.output_index]
        self.steps = nn.ModuleList()
        channels = []
        deep = in_channels[-1]
        for level in range(len(in_channels) - 2, self.output_index - 1, -1):
            out = self.out_channels if level == self.output_index else in_channels[level]
            num_blocks = max(round(3 * depth), 1)
            self.steps.append(TopDownStep(deep, in_channels[level], out, num_blocks))
            channels.append(out)
            deep = out
        self.step_channels = tuple(channels)
        """Channels of the fused level of each step, deepest first."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse the backbone levels of each frame.

        Args:
            features: C1, C2, ... with shapes (N, in_channels[i], H / 2^(i+1), W / 2^(i+1)).

        Returns:
            (N, out_channels, H / output_stride, W / output_stride).
        """
        deep = features[-1]
        for step, lateral in self.steps_with_laterals(features):
            deep = step(step.upsample(deep), lateral)
        return deep

    def steps_with_laterals(
        self, features: Sequence[Tensor]
    ) -> Iterator[tuple[TopDownStep, Tensor]]:
        """Yield each step, deepest first, with the backbone level that joins there."""
        for step, lateral in zip(self.steps, features[-2::-1], strict=False):
            yield cast(TopDownStep, step), lateral
