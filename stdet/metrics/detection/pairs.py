"""Detections and targets of a sequence in flat arrays, and the pairs that are close to each other.

Average precision at several radii, overlaps and sizes all start from the same few pairs; they are
found once, without a loop over frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.sequence_result import SequenceResult
from stdet.types import BoolArray, FloatArray, IntArray

MIN_IOU = 0.5
"""Pairs with this overlap are close ..."""
MAX_DISTANCE_PX = 5.0
"""... and so are those with centres strictly nearer than this."""

_PAIRS_AT_ONCE = 1 << 20
"""Bounds the memory for pairs that are looked at, about 100 bytes each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlatSequence:
    """One sequence without its frames.

    Attributes:
        boxes_xyxy: float32 (D, 4), detections, descending in score within a frame.
        scores: float32 (D,).
        class_ids: int64 (D,).
        gt_xyxy: float32 (M, 4), targets.
        gt_class_ids: int64 (M,).
        is_ignored: bool (M,).
        pair_detections: int64 (P,), the detection of each close pair, not decreasing.
        pair_targets: int64 (P,), its target.
        pair_ious: float64 (P,), intersection over union; over the detection's area where the
            target is ignored, as COCO does for crowds.
        pair_distances: float64 (P,), between centres, pixels.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: IntArray
    gt_xyxy: FloatArray
    gt_class_ids: IntArray
    is_ignored: BoolArray
    pair_detections: IntArray
    pair_targets: IntArray
    pair_ious: NDArray[np.float64]
    pair_distances: NDArray[np.float64]


PairMeasure = Callable[[FloatArray, FloatArray, BoolArray], NDArray[np.float64]]
"""Of boxes and targets row by row, and whether a target is ignored: from 0 to 1, float64 (P,)."""


def overlaps(boxes: FloatArray, gt: FloatArray, is_ignored: BoolArray) -> NDArray[np.float64]:
    """Return the overlap of boxes row by row; see ``FlatSequence.pair_ious``."""
    one, other = boxes.astype(np.float64), gt.astype(np.float64)
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    intersection = np.clip(sides, 0, None).prod(axis=1)
    area = areas(boxes)
    union = np.where(is_ignored, area, area + areas(gt) - intersection)
    iou: NDArray[np.float64] = np.divide(
        intersection, union, out=np.zeros_like(union), where=union > 0
    )
    return iou


def flatten(result: SequenceResult, *, measure: PairMeasure = overlaps) -> FlatSequence:
    """Lay one sequence flat.

    Args:
        result: Truth and detections.
        measure: What ``pair_ious`` holds, where it is not the overlap.

    Returns:
        Its arrays and close pairs.
    """
    truth, frames = result.annotation, list(result.busy_frames())
    counts = np.array([len(frame) for frame in frames], np.int64)
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(f.boxes_xyxy for f in frames)])
    frame_indices = np.array([frame.frame_index for frame in frames], np.int64)
    frame_of_detection = np.repeat(frame_indices, counts)
    found: list[tuple[IntArray, IntArray, NDArray[np.float64], NDArray[np.float64]]] = []
    for detections, targets in _pairs_in_frames(frame_of_detection, truth.frame_indices):
        rows = boxes[detections], truth.boxes_xyxy[targets]
        iou = measure(*rows, truth.is_ignored[targets])
        distance = _distances(*rows)
        is_close = (iou >= MIN_IOU) | (distance < MAX_DISTANCE_PX)
        found.append((detections[is_close], targets[is_close], iou[is_close], distance[is_close]))
    empty = np.zeros(0, np.int64)
    return FlatSequence(
        boxes_xyxy=boxes,
        scores=np.concatenate([np.zeros(0, np.float32), *(f.scores for f in frames)]),
        class_ids=np.concatenate([empty, *(f.class_ids for f in frames)]),
        gt_xyxy=truth.boxes_xyxy,
        gt_class_ids=truth.class_ids,
        is_ignored=truth.is_ignored,
        pair_detections=np.concatenate([empty, *(part[0] for part in found)]),
        pair_targets=np.concatenate([empty, *(part[1] for part in found)]),
        pair_ious=np.concatenate([np.zeros(0), *(part[2] for part in found)]),
        pair_distances=np.concatenate([np.zeros(0), *(part[3] for part in found)]),
    )


def areas(boxes_xyxy: FloatArray) -> NDArray[np.float64]:
    """Return areas in pixels squared, float64 (N,)."""
    boxes = boxes_xyxy.astype(np.float64)
    sides: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return sides


def _pairs_in_frames(
    detection_frames: IntArray, target_frames: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield all pairs of a detection and a target of the same frame, a bounded number at a time.

    Both are sorted by frame; pairs come sorted by detection, then target.
    """
    first = np.searchsorted(target_frames, detection_frames, side="left")
    num_targets = np.searchsorted(target_frames, detection_frames, side="right") - first
    ends = np.cumsum(num_targets)
    start = 0
    while start < len(detection_frames):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right"))
        stop = max(stop, start + 1)
        here = num_targets[start:stop]
        detections = np.repeat(np.arange(start, stop), here)
        place = np.arange(len(detections)) - np.repeat(np.cumsum(here) - here, here)
        yield detections, first[detections] + place
        start = stop


def _distances(boxes: FloatArray, gt: FloatArray) -> NDArray[np.float64]:
    """Return the centre distance of boxes row by row, float64 (P,)."""
    one, other = boxes.astype(np.float64), gt.astype(np.float64)
    offset = (one[:, :2] + one[:, 2:] - other[:, :2] - other[:, 2:]) / 2
    distances: NDArray[np.float64] = np.hypot(offset[:, 0], offset[:, 1])
    return distances
