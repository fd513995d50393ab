"""Tracking metrics by distance or overlap: CLEAR, identities and HOTA.

A track and a target may match when their distance d is at most the gate, inclusive: that of their
centres, or 1 - IoU with the gate 0.5. HOTA uses the similarity max(0, 1 - d / (2 gate)), so that
the gate is its alpha 0.5 (and the similarity of overlaps the IoU itself); all of these numbers
depend on the gate. Counts of sequences are added, scores never averaged. Scores that need
truth are NaN without any.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stdet.boxes import box_iou, centre_distance
from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.detection.matching import match_points
from stdet.metrics.tracking.clear_matches import (
    TrackingFrame,
    count_id_true_positives,
    count_targets,
    match_frames,
)
from stdet.types import FloatArray, IntArray, SequenceAnnotation, Tracks

FloatVector = NDArray[np.float64]

HOTA_ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Localisation thresholds, (19,)."""

_Distance = Callable[[FloatArray, FloatArray], NDArray[np.float64]]

_OVERLAP_GATE = 0.5
"""Largest 1 - IoU of a match by overlap."""

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class HotaCounts:
    """What HOTA is made of, at each alpha, float64 (19,).

    Attributes:
        true_positives: Matched pairs of similarity alpha or more.
        false_negatives: Unmatched targets.
        false_positives: Unmatched track rows.
        association_sum: Sum over matched pairs of TPA / (TPA + FNA + FPA).
        similarity_sum: Sum over matched pairs of their similarity.

    Source:
        Luiten et al. 2021 (IJCV 129), Eqs. (6)-(13); combined over sequences as TrackEval does.
        TrackEval gives 0 where there is no truth, and LocA 1 where nothing matched at any alpha;
        both are NaN here. At single alphas without a match, LocA is 1 and AssA 0 as in TrackEval.
    """

    true_positives: FloatVector
    false_negatives: FloatVector
    false_positives: FloatVector
    association_sum: FloatVector
    similarity_sum: FloatVector

    @classmethod
    def zero(cls) -> HotaCounts:
        """Return the counts of nothing."""
        return cls(**{f.name: np.zeros(len(HOTA_ALPHAS)) for f in dataclasses.fields(cls)})

    def __add__(self, other: HotaCounts) -> HotaCounts:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def hota(self) -> float:
        """Mean over alpha of sqrt(DetA AssA)."""
        return self._mean(np.sqrt(self._deta_alpha() * self._assa_alpha()))

    @property
    def deta(self) -> float:
        """Mean over alpha of TP / (TP + FN + FP)."""
        return self._mean(self._deta_alpha())

    @property
    def assa(self) -> float:
        """Mean over alpha of the mean association score of matched pairs."""
        return self._mean(self._assa_alpha())

    @property
    def loca(self) -> float:
        """Mean over alpha of the mean similarity of matched pairs."""
        if not self.true_positives.any():
            return float("nan")
        nothing = self.true_positives == 0
        return float(np.mean((self.similarity_sum + nothing) / (self.true_positives + nothing)))

    def _deta_alpha(self) -> FloatVector:
        total = self.true_positives + self.false_negatives + self.false_positives
        return self.true_positives / np.maximum(1, total)

    def _assa_alpha(self) -> FloatVector:
        return self.association_sum / np.maximum(1, self.true_positives)

    def _mean(self, per_alpha: FloatVector) -> float:
        has_truth = self.true_positives[0] + self.false_negatives[0] > 0
        return float(per_alpha.mean()) if has_truth else float("nan")


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
    annotation: SequenceAnnotation, tracks: Tracks, *, distance: _Distance, gate: float
) -> TrackingCounts:
    """Compare tracks with truth by some distance."""
    _require_identities(annotation)
    frames = _frames(annotation, tracks, distance, gate)
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
        hota=_hota(frames, gate),
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
    _require_identities(annotation)
    matches = match_frames(_frames(annotation, tracks, centre_distance, gate_px), gate_px)
    frame_indices = _busy_frames(annotation, tracks)[matches.frames[matches.is_switch]]
    return np.bincount(frame_indices, minlength=annotation.num_frames).astype(np.int64)


def _require_identities(annotation: SequenceAnnotation) -> None:
    """Raise ``ValueError`` unless the truth has identities."""
    if not annotation.has_identities:
        raise ValueError(
            f"{annotation.name}: truth has no identities; expected every track id known. Link it "
            "with identify_truth first."
        )


