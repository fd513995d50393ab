"""ClipOutputs to Detections in original-frame pixels: decode, filter, NMS, undo the letterbox."""

from __future__ import annotations

import numpy as np

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.errors import CheckpointError
from stdet.inference.decode import decode_boxes, decode_scores
from stdet.inference.engines.engine import ClipOutputs
from stdet.types import Detections, FloatArray, IntArray

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
    scores = decode_scores(outputs)
    best = scores.max(axis=1)
    kept = np.flatnonzero(best >= config.score_floor)
    if len(kept) > MAX_CANDIDATES:
        kept = kept[np.argsort(-best[kept], kind="stable")[:MAX_CANDIDATES]]
    with np.errstate(over="ignore", invalid="ignore"):
        offsets_px = outputs.box_offsets * np.float32(outputs.feature_stride)
    checked = (outputs.cls_logits, outputs.obj_logits, offsets_px)
    if not all(np.isfinite(values).all() for values in checked):
        raise CheckpointError(
            f"frame {frame_index}: {network} gives values that are not finite; its weights "
            "are broken, use others."
        )
    height, width = geometry.source_hw
    limits = np.array([width, height, width, height], np.float32)
    boxes = np.clip(geometry.boxes_to_source(decode_boxes(outputs, kept)), 0, limits)
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


def _suppress(
    boxes: FloatArray, scores: FloatArray, class_ids: IntArray, config: PostprocessConfig
) -> IntArray:
    """Return the rows that no stronger one of their class overlaps, in descending score.

    Equal to ``torchvision.ops.batched_nms``.
    """
    left = np.argsort(-scores, kind="stable")
    sizes = boxes[:, 2:] - boxes[:, :2]
    areas = sizes[:, 0] * sizes[:, 1]
    kept: list[int] = []
    while len(left) and len(kept) < config.max_detections:
        first, left = left[0], left[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[left, :2])
        shared = np.maximum(np.minimum(boxes[first, 2:], boxes[left, 2:]) - low, 0)
        overlap = shared[:, 0] * shared[:, 1]
        with np.errstate(invalid="ignore"):  # Boxes so small that their areas are 0.
            iou = overlap / (areas[first] + areas[left] - overlap)
        left = left[~(iou > config.nms_iou) | (class_ids[left] != class_ids[first])]
    return np.asarray(kept, np.int64)
