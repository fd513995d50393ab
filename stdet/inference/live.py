"""Track frames as they come, one call per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stdet.classical.methods import Method
from stdet.inference.engines.names import EngineName
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.frames import TrackedFrame
from stdet.inference.stages.stage import Stage
from stdet.inference.weights_files import DEFAULT_WEIGHTS
from stdet.io.array_source import NUM_FIRST_FRAMES, Array, GreyArrays, scale_of_arrays
from stdet.io.frame_source import Frame
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.tracking.false_alarms import FalseTracks
from stdet.types import BoolArray


class LiveTracker:
    """Track one stream whose frames are pushed; the same results as ``stdet.track``.

    Results come late: by ``delay`` frames. With background features and no ``latency`` the first
    ones come with frame 23, as do those after a cut to another scene. 16-bit frames wait for the
    16th, which fixes their intensity scale.

    Args:
        tracker: Detector and tracker.
        fps: Frames per second, None where unknown.
        ignore: As in ``stdet.track``.
    """

    def __init__(
        self,
        tracker: StreamingTracker,
        *,
        fps: float | None = None,
        ignore: BoolArray | None = None,
    ) -> None:
        """Start before the first frame."""
        self._tracker = tracker
        self._fps = fps
        self._ignore = ignore
        self._stages: Stage[Frame, TrackedFrame] | None = None
        self._arrays = GreyArrays()
        self._first: list[Frame] = []
        self._next_index = 0

    @classmethod
    def from_weights(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        *,
        confidence: float | None = None,
        device: str = "auto",
        engine: EngineName = "auto",
        latency: int | None = None,
        false_alarms_per_hour: float | None = None,
        fps: float | None = None,
        ignore: BoolArray | None = None,
    ) -> LiveTracker:
        """Build a tracker from a weights file; arguments as in ``stdet.track``."""
        tracker = StreamingTracker.from_weights(
            weights,
            confidence=confidence,
            device=device,
            engine=engine,
            latency=latency,
            false_alarms_per_hour=false_alarms_per_hour,
        )
        return cls(tracker, fps=fps, ignore=ignore)

    @classmethod
    def from_classical(
        cls,
        method: Method,
        *,
        confidence: float | None = None,
        latency: int | None = None,
        fps: float | None = None,
        ignore: BoolArray | None = None,
    ) -> LiveTracker:
        """Build a tracker with a classical detector; arguments as in ``stdet.track``."""
        tracker = StreamingTracker.from_classical(method, confidence=confidence, latency=latency)
        return cls(tracker, fps=fps, ignore=ignore)

    @property
    def delay(self) -> int:
        """Frames that results come late, once the stream has gone on for a while."""
        return self._tracker.delay

    @property
    def false_tracks(self) -> FalseTracks | None:
        """How many false tracks are expected in the stream so far; None where nobody knows."""
        return self._tracker.false_tracks

    def push(self, image: Array, *, index: int | None = None) -> list[TrackedFrame]:
        """Take the next frame.

        Args:
            image: (H, W), or (H, W, 3) as RGB; uint8, uint16, or float32 in [0, 1].
            index: Of the frame, where the camera has dropped some; None for the next one.

        Returns:
            Results that are ready now, often of one earlier frame.

        Raises:
            ValueError: If it is no such frame, the index does not increase, or ``ignore`` is no
                mask of the frames.
        """
        index = self._next_index if index is None else index
        if index < self._next_index:
            raise ValueError(f"frame {index} comes after frame {self._next_index - 1}.")
        frame = self._arrays.frame(image, index)
        self._next_index = index + 1
        if self._stages is not None:
            return list(self._stages.push(frame))
        self._first.append(frame)
        is_deep = frame.pixels.dtype == np.uint16
        return [] if is_deep and len(self._first) < NUM_FIRST_FRAMES else self._scale_and_push()

    def flush(self) -> list[TrackedFrame]:
        """End the stream, and return the results that waited; the next frame begins another."""
        found = [] if self._stages is not None or not self._first else self._scale_and_push()
        if self._stages is not None:
            found += self._stages.flush()
        self._stages, self._arrays, self._next_index = None, GreyArrays(), 0
        return found

    def _scale_and_push(self) -> list[TrackedFrame]:
        """Fix the intensity scale, and push the frames that have waited for it."""
        scale = scale_of_arrays([frame.pixels for frame in self._first])
        watch = SceneWatch(Path("frames"), scale)
        self._stages = self._tracker.stages(
            scale=scale, watch=watch, fps=self._fps, ignore=self._ignore
        )
        found = [result for frame in self._first for result in self._stages.push(frame)]
        self._first.clear()
        return found