def _busy_frames(annotation: SequenceAnnotation, tracks: Tracks) -> IntArray:
    """Return the frames that hold a target or a track; no count depends on the others."""
    return np.union1d(annotation.frame_indices, tracks.frame_indices)


def _frames(
    annotation: SequenceAnnotation, tracks: Tracks, distance: _Distance, gate: float
) -> list[TrackingFrame]:
    """Pair truth and tracks in every busy frame, without what is ignored."""
    _, gt_ids = np.unique(annotation.track_ids, return_inverse=True)
    _, pred_ids = np.unique(tracks.track_ids, return_inverse=True)
    frames = []
    for frame_index in _busy_frames(annotation, tracks).tolist():
        gt_rows = annotation.rows_at(frame_index)
        low, high = np.searchsorted(tracks.frame_indices, [frame_index, frame_index + 1])
        distances = distance(tracks.boxes_xyxy[low:high], annotation.boxes_xyxy[gt_rows])
        is_ignored = annotation.is_ignored[gt_rows]
        is_kept = np.ones(high - low, np.bool_)
        if is_ignored.any():
            matches = match_points(
                distances, limit=np.nextafter(gate, np.inf), is_ignored=is_ignored
            )
            is_kept[matches.pred_indices[is_ignored[matches.gt_indices]]] = False
        frames.append(
            TrackingFrame(
                gt_ids=gt_ids[gt_rows][~is_ignored],
                pred_ids=pred_ids[low:high][is_kept],
                distances=distances[is_kept][:, ~is_ignored].T,
            )
        )
    return frames


def _hota(frames: list[TrackingFrame], gate: float) -> HotaCounts:
    """Count what HOTA needs.

    First every pair of identities gets an alignment score over the sequence, then each frame is
    matched to maximise alignment times similarity, then each alpha keeps the pairs that are
    similar enough.
    """
    num_gt = 1 + max((int(frame.gt_ids.max(initial=-1)) for frame in frames), default=-1)
    num_pred = 1 + max((int(frame.pred_ids.max(initial=-1)) for frame in frames), default=-1)
    gt_counts, pred_counts = np.zeros((num_gt, 1)), np.zeros((1, num_pred))
    potential = np.zeros((num_gt, num_pred))
    similarities = [np.maximum(0.0, 1.0 - frame.distances / (2 * gate)) for frame in frames]
    for frame, similarity in zip(frames, similarities, strict=True):
        total = similarity.sum(0)[None, :] + similarity.sum(1)[:, None] - similarity
        potential[np.ix_(frame.gt_ids, frame.pred_ids)] += np.divide(
            similarity, total, out=np.zeros_like(similarity), where=total > _EPSILON
        )
        gt_counts[frame.gt_ids] += 1
        pred_counts[0, frame.pred_ids] += 1
    # Ids that occur on ignored rows only have no counts, hence the guard against 0 / 0.
    alignment = potential / np.maximum(_EPSILON, gt_counts + pred_counts - potential)
    matched_pairs, matched_similarities = [np.zeros(0, np.int64)], [np.zeros(0)]
    for frame, similarity in zip(frames, similarities, strict=True):
        score = alignment[np.ix_(frame.gt_ids, frame.pred_ids)] * similarity
        rows, columns = linear_sum_assignment(-score)
        matched_pairs.append(frame.gt_ids[rows] * num_pred + frame.pred_ids[columns])
        matched_similarities.append(similarity[rows, columns])
    similar = np.concatenate(matched_similarities)
    # float64 (19, P); the tolerance lets alpha 0.5 include a pair exactly at the gate.
    is_match = (similar[None, :] >= HOTA_ALPHAS[:, None] - _EPSILON).astype(np.float64)
    pairs, pair_of_match = np.unique(np.concatenate(matched_pairs), return_inverse=True)
    # float64 (19, K): how often each pair of identities matched at each alpha.
    pair_counts = np.array([np.bincount(pair_of_match, row, len(pairs)) for row in is_match])
    appearances = (gt_counts + pred_counts).ravel()[pairs]
    true_positives = is_match.sum(axis=1)
    return HotaCounts(
        true_positives=true_positives,
        false_negatives=gt_counts.sum() - true_positives,
        false_positives=pred_counts.sum() - true_positives,
        association_sum=(pair_counts**2 / (appearances - pair_counts)).sum(axis=1),
        similarity_sum=is_match @ similar,
    )
