"""Turn detections into tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from stdet.inference.stages.frames import DetectedFrame, TrackedFrame
from stdet.inference.stages.stage import Stage
from stdet.tracking.track_before_detect import ScoredFrame, TrackBeforeDetect
from stdet.tracking.tracker import Tracker
from stdet.types import Tracks


class OperatingPoint:
    """Lowest score that begins a track; may be changed while a stream runs, from any thread.

    Args:
        confidence: In [0, 1].

    Attributes:
        confidence: From the next frame on.
        first: At the start.
    """

    def __init__(self, confidence: float) -> None:
        """Begin with a score."""
        self.confidence = self.first = confidence


class Track(Stage[DetectedFrame, TrackedFrame]):
    """Track the detections of one sequence, and give them track-before-detect scores.

    The tracker sees the detector's own scores, and a frame comes out with its tracks when its
    detections have been scored by the same later frames.

    Args:
        tracker: Goes on from sequence to sequence; at a gap all of its tracks end. Its
            configuration says whether detections get track-before-detect scores.
        operating_point: Score from which tracks begin.
    """

    name = "track"

    def __init__(self, tracker: Tracker, operating_point: OperatingPoint) -> None:
        """Start before the first frame."""
        self._tracker = tracker
        self._operating_point = operating_point
        self._scores: TrackBeforeDetect[DetectedFrame] | None = None
        if tracker.config.frames_ahead is not None:
            self._scores = TrackBeforeDetect(tracker.lookahead)
        self.delay = tracker.lookahead

    def push(self, frame: DetectedFrame, /) -> Iterator[TrackedFrame]:
        """Track a frame."""
        if frame.follows_gap:
            self._tracker.end_tracks()
        tracks = self._tracker.update(
            frame.detections,
            frame.from_previous.transform,
            peaks=frame.peaks,
            confidence=self._operating_point.confidence,
            is_same_scene=frame.from_previous.is_same_scene,
        )
        if self._scores is None:
            yield _tracked(ScoredFrame.unchanged(frame), tracks)
            return
        for scored in self._scores.push(frame):
            yield _tracked(scored, tracks)

    def flush(self) -> Iterator[TrackedFrame]:
        """Return the frames that wait, with what came after them."""
        if self._scores is not None:
            for scored, tracks in zip(self._scores.flush(), self._tracker.flush(), strict=True):
                yield _tracked(scored, tracks)


class LeaveOutWeak(Stage[TrackedFrame, TrackedFrame]):
    """Leave out detections below the operating point that no track has.

    Args:
        operating_point: Score from which detections are kept.
    """

    name = "leave out weak"

    def __init__(self, operating_point: OperatingPoint) -> None:
        """Store the operating point."""
        self._operating_point = operating_point

    def push(self, frame: TrackedFrame, /) -> Iterator[TrackedFrame]:
        """Filter a frame."""
        found, tracks = frame.detections, frame.tracks
        is_kept = found.scores >= self._operating_point.confidence
        is_kept[tracks.detection_indices[tracks.detection_indices >= 0]] = True
        # Rows among all become rows among the kept; a coasted track's -1 stays.
        kept_row = np.append(np.cumsum(is_kept) - 1, -1)
        yield replace(
            frame,
            detections=found[is_kept],
            tracks=replace(tracks, detection_indices=kept_row[tracks.detection_indices]),
        )


def _tracked(scored: ScoredFrame[DetectedFrame], tracks: Tracks) -> TrackedFrame:
    """Return a frame with its tracks; detections and rows of tracks have the new scores."""
    frame = scored.frame
    new_row = np.full(len(scored.rows) + 1, -1)  # The last one is that of a coasted track.
    new_row[scored.rows] = np.arange(len(scored.rows))
    rows = new_row[tracks.detection_indices]
    is_hit = rows >= 0
    scores = tracks.scores.copy()
    scores[is_hit] = frame.detections.scores[rows[is_hit]]
    return TrackedFrame(
        **frame.known(),
        detections=frame.detections,
        tracks=replace(tracks, scores=scores, detection_indices=rows),
    )
