"""ClipOutputs to Detections in original-frame pixels: decode, filter, NMS, undo the letterbox."""

from __future__ import annotations

import numpy as np

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.errors import CheckpointError
from stdet.inference.decode import decode_boxes, decode_scores
from stdet.inference.engines.engine import ClipOutputs
from stdet.types import BoolArray, Detections, FloatArray, IntArray

_GROUP = 32
"""Detections that are compared with each other at a time."""
_LOGIT_MARGIN = 1e-3
"""Covers the rounding of scores."""
MAX_CANDIDATES = 1000
"""Best cells per frame that enter NMS; 1000 separate targets on one frame are not met."""


def postprocess(
    outputs: ClipOutputs,
    *,
    config: PostprocessConfig,
    geometry: InputGeometry,
    frame_index: int,
    network: str = "the network",
) -> Detections:
    """Turn outputs into the detections of their frame.

    Args:
        outputs: Of an engine.
        config: Score floor, NMS overlap and largest count.
        geometry: How the frame was brought to the detector.
        frame_index: Of the frame.
        network: What a message calls it.

    Returns:
        In original-frame pixels, clipped to the frame, all scores at least ``score_floor``.

    Raises:
        CheckpointError: If an output is not finite. NaN passes no threshold, so that a broken
            network would seem to find nothing.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        offsets_px = outputs.box_offsets * np.float32(outputs.feature_stride)
    checked = (outputs.cls_logits, outputs.obj_logits, offsets_px)
    if not all(np.isfinite(values).all() for values in checked):
        raise CheckpointError(
            f"frame {frame_index}: {network} gives values that are not finite; its weights "
            "are broken, use others."
        )
    cells = _perhaps_at_least(outputs.obj_logits, config.score_floor)
    scores = decode_scores(outputs, cells)
    best = scores.max(axis=1)
    kept = np.flatnonzero(best >= config.score_floor)
    if len(kept) > MAX_CANDIDATES:
        kept = kept[np.argsort(-best[kept], kind="stable")[:MAX_CANDIDATES]]
    height, width = geometry.source_hw
    limits = np.array([width, height, width, height], np.float32)
    boxes = np.clip(geometry.boxes_to_source(decode_boxes(outputs, cells[kept])), 0, limits)
    best, class_ids = best[kept], scores[kept].argmax(axis=1)
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, best, class_ids = boxes[has_area], best[has_area], class_ids[has_area]
    order = _suppress(boxes, best, class_ids, config)
    return Detections(
        boxes_xyxy=boxes[order],
        scores=best[order],
        class_ids=class_ids[order],
        frame_index=frame_index,
        image_hw=geometry.source_hw,
    )


def _perhaps_at_least(obj_logits: FloatArray, score: float) -> IntArray:
    """Return the cells whose score may reach one: it is no higher than that of objectness."""
    logits = obj_logits.ravel()
    if not 0 < score < 1:
        return np.arange(logits.size)
    return np.flatnonzero(logits >= np.log(score / (1 - score)) - _LOGIT_MARGIN)


def _suppress(
    boxes: FloatArray, scores: FloatArray, class_ids: IntArray, config: PostprocessConfig
) -> IntArray:
    """Return the rows that no stronger one of their class overlaps, in descending score.

    Equal to ``torchvision.ops.batched_nms``. The strongest that are left are compared with each
    other, then those of them that stay with all weaker ones, and so on.
    """
    order = np.argsort(-scores, kind="stable")
    left, kept = order, order[:0]
    while len(left) and len(kept) < config.max_detections:
        group, left = left[:_GROUP], left[_GROUP:]
        rivals = _overlap(boxes, class_ids, group, group, config.nms_iou)
        is_kept: BoolArray = np.ones(len(group), np.bool_)
        for row in range(len(group)):
            if is_kept[row]:
                is_kept[row + 1 :] &= ~rivals[row, row + 1 :]
        chosen = group[is_kept]
        kept = np.concatenate([kept, chosen])
        left = left[~_overlap(boxes, class_ids, chosen, left, config.nms_iou).any(axis=0)]
    return kept[: config.max_detections]


def _overlap(
    boxes: FloatArray, class_ids: IntArray, rows: IntArray, others: IntArray, iou: float
) -> BoolArray:
    """Return which of one class overlap by more than ``iou``, bool (R, N)."""
    these, those = boxes[rows][:, None], boxes[others][None]
    sides = np.minimum(these[..., 2:], those[..., 2:]) - np.maximum(these[..., :2], those[..., :2])
    sides = np.maximum(sides, 0)
    shared = sides[..., 0] * sides[..., 1]
    with np.errstate(invalid="ignore"):  # Boxes so small that their areas are 0.
        found: BoolArray = shared / (_areas(these) + _areas(those) - shared) > iou
    found &= class_ids[rows][:, None] == class_ids[others]
    return found


def _areas(boxes: FloatArray) -> FloatArray:
    """Return the areas of boxes (..., 4)."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return sides[..., 0] * sides[..., 1]
