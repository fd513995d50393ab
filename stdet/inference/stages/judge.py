"""Give tracks their probability of being real, and leave out those that break a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stdet.inference.stages.frames import TrackedFrame
from stdet.inference.stages.stage import Stage
from stdet.tracking.judge import TrackJudge


class Judge(Stage[TrackedFrame, TrackedFrame]):
    """Let the tracks of a stream be judged.

    Args:
        judge: Of this stream.
    """

    name = "judge"

    def __init__(self, judge: TrackJudge) -> None:
        """Keep the judge."""
        self._judge = judge

    def push(self, frame: TrackedFrame, /) -> Iterator[TrackedFrame]:
        """Judge the tracks of a frame."""
        yield replace(frame, tracks=self._judge.judge(frame.tracks, frame.detections))
