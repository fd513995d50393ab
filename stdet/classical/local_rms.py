"""A response in units of what it is nearby, so that one threshold fits sky and forest."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stdet.types import FloatArray

VARIANCE_FLOOR = 1e-5
"""Added to the local mean square; its root is 0.8 of an 8-bit grey level."""

SMOOTHING_PX = 0.7
"""About the point spread of a target."""

LOCAL_MEAN_PX = 5.0
"""What changes over more than this is light or registration, not a target."""

RESIDUAL_RMS_PX = 6.0
"""Neighbourhood that a residual is measured against."""


def over_local_rms(response: FloatArray, *, sigma_px: float) -> FloatArray:
    """Divide a response by its local root mean square: constant false-alarm rate.

    r / sqrt(G * r^2 + 1e-5) with G a Gaussian. A response that is common in its neighbourhood, as
    at the edges of a roof or in foliage, comes down to about 1; one that stands alone does not.

    Args:
        response: float32 (H, W), grey levels, full scale 1.
        sigma_px: Standard deviation of G, pixels.

    Returns:
        float32 (H, W).

    Source:
        Cell-averaging CFAR (Finn and Johnson 1968), with a Gaussian for the reference cells and
        without a guard cell: a lone pixel raises its own mean square by no more than
        1 / (2 pi sigma^2).
    """
    mean_square = ndimage.gaussian_filter(response * response, sigma_px, truncate=3)
    scaled: FloatArray = response / np.sqrt(mean_square + np.float32(VARIANCE_FLOOR))
    return scaled


def finish_residual(residual: FloatArray) -> FloatArray:
    """Turn what a background model leaves of a frame into a response.

    Smooth with a Gaussian of 0.7 px, subtract the local mean (Gaussian of 5 px), take the absolute
    value, so that dark targets count too, and divide by the local RMS (Gaussian of 6 px).

    Args:
        residual: float32 (H, W), grey levels, full scale 1.

    Returns:
        float32 (H, W), at least 0.
    """
    smooth = ndimage.gaussian_filter(residual, SMOOTHING_PX, truncate=3)
    smooth -= ndimage.gaussian_filter(smooth, LOCAL_MEAN_PX, truncate=3)
    return over_local_rms(np.abs(smooth), sigma_px=RESIDUAL_RMS_PX)
