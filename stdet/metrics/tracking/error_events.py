"""Where a sequence went wrong: misses, false alarms and identity switches, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stdet.config import EvaluationConfig
from stdet.metrics.detection.hit_rule import HitRule, hit_rule
from stdet.metrics.detection.matching import match_points
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.clear_identity_hota import switches_per_frame
from stdet.metrics.tracking.linking import identify_truth
from stdet.types import BoolArray, Detections, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMatches:
    """One frame at the operating point.

    Attributes:
        detections: Those at or above the score threshold, N of them.
        is_found: bool (M,), true boxes of the frame, ignored ones included, with a detection.
        is_false_alarm: bool (N,), detections matched to no true box.
    """

    detections: Detections
    is_found: BoolArray
    is_false_alarm: BoolArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorEvents:
    """What went wrong in each of the F frames of a sequence.

    Attributes:
        num_misses: int64 (F,), targets without a detection; their sum is targets less hits.
        num_false_alarms: int64 (F,), detections without a target.
        num_switches: int64 (F,), targets that another track took over, as CLEAR counts them.
        is_found: bool (M,), rows of the truth with a detection.
    """

    num_misses: IntArray
    num_false_alarms: IntArray
    num_switches: IntArray
    is_found: BoolArray

    @property
    def num_detection_errors(self) -> IntArray:
        """Misses and false alarms, int64 (F,)."""
        return self.num_misses + self.num_false_alarms


def match_frame(
    result: SequenceResult, frame_index: int, *, rule: HitRule, confidence: float
) -> FrameMatches:
    """Match one frame by the rule of ``box_pd_fa``.

    Args:
        result: Truth and detections.
        frame_index: Counted from 0.
        rule: By which detections hit.
        confidence: Detections below this score are left out.

    Returns:
        The frame.
    """
    truth, frame = result.annotation, result.detections[frame_index]
    rows = truth.rows_at(frame_index)
    detections = frame[frame.scores >= confidence]
    pairs = rule.measure(detections.boxes_xyxy, truth.boxes_xyxy[rows])
    matches = match_points(pairs.costs, limit=pairs.limit, is_ignored=truth.is_ignored[rows])
    is_found = np.zeros(rows.stop - rows.start, np.bool_)
    is_found[matches.gt_indices] = True
    is_false_alarm = np.ones(len(detections), np.bool_)
    is_false_alarm[matches.pred_indices] = False
    return FrameMatches(detections=detections, is_found=is_found, is_false_alarm=is_false_alarm)


def find_errors(
    result: SequenceResult, config: EvaluationConfig, *, confidence: float
) -> ErrorEvents:
    """Find the errors of a sequence by the rules of its report.

    Misses and false alarms are of detections, switches of tracks; truth without identities is
    linked first, as for the report.

    Args:
        result: Truth, detections and tracks.
        config: Rule of a hit, and gates.
        confidence: Score threshold of misses and false alarms.

    Returns:
        Counts per frame.
    """
    truth, rule = result.annotation, hit_rule(config)
    is_found = np.zeros(len(truth), np.bool_)
    num_misses = np.zeros(truth.num_frames, np.int64)
    num_false_alarms = np.zeros(truth.num_frames, np.int64)
    for frame in result.busy_frames():
        frame_index = frame.frame_index
        matches = match_frame(result, frame_index, rule=rule, confidence=confidence)
        rows = truth.rows_at(frame_index)
        is_found[rows] = matches.is_found
        num_misses[frame_index] = (~matches.is_found & ~truth.is_ignored[rows]).sum()
        num_false_alarms[frame_index] = matches.is_false_alarm.sum()
    identified = identify_truth(truth, link_gate_px=config.link_gate_px).annotation
    return ErrorEvents(
        num_misses=num_misses,
        num_false_alarms=num_false_alarms,
        num_switches=switches_per_frame(identified, result.tracks, gate_px=config.track_gate_px),
        is_found=is_found,
    )


def worst_frames(
    events: Sequence[ErrorEvents], *, limit: int, min_gap: int = 10
) -> list[tuple[int, int]]:
    """Choose frames with most misses and false alarms, spread over the sequences.

    Every sequence offers its worst frame first, those with most errors before the others, then its
    second worst, and so on until the limit. Frames of one sequence keep a distance, and of equally
    bad ones that farthest from the others comes first, since neighbours show the same thing.

    Args:
        events: One per sequence.
        limit: Most frames in total.
        min_gap: Least distance of two frames of one sequence, frames; a sequence of fewer than
            ``limit * min_gap`` frames may keep less.

    Returns:
        (sequence, frame) indices, by sequence, then frame.
    """
    offers: list[tuple[int, int, int, int]] = []
    for sequence, event in enumerate(events):
        errors = event.num_detection_errors
        frames = np.arange(len(errors))
        gap = max(1, min(min_gap, len(errors) // limit))
        distance = np.full(len(errors), len(errors))  # Of each frame to the nearest one offered.
        for rank in range(limit):
            eligible = np.flatnonzero((errors > 0) & (distance >= gap))
            if not len(eligible):
                break
            worst = eligible[errors[eligible] == errors[eligible].max()]
            frame = int(worst[np.argmax(distance[worst])])
            offers.append((rank, -int(errors[frame]), sequence, frame))
            distance = np.minimum(distance, np.abs(frames - frame))
    return sorted((sequence, frame) for _, _, sequence, frame in sorted(offers)[:limit])
