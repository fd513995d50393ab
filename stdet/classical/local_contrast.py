"""Multiscale patch-based contrast: what differs from its surroundings in every direction."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stdet.classical.local_rms import over_local_rms
from stdet.types import FloatArray

SIDES_PX = (1, 3)
"""Sides N of the patches, pixels."""

RMS_SIGMA_PX = 8.0
"""Neighbourhood that each scale is measured against, pixels."""


def patch_contrast(frame: FloatArray) -> FloatArray:
    """Return the multiscale patch-based contrast measure (MPCM) of a single frame.

    For each side N, m is the mean of the N x N patch about a pixel, and m_i, i = 1 .. 8, are those
    of its eight neighbours at distance N. With d_i = m - m_i, and i and i + 4 opposite,

        c_N = min over i = 1 .. 4 of d_i d_{i+4},
        r_N = sign(c_N) sqrt(abs(c_N)),            in grey levels,
        C   = max over N of r_N / its local RMS.

    At an edge one pair has opposite signs or a zero, so that only spots remain, bright and dark
    alike.

    Args:
        frame: float32 (H, W) in [0, 1].

    Returns:
        float32 (H, W); it has both signs.

    Source:
        Wei, You and Li 2016, "Multiscale patch-based contrast measure for small infrared target
        detection", there the maximum of c_N itself over N = 3, 5, 7, 9. On frames with texture
        larger patches find little but texture, so we have fewer, take in single pixels (N = 1)
        and measure each scale against its neighbourhood before the maximum.
    """
    response: FloatArray = np.maximum.reduce(
        [over_local_rms(_contrast(frame, side), sigma_px=RMS_SIGMA_PX) for side in SIDES_PX]
    )
    return response


def _contrast(frame: FloatArray, side: int) -> FloatArray:
    """Return r_N for one side N; frames are continued by their border."""
    height, width = frame.shape
    means = np.pad(ndimage.uniform_filter(frame, side, mode="nearest"), side, mode="edge")
    middle = means[side : side + height, side : side + width]

    def difference(down: int, right: int) -> FloatArray:
        top, left = side * (1 + down), side * (1 + right)
        found: FloatArray = middle - means[top : top + height, left : left + width]
        return found

    contrast = np.minimum.reduce(
        [
            difference(down, right) * difference(-down, -right)
            for down, right in ((-1, -1), (-1, 0), (-1, 1), (0, 1))
        ]
    )
    signed: FloatArray = np.sign(contrast) * np.sqrt(np.abs(contrast))
    return signed
