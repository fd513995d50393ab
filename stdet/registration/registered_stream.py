"""Frames of a stream with reference frames, and where the background of each lies in them.

Which frames are the reference frames of a frame is said in ``references.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stdet.registration.bad_pixels import BadPixels, replace_pixels
from stdet.registration.estimation import PreparedFrame, estimate_transform
from stdet.registration.references import num_awaited, reference_steps
from stdet.registration.transform import Transform
from stdet.types import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class RegisteredFrame:
    """A frame and its reference frames: frames of other times, registered with it.

    Attributes:
        image: Without bad pixels, float32 (H, W).
        steps: Of each reference frame, how many frames it lies after this one; negative: before.
        references: The reference frames as they are, without bad pixels, float32 (H, W) each. One
            may occur several times, or be this frame itself, which shows no motion.
        transforms: Of the background from each reference frame to this frame.
    """

    image: FloatArray
    steps: tuple[int, ...]
    references: tuple[FloatArray, ...]
    transforms: tuple[Transform, ...]

    def overlaid(self, number: int) -> FloatArray:
        """Return a reference frame, moved so that its background lies over this frame's.

        What it does not show is taken from this frame itself, in the brightness of the reference
        frame: of a place that was seen once nobody can say that it changed.

        Args:
            number: Which reference frame.

        Returns:
            float32 (H, W).
        """
        moved = self.transforms[number].warp(self.references[number])
        brighter = np.median(moved.image - self.image)
        registered: FloatArray = np.where(moved.is_covered, moved.image, self.image + brighter)
        return registered


class RegisteredStream:
    """Register each frame of a stream with its reference frames (``reference_steps``).

    Frames come out in order. The first ones wait for later frames; from ``steady_from`` on each
    comes out as soon as it comes in. No more frames than that are kept. Bad pixels are replaced:
    in a frame that comes out as it comes in those known before it, in one that waits those that
    become known meanwhile, too.

    Args:
        lags: Frames from a frame back to its reference frames, increasing.
    """

    def __init__(self, lags: Sequence[int]) -> None:
        """Start without a frame."""
        self._lags = tuple(lags)
        self._frames: deque[tuple[PreparedFrame, Transform]] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._frames.clear()
        self._bad_pixels = BadPixels()
        # Of pairs of frames, measured while frames wait: both frames of a pair may ask for it.
        self._transforms: dict[tuple[int, int], Transform] = {}
        self._first = 0
        self._next = 0

    def push(self, frame: FloatArray) -> list[RegisteredFrame]:
        """Take the next frame, float32 (H, W).

        Returns:
            The frames that have all their reference frames now.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        known = self._bad_pixels.indices
        cleaned = self._bad_pixels.push(frame)
        moved = Transform.identity()  # Since the first frame of the sequence.
        if self._frames:
            previous, moved_before = self._frames[-1]
            moved = estimate_transform(previous, cleaned) @ moved_before
        self._frames.append((cleaned, moved))
        if self._next < self._last:
            self._clean(np.setdiff1d(self._bad_pixels.indices, known))
        found = []
        while self._next + num_awaited(self._next, self._lags) <= self._last:
            found.append(self._decide())
        if self._next > self._last:
            self._transforms.clear()
        return found

    def flush(self) -> list[RegisteredFrame]:
        """Return the frames that still wait, with what reference frames there are; forget all."""
        found = []
        while self._next <= self._last:
            found.append(self._decide())
        self.reset()
        return found

    def _clean(self, indices: IntArray) -> None:
        """Replace pixels, found to be bad while frames wait, in all that are kept.

        Else they would seem to appear with the first frame, and to vanish when they are known.
        """
        if not len(indices):
            return
        for at, (frame, moved) in enumerate(self._frames):
            # What is computed of a frame for its registration is without single pixels already.
            cleaned = replace(frame, image=replace_pixels(frame.image, indices))
            self._frames[at] = (cleaned, moved)

    @property
    def _last(self) -> int:
        """Index of the newest frame, counted from the start of the sequence; -1 before any."""
        return self._first + len(self._frames) - 1

    def _decide(self) -> RegisteredFrame:
        """Register the next frame, and forget what no later one needs."""
        index = self._next
        steps = reference_steps(index, self._last, self._lags)
        # In a sequence of few frames one may stand for several.
        transforms = {step: self._transform(index + step, index) for step in set(steps)}
        found = RegisteredFrame(
            image=self._frames[index - self._first][0].image,
            steps=tuple(steps),
            references=tuple(self._frames[index + step - self._first][0].image for step in steps),
            transforms=tuple(transforms[step] for step in steps),
        )
        self._next += 1
        while self._first < self._next - self._lags[-1]:
            self._frames.popleft()
            self._first += 1
        return found

    def _transform(self, one: int, other: int) -> Transform:
        """Return the transform of the background from one frame to another."""
        if one > other:
            return self._transform(other, one).inverse()
        if (one, other) not in self._transforms:
            before, moved_before = self._frames[one - self._first]
            after, moved_after = self._frames[other - self._first]
            self._transforms[one, other] = estimate_transform(
                before, after, guess=moved_after @ moved_before.inverse()
            )
        return self._transforms[one, other]
