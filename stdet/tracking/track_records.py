"""What tracks keep besides their motion, as one column per track.

A frame reads and writes a few numbers of every track. They are kept in two arrays, so that tracks
are chosen, added and copied by two calls, however many numbers they have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.types import BoolArray, FloatArray, IntArray

Float64Array = NDArray[np.float64]

UNCONFIRMED = 0
"""Stands for the id of a track that is not confirmed yet; never leaves this package."""
MIN_SIZE_PX = 0.1
"""Smallest side of a track's box: a detection clipped to a line still needs x1 < x2 in files."""
_FIRST_DETECTION_SHARE = 0.8
"""Share of its frames in which a new track is expected to be detected."""
_NUM_REALS, _NUM_WHOLES = 7, 10
_OWN_WHOLES = 3
"""The first of the whole numbers, which a track keeps when it goes on as another one."""


@dataclass(kw_only=True, eq=False)
class TrackRecords:
    """Records of N tracks, the oldest first; the properties are views, and the tracker writes.

    Attributes:
        reals: float64 (7, N).
        wholes: int64 (10, N).
    """

    reals: Float64Array
    wholes: IntArray

    @property
    def log_ratios(self) -> Float64Array:
        """Log of how much likelier the detections are with the track than without, (N,)."""
        column: Float64Array = self.reals[0]
        return column

    @property
    def faint_log_ratios(self) -> Float64Array:
        """Log of the evidence of the pixels in the newest frames (N,); see ``faint.py``."""
        column: Float64Array = self.reals[1]
        return column

    @property
    def score_levels(self) -> Float64Array:
        """Mean log-odds of the scores, the newest weighing most, from the operating point (N,)."""
        column: Float64Array = self.reals[2]
        return column

    @property
    def detection_shares(self) -> Float64Array:
        """Expected share of frames with a detection, (N,)."""
        column: Float64Array = self.reals[3]
        return column

    @property
    def sizes_wh(self) -> Float64Array:
        """Smoothed box sizes, (N, 2), pixels."""
        return self.reals[4:6].T

    @property
    def scores(self) -> Float64Array:
        """Of the last detection, (N,)."""
        column: Float64Array = self.reals[6]
        return column

    @property
    def uids(self) -> IntArray:
        """Numbers that are never used twice, (N,), increasing."""
        column: IntArray = self.wholes[0]
        return column

    @property
    def track_ids(self) -> IntArray:
        """``UNCONFIRMED`` or at least 1, (N,)."""
        column: IntArray = self.wholes[1]
        return column

    @property
    def first_frames(self) -> IntArray:
        """Index of each track's first frame, (N,)."""
        column: IntArray = self.wholes[2]
        return column

    @property
    def faint_credits(self) -> IntArray:
        """Rows that may be shown for peaks alone, (N,): one for each shown for a detection."""
        column: IntArray = self.wholes[3]
        return column

    @property
    def class_ids(self) -> IntArray:
        """Of the last detection, (N,)."""
        column: IntArray = self.wholes[4]
        return column

    @property
    def detection_indices(self) -> IntArray:
        """Row among the newest frame's detections, (N,), -1 for none."""
        column: IntArray = self.wholes[5]
        return column

    @property
    def num_hits(self) -> IntArray:
        """Since birth, (N,)."""
        column: IntArray = self.wholes[6]
        return column

    @property
    def num_misses(self) -> IntArray:
        """Frames since the last hit, (N,)."""
        column: IntArray = self.wholes[7]
        return column

    @property
    def num_unseen(self) -> IntArray:
        """Frames since the last hit or the last peak that was the track's, (N,)."""
        column: IntArray = self.wholes[8]
        return column

    @property
    def last_frames(self) -> IntArray:
        """Index of the frame of each track's last detection, (N,)."""
        column: IntArray = self.wholes[9]
        return column

    @property
    def is_confirmed(self) -> BoolArray:
        """Whether each track has an id, bool (N,)."""
        is_confirmed: BoolArray = self.wholes[1] != UNCONFIRMED
        return is_confirmed

    @property
    def frames_without(self) -> IntArray:
        """``num_misses`` and ``num_unseen``, (2, N)."""
        rows: IntArray = self.wholes[7:9]
        return rows

    def __len__(self) -> int:
        """Return the number of tracks."""
        return int(self.wholes.shape[1])

    def __getitem__(self, rows: IntArray) -> TrackRecords:
        """Return the chosen tracks."""
        return TrackRecords(
            reals=self.reals.take(rows, axis=1), wholes=self.wholes.take(rows, axis=1)
        )

    def copy(self) -> TrackRecords:
        """Return the tracks as they are now."""
        return TrackRecords(reals=self.reals.copy(), wholes=self.wholes.copy())

    def take_over(self, row: int, other: int) -> None:
        """Let a track go on as another one, under its own id and number."""
        self.reals[:, row] = self.reals[:, other]
        self.wholes[_OWN_WHOLES:, row] = self.wholes[_OWN_WHOLES:, other]

    @classmethod
    def empty(cls) -> TrackRecords:
        """Return no tracks."""
        return cls(reals=np.zeros((_NUM_REALS, 0)), wholes=np.zeros((_NUM_WHOLES, 0), np.int64))

    def and_begun(
        self,
        *,
        first_uid: int,
        frame_index: int,
        log_ratios: Float64Array,
        score_levels: Float64Array,
        sizes_wh: Float64Array,
        scores: FloatArray,
        class_ids: IntArray,
        detection_indices: IntArray,
    ) -> TrackRecords:
        """Return these tracks, and an unconfirmed one for each detection."""
        before, num = len(self), len(self) + len(scores)
        reals, wholes = np.empty((_NUM_REALS, num)), np.zeros((_NUM_WHOLES, num), np.int64)
        reals[:, :before], wholes[:, :before] = self.reals, self.wholes
        begun = TrackRecords(reals=reals[:, before:], wholes=wholes[:, before:])
        begun.log_ratios[:] = log_ratios
        begun.faint_log_ratios.fill(0.0)
        begun.score_levels[:] = score_levels
        begun.detection_shares.fill(_FIRST_DETECTION_SHARE)
        begun.sizes_wh[:] = sizes_wh
        begun.scores[:] = scores
        begun.uids[:] = np.arange(first_uid, first_uid + len(scores))
        begun.first_frames.fill(frame_index)
        begun.class_ids[:] = class_ids
        begun.detection_indices[:] = detection_indices
        begun.num_hits.fill(1)
        begun.last_frames.fill(frame_index)
        return TrackRecords(reals=reals, wholes=wholes)
