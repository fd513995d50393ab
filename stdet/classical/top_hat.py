"""Morphological top-hat: what is narrower than a structuring element."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stdet.classical.local_rms import over_local_rms
from stdet.types import FloatArray

SIDE_PX = 5
"""Side of the structuring element, pixels; wider objects leave no response."""

RMS_SIGMA_PX = 4.0
"""Neighbourhood that the response is measured against, pixels."""


def top_hat(frame: FloatArray) -> FloatArray:
    """Return the top-hat response of a single frame.

    With f the frame and b a square, the white top-hat f - (f opened by b) keeps what is brighter
    than its surroundings and narrower than b, the black one (f closed by b) - f what is darker.
    The response is the larger of the two over its local RMS; flat ground has none.

    Args:
        frame: float32 (H, W) in [0, 1].

    Returns:
        float32 (H, W).

    Source:
        Tom, Peli, Leung and Bondaryk 1993, "Morphology-based algorithm for point target detection
        in infrared backgrounds". Dark targets and the local RMS are ours.
    """
    white = frame - ndimage.grey_opening(frame, size=(SIDE_PX, SIDE_PX))
    black = ndimage.grey_closing(frame, size=(SIDE_PX, SIDE_PX)) - frame
    return over_local_rms(np.maximum(white, black), sigma_px=RMS_SIGMA_PX)
