"""Peaks of the contrast of a residual: what may move, far below what a detector reports."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.types import FloatArray

LEAST_CONTRAST = 2.5
"""Of a peak, without unit. Clutter has one in about 1 of 6 squares of 7x7 px."""
MOST_PEAKS = 400
"""Of a frame; of more the strongest."""
_SIDE_PX = 5
"""A peak is the largest value of a square of this side about it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Peaks:
    """Peaks of one frame; none where a detector has no residual.

    Attributes:
        xy: Centres, float64 (P, 2), pixels.
        strengths: Contrast without its sign, float64 (P,), without unit.
    """

    xy: NDArray[np.float64]
    strengths: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of peaks."""
        return len(self.strengths)

    @classmethod
    def empty(cls) -> Peaks:
        """Return no peaks."""
        return cls(xy=np.zeros((0, 2)), strengths=np.zeros(0))


def contrast_peaks(contrast: FloatArray) -> Peaks:
    """Find the peaks of a residual's contrast, of warm and cold things.

    The centre is that of a parabola through the peak and its neighbours, along either axis.

    Args:
        contrast: float32 (H, W), see ``residual_contrast``.

    Example:
        >>> contrast = np.zeros((9, 9), np.float32)
        >>> contrast[4, 3:5] = 8, 4
        >>> peaks = contrast_peaks(contrast)
        >>> peaks.xy.round(2), peaks.strengths
        (array([[3.67, 4.5 ]]), array([8.]))
    """
    height = np.abs(contrast)
    largest = np.asarray(cv2.dilate(height, np.ones((_SIDE_PX, _SIDE_PX), np.uint8)))
    is_high = height >= LEAST_CONTRAST
    is_high[[0, -1]] = is_high[:, [0, -1]] = False  # Their neighbours are not known.
    high = np.flatnonzero(is_high)  # Few: what follows is done for them alone.
    is_peak = height.take(high) >= largest.take(high)
    rows, columns = np.divmod(high[is_peak], height.shape[1])
    if len(rows) > MOST_PEAKS:
        strongest = np.argsort(-height[rows, columns], kind="stable")[:MOST_PEAKS]
        rows, columns = rows[strongest], columns[strongest]
    strengths = height[rows, columns].astype(np.float64)
    offsets = [
        _vertex(
            height[rows - down, columns - right], strengths, height[rows + down, columns + right]
        )
        for down, right in ((0, 1), (1, 0))
    ]
    centres = np.stack([columns, rows], axis=1) + 0.5
    return Peaks(xy=(centres + np.stack(offsets, axis=1)).astype(np.float64), strengths=strengths)


def _vertex(
    before: FloatArray, peak: NDArray[np.float64], after: FloatArray
) -> NDArray[np.float64]:
    """Return where parabolas through three points have their largest value, -0.5 to 0.5."""
    bend = 2 * peak - before - after
    offsets: NDArray[np.float64] = (after - before) / (2 * np.maximum(bend, 1e-9))
    return np.clip(offsets, -0.5, 0.5)
