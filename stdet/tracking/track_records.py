"""What tracks keep besides their motion, as one row per track."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.types import BoolArray, FloatArray, IntArray

UNCONFIRMED = 0
"""Stands for the id of a track that is not confirmed yet; never leaves this package."""

_FIRST_DETECTION_SHARE = 0.8
"""Share of its frames in which a new track is expected to be detected."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackRecords:
    """Records of N tracks, the oldest first; the tracker writes into the arrays.

    Attributes:
        uids: Numbers that are never used twice, int64 (N,), increasing.
        track_ids: int64 (N,), ``UNCONFIRMED`` or at least 1.
        first_frames: Index of each track's first frame, int64 (N,).
        log_ratios: Log of how much likelier the detections are with the track than without,
            float64 (N,).
        faint_log_ratios: Log of the evidence of the pixels in the newest frames, float64 (N,); see
            ``faint.py``.
        faint_credits: Rows that may be shown for peaks alone: one for each shown for a detection,
            int64 (N,).
        score_levels: Mean log-odds of the scores, the newest ones weighing most, relative to the
            operating point, float64 (N,).
        detection_shares: Expected share of frames with a detection, float64 (N,).
        sizes_wh: Smoothed box sizes, float64 (N, 2), pixels.
        scores: Of the last detection, float32 (N,).
        class_ids: Of the last detection, int64 (N,).
        detection_indices: Row among the newest frame's detections, int64 (N,), -1 for none.
        num_hits: Since birth, int64 (N,).
        num_misses: Frames since the last hit, int64 (N,).
        num_unseen: Frames since the last hit or the last peak that was the track's, int64 (N,).
    """

    uids: IntArray
    track_ids: IntArray
    first_frames: IntArray
    log_ratios: NDArray[np.float64]
    faint_log_ratios: NDArray[np.float64]
    faint_credits: IntArray
    score_levels: NDArray[np.float64]
    detection_shares: NDArray[np.float64]
    sizes_wh: NDArray[np.float64]
    scores: FloatArray
    class_ids: IntArray
    detection_indices: IntArray
    num_hits: IntArray
    num_misses: IntArray
    num_unseen: IntArray

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.track_ids)

    def __getitem__(self, rows: BoolArray | IntArray) -> TrackRecords:
        """Return the chosen tracks."""
        return TrackRecords(**{name: column[rows] for name, column in self._columns().items()})

    @property
    def is_confirmed(self) -> BoolArray:
        """Whether each track has an id, bool (N,)."""
        is_confirmed: BoolArray = self.track_ids != UNCONFIRMED
        return is_confirmed

    def take_over(self, row: int, other: int) -> None:
        """Let a track go on as another one, under its own id and number."""
        for name, column in self._columns().items():
            if name not in ("uids", "track_ids", "first_frames"):
                column[row] = column[other]

    @classmethod
    def empty(cls) -> TrackRecords:
        """Return no tracks."""
        nothing, none = np.zeros(0, np.int64), np.zeros(0)
        return cls.begin(
            first_uid=0,
            frame_index=0,
            log_ratios=none,
            score_levels=none,
            sizes_wh=np.zeros((0, 2)),
            scores=none.astype(np.float32),
            class_ids=nothing,
            detection_indices=nothing,
        )

    @classmethod
    def begin(
        cls,
        *,
        first_uid: int,
        frame_index: int,
        log_ratios: NDArray[np.float64],
        score_levels: NDArray[np.float64],
        sizes_wh: NDArray[np.float64],
        scores: FloatArray,
        class_ids: IntArray,
        detection_indices: IntArray,
    ) -> TrackRecords:
        """Begin an unconfirmed track at each detection."""
        num = len(scores)
        return cls(
            uids=first_uid + np.arange(num),
            track_ids=np.full(num, UNCONFIRMED, np.int64),
            first_frames=np.full(num, frame_index, np.int64),
            log_ratios=log_ratios,
            faint_log_ratios=np.zeros(num),
            faint_credits=np.zeros(num, np.int64),
            score_levels=score_levels,
            detection_shares=np.full(num, _FIRST_DETECTION_SHARE),
            sizes_wh=sizes_wh,
            scores=scores,
            class_ids=class_ids,
            detection_indices=detection_indices,
            num_hits=np.ones(num, np.int64),
            num_misses=np.zeros(num, np.int64),
            num_unseen=np.zeros(num, np.int64),
        )

    @classmethod
    def concatenate(cls, first: TrackRecords, second: TrackRecords) -> TrackRecords:
        """Return the tracks of both, in order."""
        others = second._columns()
        return cls(
            **{
                name: np.concatenate([column, others[name]])
                for name, column in first._columns().items()
            }
        )

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
