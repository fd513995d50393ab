"""Registered temporal differences: what is not where the background was."""

from __future__ import annotations

import numpy as np

from stdet.data.background import LAGS, registered_residual, residual_contrast
from stdet.data.registered_past import RegisteredPast
from stdet.types import FloatArray


class FrameDifference:
    """How far the median of the differences to five earlier, registered frames stands out.

    The magnitude of the contrast map of ``data/background.py``, which the network sees as well;
    equations and lags stand there. The place that a target has left shows in one of the five
    differences at most, so it is not in their median; where the target is now, it is in all.
    Bad pixels are replaced (``data/bad_pixels.py``). Before the first frame the first one stands,
    so that a target leaves a ghost at its first place for about twelve frames.

    Source:
        Differences to several frames are as old as the field; the lags, the median and the
        registration were chosen here.
    """

    def __init__(self) -> None:
        """Start without a past."""
        self._past = RegisteredPast(LAGS[-1])

    def reset(self) -> None:
        """Forget the past."""
        self._past.reset()

    def push(self, frame: FloatArray) -> FloatArray:
        """Return the response of a frame, float32 (H, W), at least 0; zeros for the first one."""
        frame = self._past.push(frame)
        residual = registered_residual(frame, *self._past.before(LAGS))
        response: FloatArray = np.abs(residual_contrast(residual, frame))
        return response
