"""Average precision as COCO defines it, and the "precision" and "recall" that papers print.

Image ids are made here, one per frame over all sequences, so that those of two files cannot
collide. Nothing is cut: ``maxDets`` is the largest number of detections in a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from stdet.evaluation.sequence_result import SequenceResult
from stdet.types import BoolArray, FloatArray, IntArray

LEGACY_SCORE_FLOOR = 0.001
"""Score from which on the paper protocol counts detections."""


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


def average_precision(results: Sequence[SequenceResult]) -> AveragePrecision:
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
        results: Truth and detections of each sequence.

    Returns:
        The scores.
    """
    if all(result.annotation.is_ignored.all() for result in results):
        nan = float("nan")
        return AveragePrecision(
            map50=nan,
            map50_95=nan,
            legacy=PrecisionRecall(precision=nan, recall=nan, f1=nan),
        )
    curves = _coco_curves(results, score_floor=0.0)
    legacy_curves = curves
    if any((frame.scores < LEGACY_SCORE_FLOOR).any() for r in results for frame in r.detections):
        legacy_curves = _coco_curves(results, score_floor=LEGACY_SCORE_FLOOR)
    return AveragePrecision(
        map50=float(curves.precision[0].mean()),
        map50_95=float(curves.precision.mean()),
        legacy=_legacy(legacy_curves),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curves:
    """COCO's tables, for the classes that have targets.

    Attributes:
        precision: float64 (10, 101, K), interpolated, by IoU threshold and recall point.
        recall: float64 (10, K), the largest.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def _legacy(curves: _Curves) -> PrecisionRecall:
    """Apply the paper protocol to each class and average."""
    recalls = curves.recall[0]
    # Rounded down in floating point as published: 100 * 0.29 gives 28 points.
    num_points = (100 * recalls).astype(np.int64).tolist()
    precisions = [
        curves.precision[0, :points, index].mean() if points else np.nan
        for index, points in enumerate(num_points)
    ]
    precision, recall = float(np.mean(precisions)), float(recalls.mean())
    return PrecisionRecall(
        precision=precision, recall=recall, f1=2 * precision * recall / (precision + recall)
    )


def _coco_curves(results: Sequence[SequenceResult], *, score_floor: float) -> _Curves:
    """Run the COCO evaluation on detections of at least ``score_floor``."""
    images: list[dict[str, Any]] = []
    truth_rows: list[dict[str, Any]] = []
    detection_rows: list[dict[str, Any]] = []
    most_detections = 1
    for result in results:
        truth = result.annotation
        for frame in result.detections:
            image_id = len(images) + 1
            images.append({"id": image_id})
            rows = truth.rows_at(frame.frame_index)
            truth_rows += _truth_rows(
                image_id,
                truth.boxes_xyxy[rows],
                truth.class_ids[rows],
                truth.is_ignored[rows],
                first_id=len(truth_rows) + 1,
            )
            kept = frame[frame.scores >= score_floor]
            detection_rows += _detection_rows(
                image_id, kept.boxes_xyxy, kept.class_ids, kept.scores
            )
            most_detections = max(most_detections, len(kept))
    class_ids = {row["category_id"] for row in truth_rows}
    categories = [{"id": class_id, "name": str(class_id)} for class_id in sorted(class_ids)]
    coco = COCO({"images": images, "annotations": truth_rows, "categories": categories})
    evaluation = COCOeval_faster(
        coco, coco.loadRes(detection_rows), "bbox", print_function=lambda *_: None
    )
    evaluation.params.maxDets = [most_detections]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"], np.float64)[:, :, :, 0, -1]
    recall = np.asarray(evaluation.eval["recall"], np.float64)[:, :, 0, -1]
    has_targets = recall[0] > -1
    return _Curves(precision=precision[:, :, has_targets], recall=recall[:, has_targets])


def _truth_rows(
    image_id: int,
    boxes_xyxy: FloatArray,
    class_ids: IntArray,
    is_ignored: BoolArray,
    *,
    first_id: int,
) -> list[dict[str, Any]]:
    """Return COCO annotations. Ids start at 1, since COCO reads a match with id 0 as none."""
    return [
        {
            "id": first_id + index,
            "image_id": image_id,
            "category_id": class_id,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(ignored),
        }
        for index, (box, class_id, ignored) in enumerate(
            zip(_xywh(boxes_xyxy), class_ids.tolist(), is_ignored.tolist(), strict=True)
        )
    ]


def _detection_rows(
    image_id: int, boxes_xyxy: FloatArray, class_ids: IntArray, scores: FloatArray
) -> list[dict[str, Any]]:
    """Return COCO results."""
    return [
        {
            "image_id": image_id,
            "category_id": class_id,
            "bbox": box,
            "score": score,
        }
        for box, class_id, score in zip(
            _xywh(boxes_xyxy), class_ids.tolist(), scores.tolist(), strict=True
        )
    ]


def _xywh(boxes_xyxy: FloatArray) -> list[list[float]]:
    """Return boxes as COCO writes them; in float64, where the difference of floats is exact."""
    boxes = boxes_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    rows: list[list[float]] = boxes.tolist()
    return rows
