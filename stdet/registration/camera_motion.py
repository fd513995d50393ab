"""How the background of a video moves: where each frame lies in the scene.

Each frame is aligned with one other, a key frame, and frames of one key frame with each other
through it. A new key frame is taken before the old one is far away or long ago, and is linked to
it by its own alignment. So the transform between any two frames is composed of few measurements,
and one alignment a frame is enough for all of them.

What cannot be aligned is not silently taken for a camera at rest (``CameraPose.state``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stdet.registration.alignment import MAX_ERROR_PX, MIN_SIDE_PX, Alignment, align, unexplained
from stdet.registration.frame_motion import FrameMotion
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform
from stdet.registration.translation import estimate_translation

PoseState = Literal["measured", "assumed", "lost"]
"""See ``CameraPose.state``."""
KEY_AGE = 30
"""Frames after which a key frame is replaced."""
_KEY_DISTANCE = 0.2
"""It is replaced when a corner of the frame has gone so far, relative to the shorter side."""
_WORSE, _GOOD_PX, _GOOD_UNEXPLAINED = 2.0, 0.04, 0.03
"""And when error or unexplained contrast are so many times those of the frame after it, and no
longer good: near things have moved against far ones, or the scene has changed."""
_REST_PX = 0.1
"""A map that moves no corner farther, nor than twice its error, is the identity."""
_MAX_UNEXPLAINED = 0.4
"""Above this share of unexplained contrast two frames do not show the same scene."""
_CLEARLY = 0.02
"""What a guess must explain more than the translation by phase correlation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraPose:
    """Where a frame lies in the scene.

    Attributes:
        run: Number of the run of frames that are registered with each other. A cut begins a new
            one; a single spoilt frame is a run by itself.
        from_start: Transform of the background from the first frame of the run to this one.
        state: `measured`: to ``alignment.MAX_ERROR_PX``, as the first frame is by definition.
            `assumed`: the background has too little structure to tell, or the frame is too small;
            the transform is the likeliest, and explains what there is. `lost`: nothing explains
            the frame.
        error_px: Standard error against the key frame, pixels; infinite unless `measured`.
        unexplained: Share of the contrast that the transform does not explain, 0 to 1.
        inliers: Share of the compared pixels that agree with the transform, 0 to 1.
    """

    run: int
    from_start: Transform
    state: PoseState
    error_px: float
    unexplained: float
    inliers: float

    def to(self, other: CameraPose) -> Transform | None:
        """Return the transform of the background from this frame to another.

        Returns:
            None for frames of different runs.
        """
        if other is self:
            return Transform.identity()
        if other.run != self.run:
            return None
        return other.from_start @ self.from_start.inverse()

    def motion_from(self, previous: CameraPose) -> FrameMotion:
        """Return the motion of the background from another frame to this one."""
        transform = previous.to(self)
        if transform is None:
            return FrameMotion.unknown("the frames do not show the same scene")
        if "assumed" in (previous.state, self.state):
            return FrameMotion.unknown("the background has too little structure")
        return FrameMotion.known(transform)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """A frame and its pose."""

    frame: PreparedFrame
    pose: CameraPose

    def with_next(self, later: PreparedFrame, *, guess: Transform | None) -> CameraPose:
        """Return the pose of a later frame, from a comparison with this one."""
        found = align(self.frame, later, guess=guess)
        state: PoseState = "measured"
        transform, share = found.transform, found.unexplained
        if found.is_trusted:
            limit = min(2 * found.error_px, _REST_PX)
            if transform.largest_displacement(later.hw) <= limit:
                transform = Transform.identity()
        else:
            others = [each for each in (guess, _aligned(found)) if each is not None]
            transform, share = _likeliest(self.frame, later, guess, others)
            is_lost = share > _MAX_UNEXPLAINED and min(later.hw) >= MIN_SIDE_PX
            state = "lost" if is_lost else "assumed"
        return CameraPose(
            run=self.pose.run,
            from_start=transform @ self.pose.from_start,
            state=state,
            error_px=found.error_px if found.is_trusted else np.inf,
            unexplained=share,
            inliers=found.inliers,
        )


