"""Hourglass FPN: after the plain pyramid, down to the deepest level and up again, repeatedly.

    top-down, as in the plain FPN     down (3x3, stride 2)      up (1x1, nearest x2)
    C5 ------------------------------------> cat -CSP-> N5 -----+
     +-up-> cat(., C4) -CSP-> P4 ----> cat -CSP-> N4 --------> cat -CSP-> Q4 --+
                 +-up-> cat(., C3) -CSP-> P3 -------------------------------> cat -CSP-> Q3

N4 = CSP(cat(down(P3), P4)), N5 = CSP(cat(down(N4), C5)), Q4 = CSP(cat(up(N5), N4)),
Q3 = CSP(cat(up(Q4), P3)); the next repeat starts from Q3, Q4, N5. Shapes: N5 as C5
(c5, h/4, w/4); N4, Q4 as P4 (c4, h/2, w/2); Q3 as P3 (c3, h, w), which is the output.

Source: Newell et al. 2016, "Stacked Hourglass Networks for Human Pose Estimation"
(arXiv 1603.06937) for the repetition; the down step is that of PANet (Liu et al. 2018) as YOLOX
builds it. Compared under this name in arXiv 2511.13013, whose layers are not public.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from stdet.models.layers import ConvBnAct, CspLayer
from stdet.models.necks.fpn import Fpn, TopDownStep


class BottomUpStep(nn.Module):
    """One step up the strides: halve the finer map, join the coarser one of the same level."""

    def __init__(self, fine_channels: int, coarse_channels: int, num_blocks: int) -> None:
        """Build the strided convolution and the CSP block."""
        super().__init__()
        self.reduce = ConvBnAct(fine_channels, fine_channels, 3, stride=2)
        self.mix = CspLayer(
            fine_channels + coarse_channels, coarse_channels, num_blocks, is_residual=False
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Join (N, fine_channels, 2h, 2w) with (N, coarse_channels, h, w)."""
        out: Tensor = self.mix(torch.cat([self.reduce(fine), coarse], dim=1))
        return out


class Hourglass(nn.Module):
    """One pass down to the deepest level and up again.

    Args:
        channels: Of each level, deepest first.
        num_blocks: Bottlenecks in each CSP block.
    """

    def __init__(self, channels: Sequence[int], num_blocks: int) -> None:
        """Build both passes."""
        super().__init__()
        coarse_and_fine = list(itertools.pairwise(channels))
        self.down = nn.ModuleList(
            BottomUpStep(fine, coarse, num_blocks) for coarse, fine in reversed(coarse_and_fine)
        )
        self.up = nn.ModuleList(
            TopDownStep(coarse, fine, fine, num_blocks) for coarse, fine in coarse_and_fine
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Map the levels, deepest first, to levels of the same shapes."""
        joined = [levels[-1]]
        for step, coarse in zip(self.down, levels[-2::-1], strict=True):
            joined.append(step(joined[-1], coarse))
        out = [joined.pop()]
        for module in self.up:
            step = cast(TopDownStep, module)
            out.append(step(step.upsample(out[-1]), joined.pop()))
        return out


class HourglassFpn(nn.Module):
    """Plain pyramid followed by ``num_repeats`` hourglasses; same interface as ``Fpn``.

    Args:
        pyramid: The plain pyramid, the first way up.
        deepest_channels: Channels of the deepest backbone level.
        depth: Depth factor of the backbone.
        num_repeats: Ways down and up after it.
    """

    def __init__(
        self, pyramid: Fpn, *, deepest_channels: int, depth: float, num_repeats: int
    ) -> None:
        """Build the hourglasses."""
        super().__init__()
        self.pyramid = pyramid
        channels = (deepest_channels, *pyramid.step_channels)
        self.hourglasses = nn.ModuleList(
            Hourglass(channels, max(round(3 * depth), 1)) for _ in range(num_repeats)
        )
        self.output_stride = pyramid.output_stride
        self.out_channels = pyramid.out_channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse the backbone levels of each frame; shapes as in ``Fpn.forward``."""
        levels = [features[-1]]
        for step, lateral in self.pyramid.steps_with_laterals(features):
            levels.append(step(step.upsample(levels[-1]), lateral))
        for hourglass in self.hourglasses:
            levels = hourglass(levels)
        return levels[-1]
