"""Tracking metrics by distance or overlap: CLEAR, identities and HOTA.

A track and a target may match when their distance d is at most the gate, inclusive: that of their
centres, or 1 - IoU with the gate 0.5. HOTA uses the similarity max(0, 1 - d / (2 gate)), so that
the gate is its alpha 0.5 (and the similarity of overlaps the IoU itself); all of these numbers
depend on the gate. Counts of sequences are added, scores never averaged. Scores that need
truth are NaN without any.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import box_iou, centre_distance
from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.tracking.clear_matches import (
    count_id_true_positives,
    count_targets,
    match_frames,
)
from stdet.metrics.tracking.frames import Distance, busy_frames, pair_frames
from stdet.metrics.tracking.hota import HotaCounts, count_hota
from stdet.types import FloatArray, IntArray, SequenceAnnotation, Tracks

_OVERLAP_GATE = 0.5
"""Largest 1 - IoU of a match by overlap."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackingCounts:
    """What the tracking scores of one or more sequences are made of.

    Attributes:
        num_targets: Rows of the truth that are not ignored.
        num_predictions: Rows of the tracks, less those on ignored truth.
        num_matches: Matched pairs by CLEAR.
        distance_sum: Sum of their distances: pixels, or 1 - IoU.
        num_misses: Unmatched targets.
        num_false_positives: Unmatched track rows.
        id_switches: Matches to another track than at that target's last match.
        fragmentations: Times a target was lost and found again.
        mostly_tracked: Targets matched in at least 80 % of their frames.
        mostly_lost: Targets matched in less than 20 % of their frames.
        id_true_positives: Pairs within the gate under the best global assignment of identities.
        hota: HOTA's own counts.
    """

    num_targets: int = 0
    num_predictions: int = 0
    num_matches: int = 0
    distance_sum: float = 0.0
    num_misses: int = 0
    num_false_positives: int = 0
    id_switches: int = 0
    fragmentations: int = 0
    mostly_tracked: int = 0
    mostly_lost: int = 0
    id_true_positives: int = 0
    hota: HotaCounts = field(default_factory=HotaCounts.zero)

    def __add__(self, other: TrackingCounts) -> TrackingCounts:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + id switches) / targets."""
        errors = self.num_misses + self.num_false_positives + self.id_switches
        return 1 - ratio(errors, self.num_targets)

    @property
    def motp(self) -> float:
        """Mean distance of matched pairs in pixels, or mean 1 - IoU; less is better."""
        return ratio(self.distance_sum, self.num_matches)

    @property
    def idf1(self) -> float:
        """2 IDTP / (targets + predictions); NaN without targets."""
        total = self.num_targets + self.num_predictions
        return ratio(2 * self.id_true_positives, total if self.num_targets else 0)


def count_tracking(
    annotation: SequenceAnnotation, tracks: Tracks, *, gate_px: float
) -> TrackingCounts:
    """Compare the tracks of one sequence with its truth.

    Ignored truth, and the track rows matched to it within the gate once the counted targets of the
    frame are served, are left out. CLEAR keeps a target on the track of its last match for as long
    as that stays within the gate, and matches what remains by most pairs, then least distance.

    Args:
        annotation: The truth, with identities.
        tracks: Rows of the whole sequence.
        gate_px: Largest centre distance of a match, pixels, inclusive.

    Returns:
        Counts, to be added over sequences.

    Raises:
        ValueError: If the truth has no identities.
    """
    return _count(annotation, tracks, distance=centre_distance, gate=gate_px)


def count_tracking_by_overlap(annotation: SequenceAnnotation, tracks: Tracks) -> TrackingCounts:
    """Do what ``count_tracking`` does with the distance 1 - IoU and the gate 0.5.

    This is how MOTChallenge counts. Two boxes of 3 px that are one pixel apart have IoU 0.5, so
    these numbers say more about box edges than about tracking where targets are small.
    """
    return _count(annotation, tracks, distance=_one_minus_iou, gate=_OVERLAP_GATE)


def _one_minus_iou(pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> NDArray[np.float64]:
    """Return 1 - IoU, float64 (N, M)."""
    return 1 - box_iou(pred_xyxy, gt_xyxy)


def _count(
    annotation: SequenceAnnotation, tracks: Tracks, *, distance: Distance, gate: float
) -> TrackingCounts:
    """Compare tracks with truth by some distance."""
    frames = pair_frames(annotation, tracks, distance=distance, gate=gate)
    matches = match_frames(frames, gate)
    targets = count_targets(frames, matches)
    num_targets = sum(len(frame.gt_ids) for frame in frames)
    num_predictions = sum(len(frame.pred_ids) for frame in frames)
    return TrackingCounts(
        num_targets=num_targets,
        num_predictions=num_predictions,
        num_matches=len(matches),
        distance_sum=float(matches.distances.sum()),
        num_misses=num_targets - len(matches),
        num_false_positives=num_predictions - len(matches),
        id_switches=int(matches.is_switch.sum()),
        fragmentations=targets.fragmentations,
        mostly_tracked=targets.mostly_tracked,
        mostly_lost=targets.mostly_lost,
        id_true_positives=count_id_true_positives(frames, gate),
        hota=count_hota(frames, similarity=lambda d: np.maximum(0.0, 1.0 - d / (2 * gate))),
    )


def switches_per_frame(
    annotation: SequenceAnnotation, tracks: Tracks, *, gate_px: float
) -> IntArray:
    """Say in which frames ``count_tracking`` counts its id switches.

    Args:
        annotation: The truth, with identities.
        tracks: Rows of the whole sequence.
        gate_px: Largest centre distance of a match, pixels, inclusive.

    Returns:
        int64 (F,), one count per frame of the sequence; their sum is ``id_switches``.

    Raises:
        ValueError: If the truth has no identities.
    """
    frames = pair_frames(annotation, tracks, distance=centre_distance, gate=gate_px)
    matches = match_frames(frames, gate_px)
    frame_indices = busy_frames(annotation, tracks)[matches.frames[matches.is_switch]]
    return np.bincount(frame_indices, minlength=annotation.num_frames).astype(np.int64)
