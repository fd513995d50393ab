"""What makes a detection a hit of a target: near centres, a share of the box, or overlap.

A rule measures each pair of a detection and a target by one number, and says below which limit the
pair is possible. ``match_points`` then makes one-to-one pairs, whatever the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import box_iou, centre_distance
from stdet.config import HitRuleName
from stdet.types import BoolArray, FloatArray

_MAX_IOU = 1 - 1e-10
"""As in COCO: equal boxes hit although their IoU is rounded. Costs can be divided by the limit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairCosts:
    """How well N detections fit M targets.

    Attributes:
        costs: float64 (N, M), at least 0; less is better.
        limit: Pairs of a cost strictly below it are possible.
    """

    costs: NDArray[np.float64]
    limit: float

    @property
    def is_possible(self) -> BoolArray:
        """Which pairs are possible, bool (N, M)."""
        possible: BoolArray = self.costs < self.limit
        return possible


class HitRule(Protocol):
    """A rule by which detections hit."""

    def measure(self, pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> PairCosts:
        """Measure every pair of a frame.

        Args:
            pred_xyxy: Detections, float32 (N, 4), pixels.
            gt_xyxy: Targets, float32 (M, 4), pixels.

        Returns:
            Costs (N, M) and their limit. N or M may be 0.
        """

    def __str__(self) -> str:
        """Say the rule as tables do, such as "centre distance < 3 px"."""


@dataclass(frozen=True)
class CentreDistance:
    """A detection hits when its centre lies strictly closer to the target's than a radius.

    Attributes:
        radius_px: Pixels, above 0.
    """

    radius_px: float

    def measure(self, pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> PairCosts:
        """Return centre distances, pixels, and the radius."""
        return PairCosts(costs=centre_distance(pred_xyxy, gt_xyxy), limit=self.radius_px)

    def __str__(self) -> str:
        """Say the rule."""
        return f"centre distance < {self.radius_px:g} px"


@dataclass(frozen=True)
class BoxShare:
    """A detection hits when the centres are closer than a share of the target's longer side.

    For boxes drawn loosely about targets of many sizes, where no one radius fits. A floor keeps
    targets of one or two pixels possible.

    Attributes:
        share: Of the longer side of the true box, above 0; 0.5 is "within half the box".
        floor_px: Least distance that is allowed whatever the box, pixels, above 0.
    """

    share: float
    floor_px: float

    def measure(self, pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> PairCosts:
        """Return centre distances as fractions of what each target allows, and 1."""
        sides = (gt_xyxy[:, 2:].astype(np.float64) - gt_xyxy[:, :2]).max(axis=1, initial=0)
        allowed_px = np.maximum(self.share * sides, self.floor_px)
        return PairCosts(costs=centre_distance(pred_xyxy, gt_xyxy) / allowed_px, limit=1.0)

    def __str__(self) -> str:
        """Say the rule."""
        return (
            f"centre distance < {self.share:g} of the target's longer side, or "
            f"{self.floor_px:g} px where that is more"
        )


@dataclass(frozen=True)
class Overlap:
    """A detection hits from an intersection over union on; classes are not looked at.

    Attributes:
        min_iou: In (0, 1], inclusive.
    """

    min_iou: float

    def measure(self, pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> PairCosts:
        """Return 1 - IoU, and the number just above its largest one."""
        largest = 1 - min(self.min_iou, _MAX_IOU)
        return PairCosts(
            costs=1 - box_iou(pred_xyxy, gt_xyxy), limit=float(np.nextafter(largest, np.inf))
        )

    def __str__(self) -> str:
        """Say the rule."""
        return f"IoU >= {self.min_iou:g}"


HIT_SETTINGS = ("hit_rule", "pd_radius_px", "hit_box_share", "hit_iou")
"""Names of the settings below."""


class HitSettings(Protocol):
    """The settings that name a rule: ``EvaluationConfig`` and the rules of a report."""

    @property
    def hit_rule(self) -> HitRuleName:
        """Which rule."""

    @property
    def pd_radius_px(self) -> float:
        """Radius, and floor of the share of the box, pixels."""

    @property
    def hit_box_share(self) -> float:
        """Share of the target's longer side."""

    @property
    def hit_iou(self) -> float:
        """Least overlap."""


def hit_rule(settings: HitSettings) -> HitRule:
    """Return the rule that settings name.

    Example:
        >>> from stdet.config import EvaluationConfig
        >>> str(hit_rule(EvaluationConfig()))
        'centre distance < 3 px'
    """
    if settings.hit_rule == "centre_distance":
        return CentreDistance(settings.pd_radius_px)
    if settings.hit_rule == "box_share":
        return BoxShare(settings.hit_box_share, settings.pd_radius_px)
    return Overlap(settings.hit_iou)
