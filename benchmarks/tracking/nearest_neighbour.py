"""The simplest tracker: the nearest detection within reach, the nearest pairs first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking.point_tracker import TrackedPoints
from stdet.types import FloatArray

Float = NDArray[np.float64]


@dataclass
class _Track:
    """What is known of a track.

    Attributes:
        track_id: 0 until it is confirmed.
        xy: Where it was seen last.
        hits: Detections so far.
        misses: Frames since the last one.
        row: Its detection in this frame, -1 for none.
    """

    track_id: int
    xy: Float
    hits: int
    misses: int
    row: int


class NearestNeighbour:
    """Tracks wait where they were seen last.

    Args:
        reach_px: Largest step from where a track was seen last, pixels.
        min_score: Detections below it are not used.
        start_score: Detections below it begin no track.
        hits: A track is confirmed at so many detections.
        patience: Frames without a detection after which a track ends.
        coast: Frames without a detection in which a confirmed track is still shown.
    """

    def __init__(
        self,
        *,
        reach_px: float,
        min_score: float,
        start_score: float,
        hits: int,
        patience: int,
        coast: int,
    ) -> None:
        """Start without tracks."""
        self._reach_px, self._min_score, self._start_score = reach_px, min_score, start_score
        self._hits, self._patience, self._coast = hits, patience, coast
        self._tracks: list[_Track] = []
        self._num_ids = 0

    def step(self, xy: Float, scores: FloatArray) -> TrackedPoints:
        """Take in the next frame."""
        left = set(np.flatnonzero(scores >= self._min_score).tolist())
        for track in self._tracks:
            track.row, track.misses = -1, track.misses + 1
        places = np.array([track.xy for track in self._tracks]).reshape(-1, 1, 2)
        distances = np.linalg.norm(places - xy, axis=2)
        within = np.argwhere(distances <= self._reach_px)
        for at, row in within[np.argsort(distances[tuple(within.T)], kind="stable")].tolist():
            track = self._tracks[at]
            if track.row < 0 and row in left:
                left.remove(row)
                track.xy, track.hits, track.misses, track.row = xy[row], track.hits + 1, 0, row
        self._tracks = [track for track in self._tracks if track.misses <= self._patience]
        self._tracks += [
            _Track(0, xy[row], 1, 0, row) for row in left if scores[row] >= self._start_score
        ]
        for track in self._tracks:
            if not track.track_id and track.hits >= self._hits:
                self._num_ids += 1
                track.track_id = self._num_ids
        return TrackedPoints.of(
            [
                (track.track_id, track.xy, track.row)
                for track in self._tracks
                if track.track_id and track.misses <= self._coast
            ]
        )
