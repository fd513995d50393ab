"""Probability of detection and false-alarm rate, for boxes and for masks.

Rates are undefined (NaN), never 0 or 1, where their denominator is 0. Counts of frames and
sequences are added, rates never averaged. Frames without targets count like any other. Classes are
not looked at: the question is whether a target was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.detection.hit_rule import HitRule
from stdet.metrics.detection.matching import match_points, new_matches
from stdet.metrics.masks.components import Components, check_masks, find_components
from stdet.metrics.masks.from_boxes import pixel_bounds
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import BoolArray, Detections, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class PdFa:
    """Counts at one score threshold, and the rates that follow from them.

    Attributes:
        num_targets: True targets that are not ignored.
        num_hits: Targets with a matched detection.
        num_false_alarms: Detections matched to no target, ignored ones included.
        num_frames: All frames.
        num_pixels: Pixels of all frames.
        false_area_pixels: Pixels whose centre lies in a false alarm, each once per frame.
    """

    num_targets: int = 0
    num_hits: int = 0
    num_false_alarms: int = 0
    num_frames: int = 0
    num_pixels: int = 0
    false_area_pixels: int = 0

    def __add__(self, other: PdFa) -> PdFa:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def pd(self) -> float:
        """Hits / targets."""
        return ratio(self.num_hits, self.num_targets)

    @property
    def recall(self) -> float:
        """The same as ``pd``."""
        return self.pd

    @property
    def precision(self) -> float:
        """Hits / (hits + false alarms)."""
        return ratio(self.num_hits, self.num_hits + self.num_false_alarms)

    @property
    def f1(self) -> float:
        """2 hits / (targets + hits + false alarms); NaN, as recall, without targets."""
        total = self.num_targets + self.num_hits + self.num_false_alarms
        return ratio(2 * self.num_hits, total if self.num_targets else 0)

    @property
    def false_alarms_per_frame(self) -> float:
        """False alarms / frames."""
        return ratio(self.num_false_alarms, self.num_frames)

    @property
    def false_alarms_per_pixel(self) -> float:
        """False alarms / pixels."""
        return ratio(self.num_false_alarms, self.num_pixels)

    @property
    def false_area_fraction(self) -> float:
        """Area of the union of false alarms / area of the frames."""
        return ratio(self.false_area_pixels, self.num_pixels)


def box_pd_fa(
    detections: Detections, gt_xyxy: FloatArray, is_ignored: BoolArray, *, rule: HitRule
) -> PdFa:
    """Count hits and false alarms of one frame.

    Which pairs are possible is up to the rule; of these the best one-to-one assignment hits.
    Ignored truth counts neither as hit nor as miss, and the detection
    matched to it (after all counted targets are served) is no false alarm.

    Args:
        detections: Detections at or above the score threshold.
        gt_xyxy: True boxes, float32 (M, 4), pixels.
        is_ignored: bool (M,).
        rule: By which detections hit.

    Returns:
        Counts of one frame.
    """
    pairs = rule.measure(detections.boxes_xyxy, gt_xyxy)
    matches = match_points(pairs.costs, limit=pairs.limit, is_ignored=is_ignored)
    is_false = np.ones(len(detections), np.bool_)
    is_false[matches.pred_indices] = False
    height, width = detections.image_hw
    return PdFa(
        num_targets=int((~is_ignored).sum()),
        num_hits=int((~is_ignored[matches.gt_indices]).sum()),
        num_false_alarms=int(is_false.sum()),
        num_frames=1,
        num_pixels=height * width,
        false_area_pixels=_union_area(detections.boxes_xyxy[is_false], detections.image_hw),
    )


def sequence_pd_fa(result: SequenceResult, *, rule: HitRule, confidence: float) -> PdFa:
    """Count hits and false alarms of a sequence.

    Args:
        result: Truth and detections.
        rule: By which detections hit.
        confidence: Detections below this score are left out.

    Returns:
        Counts of all frames.
    """
    truth, total, num_busy = result.annotation, PdFa(), 0
    for frame in result.busy_frames():
        num_busy += 1
        rows = truth.rows_at(frame.frame_index)
        total += box_pd_fa(
            frame[frame.scores >= confidence],
            truth.boxes_xyxy[rows],
            truth.is_ignored[rows],
            rule=rule,
        )
    num_empty = truth.num_frames - num_busy
    return total + PdFa(
        num_frames=num_empty, num_pixels=num_empty * truth.image_hw[0] * truth.image_hw[1]
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreCurve:
    """Hits and false alarms at every score threshold, over all sequences.

    Attributes:
        scores: float32 (S,), the distinct scores, descending.
        num_hits: int64 (S,), when detections with at least that score count.
        num_false_alarms: int64 (S,), likewise.
        num_targets: True targets that are not ignored.
        num_frames: All frames.
        num_pixels: Pixels of all frames.
    """

    scores: FloatArray
    num_hits: IntArray
    num_false_alarms: IntArray
    num_targets: int
    num_frames: int
    num_pixels: int


@dataclass(frozen=True, kw_only=True, eq=False)
class IncrementalMatches:
    """What each detection of one sequence adds, when detections come in descending score.

    Attributes:
        scores: float32 (D,), descending within a frame.
        is_new_hit: bool (D,), one more target can be hit with it.
        is_new_false: bool (D,), one more false alarm.
        num_targets: True targets that are not ignored.
        num_frames: All frames.
        num_pixels: Pixels of all frames.
    """

    scores: FloatArray
    is_new_hit: BoolArray
    is_new_false: BoolArray
    num_targets: int
    num_frames: int
    num_pixels: int


def match_incrementally(result: SequenceResult, *, rule: HitRule) -> IncrementalMatches:
    """Match the detections of one sequence at all thresholds.

    Args:
        result: Truth and detections.
        rule: By which detections hit.

    Returns:
        What each detection adds.
    """
    truth = result.annotation
    scores = [np.zeros(0, np.float32)]
    is_new_hit, is_new_false = [np.zeros(0, np.bool_)], [np.zeros(0, np.bool_)]
    for frame in result.busy_frames():
        rows = truth.rows_at(frame.frame_index)
        near = rule.measure(frame.boxes_xyxy, truth.boxes_xyxy[rows]).is_possible
        scores.append(frame.scores)
        is_new_hit.append(new_matches(near[:, ~truth.is_ignored[rows]]))
        is_new_false.append(~new_matches(near))
    return IncrementalMatches(
        scores=np.concatenate(scores),
        is_new_hit=np.concatenate(is_new_hit),
        is_new_false=np.concatenate(is_new_false),
        num_targets=int((~truth.is_ignored).sum()),
        num_frames=truth.num_frames,
        num_pixels=truth.num_frames * truth.image_hw[0] * truth.image_hw[1],
    )


def join_incremental(parts: Sequence[IncrementalMatches]) -> ScoreCurve:
    """Count hits and false alarms of several sequences at every threshold.

    Args:
        parts: One for each sequence.

    Returns:
        The curve; empty where there are no detections.
    """
    scores = np.concatenate([np.zeros(0, np.float32), *(part.scores for part in parts)])
    none = np.zeros(0, np.bool_)
    is_new_hit = np.concatenate([none, *(part.is_new_hit for part in parts)])
    is_new_false = np.concatenate([none, *(part.is_new_false for part in parts)])
    order = np.argsort(-scores, kind="stable")
    distinct, counts = np.unique(-scores, return_counts=True)
    last = np.cumsum(counts) - 1
    return ScoreCurve(
        scores=-distinct,
        num_hits=np.cumsum(is_new_hit[order], dtype=np.int64)[last],
        num_false_alarms=np.cumsum(is_new_false[order], dtype=np.int64)[last],
        num_targets=sum(part.num_targets for part in parts),
        num_frames=sum(part.num_frames for part in parts),
        num_pixels=sum(part.num_pixels for part in parts),
    )


def score_curve(results: Sequence[SequenceResult], *, rule: HitRule) -> ScoreCurve:
    """Count as ``box_pd_fa`` does, at all thresholds in one pass.

    Args:
        results: Truth and detections of each sequence.
        rule: By which detections hit.

    Returns:
        The curve; empty where there are no detections.
    """
    return join_incremental([match_incrementally(result, rule=rule) for result in results])


@dataclass(frozen=True, kw_only=True)
class MaskPdFa:
    """Counts of binary masks, and the rates that follow from them.

    Attributes:
        num_targets: Components of the truth.
        num_hits: True components with a matched component.
        num_false_components: Predicted components without a match.
        false_component_pixels: Pixels of those components.
        false_pixels: Predicted pixels outside the truth, in whatever component.
        num_frames: All frames.
        num_pixels: Pixels of all frames.
    """

    num_targets: int = 0
    num_hits: int = 0
    num_false_components: int = 0
    false_component_pixels: int = 0
    false_pixels: int = 0
    num_frames: int = 0
    num_pixels: int = 0

    def __add__(self, other: MaskPdFa) -> MaskPdFa:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def pd(self) -> float:
        """Hits / targets."""
        return ratio(self.num_hits, self.num_targets)

    @property
    def false_component_area_fraction(self) -> float:
        """Pixels of unmatched components / all pixels: what mask papers call Fa."""
        return ratio(self.false_component_pixels, self.num_pixels)

    @property
    def false_components_per_frame(self) -> float:
        """Unmatched components / frames."""
        return ratio(self.num_false_components, self.num_frames)

    @property
    def false_pixel_fraction(self) -> float:
        """Plain false pixels / all pixels."""
        return ratio(self.false_pixels, self.num_pixels)


def mask_pd_fa(prediction: BoolArray, truth: BoolArray, *, radius_px: float = 3.0) -> MaskPdFa:
    """Count hits and false components of one pair of masks.

    Components are 8-connected; one hits when its centroid lies strictly closer to that of a true
    component than the radius, by the best one-to-one assignment. Components are remembered by
    number, not by area, so that a false one as large as a hit still counts.

    Args:
        prediction: bool (H, W).
        truth: bool (H, W).
        radius_px: Pixels.

    Returns:
        Counts of one frame.

    Raises:
        ValueError: If the masks are not bool or differ in shape.
    """
    check_masks(prediction, truth)
    return component_pd_fa(
        find_components(prediction), find_components(truth), radius_px=radius_px
    )


def component_pd_fa(found: Components, targets: Components, *, radius_px: float) -> MaskPdFa:
    """Count as ``mask_pd_fa`` does.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
        radius_px: Pixels.
    """
    delta = found.centroids_rc[:, None] - targets.centroids_rc[None]
    # Centroids are fractions: without rounding, 19/3 - 10/3 comes out below 3.
    distances: NDArray[np.float64] = np.hypot(delta[..., 0], delta[..., 1]).round(9)
    matches = match_points(distances, limit=radius_px)
    is_false = np.ones(len(found), np.bool_)
    is_false[matches.pred_indices] = False
    return MaskPdFa(
        num_targets=len(targets),
        num_hits=len(matches),
        num_false_components=int(is_false.sum()),
        false_component_pixels=int(found.areas[is_false].sum()),
        false_pixels=int(((found.labels > 0) & (targets.labels == 0)).sum()),
        num_frames=1,
        num_pixels=found.labels.size,
    )


def _union_area(boxes_xyxy: FloatArray, image_hw: tuple[int, int]) -> int:
    """Count the pixels of the image whose centre lies in at least one box."""
    if not len(boxes_xyxy):
        return 0
    bounds = pixel_bounds(boxes_xyxy, image_hw)
    # The edges cut the image into cells that are covered as a whole or not at all, whatever size
    # the image is said to have.
    xs, ys = np.unique(bounds[:, [0, 2]]), np.unique(bounds[:, [1, 3]])
    left, right = np.searchsorted(xs, bounds[:, [0, 2]]).T
    top, bottom = np.searchsorted(ys, bounds[:, [1, 3]]).T
    is_covered = np.zeros((len(ys) - 1, len(xs) - 1), np.bool_)
    for x1, y1, x2, y2 in zip(left, top, right, bottom, strict=True):
        is_covered[y1:y2, x1:x2] = True
    return int((np.outer(np.diff(ys), np.diff(xs)) * is_covered).sum())
