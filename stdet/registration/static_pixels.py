"""What stands still in the picture while the scene moves: text, reticles, logos, window frames.

Such pixels pull every estimate of the background's motion towards zero, and against the moving
scene they look like targets. They keep their grey level where the registered scene says that it
should have changed. A target that the camera follows does not: it never stays within a tenth of a
pixel, and it is smaller.
"""

from __future__ import annotations

import cv2
import numpy as np

from stdet.registration.camera_motion import CameraPose
from stdet.registration.prepared_frame import PreparedFrame
from stdet.types import BoolArray, FloatArray

MIN_STEP_PX = 2.0
"""Frames are compared when the background has moved so far, pixels, since the last that was."""
MAX_AGE = 30
"""Frames after which the last one that was compared is too old."""
_CHANGED, _NOISES = 16 / 255, 6.0
"""A pixel should have changed from such a difference on: full scale 1, and times the noise."""
_KEPT = 0.15
"""It has kept its level where it changed by less than this share of what it should have."""
_TO_CONDEMN, _MOST = 3, 6
"""Comparisons in favour, less those against, at which a pixel stands still; where counts end."""
_MIN_AREA_PX = 12
"""Smaller spots are left: they might be targets."""
_CLOSING_PX, _MARGIN_PX = 7, 2
"""Gaps between strokes of text are closed, and what blurs out of them is taken in."""
_FILLING_PX = 21
"""Side of the square about a static pixel whose mean level it gets."""
_MAX_SHARE = 0.3
"""Of the frame; if more seems to stand still, registration is wrong rather than the picture."""


class StaticPixels:
    """Find pixels that stand still in the frames of one camera.

    Example:
        >>> StaticPixels().is_static is None
        True
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self.is_static: BoolArray | None = None
        """bool (H, W); None while nothing is known to stand still."""
        self._anchor: PreparedFrame | None = None
        self._anchor_pose: CameraPose | None = None
        self._age = 0
        self._count = np.zeros((0, 0), np.int8)

    def learn(self, frame: PreparedFrame, pose: CameraPose) -> None:
        """Take a frame, all of one size, and where it lies in the scene."""
        self._age += 1
        if pose.state != "measured":
            return
        anchor, anchor_pose = self._anchor, self._anchor_pose
        moved = None if anchor_pose is None else anchor_pose.to(pose)
        if anchor is None or moved is None or self._age >= MAX_AGE:
            self._choose(frame, pose)
            return
        # In the middle of a turn or zoom nothing moves; what counts there is decided by pixels.
        if moved.largest_displacement(frame.hw) < MIN_STEP_PX:
            return
        warped = moved.warp(anchor.even)
        least = max(_CHANGED, _NOISES * max(frame.noise, anchor.noise))
        expected = np.abs(frame.even - warped.image) * warped.is_covered
        has_kept = np.abs(frame.even - anchor.even) <= _KEPT * np.maximum(expected, least)
        vote = np.where(has_kept, (expected >= least).astype(np.int8), np.int8(-1))
        if not self._count.size:
            self._count = np.zeros(frame.hw, np.int8)
        self._count = np.clip(self._count + vote, -_MOST, _MOST).astype(np.int8)
        self.is_static = _whole_things(self._count >= _TO_CONDEMN)
        self._choose(frame, pose)

    def _choose(self, frame: PreparedFrame, pose: CameraPose) -> None:
        """Compare later frames with this one."""
        self._anchor, self._anchor_pose, self._age = frame, pose, 0


def _whole_things(is_still: BoolArray) -> BoolArray | None:
    """Join pixels to things, and leave out what is small; None where nothing is left."""
    if not is_still.any():
        return None
    square = np.ones((_CLOSING_PX, _CLOSING_PX), np.uint8)
    closed = cv2.morphologyEx(is_still.astype(np.uint8), cv2.MORPH_CLOSE, square)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas = np.bincount(labels[is_still], minlength=len(stats))
    is_large = areas >= _MIN_AREA_PX
    is_large[0] = False
    things = is_large[labels].astype(np.uint8)
    margin = np.ones((2 * _MARGIN_PX + 1, 2 * _MARGIN_PX + 1), np.uint8)
    found = np.asarray(cv2.dilate(things, margin), np.bool_)
    return found if 0 < found.mean() <= _MAX_SHARE else None


def fill(image: FloatArray, is_static: BoolArray) -> FloatArray:
    """Return an image (H, W) whose static pixels have the mean level of what is around them.

    Beside the strokes of a reticle no target stands out, and their ends look like targets.
    """
    shown = (~is_static).astype(np.float32)
    square = (_FILLING_PX, _FILLING_PX)
    level, weight = (cv2.blur(part, square) for part in (image * shown, shown))
    middle = np.float32(np.median(image[~is_static]))
    around = np.where(weight > 0, level / np.maximum(weight, np.finfo(np.float32).tiny), middle)
    return np.where(is_static, around, image).astype(np.float32, copy=False)
