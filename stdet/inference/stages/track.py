"""Turn detections into tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from stdet.config import TrackerConfig
from stdet.inference.stages.frames import DetectedFrame, TrackedFrame
from stdet.inference.stages.stage import Stage
from stdet.tracking.tracker import Tracker


class Track(Stage[DetectedFrame, TrackedFrame]):
    """Track the detections of a whole stream; at a gap all tracks end.

    Args:
        config: Tracker settings.
        confidence: Operating point in [0, 1]. Weaker detections come out only with a track.
    """

    name = "track"

    def __init__(self, config: TrackerConfig, *, confidence: float) -> None:
        """Start without tracks."""
        self._tracker = Tracker(config)
        self._confidence = confidence

    def push(self, frame: DetectedFrame, /) -> Iterator[TrackedFrame]:
        """Track a frame."""
        if frame.follows_gap:
            self._tracker.end_tracks()
        found = frame.detections
        tracks = self._tracker.update(
            found,
            confidence=self._confidence,
            transform=frame.from_previous.transform,
            is_same_scene=frame.from_previous.is_same_scene,
        )
        is_kept = found.scores >= self._confidence
        is_kept[tracks.detection_indices[tracks.detection_indices >= 0]] = True
        # Rows among all become rows among the kept; a coasted track's -1 stays.
        kept_row = np.append(np.cumsum(is_kept) - 1, -1)
        yield TrackedFrame(
            index=frame.index,
            time=frame.time,
            image=frame.image,
            is_ignored=frame.is_ignored,
            follows_gap=frame.follows_gap,
            from_previous=frame.from_previous,
            pose=frame.pose,
            capture=frame.capture,
            detections=found[is_kept],
            tracks=replace(tracks, detection_indices=kept_row[tracks.detection_indices]),
        )
