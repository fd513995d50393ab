"""Registered temporal differences: what is not where the background was."""

from __future__ import annotations

import numpy as np

from stdet.registration.background_features import registered_residual, residual_contrast
from stdet.registration.registered_stream import RegisteredFrame
from stdet.types import FloatArray


def frame_difference(registered: RegisteredFrame) -> FloatArray:
    """Return how far the median of the differences to five reference frames stands out.

    The magnitude of the residual contrast of ``background_features.py``, which the network sees as
    well; equations and lags stand there. The place that a target has left shows in one of the five
    differences at most, so it is not in their median; where the target is now, it is in all. (In a
    sequence of fewer than six frames one stands for several, and there are ghosts.)
    Bad pixels are replaced (``bad_pixels.py``). At the start of a sequence later frames are the
    reference frames (``references.py``).

    Args:
        registered: With the reference frames of ``LAGS``.

    Returns:
        float32 (H, W), at least 0; a frame alone gives zeros.

    Source:
        Differences to several frames are as old as the field; the lags, the median and the
        registration were chosen here.
    """
    residual = registered_residual(registered)
    response: FloatArray = np.abs(residual_contrast(residual, registered.image))
    return response
