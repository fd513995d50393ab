"""What tracks keep besides their motion, as one row per track."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.types import BoolArray, FloatArray, IntArray

UNCONFIRMED = 0
"""Stands for the id of a track that is not confirmed yet; never leaves this package."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackRecords:
    """Records of N tracks, the oldest first; the tracker writes into the arrays.

    Attributes:
        track_ids: int64 (N,), ``UNCONFIRMED`` or at least 1.
        sizes_wh: Smoothed box sizes, float64 (N, 2), pixels.
        scores: Of the last detection, float32 (N,).
        class_ids: Of the last detection, int64 (N,).
        detection_indices: Row among the newest frame's detections, int64 (N,), -1 for none.
        num_hits: Since birth, int64 (N,); it matters until confirmation.
        num_misses: int64 (N,): since birth before confirmation, since the last hit after it.
    """

    track_ids: IntArray
    sizes_wh: NDArray[np.float64]
    scores: FloatArray
    class_ids: IntArray
    detection_indices: IntArray
    num_hits: IntArray
    num_misses: IntArray

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

    @classmethod
    def empty(cls) -> TrackRecords:
        """Return no tracks."""
        nothing = np.zeros(0, np.int64)
        return cls.begin(np.zeros((0, 2)), np.zeros(0, np.float32), nothing, nothing)

    @classmethod
    def begin(
        cls,
        sizes_wh: NDArray[np.float64],
        scores: FloatArray,
        class_ids: IntArray,
        detection_indices: IntArray,
    ) -> TrackRecords:
        """Begin an unconfirmed track at each detection."""
        num = len(scores)
        return cls(
            track_ids=np.full(num, UNCONFIRMED, np.int64),
            sizes_wh=sizes_wh,
            scores=scores,
            class_ids=class_ids,
            detection_indices=detection_indices,
            num_hits=np.ones(num, np.int64),
            num_misses=np.zeros(num, np.int64),
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
