"""The detections of a frame as evidence for tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.tracking.clutter import ClutterModel, Worth
from stdet.tracking.log_odds import log_odds, log_odds_of
from stdet.tracking.states import StateArray
from stdet.tracking.track_records import MIN_SIZE_PX
from stdet.types import Detections, IntArray

WEAK_SHARE = 0.2
"""Detections below this share of the operating point are no evidence for a track."""
LARGEST_LOG_ODDS = 4.0
"""Of a score relative to the operating point, either way."""


@dataclass(kw_only=True, eq=False)
class Found:
    """The detections of a frame that are evidence, and those too weak for it.

    Attributes:
        rows: Rows among all detections, int64 (D,).
        xy: Centres (D, 2), pixels.
        sizes_wh: Of their boxes, at least ``MIN_SIZE_PX`` (D, 2), pixels.
        log_odds: Of the scores relative to the operating point (D,).
        worth: What they are worth.
        weak_xy: Centres of the weak ones (W, 2).
        weak_log_odds: (W,).
    """

    rows: IntArray
    xy: StateArray
    sizes_wh: StateArray
    log_odds: StateArray
    worth: Worth
    weak_xy: StateArray
    weak_log_odds: StateArray

    def __len__(self) -> int:
        """Return the number of detections that are evidence."""
        return len(self.rows)

    @classmethod
    def of(cls, detections: Detections, confidence: float, clutter: ClutterModel) -> Found:
        """Tell evidence from weak detections, and say what it is worth."""
        boxes, scores = detections.boxes_xyxy, detections.scores
        order = np.arange(len(scores))
        if np.count_nonzero(scores[1:] == scores[:-1]):
            order = _canonical_order(detections)
            boxes, scores = boxes[order], scores[order]
        near, far = boxes[:, :2], boxes[:, 2:]
        xy: StateArray = np.multiply(near + far, 0.5, dtype=np.float64)
        sizes: StateArray = np.maximum(far - near, MIN_SIZE_PX, dtype=np.float64)
        num = int(np.count_nonzero(scores >= WEAK_SHARE * confidence))  # They come first.
        relative = log_odds_of(scores)
        if confidence > 0:
            relative -= log_odds(confidence)
        np.minimum(relative, LARGEST_LOG_ODDS, out=relative)
        np.maximum(relative, -LARGEST_LOG_ODDS, out=relative)
        return cls(
            rows=order[:num],
            xy=xy[:num],
            sizes_wh=sizes[:num],
            log_odds=relative[:num],
            worth=clutter.judge(xy[:num], relative[:num], detections.image_hw),
            weak_xy=xy[num:],
            weak_log_odds=relative[num:],
        )


def _canonical_order(detections: Detections) -> IntArray:
    """Return the rows by descending score, equal scores by box and class.

    Ties are broken by position, not by row, so that row order never matters.
    """
    keys = (detections.class_ids, *detections.boxes_xyxy.T[::-1], -detections.scores)
    return np.lexsort(keys)
