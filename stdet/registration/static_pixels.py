"""What stands still in the picture while the scene moves: text, reticles, logos, window frames.

Such pixels pull every estimate of the background's motion towards zero, and against the moving
scene they look like targets. Whenever the scene has moved by part of a pixel, a frame is compared
with an earlier one at the same place of the picture and at the same place of the scene. That
gives every pixel evidence:

for standing still
    the picture has kept its level, and the registered scene says that it should have changed. A
    stroke along the motion shows the same in both. It is known by its level and its contrast, if
    other strokes of that colour are known to stand still.
against it
    the level has changed.

Evidence fades from comparison to comparison, so that chance does not add up, and is remembered
while the camera rests. Then nothing can be known: a resting scene stands still, too.

A target that the camera follows is left alone: it never stays within a tenth of a pixel for long,
and it is smaller than text.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.registration.camera_motion import CameraPose
from stdet.registration.median import median
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform
from stdet.types import BoolArray, FloatArray

MIN_STEP_PX = 0.7
"""Frames are compared when the background has moved so far, pixels, since the last that was."""
MAX_AGE = 30
"""Frames after which the last one that was compared is too old."""
_MAX_STEP = 0.1
"""Of the shorter side. After a larger step the light is another in too much of the picture."""
_CHANGED, _NOISES = 16 / 255, 6.0
"""A difference counts from this on: full scale 1, and times the noise."""
_KEPT = 0.15
"""A pixel has kept its level where it changed by less than this share of what it should have."""
_FOR, _MOST = 2.0, 12.0
"""Evidence of a comparison for standing still, and where the sum ends. That against it is 1 where
the level has changed, and 1 more where the registered scene explains at least half of it."""
_LEAST = -4.0
_FADING = 0.9
"""Weight of older evidence in each comparison."""
_TO_CONDEMN, _TO_ACQUIT = 5.0, 1.0
"""Evidence from which on a stroke stands still, and below which a pixel does no longer."""
_TO_CONDEMN_BROAD = 11.0
"""Evidence from which on what is broader stands still: a near target might be so broad."""
_CROWD = 0.05
"""Share of the frame; if more has kept its level against the registered scene, the light has
changed or registration is wrong, and the comparison says nothing."""
_STROKE_PX = 5
"""Side of the square that strokes of text are narrower than."""
_COLOUR = 16 / 255
"""Strokes of one colour differ by less, full scale 1,"""
_CONTRAST = 0.5
"""and have at least this share of the usual contrast."""
_FEWEST = 12
"""Pixels known to stand still that tell a colour."""
_MIN_AREA_PX, _MIN_LENGTH_PX = 12, 7
"""Smaller or shorter spots are left: they might be targets."""
_JOINT_PX, _BESIDE_PX = 3, 21
"""Gaps within a spot are smaller. Small spots of the colour of text, such as the points of a
clock, are taken in this square about what is large enough."""
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
        self._evidence = np.zeros((0, 0), np.float32)
        self._is_still = np.zeros((0, 0), np.bool_)  # Strokes, without what is between them.
        self._is_coloured = np.zeros((0, 0), np.bool_)

    def learn(self, frame: PreparedFrame, pose: CameraPose) -> None:
        """Take a frame, all of one size, and where it lies in the scene."""
        self._age += 1
        if pose.state != "measured":
            return
        anchor, anchor_pose = self._anchor, self._anchor_pose
        moved = None if anchor_pose is None else anchor_pose.to(pose)
        if anchor is not None and moved is not None and self._age < MAX_AGE:
            # In the middle of a turn or zoom nothing moves; what counts is decided by pixels.
            step_px = moved.largest_displacement(frame.hw)
            if step_px < MIN_STEP_PX:
                return
            if step_px <= _MAX_STEP * min(frame.hw):
                self._compare(anchor, frame, moved)
        self._anchor, self._anchor_pose, self._age = frame, pose, 0

    def _compare(self, anchor: PreparedFrame, frame: PreparedFrame, moved: Transform) -> None:
        """Weigh what a frame says against an earlier one, and decide."""
        if not self._evidence.size:
            self._evidence = np.zeros(frame.hw, np.float32)
            self._is_still, self._is_coloured = np.zeros((2, *frame.hw), np.bool_)
        knows = bool(self._is_still.any())
        # Where strokes would have moved to, the scene keeps its level and is no stroke.
        warped = moved.warp(anchor.even, is_ignored=self._is_still if knows else None)
        by_scene = frame.even - warped.image
        by_scene = np.abs(by_scene - median(by_scene[::4, ::4])) * warped.is_covered
        by_place = np.abs(frame.even - anchor.even)
        least = max(_CHANGED, _NOISES * max(frame.noise, anchor.noise))
        has_kept = (by_scene >= least) & (by_place <= _KEPT * by_scene)
        if has_kept.mean() > _CROWD:
            return
        has_changed = (by_place >= least) & warped.is_covered
        is_explained = has_changed & (by_scene <= by_place / 2)
        vote = np.float32(_FOR) * has_kept - has_changed - is_explained
        if not knows and _FADING * self._evidence.max() + _FOR < _TO_CONDEMN:
            self._add(vote)
            return
        contrasts = _contrasts(frame.even)
        if knows:
            self._is_coloured = ~is_explained & _strokes_like(
                self._is_still, frame.even, contrasts, change=by_place, least=least
            )
            np.copyto(vote, _FOR, where=self._is_coloured)
        self._add(vote)
        self._decide(is_stroke=(contrasts[0] >= least) | (contrasts[1] >= least))

    def _add(self, vote: FloatArray) -> None:
        """Add the evidence (H, W) of a comparison."""
        self._evidence *= np.float32(_FADING)
        self._evidence += vote
        np.clip(self._evidence, _LEAST, _MOST, out=self._evidence)

    def _decide(self, *, is_stroke: BoolArray) -> None:
        """Say what stands still, by the evidence.

        Args:
            is_stroke: Where the newest frame has thin things, bool (H, W).
        """
        is_still = is_stroke & (self._evidence >= _TO_CONDEMN)
        is_still |= self._evidence >= _TO_CONDEMN_BROAD
        is_still |= self._is_still & (self._evidence >= _TO_ACQUIT)
        self._is_still = _large_enough(is_still, self._is_coloured)
        self.is_static = _whole_things(self._is_still)


def _strokes_like(
    is_still: BoolArray,
    image: FloatArray,
    contrasts: Sequence[FloatArray],
    *,
    change: FloatArray,
    least: float,
) -> BoolArray:
    """Return where thin things have kept their level and are of the colour of known strokes.

    Args:
        is_still: Known strokes, bool (H, W).
        image: The frame, float32 (H, W).
        contrasts: Of bright and of dark strokes, float32 (H, W) each.
        change: Since another frame, at the same place of the picture, float32 (H, W), >= 0.
        least: The contrast that strokes have at least.

    Returns:
        bool (H, W).
    """
    found = np.zeros(image.shape, np.bool_)
    for contrast in contrasts:
        is_known = is_still & (contrast >= least)
        if np.count_nonzero(is_known) < _FEWEST:
            continue
        usual = max(least, _CONTRAST * median(contrast[is_known]))
        colour = median(image[is_known])
        is_like = (contrast >= usual) & (np.abs(image - colour) <= _COLOUR)
        found |= is_like & (change <= _KEPT * contrast)
    return found


def _contrasts(image: FloatArray) -> list[FloatArray]:
    """Return how far bright and dark strokes stand out, float32 (H, W) each; else 0."""
    square = _square(_STROKE_PX)
    operations = (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    return [np.asarray(cv2.morphologyEx(image, each, square), np.float32) for each in operations]


def _large_enough(is_still: BoolArray, is_coloured: BoolArray) -> BoolArray:
    """Leave out spots that might be targets.

    Args:
        is_still: Pixels that stand still, bool (H, W).
        is_coloured: Those of the colour of text, bool (H, W): beside text they may be small.

    Returns:
        bool (H, W).
    """
    if not is_still.any():
        return is_still
    joined = cv2.morphologyEx(is_still.astype(np.uint8), cv2.MORPH_CLOSE, _square(_JOINT_PX))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    areas = np.bincount(labels[is_still], minlength=len(stats))
    lengths = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    is_large = (areas >= _MIN_AREA_PX) & (lengths >= _MIN_LENGTH_PX)
    is_large[0] = False
    large: BoolArray = is_large[labels] & is_still
    beside = cv2.dilate(large.astype(np.uint8), _square(_BESIDE_PX)) > 0
    return large | (is_still & is_coloured & beside)


def _whole_things(is_still: BoolArray) -> BoolArray | None:
    """Join strokes to things; None where there are none, or too many."""
    if not is_still.any():
        return None
    closed = cv2.morphologyEx(is_still.astype(np.uint8), cv2.MORPH_CLOSE, _square(_CLOSING_PX))
    found = np.asarray(cv2.dilate(closed, _square(2 * _MARGIN_PX + 1)), np.bool_)
    return found if found.mean() <= _MAX_SHARE else None


def _square(side_px: int) -> NDArray[np.uint8]:
    """Return a square of ones."""
    return np.ones((side_px, side_px), np.uint8)


def fill(image: FloatArray, is_static: BoolArray) -> FloatArray:
    """Return an image (H, W) whose static pixels have the mean level of what is around them.

    Beside the strokes of a reticle no target stands out, and their ends look like targets.
    """
    shown = (~is_static).astype(np.float32)
    square = (_FILLING_PX, _FILLING_PX)
    level, weight = (cv2.blur(part, square) for part in (image * shown, shown))
    middle = np.float32(median(image[~is_static]))
    around = np.where(weight > 0, level / np.maximum(weight, np.finfo(np.float32).tiny), middle)
    return np.where(is_static, around, image).astype(np.float32, copy=False)
