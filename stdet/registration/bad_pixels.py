"""Pixels of the sensor that always stand out, found while the scene moves under them.

Thermal sensors have dead, hot and drifting pixels, and in a single frame one looks like a target
of one pixel. Against the registered background it moves, as a target does. But it stays at its
place of the sensor while the scene moves, and its neighbours see nothing of it, since no optics
lie between: a target is blurred over its neighbours, and if it stays at its place it does not stay
within one pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.config import CameraMotionModel
from stdet.registration.estimation import (
    NEIGHBOURS,
    PreparedFrame,
    estimate_transform,
    neighbour_range,
)
from stdet.types import FloatArray, IntArray

MIN_STEP_PX = 1.5
"""Frames count when the background has moved so far, pixels, since the last one that counted."""
MAX_AGE = 30
"""Frames after which the last one that counted is too old to tell how far the background moved."""
MIN_HEIGHT = 0.02
"""How far a bad pixel lies above or below all eight neighbours, full scale 1."""
NUM_TO_CONDEMN = 4
"""Counted frames with a spike, less those without, at which a pixel is bad."""
MOST = 8
"""Where the count ends; a bad pixel that has healed is used again after so many frames."""


class BadPixels:
    """Find bad pixels in the frames of one camera and replace them by their neighbours' median.

    A pixel's count goes up with every counted frame in which it stands out and down with every
    other; a spike of the other sign counts as none. The first frame counts; in a camera at rest no
    other does: a spot that stands still may be a target that hovers. A camera that moves less
    than ``MIN_STEP_PX`` in ``MAX_AGE`` frames is at rest in this sense.

    Example:
        >>> pixels = BadPixels()
        >>> pixels.push(np.zeros((24, 32), np.float32)).image.shape
        (24, 32)
    """

    def __init__(self, motion: CameraMotionModel = "translation") -> None:
        """Start without a frame."""
        self._motion = motion
        self.indices: IntArray = np.zeros(0, np.int64)
        """Bad pixels (B,), as indices of the flattened frame."""
        self._anchor: PreparedFrame | None = None
        self._age = 0
        self._count = np.zeros((0, 0), np.int8)

    def push(self, frame: FloatArray) -> PreparedFrame:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            The frame without what was known as bad before it.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        if self._anchor is None:
            self._count = np.zeros(frame.shape, np.int8)
        elif frame.shape != self._count.shape:
            raise ValueError(f"frame is {frame.shape}; the one before is {self._count.shape}.")
        cleaned = PreparedFrame.of(replace_pixels(frame, self.indices), self._motion)
        self._age += 1
        has_moved = self._anchor is None or self._has_moved(cleaned)
        if has_moved or self._age == MAX_AGE:
            self._anchor, self._age = cleaned, 0
        if has_moved:
            self._learn(frame)
        return cleaned

    def _has_moved(self, frame: PreparedFrame) -> bool:
        """Return whether other parts of the scene lie under the pixels than when last counted."""
        assert self._anchor is not None
        moved = estimate_transform(self._anchor, frame)
        return moved.largest_displacement(frame.image.shape) >= MIN_STEP_PX

    def _learn(self, frame: FloatArray) -> None:
        """Count a frame."""
        sign = spike_signs(frame)
        agrees = sign * np.sign(self._count) >= 0
        step = np.where((sign != 0) & agrees, sign, -np.sign(self._count)).astype(np.int8)
        self._count = np.clip(self._count + step, -MOST, MOST)
        was_bad = np.zeros(frame.shape, np.bool_)
        was_bad.flat[self.indices] = True
        is_bad = (np.abs(self._count) >= NUM_TO_CONDEMN) | (was_bad & (self._count != 0))
        self.indices = np.flatnonzero(is_bad)


def spike_signs(frame: FloatArray) -> NDArray[np.int8]:
    """Return where a pixel stands out alone, int8 (H, W): 1 above, -1 below all its neighbours."""
    lowest, highest = neighbour_range(frame)
    above, below = frame - highest > MIN_HEIGHT, lowest - frame > MIN_HEIGHT
    signs: NDArray[np.int8] = above.astype(np.int8) - below.astype(np.int8)
    return signs


def replace_pixels(frame: FloatArray, indices: IntArray) -> FloatArray:
    """Return a frame whose pixels ``indices`` of (H * W) are the median of their neighbours."""
    if not len(indices):
        return frame
    rows, columns = np.divmod(indices, frame.shape[1])
    padded = np.pad(frame, 1, mode="reflect")
    around = np.stack([padded[rows + y, columns + x] for y, x in NEIGHBOURS])
    cleaned = frame.copy()
    cleaned[rows, columns] = np.median(around, axis=0)
    return cleaned
