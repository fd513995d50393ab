"""BP-FPN: plain FPN with a gradient-isolated low-level shortcut and directional gradients.

    C5 -1x1-up-> U4 -+                       +-> U3 -+
                     +-CSP-> P4 -1x1-up------+       +-CSP-> P3 --join--> P3'
    C4 --------------+                  C3 ----------+              ^
                                        C2 --sg--> Down ------------+

with shapes, for C2..C5 of (c2, 2h, 2w), (c3, h, w), (c4, h/2, w/2), (c5, h/4, w/4): U4 and P4
(c4, h/2, w/2), U3, P3, Down and P3' (c3, h, w). Backwards, sg() lets nothing through, and DGR
(``dgr.py``) decides what passes from each P to its U and C. With output stride 4 the same wiring
sits one level lower: Down(sg(C1)) joins at P2.

Source: "You Only Look Omni Gradient Backpropagation for Moving Infrared Small Target Detection",
arXiv 2511.13013. The paper's words: low-level detail joins without gradient flowing back, and
gradients between levels are regularised by direction. Our reading: which Down, which join (add or
concat) and the DGR family.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stdet.config import Down, Join
from stdet.models.layers import ConvBnAct, SpaceToDepth
from stdet.models.necks.dgr import GradientRouter, LevelPair
from stdet.models.necks.fpn import Fpn


class BlurPool(nn.Module):
    """Fixed binomial low-pass [1 3 3 1] / 8 in both axes at stride 2; nothing to learn.

    Four taps, because the centre of a coarse cell lies between two fine ones: three taps would
    shift the map by half a fine cell. Borders are repeated, since zeros would darken them.

    Args:
        channels: Channels; each is filtered alone.

    Source:
        Zhang 2019, "Making Convolutional Networks Shift-Invariant Again", arXiv 1904.11486.
    """

    weight: Tensor

    def __init__(self, channels: int) -> None:
        """Make the filter."""
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        weight = (taps[:, None] * taps[None, :]).expand(channels, 1, 4, 4)
        self.register_buffer("weight", weight.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 2h, 2w) to (N, channels, h, w)."""
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        weight = self.weight.to(x.dtype)
        return F.conv2d(padded, weight, stride=2, groups=weight.shape[0])


class GradientIsolatedShortcut(nn.Module):
    """GILS: bring shallow detail to the output level; only this module learns from that path.

    Args:
        shallow_channels: Channels of the map one level above the output level.
        out_channels: Channels of the output level.
        down: ``space_to_depth`` (2x2 blocks to channels, 1x1), ``strided_conv`` (3x3, stride 2),
            ``max_pool`` (2x2, 1x1) or ``blur_pool`` (fixed binomial filter, 1x1).
        join: ``add``, or ``concat`` followed by a 1x1 convolution.
        is_isolated: False lets the gradient flow back into the shallow map: the control that
            shows what isolation does.

    What is added begins at zero (weight of Down's BatchNorm), so that training starts from the
    plain pyramid: begun at random, the shortcut is loud and lowers mAP50
    (docs/experiments/0017). Ours, after Goyal et al. 2017, "Accurate, Large Minibatch SGD", arXiv
    1706.02677, section 5.1. With ``concat`` there is no such start.
    """

    def __init__(
        self,
        shallow_channels: int,
        out_channels: int,
        *,
        down: Down,
        join: Join,
        is_isolated: bool = True,
    ) -> None:
        """Build Down and, for ``concat``, the joining convolution."""
        super().__init__()
        self.is_isolated = is_isolated
        if down == "strided_conv":
            self.down = nn.Sequential(ConvBnAct(shallow_channels, out_channels, 3, stride=2))
        elif down == "space_to_depth":
            self.down = nn.Sequential(
                SpaceToDepth(), ConvBnAct(4 * shallow_channels, out_channels, 1)
            )
        else:
            pool = nn.MaxPool2d(2) if down == "max_pool" else BlurPool(shallow_channels)
            self.down = nn.Sequential(pool, ConvBnAct(shallow_channels, out_channels, 1))
        self.join = ConvBnAct(2 * out_channels, out_channels, 1) if join == "concat" else None
        if self.join is None:
            norm = next(m for m in self.down.modules() if isinstance(m, nn.BatchNorm2d))
            nn.init.zeros_(norm.weight)

    def forward(self, fused: Tensor, shallow: Tensor) -> Tensor:
        """Join (N, out_channels, h, w) with detail from (N, shallow_channels, 2h, 2w)."""
        shortcut: Tensor = self.down(shallow.detach() if self.is_isolated else shallow)
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

    Raises:
        ValueError: If there is a shortcut and no level above the output level.
    """

    def __init__(
        self, pyramid: Fpn, *, router: GradientRouter, shortcut: GradientIsolatedShortcut | None
    ) -> None:
        """Keep the parts."""
        super().__init__()
        if shortcut is not None and pyramid.output_index == 0:
            raise ValueError("the shortcut needs a backbone level above the output level.")
        self.pyramid = pyramid
        self.router = router
        self.shortcut = shortcut
        self.output_stride = pyramid.output_stride
        self.out_channels = pyramid.out_channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse the backbone levels of each frame; shapes as in ``Fpn.forward``."""
        return self.forward_with_pairs(features)[0]

    def forward_with_pairs(self, features: Sequence[Tensor]) -> tuple[Tensor, list[LevelPair]]:
        """Return what ``forward`` does, and P and U of each step for ``LevelConsistency``."""
        deep, pairs = features[-1], []
        for number, (step, lateral) in enumerate(self.pyramid.steps_with_laterals(features)):
            upsampled, lateral = self.router.inputs(step.upsample(deep), lateral)
            deep = self.router.fused(step(upsampled, lateral), upsampled, number)
            pairs.append((deep, upsampled))
        if self.shortcut is None:
            return deep, pairs
        return self.shortcut(deep, features[self.pyramid.output_index - 1]), pairs
