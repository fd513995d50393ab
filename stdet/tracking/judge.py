"""Say of each track how likely it is real, and let those come out that keep a limit.

Without a limit all tracks come out. With one, a track comes out once its probability
(``calibration.py``) reaches the threshold of that time (``false_alarms.py``), and then until it
ends: an alarm that has been given is not taken back. Nothing later is looked at, so that a live
stream and a file give the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from stdet.tracking.calibration import CALIBRATION, Calibration, FootageClutter, TrackFacts
from stdet.tracking.false_alarms import THRESHOLDS, FalseTracks, threshold_for
from stdet.types import Detections, Tracks

FRAMES_PER_SECOND = 25.0
"""Of footage whose frame rate is not known."""
_SECONDS_PER_HOUR = 3600
_ENDED_AFTER = 100
"""Frames without a row after which a track has ended, unless the tracker keeps it for longer."""


@dataclass(kw_only=True)
class _Judged:
    """A track so far.

    Attributes:
        facts: What its rows have shown.
        probability: That it is real, by the newest row.
        highest: The highest so far.
        last_frame: Of the newest row.
        id_out: Under which it comes out; None as long as it does not.
    """

    facts: TrackFacts = field(default_factory=TrackFacts)
    probability: float = 0.0
    highest: float = 0.0
    last_frame: int = 0
    id_out: int | None = None


class TrackJudge:
    """Judge the tracks of one stream, frame by frame.

    Args:
        fps: Frames per second; None where unknown.
        limit_per_hour: False tracks that may come out in an hour; None for no limit.
        longest_gap: Most frames from one row of a track to its next.
        calibration: Of the probabilities.

    Raises:
        ValueError: If the limit is not above 0.
    """

    def __init__(
        self,
        fps: float | None,
        *,
        limit_per_hour: float | None = None,
        longest_gap: int = 0,
        calibration: Calibration = CALIBRATION,
    ) -> None:
        """Start before the first frame."""
        if limit_per_hour is not None and not 0 < limit_per_hour < math.inf:
            raise ValueError(
                f"false_alarms_per_hour is {limit_per_hour}; expected a number above 0."
            )
        self._fps, self._limit, self._calibration = fps, limit_per_hour, calibration
        self._ended_after = max(_ENDED_AFTER, longest_gap)
        self._first_frame: int | None = None
        self._num_frames = 0
        self._clutter = FootageClutter(fps or FRAMES_PER_SECOND)
        self._tracks: dict[int, _Judged] = {}
        self._num_out = 0
        self._ended_false = 0.0
        self._ended_by_threshold = np.zeros(len(THRESHOLDS))
        self._threshold: float | None = None
        # A stream is judged in a thread of its own, and may be asked from another one.
        self._lock = Lock()

    def judge(self, tracks: Tracks, detections: Detections) -> Tracks:
        """Take the next frame.

        Args:
            tracks: Its rows, as the tracker gives them.
            detections: All of the frame, weak ones too.

        Returns:
            The rows that come out, with calibrated probabilities. With a limit, ids count from 1
            in the order in which tracks come out.
        """
        with self._lock:
            return self._judge(tracks, detections)

    def summary(self) -> FalseTracks:
        """Return what is expected of the stream so far; any thread may ask."""
        with self._lock:
            return FalseTracks(
                num_tracks=self._num_out,
                expected=self._ended_false + _expected_false(self._tracks.values()),
                hours=self._hours,
                fps=self._fps or FRAMES_PER_SECOND,
                is_fps_known=self._fps is not None,
                limit_per_hour=self._limit,
                threshold=self._threshold,
            )

    def _judge(self, tracks: Tracks, detections: Detections) -> Tracks:
        frame = detections.frame_index
        if self._first_frame is None:
            self._first_frame = frame
        self._num_frames = frame - self._first_frame + 1
        self._clutter.add(detections.scores)
        self._end_tracks(frame - self._ended_after)
        judged = [self._update(tracks, row, detections) for row in range(len(tracks))]
        if self._limit is not None:
            self._threshold = threshold_for(
                self._limit,
                self._by_threshold(),
                self._hours,
                first_per_hour=self._calibration.first_per_hour,
            )
        track_ids = tracks.track_ids.tolist()
        is_out = [self._comes_out(*pair) for pair in zip(track_ids, judged, strict=True)]
        ids = np.array([one.id_out or 0 for one in judged], np.int64)
        rows = np.flatnonzero(is_out)
        rows = rows[np.argsort(ids[rows])]
        probabilities = np.array([one.probability for one in judged], np.float32)
        return Tracks(
            frame_indices=tracks.frame_indices[rows],
            track_ids=ids[rows],
            boxes_xyxy=tracks.boxes_xyxy[rows],
            scores=tracks.scores[rows],
            probabilities=probabilities[rows],
            class_ids=tracks.class_ids[rows],
            detection_indices=tracks.detection_indices[rows],
        )

    @property
    def _hours(self) -> float:
        """Hours of footage so far, frames that are missing included."""
        return self._num_frames / (self._fps or FRAMES_PER_SECOND) / _SECONDS_PER_HOUR

    def _update(self, tracks: Tracks, row: int, detections: Detections) -> _Judged:
        """Take a row of a track, and return what is known of the track now."""
        one = self._tracks.setdefault(int(tracks.track_ids[row]), _Judged())
        at = int(tracks.detection_indices[row])
        if at >= 0:
            one.facts.add(float(detections.scores[at]))
        one.probability = self._calibration.probability(one.facts, self._clutter.per_frame)
        one.highest = max(one.highest, one.probability)
        one.last_frame = detections.frame_index
        return one

    def _comes_out(self, track_id: int, one: _Judged) -> bool:
        """Say whether a track comes out now, and give it an id if it does for the first time."""
        if one.id_out is None and (self._threshold is None or one.highest >= self._threshold):
            self._num_out += 1
            one.id_out = track_id if self._threshold is None else self._num_out
        return one.id_out is not None

    def _by_threshold(self) -> NDArray[np.float64]:
        """Return the false ones that are expected among the tracks that reached each threshold."""
        tracks = list(self._tracks.values())
        return self._ended_by_threshold + _reaching(tracks)

    def _end_tracks(self, before: int) -> None:
        """Keep of tracks that have no row since a frame no more than their sums."""
        ended = {id_: one for id_, one in self._tracks.items() if one.last_frame < before}
        if not ended:
            return
        self._ended_by_threshold += _reaching(list(ended.values()))
        self._ended_false += _expected_false(ended.values())
        for track_id in ended:
            del self._tracks[track_id]


def _reaching(tracks: Sequence[_Judged]) -> NDArray[np.float64]:
    """Return the false ones that are expected among those that reached each threshold."""
    highest = np.array([one.highest for one in tracks])
    false = np.array([1 - one.probability for one in tracks])
    expected: NDArray[np.float64] = (highest >= THRESHOLDS[:, None]) @ false
    return expected


def _expected_false(tracks: Iterable[_Judged]) -> float:
    """Return how many of those that came out are false."""
    return sum(1 - one.probability for one in tracks if one.id_out is not None)
