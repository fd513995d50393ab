"""Frames that are already in memory, as a ``FrameSource``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stdet.io.frame_source import (
    EIGHT_BIT_SCALE,
    ClosesOnExit,
    Frame,
    IntensityScale,
    RawImage,
    frame_range,
)


class MemorySource(ClosesOnExit):
    """A stack of frames.

    Args:
        name: Of the sequence.
        images: uint8 or uint16 (T, H, W).
        fps: Frames per second.
        bit_depth: Of the camera.
        scale: Map of the levels to [0, 1].
    """

    def __init__(
        self,
        name: str,
        images: RawImage,
        *,
        fps: float | None,
        bit_depth: int = 8,
        scale: IntensityScale = EIGHT_BIT_SCALE,
    ) -> None:
        """Keep the frames."""
        self.name = name
        self.path = Path(name)
        self.hw = (int(images.shape[1]), int(images.shape[2]))
        self.fps = fps
        self.bit_depth = bit_depth
        self.num_declared: int | None = len(images)
        self.gaps: frozenset[int] = frozenset()
        self.scale: IntensityScale = scale
        self._images = images

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames start .. stop - 1."""
        for index in frame_range(len(self._images), start, stop):
            yield Frame(index=index, pixels=self._images[index])

    def read(self, index: int) -> RawImage:
        """Return one frame (H, W) as stored."""
        image: RawImage = self._images[index]
        return image
