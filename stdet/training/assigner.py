"""SimOTA: which cell answers for which target.

Tensor letters: A cells, N targets, K classes. Source: YOLOX (arXiv 2107.08430), section 2.1, with
centre radius 2.5 cells and at most 10 candidates, as SSTNet sets them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

CENTRE_RADIUS_CELLS = 2.5
MAX_CELLS_PER_TARGET = 10
IOU_COST_WEIGHT = 3.0
OUTSIDE_COST = 1e5
"""Added to cells that are not both inside the box and near its centre."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """Result for one frame.

    Attributes:
        cells: int64 (F,), foreground cells.
        targets: int64 (F,), the target of each.
        ious: float32 (F,), IoU of each cell's predicted box with its target.
    """

    cells: Tensor
    targets: Tensor
    ious: Tensor


@torch.no_grad()
def assign(
    *,
    pred_xyxy: Tensor,
    pred_scores: Tensor,
    centres_xy: Tensor,
    feature_stride: int,
    gt_xyxy: Tensor,
    gt_class_ids: Tensor,
) -> Assignment:
    """Give every target between 1 and 10 cells, the cheapest ones by class and overlap.

    Args:
        pred_xyxy: (A, 4) in input pixels.
        pred_scores: (A, K), class times objectness, in [0, 1].
        centres_xy: (A, 2), cell centres in input pixels.
        feature_stride: Pixels per cell.
        gt_xyxy: (N, 4) in input pixels.
        gt_class_ids: (N,).

    Returns:
        The assignment; a cell that two targets want goes to the cheaper one. A target whose
        centre lies so far outside the grid that no cell is near gets none.
    """
    near, near_and_inside = _candidates(centres_xy, gt_xyxy, feature_stride)
    cells = near.any(dim=1).nonzero().squeeze(1)
    if len(gt_xyxy) == 0 or len(cells) == 0:
        empty = cells.new_zeros(0)
        return Assignment(cells=empty, targets=empty, ious=pred_xyxy.new_zeros(0))
    ious = box_iou(pred_xyxy[cells], gt_xyxy)  # (C, N)
    cost = _cost(pred_scores[cells], gt_class_ids, ious, near_and_inside[cells])
    chosen = _choose(cost, ious)
    row, column = chosen.nonzero(as_tuple=True)
    return Assignment(cells=cells[row], targets=column, ious=ious[row, column])


def _candidates(centres: Tensor, gt_xyxy: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return which cells are in the box or near its centre, and which are both, (A, N)."""
    x, y = centres[:, 0:1], centres[:, 1:2]
    x1, y1, x2, y2 = gt_xyxy.unbind(dim=1)
    in_box = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    radius = CENTRE_RADIUS_CELLS * stride
    in_centre = ((x - (x1 + x2) / 2).abs() < radius) & ((y - (y1 + y2) / 2).abs() < radius)
    return in_box | in_centre, in_box & in_centre


def _cost(scores: Tensor, class_ids: Tensor, ious: Tensor, is_preferred: Tensor) -> Tensor:
    """Return the cost (C, N) of answering target n with candidate c."""
    one_hot = F.one_hot(class_ids, scores.shape[1]).to(scores.dtype)
    # The square root undoes the product of two scores, as YOLOX does. The cross-entropy would stop
    # at NaN without naming the clip; the loss is NaN too, and there the trainer names it.
    probability = scores.nan_to_num(nan=0.0).clamp(1e-12, 1).sqrt()
    probability = probability[:, None].expand(-1, len(class_ids), -1)
    target = one_hot[None].expand_as(probability)
    with torch.autocast(scores.device.type, enabled=False):
        cls_cost = F.binary_cross_entropy(probability, target, reduction="none").sum(dim=-1)
    iou_cost = -torch.log(ious + 1e-8)
    return cls_cost + IOU_COST_WEIGHT * iou_cost + OUTSIDE_COST * (~is_preferred)


def _choose(cost: Tensor, ious: Tensor) -> Tensor:
    """Return a bool (C, N): the k cheapest cells of each target, k from the sum of its IoUs."""
    num_candidates = min(MAX_CELLS_PER_TARGET, len(cost))
    num_cells = ious.topk(num_candidates, dim=0).values.sum(dim=0).int().clamp(min=1)
    rank = cost.argsort(dim=0, stable=True).argsort(dim=0, stable=True)
    chosen = rank < num_cells
    is_shared = chosen.sum(dim=1) > 1
    if is_shared.any():
        best = cost[is_shared].argmin(dim=1)
        chosen[is_shared] = F.one_hot(best, cost.shape[1]).bool()
    return chosen
