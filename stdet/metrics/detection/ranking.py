"""Detections ranked by score: who hits under COCO's greedy rule, and average precision from that.

Hits are by overlap or by centre distance, of all targets or of those in a bin of size. They are
kept per sequence, so that a bootstrap over sequences can recompute the average precision of every
resample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.counts import ratio
from stdet.metrics.detection.pairs import FlatSequence, areas
from stdet.types import BoolArray, FloatArray, IntArray

SIZE_BINS_PX2 = {
    "le9": (0.0, 9.0),
    "le25": (9.0, 25.0),
    "le81": (25.0, 81.0),
    "gt81": (81.0, 1e10),
}
"""Bins of target area, pixels squared: (above, up to and including)."""

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

    def at_least(self, score: float) -> RankedHits:
        """Return the detections of at least this score."""
        rows = self.scores >= score
        return RankedHits(
            scores=self.scores[rows], is_hit=self.is_hit[rows], num_targets=self.num_targets
        )

    @property
    def recall(self) -> float:
        """Hits of all detections / targets."""
        return ratio(int(self.is_hit.sum()), self.num_targets)

    @property
    def average_precision(self) -> float:
        """Mean of the interpolated precision; NaN without targets."""
        return float(self.interpolated_precision.mean())

    @property
    def interpolated_precision(self) -> NDArray[np.float64]:
        """Precision at 101 recall points, float64 (101,); NaN without targets.

        Source:
            COCO (Lin et al. 2014) as pycocotools computes it: equal scores keep their order,
            precision is the largest at any higher recall, and 0 beyond the highest recall.
        """
        if not self.num_targets:
            return np.full(len(_RECALL_POINTS), np.nan)
        is_hit = self.is_hit[np.argsort(-self.scores, kind="stable")]
        return _interpolate(np.cumsum(is_hit), np.arange(1, len(is_hit) + 1), self.num_targets)


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
        values[row] = _interpolate(num_hits, num_all, int(num_targets[row])).mean()
    return values


def _interpolate(num_hits: IntArray, num_all: IntArray, num_targets: int) -> NDArray[np.float64]:
    """Return the precision at the recall points from cumulated counts (D,)."""
    precision = num_hits / np.maximum(num_all, 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(num_hits / num_targets, _RECALL_POINTS, side="left")
    points: NDArray[np.float64] = np.append(highest, 0.0)[np.minimum(places, len(highest))]
    return points


def hits_by_overlap(
    flat: FlatSequence,
    *,
    min_iou: float = 0.5,
    area_px2: tuple[float, float] | None = None,
    class_id: int | None = None,
) -> RankedHits:
    """Match detections to targets in descending score by overlap, as COCO does.

    Every detection takes the free target of its frame with most overlap, of at least ``min_iou``;
    targets that count come before those that do not. A detection that takes a target which does
    not count is left out, and with ``area_px2`` so is one that takes none and lies outside the
    bin itself. A target that is ignored in the file takes any number of detections, as COCO's
    crowd does.

    Args:
        flat: Truth and detections.
        min_iou: Smallest overlap of a hit, at least ``pairs.MIN_IOU``.
        area_px2: Only targets of an area in (low, high] count; None for all.
        class_id: Only this class of targets and detections; None looks at no classes.

    Returns:
        The ranked detections of the sequence.
    """
    is_close = flat.pair_ious >= min(min_iou, 1 - 1e-10)
    return _rank(flat, is_close, flat.pair_ious, area_px2, class_id)


def hits_by_distance(flat: FlatSequence, *, radius_px: float) -> RankedHits:
    """Do the same by centre distance, strictly below a radius; classes are not looked at.

    Args:
        flat: Truth and detections.
        radius_px: Pixels, at most ``pairs.MAX_DISTANCE_PX``.

    Returns:
        The ranked detections of the sequence.
    """
    is_close = flat.pair_distances < radius_px
    return _rank(flat, is_close, -flat.pair_distances, None, None)


def _rank(
    flat: FlatSequence,
    is_close: BoolArray,
    similarity: NDArray[np.float64],
    area_px2: tuple[float, float] | None,
    class_id: int | None,
) -> RankedHits:
    """Match greedily and keep the detections that count."""
    is_out = flat.is_ignored | ~_in_bin(flat.gt_xyxy, area_px2)
    counts = _in_bin(flat.boxes_xyxy, area_px2)
    is_of_class = np.ones(len(flat.gt_xyxy), np.bool_)
    if class_id is not None:
        is_of_class = flat.gt_class_ids == class_id
        counts &= flat.class_ids == class_id
        is_close = is_close & is_of_class[flat.pair_targets]
        is_close &= flat.class_ids[flat.pair_detections] == class_id
    rows = np.flatnonzero(is_close)
    detections, targets = flat.pair_detections[rows], flat.pair_targets[rows]
    # By detection; targets that count first, then the most similar, of equals the last as in COCO.
    order = np.lexsort((-targets, -similarity[rows], is_out[targets], detections))
    is_hit = np.zeros(len(flat.scores), np.bool_)
    is_taken: set[int] = set()
    last = -1
    is_crowd = flat.is_ignored.tolist()
    for detection, target in zip(detections[order].tolist(), targets[order].tolist(), strict=True):
        if detection == last or (target in is_taken and not is_crowd[target]):
            continue
        last = detection
        is_taken.add(target)
        is_hit[detection] = not is_out[target]
        counts[detection] = is_hit[detection]
    return RankedHits(
        scores=flat.scores[counts],
        is_hit=is_hit[counts],
        num_targets=int((is_of_class & ~is_out).sum()),
    )


def _in_bin(boxes_xyxy: FloatArray, area_px2: tuple[float, float] | None) -> BoolArray:
    """Say which boxes have an area within the bin, bool (N,)."""
    if area_px2 is None:
        return np.ones(len(boxes_xyxy), np.bool_)
    # Sides of float32 corners are off by 1e-5 px; a box of 3 x 3 px has 9 px2 wherever it lies.
    area = areas(boxes_xyxy).round(2)
    inside: BoolArray = (area > area_px2[0]) & (area <= area_px2[1])
    return inside
