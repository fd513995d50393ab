"""Track what another detector has found: with its video, or with nothing but its file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

import numpy as np

from stdet.config import TrackerConfig
from stdet.formats.detection_file import DetectionRows
from stdet.inference.detector import Detector, DetectorStage
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.detect import SameSize
from stdet.inference.stages.frames import (
    DetectedFrame,
    StreamFrame,
    TrackedFrame,
)
from stdet.inference.stages.register import Register
from stdet.inference.stages.stage import InOwnThread, Stage
from stdet.inference.stages.times import StageTimes, timed
from stdet.inference.stages.track import LeaveOutWeak, OperatingPoint, Track
from stdet.io.frame_source import FrameSource
from stdet.io.memory_source import MemorySource
from stdet.metrics.sequence_result import SparseDetections
from stdet.tracking.false_alarms import FalseTracks
from stdet.tracking.tracker import Tracker
from stdet.types import BoolArray, Detections

GIVEN_CONFIDENCE = 0.5
"""Operating point where none is given; it is compared with track-before-detect scores."""

_LAGS = (1,)
"""Frames are registered for the motion of the camera alone; nobody looks at reference frames."""


class TakeGiven(Stage[StreamFrame, DetectedFrame]):
    """Give each frame the detections of a file.

    Args:
        found: By frame; others have none.
    """

    name = "detect"

    def __init__(self, found: Mapping[int, Detections]) -> None:
        """Keep them."""
        self._found = found

    def push(self, frame: StreamFrame, /) -> Iterator[DetectedFrame]:
        """Take the next frame."""
        height, width = frame.scaled.shape
        nothing = Detections.empty(frame_index=frame.index, image_hw=(height, width))
        yield DetectedFrame.of(frame, self._found.get(frame.index, nothing))


class TrackerWithoutPictures:
    """Track given detections where there is no video: the camera is taken as resting.

    Args:
        found: By frame.
        config: Tracker settings.
        confidence: Operating point in [0, 1].

    Attributes:
        warnings: None; there is nothing to see.
        false_tracks: Nobody knows how many; the probabilities are not calibrated for them.
    """

    def __init__(
        self, found: Mapping[int, Detections], config: TrackerConfig, *, confidence: float
    ) -> None:
        """Keep the detections."""
        self._config = config
        self.confidence = confidence
        self.warnings: list[str] = []
        self.false_tracks: FalseTracks | None = None
        self._found = found

    def run(
        self,
        source: FrameSource,
        *,
        start: int = 0,
        stop: int | None = None,
        ignore: BoolArray | None = None,
        times: StageTimes | None = None,
    ) -> Generator[TrackedFrame, None, None]:
        """Track frame by frame; arguments as of ``StreamingTracker.run``.

        Args:
            source: ``frames_without_pictures``.
            start: First frame.
            stop: Frame to stop before, None for all.
            ignore: Pixels without detections.
            times: Times the stages; None for no times.
        """
        operating_point = OperatingPoint(self.confidence)
        track = Track(Tracker.for_stream(self._config), operating_point)
        stages = timed(TakeGiven(self._found), times).then(timed(track, times))
        nothing = np.broadcast_to(np.float32(0), source.hw)
        fps = source.fps
        yield from stages.then(LeaveOutWeak(operating_point)).run(
            StreamFrame(
                index=frame.index,
                time=None if fps is None else frame.index / fps,
                image=frame.pixels,
                scaled=nothing,
                is_ignored=ignore,
            )
            for frame in source.frames(start, stop)
        )


def frames_without_pictures(
    rows: DetectionRows, *, hw: tuple[int, int], fps: float | None
) -> MemorySource:
    """Return black frames, which take no memory, up to the last frame with a detection.

    Args:
        rows: Their path and number of frames are those of the source.
        hw: Height and width, pixels.
        fps: Frames per second, None where unknown.
    """
    black = np.broadcast_to(np.uint8(0), (rows.num_frames, *hw))
    source = MemorySource(rows.path.stem, black, fps=fps)
    source.path = rows.path
    return source


def tracker_of_given(
    rows: DetectionRows,
    source: FrameSource,
    *,
    confidence: float | None,
    has_pictures: bool,
    latency: int | None = None,
) -> StreamingTracker | TrackerWithoutPictures:
    """Build the tracker of given detections.

    Args:
        rows: What was found.
        source: The frames; those without pictures are of ``frames_without_pictures``.
        confidence: Operating point; None for ``GIVEN_CONFIDENCE``.
        has_pictures: Whether the frames show the scene, so that they are registered and tracks
            follow it.
        latency: As ``tracker.latency``.
    """
    config = TrackerConfig(latency=latency)
    confidence = GIVEN_CONFIDENCE if confidence is None else confidence
    found = SparseDetections.of_rows(
        rows.frame_indices,
        rows.boxes_xyxy,
        rows.scores,
        rows.class_ids,
        num_frames=rows.num_frames,
        image_hw=source.hw,
    ).found
    if not has_pictures:
        return TrackerWithoutPictures(found, config, confidence=confidence)

    def start(times: StageTimes | None) -> DetectorStage:
        register = SameSize().then(timed(Register(_LAGS, latency=latency), times))
        return InOwnThread(register, "register").then(timed(TakeGiven(found), times))

    return StreamingTracker(Detector(start), config, confidence=confidence)
