"""Frames of a stream with reference frames, and where the background of each lies in them.

Which frames are the reference frames of a frame is said in ``references.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from stdet.registration.bad_pixels import replace_pixels
from stdet.registration.camera_motion import CameraPose
from stdet.registration.frame_motion import NO_FRAME_BEFORE, FrameMotion
from stdet.registration.front_end import FrontEnd
from stdet.registration.median import median
from stdet.registration.references import (
    KEPT_EVERY,
    LONG_REACH,
    long_term_steps,
    num_awaited,
    reference_steps,
)
from stdet.registration.transform import Transform, Warped
from stdet.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class RegisteredFrame:
    """A frame and its reference frames: frames of other times, registered with it.

    Attributes:
        image: Without bad pixels, float32 (H, W).
        steps: Of each reference frame, how many frames it lies after this one; negative: before.
        references: The reference frames as they are, without bad pixels, float32 (H, W) each. One
            may occur several times, or be this frame itself, which shows no motion.
        transforms: Of the background from each reference frame to this frame; None where one of
            them is not registered with the other, and nothing can be said about what moves.
        is_ignored: Pixels that do not show the scene, in this frame and its reference frames,
            bool (H, W); None where all do.
        long_term: The same frame with reference frames farther back (``long_term_steps``), this
            one where there are none yet; None where they are not asked for.
    """

    image: FloatArray
    steps: tuple[int, ...]
    references: tuple[FloatArray, ...]
    transforms: tuple[Transform | None, ...]
    is_ignored: BoolArray | None = None
    long_term: RegisteredFrame | None = None

    def moved(self, number: int) -> Warped | None:
        """Return a reference frame, moved so that its background lies over this frame's.

        Args:
            number: Which reference frame.

        Returns:
            Not covered is what one of the two does not show. None where the frames are not
            registered with each other.
        """
        transform = self.transforms[number]
        if transform is None:
            return None
        moved = transform.warp(self.references[number], is_ignored=self.is_ignored)
        return moved.without(self.is_ignored)

    def overlaid(self, number: int) -> FloatArray:
        """Return a reference frame as ``moved`` does, without holes.

        What it does not show is taken from this frame itself, in the brightness of the reference
        frame: of a place that was seen once nobody can say that it changed. So is all of a frame
        that is not registered with this one.

        Args:
            number: Which reference frame.

        Returns:
            float32 (H, W).
        """
        moved = self.moved(number)
        if moved is None:
            return self.image
        brighter = median(moved.image - self.image)
        registered: FloatArray = np.where(moved.is_covered, moved.image, self.image + brighter)
        return registered


Carried = TypeVar("Carried")


@dataclass(frozen=True, kw_only=True, eq=False)
class Registered(Generic[Carried]):
    """A registered frame, and what came in with it.

    Attributes:
        frame: With its reference frames.
        pose: Where the frame lies in the scene.
        from_previous: Of the background since the frame pushed before.
        carried: As it was pushed.
    """

    frame: RegisteredFrame
    pose: CameraPose
    from_previous: FrameMotion
    carried: Carried


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    """A frame that waits, or that later ones need.

    Attributes:
        image: Without bad pixels, float32 (H, W).
        pose: Where it lies in the scene.
        start: Index of the first frame of its run.
        from_previous: Of the background since the frame before.
    """

    image: FloatArray
    pose: CameraPose
    start: int
    from_previous: FrameMotion


class RegisteredStream(Generic[Carried]):
    """Register each frame of one sequence with its reference frames (``reference_steps``).

    Frames come out in order. The first ones wait for later frames; from ``steady_from`` on each
    comes out as soon as it comes in. No more frames than that are kept.

    A cut ends one run of registered frames and begins another, whose first frames wait likewise:
    each run has the reference frames that it would have as a sequence of its own. A single spoilt
    frame is a run by itself, which shows no motion; the frames after it go on with their run.

    Bad pixels are replaced: in a frame that comes out as it comes in those known before it, in one
    that waits those that become known meanwhile, too. They are the camera's, and outlast a cut.

    Args:
        lags: Frames from a frame back to its reference frames, increasing.
        has_long_term: Frames have long-term reference frames besides.
        latency: Frames that a frame may wait; None for no limit. Where it is less than the longest
            lag no frame waits, and the first ones have the reference frames that there are.
    """

    def __init__(
        self, lags: Sequence[int], *, has_long_term: bool = False, latency: int | None = None
    ) -> None:
        """Start without a frame."""
        self._lags = tuple(lags)
        self._waits = latency is None or latency >= self._lags[-1]
        self._has_long_term = has_long_term
        self._long_term: dict[int, _Kept] = {}
        self._frames: deque[_Kept] = deque()
        self._carried: deque[Carried] = deque()  # Of the frames that wait.
        self._front_end = FrontEnd()
        self._is_ignored: BoolArray | None = None
        self._first = 0
        self._next = 0

    def push(
        self, frame: FloatArray, carried: Carried, *, is_ignored: BoolArray | None = None
    ) -> list[Registered[Carried]]:
        """Take the next frame.

        Args:
            frame: float32 (H, W).
            carried: Comes out with the frame.
            is_ignored: Pixels of the sensor that do not show the scene, bool (H, W): they are not
                compared, in no frame. None for none.

        Returns:
            The frames that have all their reference frames now.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        known = self._front_end.bad_pixels
        examined = self._front_end.push(frame, is_ignored=is_ignored)
        pose, self._is_ignored = examined.pose, examined.is_ignored
        from_previous = (
            pose.motion_from(self._frames[-1].pose) if self._frames else NO_FRAME_BEFORE
        )
        same_run = (kept.start for kept in reversed(self._frames) if kept.pose.run == pose.run)
        self._frames.append(
            _Kept(
                image=examined.image,
                pose=pose,
                start=next(same_run, self._last + 1),
                from_previous=from_previous,
            )
        )
        self._carried.append(carried)
        if self._next < self._last:
            self._clean(np.setdiff1d(self._front_end.bad_pixels, known))
        found = []
        while self._next <= self._last and self._is_ready(self._kept(self._next)):
            found.append(self._decide())
        return found

    def flush(self) -> list[Registered[Carried]]:
        """Return the frames that still wait, with what reference frames there are."""
        found = []
        while self._next <= self._last:
            found.append(self._decide())
        return found

    def _clean(self, indices: IntArray) -> None:
        """Replace pixels, found to be bad while frames wait, in all that are kept.

        Else they would seem to appear with the first frame, and to vanish when they are known.
        """
        if not len(indices):
            return
        for at, kept in enumerate(self._frames):
            self._frames[at] = replace(kept, image=replace_pixels(kept.image, indices))

    @property
    def _last(self) -> int:
        """Index of the newest frame, counted from the start of the sequence; -1 before any."""
        return self._first + len(self._frames) - 1

    def _is_ready(self, frame: _Kept) -> bool:
        """Return whether the next frame has all the reference frames that it will ever have."""
        if not self._waits or self._front_end.is_over(frame.pose.run):
            return True
        awaited = self._next + num_awaited(self._next - frame.start, self._lags)
        # The frame after one of another run will say whether that was spoilt or a cut.
        return awaited <= self._last and self._frames[-1].pose.run == frame.pose.run

    def _last_of_run(self, frame: _Kept) -> int:
        """Return the index of the newest frame of the run of one."""
        is_of_run = [kept.pose.run == frame.pose.run for kept in reversed(self._frames)]
        return self._last - is_of_run.index(True)

    def _decide(self) -> Registered[Carried]:
        """Register the next frame, and forget what no later one needs."""
        index = self._next
        this = self._kept(index)
        last = self._last_of_run(this)
        steps = reference_steps(index - this.start, last - this.start, self._lags)
        references = [self._kept(index + step) for step in steps]
        found = self._with_references(this, steps, references)
        if self._has_long_term:
            found = replace(found, long_term=self._long_term_of(this, index) or found)
            if index % KEPT_EVERY == 0 or index == this.start:
                self._long_term[index] = this
        self._next += 1
        while self._first < self._next - self._lags[-1]:
            self._frames.popleft()
            self._first += 1
        return Registered(
            frame=found,
            pose=this.pose,
            from_previous=this.from_previous,
            carried=self._carried.popleft(),
        )

    def _long_term_of(self, this: _Kept, index: int) -> RegisteredFrame | None:
        """Register a frame with its long-term reference frames; None where it has none."""
        for old in [at for at in self._long_term if at < index - LONG_REACH]:
            del self._long_term[old]
        steps = long_term_steps(index - this.start, phase=this.start % KEPT_EVERY)
        references = [self._long_term[index + step] for step in steps]
        return self._with_references(this, steps, references) if steps else None

    def _with_references(
        self, this: _Kept, steps: Sequence[int], references: Sequence[_Kept]
    ) -> RegisteredFrame:
        """Register a frame with some reference frames."""
        return RegisteredFrame(
            image=this.image,
            steps=tuple(steps),
            references=tuple(reference.image for reference in references),
            transforms=tuple(reference.pose.to(this.pose) for reference in references),
            is_ignored=self._is_ignored,
        )

    def _kept(self, index: int) -> _Kept:
        """Return a frame that is kept, by its index from the start of the sequence."""
        return self._frames[index - self._first]


def register_frames(
    frames: Iterable[FloatArray], lags: Sequence[int], *, has_long_term: bool = False
) -> Iterator[RegisteredFrame]:
    """Yield the frames of one sequence with their reference frames.

    Args:
        frames: float32 (H, W), in order.
        lags: See ``RegisteredStream``.
        has_long_term: See ``RegisteredStream``.
    """
    stream: RegisteredStream[None] = RegisteredStream(lags, has_long_term=has_long_term)
    for frame in frames:
        for registered in stream.push(frame, None):
            yield registered.frame
    for registered in stream.flush():
        yield registered.frame
