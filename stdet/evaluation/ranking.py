"""Detections ranked by score: who hits under COCO's greedy rule, and average precision from that.

faster-coco-eval gives mAP by overlap. This module adds what it has no room for: hits by centre
distance, size bins that fit small targets, and hits kept per sequence, so that a bootstrap over
sequences can recompute the average precision of every resample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import box_iou, centre_distance
from stdet.evaluation.sequence_result import SequenceResult
from stdet.types import BoolArray, FloatArray, IntArray

SIZE_BINS_PX2 = {
    "le9": (0.0, 9.0),
    "le25": (9.0, 25.0),
    "le81": (25.0, 81.0),
    "gt81": (81.0, 1e10),
}
"""Bins of target area, pixels squared: (above, up to and including)."""

Similarity = Callable[[FloatArray, FloatArray, BoolArray], NDArray[np.float64]]
"""Detected boxes (N, 4), true boxes (M, 4) and which of these are ignored, bool (M,), to a
similarity (N, M) that grows as they come closer."""

_RECALL_POINTS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedHits:
    """Detections that count, and which of them hit.

    Attributes:
        scores: float32 (D,), descending within a frame; frames one after the other.
        is_hit: bool (D,).
        num_targets: Targets that count.
    """

    scores: FloatArray
    is_hit: BoolArray
    num_targets: int

    @classmethod
    def concatenate(cls, parts: Sequence[RankedHits]) -> RankedHits:
        """Join sequences; one that occurs twice counts twice."""
        return cls(
            scores=np.concatenate([np.zeros(0, np.float32), *(part.scores for part in parts)]),
            is_hit=np.concatenate([np.zeros(0, np.bool_), *(part.is_hit for part in parts)]),
            num_targets=sum(part.num_targets for part in parts),
        )

    @property
    def average_precision(self) -> float:
        """Mean of the interpolated precision at 101 recall points; NaN without targets.

        Source:
            COCO (Lin et al. 2014) as pycocotools computes it: equal scores keep their order,
            precision is the largest at any higher recall, and 0 beyond the highest recall.
        """
        if not self.num_targets:
            return float("nan")
        is_hit = self.is_hit[np.argsort(-self.scores, kind="stable")]
        return _interpolated(np.cumsum(is_hit), np.arange(1, len(is_hit) + 1), self.num_targets)


def average_precision_of_resamples(
    parts: Sequence[RankedHits], multiplicities: IntArray
) -> NDArray[np.float64]:
    """Return the average precision of many resamples of sequences.

    All detections are sorted once; a resample only weights them.

    Args:
        parts: One for each sequence.
        multiplicities: int64 (R, S), how often each resample holds each sequence.

    Returns:
        float64 (R,); NaN without targets. Equal to ``RankedHits.concatenate`` of the resample but
        for the order of equal scores within one sequence that is drawn twice.
    """
    joint = RankedHits.concatenate(parts)
    order = np.argsort(-joint.scores, kind="stable")
    sequence = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])[order]
    is_hit = joint.is_hit[order]
    num_targets = multiplicities @ np.array([part.num_targets for part in parts], np.int64)
    values = np.full(len(multiplicities), np.nan)
    for row in np.flatnonzero(num_targets).tolist():
        weights = multiplicities[row][sequence]
        num_hits, num_all = np.cumsum(weights * is_hit), np.cumsum(weights)
        values[row] = _interpolated(num_hits, num_all, int(num_targets[row]))
    return values


def _interpolated(num_hits: IntArray, num_all: IntArray, num_targets: int) -> float:
    """Return the mean interpolated precision of cumulated counts (D,)."""
    precision = num_hits / np.maximum(num_all, 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(num_hits / num_targets, _RECALL_POINTS, side="left")
    return float(np.append(highest, 0.0)[np.minimum(places, len(highest))].mean())


def overlap(
    pred_xyxy: FloatArray, gt_xyxy: FloatArray, is_ignored: BoolArray
) -> NDArray[np.float64]:
    """Return the intersection over union, (N, M); over the detection's area for ignored truth."""
    iou = box_iou(pred_xyxy, gt_xyxy)
    if is_ignored.any():
        area, gt_area = _areas(pred_xyxy)[:, None], _areas(gt_xyxy)[None, :]
        intersection = iou * (area + gt_area) / (1 + iou)
        iou = np.where(is_ignored, intersection / area, iou)
    return iou


