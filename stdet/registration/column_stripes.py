"""Stripes of the columns of a sensor, which stand still while the scene moves.

Uncooled thermal sensors read each column through its own amplifier, and the offsets of these drift
by a grey level or two. Over a sky there is nothing else to compare: stripes pull an estimate of
motion along x towards no motion.
"""

from __future__ import annotations

import cv2
import numpy as np

from stdet.registration.median import median
from stdet.types import FloatArray

_NUM_ROWS = 64
"""Rows that are looked at, spread over the frame; more tell the offsets no better that matters."""
_MIN_ROWS = 128
"""Lower frames do not have so many rows of which each shows another part of the texture."""
_MEAN_WIDTH_PX = 17
"""What is wider is not a stripe."""
_LIMIT = 3.0
"""Values are clipped at so many times their median magnitude: edges are no stripes."""
_CERTAINTY = 2.0
"""Of an offset so many standard errors count as chance: texture must not leave stripes."""
_FLOOR = 1e-12
"""Keeps flat frames from a division by zero; full scale, squared."""


def column_stripes(image: FloatArray) -> FloatArray:
    """Estimate by how much each column is brighter than those around it, in all of its rows.

    Args:
        image: float32 (H, W).

    Returns:
        float32 (W,), in units of the image; less what may be chance; zero for frames of less than
        128 rows.

    Source:
        Shrinkage by the standard error: James and Stein 1961, positive part.

    Example:
        >>> image = np.zeros((128, 64), np.float32)
        >>> image[:, 20] = 0.5
        >>> column_stripes(np.random.default_rng(0).random((128, 64), np.float32) + image).argmax()
        np.int64(20)
    """
    if image.shape[0] < _MIN_ROWS:
        return np.zeros(image.shape[1], np.float32)
    rows = image[:: image.shape[0] // _NUM_ROWS]
    mean = cv2.blur(rows, (_MEAN_WIDTH_PX, 1), borderType=cv2.BORDER_REPLICATE)
    fine = rows - np.asarray(mean, np.float32)
    limit = _LIMIT * median(np.abs(fine[::4, ::2]))
    np.clip(fine, -limit, limit, out=fine)
    offsets = fine.mean(axis=0)
    error = np.square(fine - offsets).mean(axis=0) / len(fine)
    kept = 1 - _CERTAINTY**2 * error / np.maximum(offsets * offsets, _FLOOR)
    stripes: FloatArray = offsets * np.maximum(kept, 0)
    return stripes
