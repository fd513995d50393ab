"""The detections of a frame as evidence for tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.boxes import centres_xy
from stdet.tracking.clutter import ClutterModel, Worth
from stdet.tracking.log_odds import log_odds, log_odds_of
from stdet.tracking.motion import StateArray
from stdet.types import Detections, IntArray

WEAK_SHARE = 0.2
"""Detections below this share of the operating point are no evidence for a track."""
LARGEST_LOG_ODDS = 4.0
"""Of a score relative to the operating point, either way."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """The detections of a frame that are evidence, and those too weak for it.

    Attributes:
        rows: Rows among all detections, int64 (D,).
        xy: Centres (D, 2), pixels.
        log_odds: Of the scores relative to the operating point (D,).
        worth: What they are worth.
        weak_xy: Centres of the weak ones (W, 2).
        weak_log_odds: (W,).
    """

    rows: IntArray
    xy: StateArray
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
        # Ties are broken by position, not by row, so that row order never matters.
        order = _canonical_order(detections)
        scores = detections.scores[order].astype(np.float64)
        xy = centres_xy(detections.boxes_xyxy).astype(np.float64)[order]
        num = int(np.count_nonzero(scores >= WEAK_SHARE * confidence))  # They come first.
        relative = log_odds_of(detections.scores[order])
        if confidence > 0:
            relative -= log_odds(confidence)
        relative = np.clip(relative, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
        return cls(
            rows=order[:num],
            xy=xy[:num],
            log_odds=relative[:num],
            worth=clutter.judge(xy[:num], relative[:num], detections.image_hw),
            weak_xy=xy[num:],
            weak_log_odds=relative[num:],
        )


def _canonical_order(detections: Detections) -> IntArray:
    """Return the rows by descending score, equal scores by box and class."""
    scores, boxes = detections.scores, detections.boxes_xyxy
    if not np.any(scores[1:] == scores[:-1]):
        return np.arange(len(scores))  # They are sorted already.
    keys = (detections.class_ids, *boxes.T[::-1], -scores)
    return np.lexsort(keys)
