"""HOTA of any similarity, and SO-HOTA, whose similarity is that of small objects."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stdet.boxes import centre_distance
from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.tracking.frames import TrackingFrame, pair_frames
from stdet.types import SequenceAnnotation, Tracks

FloatVector = NDArray[np.float64]

Similarity = Callable[[NDArray[np.float64]], NDArray[np.float64]]

HOTA_ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Localisation thresholds, (19,)."""

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


@dataclass(frozen=True, kw_only=True)
class TargetSizes:
    """What the scale of SO-HOTA is made of.

    Attributes:
        num_targets: True boxes that are not ignored.
        area_sum: Of these boxes, pixels squared.
    """

    num_targets: int = 0
    area_sum: float = 0.0

    @classmethod
    def of(cls, annotation: SequenceAnnotation) -> TargetSizes:
        """Measure the boxes of a sequence."""
        boxes = annotation.boxes_xyxy[~annotation.is_ignored].astype(np.float64)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return cls(num_targets=len(boxes), area_sum=float(areas.sum()))

    def __add__(self, other: TargetSizes) -> TargetSizes:
        """Return the sizes of both."""
        return add_fields(self, other)

    @property
    def scale_px(self) -> float:
        """The square root of the mean area, S; NaN without targets."""
        return math.sqrt(ratio(self.area_sum, self.num_targets))


def count_so_hota(
    annotation: SequenceAnnotation, tracks: Tracks, *, scale_px: float, gate_px: float
) -> HotaCounts:
    """Count HOTA with the similarity exp(-d / S), d the distance of the centres.

    Args:
        annotation: The truth, with identities.
        tracks: Rows of the whole sequence.
        scale_px: S, of all sequences that are scored together, pixels.
        gate_px: Largest distance at which ignored truth takes a track row, pixels, inclusive; no
            other number depends on it.

    Returns:
        Counts, to be added over sequences.

    Raises:
        ValueError: If the truth has no identities.

    Source:
        The metric of the SMOT4SB challenge (MVA 2025).
    """
    frames = pair_frames(annotation, tracks, distance=centre_distance, gate=gate_px)
    return count_hota(frames, similarity=lambda distances: np.exp(-distances / scale_px))


def count_hota(frames: Sequence[TrackingFrame], *, similarity: Similarity) -> HotaCounts:
    """Count what HOTA needs.

    First every pair of identities gets an alignment score over the sequence, then each frame is
    matched to maximise alignment times similarity, then each alpha keeps the pairs that are
    similar enough.

    Args:
        frames: All frames of a sequence.
        similarity: From distances to what the thresholds are applied to, 0 to 1.
    """
    num_gt = 1 + max((int(frame.gt_ids.max(initial=-1)) for frame in frames), default=-1)
    num_pred = 1 + max((int(frame.pred_ids.max(initial=-1)) for frame in frames), default=-1)
    gt_counts, pred_counts = np.zeros((num_gt, 1)), np.zeros((1, num_pred))
    potential = np.zeros((num_gt, num_pred))
    similarities = [similarity(frame.distances) for frame in frames]
    for frame, near in zip(frames, similarities, strict=True):
        total = near.sum(0)[None, :] + near.sum(1)[:, None] - near
        potential[np.ix_(frame.gt_ids, frame.pred_ids)] += np.divide(
            near, total, out=np.zeros_like(near), where=total > _EPSILON
        )
        gt_counts[frame.gt_ids] += 1
        pred_counts[0, frame.pred_ids] += 1
    # Ids that occur on ignored rows only have no counts, hence the guard against 0 / 0.
    alignment = potential / np.maximum(_EPSILON, gt_counts + pred_counts - potential)
    matched_pairs, matched_similarities = [np.zeros(0, np.int64)], [np.zeros(0)]
    for frame, near in zip(frames, similarities, strict=True):
        score = alignment[np.ix_(frame.gt_ids, frame.pred_ids)] * near
        rows, columns = linear_sum_assignment(-score)
        matched_pairs.append(frame.gt_ids[rows] * num_pred + frame.pred_ids[columns])
        matched_similarities.append(near[rows, columns])
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