def _aligned(found: Alignment) -> Transform | None:
    """Return the transform of an alignment that explains too little, yet has a small error."""
    return found.transform if found.error_px <= MAX_ERROR_PX else None


def _likeliest(
    before: PreparedFrame,
    after: PreparedFrame,
    guess: Transform | None,
    others: Sequence[Transform],
) -> tuple[Transform, float]:
    """Return a transform for frames that cannot be aligned, and what it leaves unexplained.

    Phase correlation's, unless one of the others explains clearly more.
    """
    best = estimate_translation(before, after, guess=guess)
    least = unexplained(before, after, best)
    for other in others:
        share = unexplained(before, after, other)
        if share < least - _CLEARLY:
            best, least = other, share
    return best, least


class CameraMotion:
    """Find where each frame of one sequence lies in the scene.

    Example:
        >>> scene = np.random.default_rng(0).random((40, 40)).astype(np.float32)
        >>> motion = CameraMotion()
        >>> first = motion.push(PreparedFrame(scene[:32, :32]))
        >>> second = motion.push(PreparedFrame(scene[2:34, 5:37]))
        >>> first.to(second).offset_xy.round(1)
        array([-5., -2.])
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self._key: _Placed | None = None
        self._newest: _Placed | None = None
        self._first: CameraPose | None = None  # Of the frame after the key frame.
        self._last_of_run: CameraPose | None = None  # Of the key frame's run.
        self._age = 0
        self._num_runs = 0

    def push(self, frame: PreparedFrame) -> CameraPose:
        """Take the next frame.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        if self._newest is not None and self._newest.frame.hw != frame.hw:
            raise ValueError(f"frame is {frame.hw}; the one before is {self._newest.frame.hw}.")
        self._age += 1
        placed = self._place(frame)
        is_new_run = self._key is None or placed.pose.run != self._key.pose.run
        if not is_new_run or placed.pose.state != "lost":
            self._choose_key(placed)
        self._newest = placed
        if self._key is not None and placed.pose.run == self._key.pose.run:
            self._last_of_run = placed.pose
        return placed.pose

    def _place(self, frame: PreparedFrame) -> _Placed:
        """Return the frame and its pose."""
        key, newest = self._key, self._newest
        if key is None or newest is None or self._last_of_run is None:
            return self._of_new_run(frame, state="measured")
        found = key.with_next(frame, guess=key.pose.to(self._last_of_run))
        if found.state != "measured" and newest is not key:
            # Over a featureless sky the newest frame tells no more than the key frame.
            had_structure = self._first is not None and self._first.state == "measured"
            if found.state == "lost" or had_structure:
                near = newest.with_next(frame, guess=Transform.identity())
                found = near if near.state == "measured" or found.state == "lost" else found
        if found.state == "lost":
            return self._of_new_run(frame, state="lost")
        return _Placed(frame=frame, pose=found)

    def _of_new_run(self, frame: PreparedFrame, *, state: PoseState) -> _Placed:
        """Return a frame that is registered with none before it."""
        self._num_runs += 1
        pose = CameraPose(
            run=self._num_runs,
            from_start=Transform.identity(),
            state=state,
            error_px=0.0 if state == "measured" else np.inf,
            unexplained=0.0 if state == "measured" else 1.0,
            inliers=1.0 if state == "measured" else 0.0,
        )
        return _Placed(frame=frame, pose=pose)

    def _choose_key(self, placed: _Placed) -> None:
        """Make a frame the key frame where the present one is gone, far, long ago or unlike it."""
        key, pose = self._key, placed.pose
        if key is not None and self._age < KEY_AGE:
            self._first = self._first or pose
            moved = key.pose.to(pose)
            is_near = moved is not None and moved.largest_displacement(
                placed.frame.hw
            ) <= _KEY_DISTANCE * min(placed.frame.hw)
            has_changed = pose.state == "measured" and (
                pose.error_px > max(_WORSE * self._first.error_px, _GOOD_PX)
                or pose.unexplained > max(_WORSE * self._first.unexplained, _GOOD_UNEXPLAINED)
            )
            if is_near and not has_changed:
                return
        self._key, self._first, self._age = placed, None, 0
