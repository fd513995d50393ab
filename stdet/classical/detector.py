"""A response map and its peaks as a streaming detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from stdet.classical.peaks import find_peaks
from stdet.config import PostprocessConfig
from stdet.registration.registered_stream import RegisteredFrame, RegisteredStream
from stdet.types import Detections, FloatArray


class ResponseMap(Protocol):
    """What differs between the methods: frames in, response maps out, in order."""

    def push(self, frame: FloatArray) -> list[FloatArray]:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            Those that can be decided now: float32 (H, W), high where a target may be, in units of
            its local RMS; zeros where there are too few other frames for the method.
        """
        ...

    def flush(self) -> list[FloatArray]:
        """Decide the frames still waiting for later ones, and forget the past."""
        ...

    def reset(self) -> None:
        """Forget the past."""
        ...


class SingleFrames:
    """Responses of frames that stand alone.

    Args:
        respond: Response map of a frame, both float32 (H, W).
    """

    def __init__(self, respond: Callable[[FloatArray], FloatArray]) -> None:
        """Keep the method."""
        self._respond = respond

    def push(self, frame: FloatArray) -> list[FloatArray]:
        """Return the response of a frame, as a list of one."""
        return [self._respond(frame)]

    def flush(self) -> list[FloatArray]:
        """Return nothing: no frame waits."""
        return []

    def reset(self) -> None:
        """Do nothing: there is no past."""


class RegisteredFrames:
    """Responses of frames with reference frames of their stream.

    Args:
        respond: Response map of a registered frame, float32 (H, W).
        lags: See ``RegisteredStream``.
    """

    def __init__(
        self, respond: Callable[[RegisteredFrame], FloatArray], lags: Sequence[int]
    ) -> None:
        """Start without a past."""
        self._respond = respond
        self._stream = RegisteredStream(lags)

    def push(self, frame: FloatArray) -> list[FloatArray]:
        """Return the responses of the frames that have all their reference frames now."""
        return [self._respond(registered) for registered in self._stream.push(frame)]

    def flush(self) -> list[FloatArray]:
        """Decide the frames that wait, and forget the past."""
        return [self._respond(registered) for registered in self._stream.flush()]

    def reset(self) -> None:
        """Forget the past."""
        self._stream.reset()


class ClassicalDetector:
    """Detect on a stream of frames of one size without a network; a ``FrameDetector``.

    Frames come out when the response map has decided them. Memory is that of the response map.

    Args:
        response_map: The method.
        config: ``score_floor`` and ``max_detections`` are used; detections are kept apart by
            centre distance, so ``nms_iou`` is not.
    """

    def __init__(self, response_map: ResponseMap, config: PostprocessConfig) -> None:
        """Start without a past."""
        self.response_map = response_map
        self.config = config
        self._image_hw: tuple[int, int] | None = None
        self._pending: deque[int] = deque()

    def reset(self) -> None:
        """Forget the past: the next frame begins a new sequence."""
        self.response_map.reset()
        self._image_hw = None
        self._pending.clear()

    def push(self, frame_index: int, frame: FloatArray) -> list[Detections]:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            Detections of the frames that can be decided now.

        Raises:
            ValueError: If the size of the frames changes without ``reset``.
        """
        image_hw = (frame.shape[0], frame.shape[1])
        if self._image_hw not in (None, image_hw):
            raise ValueError(f"frame is {image_hw}; the stream began otherwise. Call reset().")
        self._image_hw = image_hw
        self._pending.append(frame_index)
        return [self._peaks(response) for response in self.response_map.push(frame)]

    def flush(self) -> list[Detections]:
        """Decide the frames still waiting for later ones, and forget the past."""
        found = [self._peaks(response) for response in self.response_map.flush()]
        self.reset()
        return found

    def _peaks(self, response: FloatArray) -> Detections:
        """Return the detections of the oldest frame that waits."""
        found = find_peaks(
            response,
            max_detections=self.config.max_detections,
            frame_index=self._pending.popleft(),
        )
        return found[found.scores >= self.config.score_floor]
