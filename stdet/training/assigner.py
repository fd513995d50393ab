"""SimOTA: which cell answers for which target, for all frames of a batch at once.

Tensor letters: R frames, A cells, N targets of all frames, K classes. Source: YOLOX
(arXiv 2107.08430), section 2.1, with centre radius 2.5 cells and at most 10 candidates, as SSTNet
sets them. Frame by frame, as YOLOX has it, a GPU waits for hundreds of small operations per frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CENTRE_RADIUS_CELLS = 2.5
MAX_CELLS_PER_TARGET = 10
IOU_COST_WEIGHT = 3.0
OUTSIDE_COST = 1e5
"""Added to cells that are not both inside the box and near its centre."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """Which predictions are foreground, F in all.

    Attributes:
        rows: int64 (F,), the frame of each.
        cells: int64 (F,), its cell; no cell of a frame comes twice.
        targets: int64 (F,), the target of each, increasing.
        ious: float32 (F,), IoU of its predicted box with the target.
    """

    rows: Tensor
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
    gt_rows: Tensor,
) -> Assignment:
    """Give every target between 1 and 10 cells, the cheapest ones by class and overlap.

    Args:
        pred_xyxy: (R, A, 4) in input pixels.
        pred_scores: (R, A, K), class times objectness, in [0, 1].
        centres_xy: (A, 2), cell centres in input pixels.
        feature_stride: Pixels per cell.
        gt_xyxy: (N, 4) in input pixels.
        gt_class_ids: (N,).
        gt_rows: int64 (N,), the frame of each target.

    Returns:
        The assignment; a cell that two targets want goes to the cheaper one. A target whose
        centre lies so far outside the grid that no cell is near gets none.
    """
    num_rows, num_cells = pred_xyxy.shape[:2]
    if len(gt_xyxy) == 0:
        empty = gt_rows.new_zeros(0)
        return Assignment(rows=empty, cells=empty, targets=empty, ious=pred_xyxy.new_zeros(0))
    near, near_and_inside = _candidates(centres_xy, gt_xyxy, feature_stride)
    # A cell that is near any target of its frame is a candidate of all of them.
    num_near = gt_rows.new_zeros(num_rows, num_cells).index_add_(0, gt_rows, near.long())
    is_candidate = (num_near > 0)[gt_rows]
    ious = paired_iou(pred_xyxy[gt_rows], gt_xyxy[:, None])
    ious = torch.where(is_candidate, ious, 0)
    cost = _cost(pred_scores[gt_rows], gt_class_ids, ious, near_and_inside)
    cost = torch.where(is_candidate, cost, math.inf)
    chosen = _settle(_cheapest(cost, ious) & is_candidate, cost, gt_rows, num_rows)
    targets, cells = chosen.nonzero(as_tuple=True)
    return Assignment(
        rows=gt_rows[targets], cells=cells, targets=targets, ious=ious[targets, cells]
    )


def paired_iou(one_xyxy: Tensor, other_xyxy: Tensor) -> Tensor:
    """Return the IoU (...) of boxes (..., 4) and (..., 4), paired by broadcasting, float32."""
    top_left = torch.maximum(one_xyxy[..., :2], other_xyxy[..., :2])
    bottom_right = torch.minimum(one_xyxy[..., 2:], other_xyxy[..., 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    one_area = (one_xyxy[..., 2:] - one_xyxy[..., :2]).prod(dim=-1)
    other_area = (other_xyxy[..., 2:] - other_xyxy[..., :2]).prod(dim=-1)
    return overlap / (one_area + other_area - overlap + 1e-9)


def _candidates(centres: Tensor, gt_xyxy: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return which cells are in the box or near its centre, and which are both, (N, A)."""
    x, y = centres.unbind(dim=1)
    x1, y1, x2, y2 = gt_xyxy[:, :, None].unbind(dim=1)
    in_box = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    radius = CENTRE_RADIUS_CELLS * stride
    in_centre = ((x - (x1 + x2) / 2).abs() < radius) & ((y - (y1 + y2) / 2).abs() < radius)
    return in_box | in_centre, in_box & in_centre


def _cost(scores: Tensor, class_ids: Tensor, ious: Tensor, is_preferred: Tensor) -> Tensor:
    """Return the cost (N, A) of answering target n with cell a, of scores (N, A, K)."""
    one_hot = F.one_hot(class_ids, scores.shape[2]).to(scores.dtype)
    # The square root undoes the product of two scores, as YOLOX does. The cross-entropy would stop
    # at NaN without naming the clip; the loss is NaN too, and there the trainer names it.
    probability = scores.nan_to_num(nan=0.0).clamp(1e-12, 1).sqrt()
    target = one_hot[:, None].expand_as(probability)
    with torch.autocast(scores.device.type, enabled=False):
        cls_cost = F.binary_cross_entropy(probability, target, reduction="none").sum(dim=-1)
    iou_cost = -torch.log(ious.nan_to_num(nan=0.0) + 1e-8)
    return cls_cost + IOU_COST_WEIGHT * iou_cost + OUTSIDE_COST * (~is_preferred)


def _cheapest(cost: Tensor, ious: Tensor) -> Tensor:
    """Return a bool (N, A): the k cheapest cells of each target, k from the sum of its IoUs."""
    most = min(MAX_CELLS_PER_TARGET, cost.shape[1])
    wanted = ious.topk(most, dim=1).values.sum(dim=1).int().clamp(min=1)
    cells = cost.argsort(dim=1, stable=True)[:, :most]
    is_wanted = torch.arange(most, device=cost.device) < wanted[:, None]
    return torch.zeros_like(cost, dtype=torch.bool).scatter_(1, cells, is_wanted)


def _settle(chosen: Tensor, cost: Tensor, gt_rows: Tensor, num_rows: int) -> Tensor:
    """Give a cell (N, A) that several targets have chosen to the cheapest target of its frame."""
    num_targets, num_cells = cost.shape
    per_frame = gt_rows[:, None].expand(-1, num_cells)
    counts = torch.zeros(num_rows, num_cells, dtype=torch.int64, device=cost.device)
    counts.scatter_add_(0, per_frame, chosen.long())
    lowest = cost.new_full((num_rows, num_cells), math.inf)
    lowest.scatter_reduce_(0, per_frame, cost, "amin")
    numbers = torch.arange(num_targets, device=cost.device)[:, None].expand(-1, num_cells)
    # Of equal ones the first.
    winner = torch.full_like(counts, num_targets).scatter_reduce_(
        0, per_frame, torch.where(cost == lowest[gt_rows], numbers, num_targets), "amin"
    )
    return torch.where((counts > 1)[gt_rows], winner[gt_rows] == numbers, chosen)
