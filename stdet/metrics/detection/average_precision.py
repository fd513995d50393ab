"""Average precision as COCO defines it, and the "precision" and "recall" that papers print.

Nothing is cut: every detection of a frame counts, however many there are. pycocotools and
faster-coco-eval are the oracles of the tests; why they do not compute it here is in
`docs/decisions/0006-own-average-precision.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stdet.metrics.counts import ratio
from stdet.metrics.detection.pairs import FlatSequence
from stdet.metrics.detection.ranking import RankedHits, hits_by_overlap

IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""COCO's ten."""

LEGACY_SCORE_FLOOR = 0.001
"""Score from which on the paper protocol counts detections."""

ClassHits = Mapping[int, tuple[RankedHits, ...]]
"""For each class the hits at each of ``IOU_THRESHOLDS``."""


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Precision, recall and their harmonic mean; NaN where undefined."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class AveragePrecision:
    """Threshold-free detection scores; all NaN without targets.

    Attributes:
        map50: Average precision at IoU 0.5, mean over classes.
        map50_95: Mean over IoU 0.50, 0.55, ... 0.95.
        legacy: The paper protocol; see ``average_precision``.
    """

    map50: float
    map50_95: float
    legacy: PrecisionRecall


def class_hits(flat: FlatSequence) -> ClassHits:
    """Match one sequence at every overlap, class by class.

    Args:
        flat: Truth and detections.

    Returns:
        The hits of every class that truth or detections hold.
    """
    return {
        class_id: tuple(
            hits_by_overlap(flat, min_iou=threshold, class_id=class_id)
            for threshold in IOU_THRESHOLDS
        )
        for class_id in np.union1d(flat.gt_class_ids, flat.class_ids).tolist()
    }


def average_precision(sequences: Sequence[ClassHits]) -> AveragePrecision:
    """Score detections over all thresholds.

    Classes are kept apart and averaged over those that have targets. Ignored truth is what COCO
    calls a crowd: any number of detections that lie in it by half or more (of their own area) are
    neither hits nor false alarms. As in COCO, equal scores are ranked in the order of sequences
    and frames.

    ``legacy`` is what SSTNet, Tridos, TDCNet and papers after them print as precision, recall and
    F1: recall R is the largest one reached by detections of score 0.001 and more, precision the
    mean of COCO's interpolated precision at IoU 0.5 over the first int(100 R) recall points, F1
    their harmonic mean. It is no operating point: no threshold reaches both.

    Args:
        sequences: ``class_hits`` of each sequence.

    Returns:
        The scores.
    """
    at_iou: list[tuple[RankedHits, ...]] = []
    for class_id in sorted({class_id for hits in sequences for class_id in hits}):
        parts = [hits[class_id] for hits in sequences if class_id in hits]
        joint = tuple(RankedHits.concatenate(column) for column in zip(*parts, strict=True))
        if joint[0].num_targets:
            at_iou.append(joint)
    if not at_iou:
        nan = float("nan")
        undefined = PrecisionRecall(precision=nan, recall=nan, f1=nan)
        return AveragePrecision(map50=nan, map50_95=nan, legacy=undefined)
    values = np.array([[hits.average_precision for hits in joint] for joint in at_iou])
    return AveragePrecision(
        map50=float(values[:, 0].mean()),
        map50_95=float(values.mean()),
        legacy=_legacy([joint[0] for joint in at_iou]),
    )


def _legacy(classes: Sequence[RankedHits]) -> PrecisionRecall:
    """Apply the paper protocol to each class and average."""
    precisions, recalls = [], []
    for hits in classes:
        curve = hits.at_least(LEGACY_SCORE_FLOOR)
        recalls.append(curve.recall)
        # Rounded down in floating point as published: 100 * 0.29 gives 28 points.
        num_points = int(100 * curve.recall)
        points = curve.interpolated_precision[:num_points]
        precisions.append(points.mean() if num_points else np.nan)
    precision, recall = float(np.mean(precisions)), float(np.mean(recalls))
    f1 = ratio(2 * precision * recall, precision + recall)
    return PrecisionRecall(precision=precision, recall=recall, f1=f1)
