"""One set of detections of what was found in a frame at several scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stdet.boxes import centres_xy
from stdet.types import BoolArray, Detections, FloatArray, IntArray

_NEARLY_AS_SURE = 0.8
"""Of detections of one target the finest one gives the box whose score is this share of the best
one: a pixel of a finer scale tells more of where the target is."""


def merge_scales(found: Sequence[Detections], hw: tuple[int, ...]) -> Detections:
    """Merge what one frame shows at several scales.

    Detections of which one holds the centre of the other are one target, except that several of a
    finer scale that are nearly as sure as a coarser one that holds them are as many targets.
    Scales are taken as witnesses that know nothing of each other: with the best score ``s_k``
    that each scale has for a target, its score is ``1 - prod(1 - s_k)``.

    Args:
        found: Of one frame, by scale, the finest first, each in pixels of its own scale.
        hw: Size of the frame at scale 1.

    Returns:
        In pixels of scale 1, by falling score.
    """
    if len(found) == 1:
        return found[0]
    boxes = np.concatenate([enlarged(one, hw) for one in found])
    scores = np.concatenate([one.scores for one in found])
    class_ids = np.concatenate([one.class_ids for one in found])
    scales = np.repeat(np.arange(len(found)), [len(one) for one in found])
    holds = _holds(boxes)
    is_left: BoolArray = np.ones(len(scores), np.bool_)
    chosen: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if not is_left[row]:
            continue
        same = np.flatnonzero(is_left & holds[row])
        is_left[same] = False
        sure = same[scores[same] >= _NEARLY_AS_SURE * scores[row]]
        finest = sure[scales[sure] == scales[sure].min()]
        chosen.extend(_apart(holds, finest[np.argsort(-scores[finest], kind="stable")]))
    rows = np.asarray(chosen, np.int64)
    return Detections.from_unsorted(
        boxes_xyxy=boxes[rows],
        scores=_joint_scores(holds[rows], scores, scales),
        class_ids=class_ids[rows],
        frame_index=found[0].frame_index,
        image_hw=(int(hw[0]), int(hw[1])),
    )


def _apart(holds: BoolArray, rows: IntArray) -> list[int]:
    """Return those rows, in their order, that no one before them holds or is held by."""
    apart: list[int] = []
    for row in rows:
        if not holds[row, apart].any():
            apart.append(int(row))
    return apart


def _joint_scores(holds: BoolArray, scores: FloatArray, scales: IntArray) -> FloatArray:
    """Return the scores (R,) of targets of which each scale is a witness.

    Args:
        holds: Which detections (R, N) are of each target.
        scores: Of the detections (N,).
        scales: Of the detections (N,).
    """
    missed = np.ones(len(holds))
    for scale in np.unique(scales):
        of_scale = scales == scale
        seen = np.where(holds[:, of_scale], scores[of_scale], 0)
        missed *= 1.0 - seen.max(axis=1, initial=0).astype(np.float64)
    return (1.0 - missed).astype(np.float32)


def enlarged(detections: Detections, hw: tuple[int, ...]) -> FloatArray:
    """Return the boxes (N, 4) in pixels of a frame of size ``hw``."""
    height, width = detections.image_hw
    factors = np.array([hw[1] / width, hw[0] / height] * 2, np.float32)
    return detections.boxes_xyxy * factors


def _holds(boxes: FloatArray) -> BoolArray:
    """Return of each pair of boxes (N, N) whether one of them holds the centre of the other."""
    centres, sides = centres_xy(boxes), _sides(boxes)
    holds: BoolArray = np.eye(len(boxes), dtype=np.bool_)
    holds |= np.logical_and.reduce(
        [
            np.abs(np.subtract.outer(centres[:, axis], centres[:, axis])) * 2
            < np.maximum.outer(sides[:, axis], sides[:, axis])
            for axis in (0, 1)
        ]
    )
    return holds


def _sides(boxes: FloatArray) -> FloatArray:
    """Return widths and heights, (..., 2)."""
    return boxes[..., 2:] - boxes[..., :2]
