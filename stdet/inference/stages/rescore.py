"""Give detections scores that look at the frames before and after."""

from __future__ import annotations

from collections.abc import Iterator

from stdet.inference.stages.frames import DetectedFrame
from stdet.inference.stages.stage import Stage
from stdet.tracking.track_before_detect import TrackBeforeDetect


class Rescore(Stage[DetectedFrame, DetectedFrame]):
    """Give detections their track-before-detect scores; see ``track_before_detect.py``.

    Args:
        lookahead: Frames after a frame that its scores wait for.
    """

    name = "rescore"

    def __init__(self, lookahead: int) -> None:
        """Start before the first frame."""
        self._scores: TrackBeforeDetect[DetectedFrame] = TrackBeforeDetect(lookahead)
        self.delay = lookahead

    def push(self, frame: DetectedFrame, /) -> Iterator[DetectedFrame]:
        """Take the next frame."""
        yield from self._scores.push(frame)

    def flush(self) -> Iterator[DetectedFrame]:
        """Score the frames that wait with what came after them."""
        yield from self._scores.flush()
