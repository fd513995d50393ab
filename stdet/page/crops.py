"""Pieces of pictures around targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.types import FloatArray

_MIN_PX, _MAX_PX = 24, 96
_BOXES_WIDE = 3.0


def crop_around(pixels: NDArray[np.uint8], box_xyxy: FloatArray) -> NDArray[np.uint8]:
    """Copy a square around a box, moved inside the picture.

    Args:
        pixels: Grey picture, uint8 (H, W).
        box_xyxy: Box, pixels; its centre may lie outside.

    Returns:
        uint8 (S, S), three times as wide as the box, 24 to 96 px; less where the picture is
        smaller.

    Example:
        >>> crop_around(np.zeros((100, 200), np.uint8), np.array([198.0, 4, 202, 6])).shape
        (24, 24)
    """
    x1, y1, x2, y2 = box_xyxy.astype(float).tolist()
    side = round(min(max(_BOXES_WIDE * max(x2 - x1, y2 - y1), _MIN_PX), _MAX_PX))
    height, width = min(side, pixels.shape[0]), min(side, pixels.shape[1])
    top = round(min(max((y1 + y2 - height) / 2, 0), pixels.shape[0] - height))
    left = round(min(max((x1 + x2 - width) / 2, 0), pixels.shape[1] - width))
    return pixels[top : top + height, left : left + width].copy()
