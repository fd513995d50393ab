"""Pixels of the sensor that always stand out, found while the scene moves under them.

Thermal sensors have dead, hot and drifting pixels, and in a single frame one looks like a target
of one pixel. Against the registered background it moves, as a target does. But it stays at its
place of the sensor while the scene moves, and its neighbours see nothing of it, since no optics
lie between: a target, also one that the camera follows, is blurred over its neighbours.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.registration.camera_motion import CameraPose
from stdet.registration.prepared_frame import neighbour_range
from stdet.types import FloatArray, IntArray

_NEIGHBOURS = tuple((y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1))
"""Row and column of the eight neighbours of a pixel in a frame padded by one."""
MIN_STEP_PX = 1.5
"""Frames count when the background has moved so far, pixels, since the last one that counted."""
MAX_AGE = 30
"""Frames after which the last one that counted is too old to tell how far the background moved."""
MIN_HEIGHT = 0.02
"""How far a bad pixel lies above or below all eight neighbours, full scale 1."""
NUM_TO_CONDEMN = 4
"""Counted frames with a spike, less those without, at which a pixel is bad."""
MAX_NEIGHBOURS = 0.12
"""What the neighbours see of a bad pixel, on average over the counted frames, relative to its
height above the ring of 16 pixels around them. Of a target blurred by 0.6 px they see 0.16."""
_FORGETTING = 0.875
"""Weight of what was seen before a counted frame."""
MOST = 8
"""Where the count ends; a bad pixel that has healed is used again after so many frames."""


class BadPixels:
    """Find bad pixels in the frames of one camera and replace them by their neighbours' median.

    A pixel's count goes up with every counted frame in which it stands out and down with every
    other; a spike of the other sign counts as none. The first frame counts; in a camera at rest no
    other does: a spot that stands still may be a target that hovers. A camera that moves less
    than ``MIN_STEP_PX`` in ``MAX_AGE`` frames is at rest in this sense.

    Frames whose place in the scene is not known do not count either.
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self.indices: IntArray = np.zeros(0, np.int64)
        """Bad pixels (B,), as indices of the flattened frame."""
        self._anchor: CameraPose | None = None
        self._age = 0
        self._count = np.zeros((0, 0), np.int8)
        self._height = np.zeros((0, 0), np.float32)  # Above the ring, of the pixel
        self._around = np.zeros((0, 0), np.float32)  # and of its neighbours.

    def clean(self, frame: FloatArray) -> FloatArray:
        """Return a frame, float32 (H, W) in [0, 1], without what is known as bad.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        if not self._count.size:
            self._count = np.zeros(frame.shape, np.int8)
            self._height, self._around = np.zeros((2, *frame.shape), np.float32)
        elif frame.shape != self._count.shape:
            raise ValueError(f"frame is {frame.shape}; the one before is {self._count.shape}.")
        return replace_pixels(frame, self.indices)

    def learn(self, frame: FloatArray, pose: CameraPose) -> None:
        """Take a frame as it is, and where it lies in the scene."""
        self._age += 1
        if pose.state == "lost":
            return
        has_moved = self._anchor is None or self._has_moved(pose, frame.shape)
        if has_moved or self._age >= MAX_AGE:
            self._anchor, self._age = pose, 0
        if has_moved:
            self._learn(frame)

    def _has_moved(self, pose: CameraPose, hw: tuple[int, ...]) -> bool:
        """Return whether other parts of the scene lie under the pixels than when last counted."""
        assert self._anchor is not None
        moved = self._anchor.to(pose)
        return moved is not None and moved.largest_displacement(hw) >= MIN_STEP_PX

    def _learn(self, frame: FloatArray) -> None:
        """Count a frame."""
        sign = spike_signs(frame)
        agrees = sign * np.sign(self._count) >= 0
        step = np.where((sign != 0) & agrees, sign, -np.sign(self._count)).astype(np.int8)
        self._count = np.clip(self._count + step, -MOST, MOST)
        for kept, seen in zip((self._height, self._around), heights(frame), strict=True):
            kept *= _FORGETTING
            kept += seen
        was_bad = np.zeros(frame.shape, np.bool_)
        was_bad.flat[self.indices] = True
        is_alone = self._around * np.sign(self._count) <= MAX_NEIGHBOURS * np.abs(self._height)
        is_bad = (np.abs(self._count) >= NUM_TO_CONDEMN) & is_alone
        is_bad |= was_bad & (self._count != 0)
        self.indices = np.flatnonzero(is_bad)


def spike_signs(frame: FloatArray) -> NDArray[np.int8]:
    """Return where a pixel stands out alone, int8 (H, W): 1 above, -1 below all its neighbours."""
    lowest, highest = neighbour_range(frame)
    above, below = frame - highest > MIN_HEIGHT, lowest - frame > MIN_HEIGHT
    signs: NDArray[np.int8] = above.astype(np.int8) - below.astype(np.int8)
    return signs


def heights(frame: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far each pixel, and its eight neighbours, lie above the ring around them.

    Args:
        frame: float32 (H, W).

    Returns:
        Two of float32 (H, W); the ring are the 16 pixels at a distance of two.
    """
    nine, many = (
        np.asarray(cv2.blur(frame, (side, side), borderType=cv2.BORDER_REFLECT_101), np.float32)
        for side in (3, 5)
    )
    ring = (25 * many - 9 * nine) / 16
    around = (9 * nine - frame) / 8
    return np.asarray(frame - ring, np.float32), np.asarray(around - ring, np.float32)


def replace_pixels(frame: FloatArray, indices: IntArray) -> FloatArray:
    """Return a frame whose pixels ``indices`` of (H * W) are the median of their neighbours."""
    if not len(indices):
        return frame
    rows, columns = np.divmod(indices, frame.shape[1])
    padded = np.pad(frame, 1, mode="reflect")
    around = np.stack([padded[rows + y, columns + x] for y, x in _NEIGHBOURS])
    cleaned = frame.copy()
    cleaned[rows, columns] = np.median(around, axis=0)
    return cleaned