def nearness(
    pred_xyxy: FloatArray, gt_xyxy: FloatArray, is_ignored: BoolArray
) -> NDArray[np.float64]:
    """Return minus the centre distance in pixels, (N, M)."""
    return -centre_distance(pred_xyxy, gt_xyxy)


def rank_hits(
    result: SequenceResult,
    *,
    similarity: Similarity,
    threshold: float,
    area_px2: tuple[float, float] | None = None,
    class_id: int | None = None,
) -> RankedHits:
    """Match each frame's detections to its targets in descending score, as COCO does.

    Every detection takes the most similar free target whose similarity is at least the threshold;
    targets that count come before those that do not. A detection that takes a target which does
    not count is left out, and with ``area_px2`` so is one that takes none and lies outside the
    bin itself. A target that is ignored in the file takes any number of detections, as COCO's
    crowd does.

    Args:
        result: Truth and detections.
        similarity: ``overlap`` or ``nearness``.
        threshold: Smallest similarity of a hit. For distances strictly below r pixels pass
            ``-np.nextafter(r, 0)``.
        area_px2: Only targets of an area in (low, high] count; None for all.
        class_id: Only this class of targets and detections; None looks at no classes.

    Returns:
        The ranked detections of the sequence.
    """
    truth = result.annotation
    scores, hits, num_targets = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)], 0
    for frame in result.detections:
        rows = truth.rows_at(frame.frame_index)
        boxes, is_crowd = truth.boxes_xyxy[rows], truth.is_ignored[rows]
        if class_id is not None:
            of_class = truth.class_ids[rows] == class_id
            boxes, is_crowd = boxes[of_class], is_crowd[of_class]
            frame = frame[frame.class_ids == class_id]
        is_out = is_crowd | ~_in_bin(boxes, area_px2)
        num_targets += int((~is_out).sum())
        taken = _take(similarity(frame.boxes_xyxy, boxes, is_crowd), threshold, is_crowd, is_out)
        is_free = taken < 0
        is_hit = ~is_free & ~np.append(is_out, True)[taken]
        counts = is_hit | (is_free & _in_bin(frame.boxes_xyxy, area_px2))
        scores.append(frame.scores[counts])
        hits.append(is_hit[counts])
    return RankedHits(
        scores=np.concatenate(scores), is_hit=np.concatenate(hits), num_targets=num_targets
    )


def _areas(boxes_xyxy: FloatArray) -> NDArray[np.float64]:
    """Return areas in pixels squared, float64 (N,)."""
    areas: NDArray[np.float64] = (boxes_xyxy[:, 2:].astype(np.float64) - boxes_xyxy[:, :2]).prod(
        axis=1
    )
    return areas


def _in_bin(boxes_xyxy: FloatArray, area_px2: tuple[float, float] | None) -> BoolArray:
    """Say which boxes have an area within the bin, bool (N,)."""
    if area_px2 is None:
        return np.ones(len(boxes_xyxy), np.bool_)
    area = _areas(boxes_xyxy)
    inside: BoolArray = (area > area_px2[0]) & (area <= area_px2[1])
    return inside


def _take(
    similarity: NDArray[np.float64], threshold: float, is_crowd: BoolArray, is_out: BoolArray
) -> NDArray[np.int64]:
    """Return the target that each detection takes, int64 (N,), -1 for none."""
    taken = np.full(len(similarity), -1, np.int64)
    is_free = np.ones(len(is_out), np.bool_)
    is_possible = similarity >= threshold
    for row in np.flatnonzero(is_possible.any(axis=1)).tolist():
        open_ones = is_possible[row] & (is_free | is_crowd)
        for choices in (open_ones & ~is_out, open_ones & is_out):
            if choices.any():
                # The last of equals, as in COCO.
                near = np.where(choices, similarity[row], -np.inf)[::-1]
                best = len(near) - 1 - int(near.argmax())
                taken[row], is_free[best] = best, False
                break
    return taken
