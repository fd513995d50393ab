"""YOLOX decoupled head on one level: raw logits and offsets; ``box_coder.py`` decodes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from stdet.models.layers import ConvBnAct

PRIOR_SCORE = 0.01
"""Score of an untrained head; keeps the first losses finite where nearly all cells are empty."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadOutputs:
    """Raw outputs of the head on one level: logits and offsets, not probabilities.

    Attributes:
        cls_logits: (B, num_classes, h, w).
        obj_logits: (B, 1, h, w).
        box_offsets: (B, 4, h, w): dx, dy in cells from the cell centre, log width and log height
            in cells.
        feature_stride: pixels per cell.
    """

    cls_logits: Tensor
    obj_logits: Tensor
    box_offsets: Tensor
    feature_stride: int

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Logits and offsets, in the order above."""
        return self.cls_logits, self.obj_logits, self.box_offsets


class DecoupledHead(nn.Module):
    """Separate branches for class, and for box and objectness.

    Args:
        in_channels: Channels of the level.
        channels: Width of the head; 256 as published.
        num_convs: 3x3 convolutions in each branch; 2 as published.
        num_classes: K.
        feature_stride: Pixels per cell of the level.

    Source:
        YOLOX (arXiv 2107.08430), Fig. 2.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: int,
        num_convs: int,
        num_classes: int,
        feature_stride: int,
    ) -> None:
        """Build both branches and start the scores at ``PRIOR_SCORE``."""
        super().__init__()
        self.feature_stride = feature_stride
        self.stem = ConvBnAct(in_channels, channels, 1)
        self.cls_convs = nn.Sequential(
            *(ConvBnAct(channels, channels, 3) for _ in range(num_convs))
        )
        self.box_convs = nn.Sequential(
            *(ConvBnAct(channels, channels, 3) for _ in range(num_convs))
        )
        self.cls_pred = nn.Conv2d(channels, num_classes, 1)
        self.obj_pred = nn.Conv2d(channels, 1, 1)
        self.box_pred = nn.Conv2d(channels, 4, 1)
        for pred in (self.cls_pred, self.obj_pred):
            assert pred.bias is not None
            nn.init.constant_(pred.bias, math.log(PRIOR_SCORE / (1 - PRIOR_SCORE)))

    def forward(self, features: Tensor) -> HeadOutputs:
        """Predict from (B, in_channels, h, w)."""
        x = self.stem(features)
        box_features = self.box_convs(x)
        return HeadOutputs(
            cls_logits=self.cls_pred(self.cls_convs(x)),
            obj_logits=self.obj_pred(box_features),
            box_offsets=self.box_pred(box_features),
            feature_stride=self.feature_stride,
        )
