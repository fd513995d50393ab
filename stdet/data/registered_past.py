"""The last frames of a stream and how far the background has moved since each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stdet.data.bad_pixels import BadPixels
from stdet.data.camera_motion import Registrable, background_shift, translate
from stdet.types import FloatArray


class RegisteredPast:
    """Remember the last frames, without bad pixels, and where the background lay in each.

    Args:
        max_lag: How many frames back it reaches.
    """

    def __init__(self, max_lag: int) -> None:
        """Start without a frame."""
        self._frames: deque[tuple[Registrable, NDArray[np.float64]]] = deque(maxlen=max_lag + 1)
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._frames.clear()
        self._bad_pixels = BadPixels()
        self._position_xy = np.zeros(2)

    def push(self, frame: FloatArray) -> FloatArray:
        """Take the next frame, float32 (H, W), and return it without bad pixels."""
        cleaned = self._bad_pixels.push(frame)
        if self._frames:
            previous, position_xy = self._frames[-1]
            self._position_xy = position_xy + background_shift(previous, cleaned)
        self._frames.append((cleaned, self._position_xy))
        return cleaned.image

    @property
    def lag(self) -> int:
        """How many frames back the oldest one is."""
        return len(self._frames) - 1

    def before(self, lags: Sequence[int]) -> tuple[list[FloatArray], list[NDArray[np.float64]]]:
        """Return earlier frames, unmoved, and how far the background has moved since each.

        Args:
            lags: Frames back; the oldest frame stands for what lies before it.

        Returns:
            float32 (H, W) each, and float64 (2,) each: displacement (x, y) in pixels.
        """
        newest, _ = self._frames[-1]
        rows = [max(self.lag - lag, 0) for lag in lags]
        # Near the start the oldest frame stands for several lags.
        shifts_xy = {
            row: background_shift(old, newest, guess_xy=self._position_xy - xy)
            for row in set(rows)
            for old, xy in [self._frames[row]]
        }
        return [self._frames[row][0].image for row in rows], [shifts_xy[row] for row in rows]

    def earlier(self, lag: int) -> FloatArray:
        """Return an earlier frame, translated so that its background lies over the newest one's.

        What has come into view since is taken from the newest frame itself, in the brightness of
        the earlier one: of a place without a past nobody can say that it changed.

        Args:
            lag: Frames back; the oldest frame stands for what lies before it.

        Returns:
            float32 (H, W).
        """
        newest = self._frames[-1][0].image
        (old,), (shift_xy,) = self.before([lag])
        if not shift_xy.any():
            return old
        height, width = newest.shape
        x, y = np.arange(width) - shift_xy[0], np.arange(height) - shift_xy[1]
        is_covered = ((y >= 0) & (y <= height - 1))[:, None] & ((x >= 0) & (x <= width - 1))
        moved = translate(old, shift_xy)
        brighter = np.median(moved - newest)
        registered: FloatArray = np.where(is_covered, moved, newest + brighter)
        return registered
