"""Each loss term, and their sum.

Symbols: F foreground cells over the whole (joint) batch. Source: YOLOX (arXiv 2107.08430) and
SSTNet (TGRS 2024): (5 (1 - IoU^2) + BCE objectness + BCE class) / F, plus the motion term and
that of DGR's `consistency` (``models/necks/dgr.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stdet.datasets.clips import Targets
from stdet.models.box_coder import cell_centres, decode_boxes, decode_scores
from stdet.models.head import HeadOutputs
from stdet.training.assigner import assign, paired_iou
from stdet.training.distributed import sum_over_processes

BOX_WEIGHT = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LossTerms:
    """Loss terms of one step, scalars that carry their gradients.

    Attributes:
        total: What is minimised.
        box: 5 (1 - IoU^2) summed over foreground / F.
        objectness: BCE over all cells that do not lie in an ignored box / F.
        classification: BCE over foreground / F, the target being the IoU.
        motion: Weighted mean squared difference to the motion prior, 0 without it.
        consistency: Weighted disagreement of the pyramid's levels, 0 without it.
        num_foreground: F.
    """

    total: Tensor
    box: Tensor
    objectness: Tensor
    classification: Tensor
    motion: Tensor
    consistency: Tensor
    num_foreground: Tensor

    def as_row(self) -> Tensor:
        """Return the terms as one tensor (7,), in the order of ``LOSS_NAMES``."""
        return torch.stack([getattr(self, name).float() for name in LOSS_NAMES])


LOSS_NAMES = (
    "total",
    "box",
    "objectness",
    "classification",
    "motion",
    "consistency",
    "num_foreground",
)


def detection_loss(
    outputs: HeadOutputs,
    targets: Sequence[Targets],
    *,
    motion: Tensor | None = None,
    consistency: Tensor | None = None,
) -> LossTerms:
    """Compute the loss of a batch.

    Args:
        outputs: R rows.
        targets: One per row, in input pixels.
        motion: Motion term, already weighted, or None.
        consistency: Consistency term, already weighted, or None.

    Returns:
        The terms. In a run of several processes F counts all of them and each process's terms
        are scaled so that their mean is the loss of the joint batch.
    """
    boxes, centres = decode_boxes(outputs), cell_centres(outputs)
    cls_logits = outputs.cls_logits.float().flatten(2).transpose(1, 2)  # (R, A, K)
    obj_logits = outputs.obj_logits.float().flatten(1)  # (R, A)
    scores = decode_scores(outputs).detach()

    counts = torch.tensor([len(target) for target in targets])
    gt_xyxy = torch.cat([target.boxes_xyxy for target in targets])
    gt_class_ids = torch.cat([target.class_ids for target in targets])
    found = assign(
        pred_xyxy=boxes.detach(),
        pred_scores=scores,
        centres_xy=centres,
        feature_stride=outputs.feature_stride,
        gt_xyxy=gt_xyxy,
        gt_class_ids=gt_class_ids,
        gt_rows=torch.repeat_interleave(counts).to(obj_logits.device),
    )
    at = found.rows, found.cells
    obj_target = torch.zeros_like(obj_logits)
    obj_target[at] = 1.0
    box_loss = (1 - paired_iou(boxes[at], gt_xyxy[found.targets]) ** 2).sum()
    cls_target = F.one_hot(gt_class_ids[found.targets], cls_logits.shape[-1])
    cls_loss = F.binary_cross_entropy_with_logits(
        cls_logits[at], cls_target * found.ious[:, None], reduction="sum"
    )
    num_foreground = obj_logits.new_tensor(float(len(found.cells)))
    counted = _counted_cells(obj_logits, centres, targets)
    if counted is not None:
        counted[at] = 1.0
    obj_loss = F.binary_cross_entropy_with_logits(
        obj_logits, obj_target, weight=counted, reduction="sum"
    )

    joint, num_processes = sum_over_processes(num_foreground)
    norm = num_processes / joint.clamp(min=1)
    box, obj, cls = BOX_WEIGHT * box_loss * norm, obj_loss * norm, cls_loss * norm
    motion = torch.zeros_like(obj) if motion is None else motion
    consistency = torch.zeros_like(obj) if consistency is None else consistency
    return LossTerms(
        total=box + obj + cls + motion + consistency,
        box=box,
        objectness=obj,
        classification=cls,
        motion=motion,
        consistency=consistency,
        num_foreground=joint,
    )


def _counted_cells(
    obj_logits: Tensor, centres_xy: Tensor, targets: Sequence[Targets]
) -> Tensor | None:
    """Return 1 for cells (R, A) that count and 0 for those in ignored boxes; None if all do."""
    if not any(len(target.ignored_xyxy) for target in targets):
        return None
    counted = torch.ones_like(obj_logits)
    for row, target in zip(counted, targets, strict=True):
        boxes = target.ignored_xyxy[:, None]
        is_in = (centres_xy >= boxes[..., :2]) & (centres_xy < boxes[..., 2:])
        row[is_in.all(dim=-1).any(dim=0)] = 0.0
    return counted
