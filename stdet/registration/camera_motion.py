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

from stdet.registration.alignment import MAX_UNEXPLAINED, align, nearest_start
from stdet.registration.explained_contrast import MIN_SIDE_PX, unexplained
from stdet.registration.frame_motion import (
    OTHER_SCENE,
    FrameMotion,
    MotionModel,
    RegistrationQuality,
)
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
_OTHER_SCENE = 0.4
"""Above this share of unexplained contrast two frames do not show the same scene."""
_MAX_CARRIED_PX = 0.5
"""Of the standard error of a motion that tracks are carried by."""
_CLEARLY = 0.02
"""What a guess must explain more than the translation by phase correlation."""


_OF_ITSELF = RegistrationQuality(model="rest", error_px=0.0, unexplained=0.0, inliers=1.0)
_LOST = RegistrationQuality(model="rest", error_px=None, unexplained=1.0, inliers=0.0)


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
        quality: Of the alignment with the key frame, or another; its error is None where the
            transform is not that of an alignment.
    """

    run: int
    from_start: Transform
    state: PoseState
    quality: RegistrationQuality

    def to(self, other: CameraPose) -> Transform | None:
        """Return the transform of the background from this frame to another.

        Returns:
            None for frames of different runs.
        """
        if other.run != self.run:
            return None
        if (other.from_start.matrix == self.from_start.matrix).all():
            return Transform.identity()
        return other.from_start @ self.from_start.inverse()

    @property
    def is_placed(self) -> bool:
        """Whether the place in the scene is known to half a pixel."""
        error_px = self.quality.error_px
        return error_px is not None and error_px <= _MAX_CARRIED_PX

    def motion_from(self, previous: CameraPose) -> FrameMotion:
        """Return the motion of the background from another frame to this one.

        It is known where both have been aligned to half a pixel: tracks need no more.
        """
        transform = previous.to(self)
        if transform is None:
            motion = FrameMotion.unknown(OTHER_SCENE)
        elif not (previous.is_placed and self.is_placed):
            motion = FrameMotion.unknown("the background has too little structure")
        else:
            motion = FrameMotion.known(transform)
        return motion.rated(self.quality)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """A frame and its pose."""

    frame: PreparedFrame
    pose: CameraPose

    def with_next(self, later: PreparedFrame, *, guess: Transform | None) -> CameraPose:
        """Return the pose of a later frame, from a comparison with this one."""
        found = align(self.frame, later, guess=guess)
        state: PoseState = "measured"
        is_aligned = True
        transform, share = found.transform, found.unexplained
        if found.is_trusted:
            limit = min(2 * found.error_px, _REST_PX)
            if transform.largest_displacement(later.hw) <= limit:
                transform = Transform.identity()
        else:
            others = [each for each in (guess, found.transform) if each is not None]
            transform, share = _likeliest(self.frame, later, guess, others)
            is_lost = share > _OTHER_SCENE and min(later.hw) >= MIN_SIDE_PX
            state = "lost" if is_lost else "assumed"
            is_aligned = transform is found.transform
        return CameraPose(
            run=self.pose.run,
            from_start=transform @ self.pose.from_start,
            state=state,
            quality=RegistrationQuality(
                model=_model(transform),
                error_px=found.error_px if is_aligned and np.isfinite(found.error_px) else None,
                unexplained=share,
                inliers=found.inliers,
            ),
        )


def _model(transform: Transform) -> MotionModel:
    """Return the kind of a map between two frames."""
    if not transform.is_affine:
        return "homography"
    if not (transform.matrix[:2, :2] == np.eye(2)).all():
        return "similarity"
    return "translation" if transform.offset_xy.any() else "rest"


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


def _step(before: CameraPose | None, after: _Placed) -> Transform:
    """Return the translation of the frame's centre since a pose, none where it is not known."""
    moved = None if before is None else before.to(after.pose)
    if moved is None:
        return Transform.identity()
    return Transform.translation(moved.displacements(np.array(after.frame.hw[::-1]) / 2))


def _has_become_worse(now: RegistrationQuality, first: RegistrationQuality) -> bool:
    """Return whether a frame agrees clearly less with its key frame than the first one did."""
    if now.error_px is None:
        return False
    usual_px = np.inf if first.error_px is None else first.error_px
    return now.error_px > max(_WORSE * usual_px, _GOOD_PX) or now.unexplained > max(
        _WORSE * first.unexplained, _GOOD_UNEXPLAINED
    )


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
        self._step = Transform.identity()  # A translation: to that frame, from the one before.
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
        placed, is_by_key = self._place(frame)
        is_new_run = self._key is None or placed.pose.run != self._key.pose.run
        if not is_new_run or placed.pose.state != "lost":
            self._choose_key(placed, is_by_key=is_by_key)
        self._newest = placed
        if self._key is not None and placed.pose.run == self._key.pose.run:
            self._step = _step(self._last_of_run, placed)
            self._last_of_run = placed.pose
        return placed.pose

    def is_over(self, run: int) -> bool:
        """Return whether no later frame can belong to a run: a cut or spoilt frames have ended it.

        Args:
            run: Of a frame that was pushed.
        """
        open_ends = (self._key, self._newest)
        return all(placed is None or placed.pose.run != run for placed in open_ends)

    def _place(self, frame: PreparedFrame) -> tuple[_Placed, bool]:
        """Return the frame and its pose, and whether the key frame gave it."""
        key, newest = self._key, self._newest
        if key is None or newest is None or self._last_of_run is None:
            return self._of_new_run(frame, state="measured"), True
        found, is_by_key = self._compare(key, frame, self._last_of_run), True
        # Over a featureless sky, which explains itself, the newest frame tells no more.
        had_structure = self._first is not None and self._first.state == "measured"
        is_unlike = found.quality.unexplained > MAX_UNEXPLAINED
        if found.state != "measured" and newest is not key and (had_structure or is_unlike):
            near = self._compare(newest, frame, newest.pose)
            if near.state == "measured" or (
                near.quality.unexplained < found.quality.unexplained
                and (found.state == "lost" or near.run == found.run)
            ):
                found, is_by_key = near, False
        if found.state == "lost":
            return self._of_new_run(frame, state="lost"), True
        return _Placed(frame=frame, pose=found), is_by_key

    def _compare(self, placed: _Placed, frame: PreparedFrame, last: CameraPose) -> CameraPose:
        """Return the pose of a frame by another one, from where the last lay, or a step on."""
        guess = placed.pose.to(last)
        if guess is not None:
            guess = nearest_start(placed.frame, frame, guess, self._step @ guess)
        return placed.with_next(frame, guess=guess)

    def _of_new_run(self, frame: PreparedFrame, *, state: PoseState) -> _Placed:
        """Return a frame that is registered with none before it."""
        self._num_runs += 1
        pose = CameraPose(
            run=self._num_runs,
            from_start=Transform.identity(),
            state=state,
            quality=_OF_ITSELF if state == "measured" else _LOST,
        )
        return _Placed(frame=frame, pose=pose)

    def _choose_key(self, placed: _Placed, *, is_by_key: bool) -> None:
        """Make a frame the key frame where the present one is gone, far, long ago or unlike it."""
        key, pose = self._key, placed.pose
        if key is not None and is_by_key and self._age < KEY_AGE:
            self._first = self._first or pose
            moved = key.pose.to(pose)
            is_near = moved is not None and moved.largest_displacement(
                placed.frame.hw
            ) <= _KEY_DISTANCE * min(placed.frame.hw)
            if is_near and not _has_become_worse(pose.quality, self._first.quality):
                return
        self._key, self._first, self._age = placed, None, 0
