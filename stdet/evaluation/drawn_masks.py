"""Boxes of a sequence drawn as masks and counted by the mask protocols."""

from __future__ import annotations

import numpy as np

from stdet.metrics.counts import weighted_sum
from stdet.metrics.detection.hit_rule import HitRule
from stdet.metrics.detection.matching import match_points
from stdet.metrics.masks.from_boxes import fill_boxes
from stdet.metrics.masks.protocols import MaskProtocols, count_masks
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import BoolArray, Detections, FloatArray


def count_drawn_masks(
    result: SequenceResult, *, rule: HitRule, confidence: float, radius_px: float
) -> MaskProtocols:
    """Draw truth and detections of a sequence as filled boxes, and count them.

    No mask protocol knows truth that is to be ignored. It is not drawn, and neither is the
    detection that the rule gives to it once all counted targets are served.

    Args:
        result: Truth and detections.
        rule: By which detections hit.
        confidence: Detections below this score are left out.
        radius_px: Of our definition of mask Pd and Fa.

    Returns:
        Counts of all frames.
    """
    truth, total, num_busy = result.annotation, MaskProtocols(), 0
    for frame in result.busy_frames():
        num_busy += 1
        rows = truth.rows_at(frame.frame_index)
        boxes, is_ignored = truth.boxes_xyxy[rows], truth.is_ignored[rows]
        kept = _without_ignored(frame[frame.scores >= confidence], boxes, is_ignored, rule)
        total += count_masks(
            fill_boxes(kept.boxes_xyxy, truth.image_hw),
            fill_boxes(boxes[~is_ignored], truth.image_hw),
            radius_px=radius_px,
        )
    nothing = np.zeros(truth.image_hw, np.bool_)
    empty = count_masks(nothing, nothing, radius_px=radius_px)
    return weighted_sum([total, empty], np.array([1, truth.num_frames - num_busy]))


def _without_ignored(
    found: Detections, gt_xyxy: FloatArray, is_ignored: BoolArray, rule: HitRule
) -> Detections:
    """Leave out the detections that ignored truth takes."""
    pairs = rule.measure(found.boxes_xyxy, gt_xyxy)
    matches = match_points(pairs.costs, limit=pairs.limit, is_ignored=is_ignored)
    is_kept = np.ones(len(found), np.bool_)
    is_kept[matches.pred_indices[is_ignored[matches.gt_indices]]] = False
    return found[is_kept]
