"""Medians of pixels, several times faster than ``np.median``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stdet.types import FloatArray


def median(values: FloatArray) -> float:
    """Return the median of at least one value; of an even number the mean of the middle two.

    Args:
        values: Floats, of any shape; none is NaN.

    Example:
        >>> median(np.array([3.0, 1.0, 4.0, 2.0]))
        2.5
    """
    upper = values.size // 2
    parted = np.partition(values, upper, axis=None)
    highest = parted[upper]
    if values.size % 2:
        return float(highest)
    # NumPy is slow at finding two order statistics at once.
    return float((parted[:upper].max() + highest) / 2)


def pixelwise_median(images: Sequence[FloatArray]) -> FloatArray:
    """Return the pixelwise median of three or five images of the same shape."""
    if len(images) == 3:
        first, second, third = images
        low, high = np.minimum(first, second), np.maximum(first, second)
    else:
        first, second, third, fourth, fifth = images
        # The smallest of the two pairs' four values and the largest cannot be the median.
        low = np.maximum(np.minimum(first, second), np.minimum(fourth, fifth))
        high = np.minimum(np.maximum(first, second), np.maximum(fourth, fifth))
    lower = np.minimum(low, high)
    np.maximum(low, high, out=high)
    np.maximum(lower, third, out=lower)
    return np.minimum(lower, high, out=lower)
