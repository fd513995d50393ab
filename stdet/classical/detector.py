"""A response map and its peaks as a streaming detector."""

from __future__ import annotations

from typing import Protocol

from stdet.classical.peaks import find_peaks
from stdet.config import PostprocessConfig
from stdet.types import Detections, FloatArray


class ResponseMap(Protocol):
    """What differs between the methods: frames in, response maps out, of the same frames."""

    def push(self, frame: FloatArray) -> FloatArray:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            float32 (H, W), high where a target may be, in units of its local RMS; zeros where
            there is no past yet that the method needs.
        """
        ...

    def reset(self) -> None:
        """Forget the past."""
        ...


class ClassicalDetector:
    """Detect on a stream of frames of one size without a network; a ``FrameDetector``.

    Causal: a frame is decided as soon as it comes. Memory is that of the response map.

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

    def reset(self) -> None:
        """Forget the past: the next frame begins a new sequence."""
        self.response_map.reset()
        self._image_hw = None

    def push(self, frame_index: int, frame: FloatArray) -> list[Detections]:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            The detections of this frame, as a list of one.

        Raises:
            ValueError: If the size of the frames changes without ``reset``.
        """
        image_hw = (frame.shape[0], frame.shape[1])
        if self._image_hw not in (None, image_hw):
            raise ValueError(f"frame is {image_hw}; the stream began otherwise. Call reset().")
        self._image_hw = image_hw
        found = find_peaks(
            self.response_map.push(frame),
            max_detections=self.config.max_detections,
            frame_index=frame_index,
        )
        return [found[found.scores >= self.config.score_floor]]

    def flush(self) -> list[Detections]:
        """Forget the past; no frame waits for a decision."""
        self.reset()
        return []
