"""Registered temporal differences: what is not where the background was."""

from __future__ import annotations

import numpy as np

from stdet.classical.local_rms import finish_residual
from stdet.classical.registered_past import RegisteredPast
from stdet.types import FloatArray

LAGS = (4, 8, 12, 16, 20)
"""Frames back; a target of a pixel per frame has left its place after the first."""


class FrameDifference:
    """Median of the differences to five earlier, registered frames.

    With f_t the frame and f_{t-k} an earlier one, translated by the cumulated displacement of the
    background,

        d_k = f_t - f_{t-k},    r = median over k of (d_k - median of d_k over the frame).

    The place that a target has left shows in one d_k at most, where the target was then, so it is
    not in the median; where the target is now, it is in all. Before the first frame the first one
    stands, so that a target leaves a ghost at its first place for about twelve frames. How r
    becomes the response is said in ``finish_residual``.

    Source:
        Differences to several frames are as old as the field; the lags, the median and the
        registration by cumulated translations were chosen here.
    """

    def __init__(self) -> None:
        """Start without a past."""
        self._past = RegisteredPast(LAGS[-1])

    def reset(self) -> None:
        """Forget the past."""
        self._past.reset()

    def push(self, frame: FloatArray) -> FloatArray:
        """Return the response of a frame, float32 (H, W); zeros for the first one."""
        self._past.push(frame)
        differences = [frame - self._past.earlier(lag) for lag in LAGS]
        centred = np.stack([difference - np.median(difference) for difference in differences])
        return finish_residual(_median_of_five(centred))


def _median_of_five(values: FloatArray) -> FloatArray:
    """Return the median over the first axis of (5, H, W), without a sort.

    Of any four of five numbers neither the largest nor the smallest is the median, so the largest
    and the smallest of the first four may be left out; then the same of what is left.
    """
    a, b, c, d, e = values
    low_ab, high_ab = np.minimum(a, b), np.maximum(a, b)
    low_cd, high_cd = np.minimum(c, d), np.maximum(c, d)
    inner_low, inner_high = np.maximum(low_ab, low_cd), np.minimum(high_ab, high_cd)
    median: FloatArray = np.maximum(
        np.minimum(inner_low, inner_high), np.minimum(np.maximum(inner_low, inner_high), e)
    )
    return median
