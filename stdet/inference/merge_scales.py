"""One set of detections of what was found in a frame at several scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stdet.boxes import centres_xy
from stdet.types import BoolArray, Detections, FloatArray

_NEARLY_AS_SURE = 0.8
"""Of detections of one target the finest one gives the box whose score is this share of the best
one: a pixel of a finer scale tells more of where the target is."""


def merge_scales(found: Sequence[Detections], hw: tuple[int, ...]) -> Detections:
    """Merge what one frame shows at several scales.

    Detections of which one holds the centre of the other are one target. It has the best score.

    Args:
        found: Of one frame, by scale, the finest first, each in pixels of its own scale.
        hw: Size of the frame at scale 1.

    Returns:
        In pixels of scale 1.
    """
    if len(found) == 1:
        return found[0]
    boxes = np.concatenate([_enlarged(one, hw) for one in found])
    scores = np.concatenate([one.scores for one in found])
    class_ids = np.concatenate([one.class_ids for one in found])
    scales = np.repeat(np.arange(len(found)), [len(one) for one in found])
    is_left: BoolArray = np.ones(len(scores), np.bool_)
    chosen, best = [], []
    for row in np.argsort(-scores, kind="stable"):
        if not is_left[row]:
            continue
        same = np.flatnonzero(is_left & _holds(boxes, row))
        sure = same[scores[same] >= _NEARLY_AS_SURE * scores[row]]
        chosen.append(sure[np.lexsort((-scores[sure], scales[sure]))[0]])
        best.append(row)
        is_left[same] = False
    rows = np.asarray(chosen, np.int64)
    return Detections(
        boxes_xyxy=boxes[rows],
        scores=scores[np.asarray(best, np.int64)],
        class_ids=class_ids[rows],
        frame_index=found[0].frame_index,
        image_hw=(int(hw[0]), int(hw[1])),
    )


def _enlarged(detections: Detections, hw: tuple[int, ...]) -> FloatArray:
    """Return the boxes (N, 4) in pixels of a frame of size ``hw``."""
    height, width = detections.image_hw
    factors = np.array([hw[1] / width, hw[0] / height] * 2, np.float32)
    return detections.boxes_xyxy * factors


def _holds(boxes: FloatArray, row: int) -> BoolArray:
    """Return of each box whether it holds the centre of one of them, or that one its centre."""
    centres = centres_xy(boxes)
    is_inside: BoolArray = (
        np.abs(centres - centres[row]) * 2 < np.maximum(_sides(boxes), _sides(boxes[row]))
    ).all(axis=1)
    is_inside[row] = True
    return is_inside


def _sides(boxes: FloatArray) -> FloatArray:
    """Return widths and heights, (..., 2)."""
    return boxes[..., 2:] - boxes[..., :2]
