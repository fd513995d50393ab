"""The bright or dark core of a target inside a loose box.

Boxes drawn by hand around a glowing point are several times its size; a detector trained on them
learns a box without an edge to hold on to. The core is what stands out within the box.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from stdet.types import FloatArray

CORE_MARGIN_PX = 2.0
"""Added on each side of the core: half its skirt."""
_SMOOTHING_SIGMA_PX = 0.7
_RING_SHARE = 0.5
"""The surroundings reach this share of the box's size beyond it."""
_CORE_LEVEL = 0.5
"""Pixels above this share of the peak belong to the core."""


def core_box(frame: FloatArray, box_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shrink a loose box to the core within it.

    The surroundings' grey level is the median of the box and a ring about it; the core is the
    connected region about the largest departure from it, either way, that reaches half of it.

    Args:
        frame: float32 (H, W).
        box_xyxy: float32 (4,), pixels.

    Returns:
        float32 (4,): the core with ``CORE_MARGIN_PX`` on each side; the given box where it lies
        outside the frame or nothing stands out.
    """
    x1, y1, x2, y2 = box_xyxy
    grow_x, grow_y = _RING_SHARE * (x2 - x1), _RING_SHARE * (y2 - y1)
    left, top = max(int(x1 - grow_x), 0), max(int(y1 - grow_y), 0)
    right = min(int(np.ceil(x2 + grow_x)), frame.shape[1])
    bottom = min(int(np.ceil(y2 + grow_y)), frame.shape[0])
    if right - left < 1 or bottom - top < 1:
        return box_xyxy
    patch = frame[top:bottom, left:right]
    departure = np.abs(gaussian_filter(patch, _SMOOTHING_SIGMA_PX) - np.median(patch))
    columns = np.arange(left, right) + 0.5
    rows = np.arange(top, bottom) + 0.5
    in_box = ((rows >= y1) & (rows < y2))[:, None] & ((columns >= x1) & (columns < x2))
    departure = np.where(in_box, departure, 0)
    peak = np.unravel_index(departure.argmax(), departure.shape)
    if departure[peak] <= 0:
        return box_xyxy
    regions, _ = label(departure >= _CORE_LEVEL * departure[peak])
    core_rows, core_columns = np.nonzero(regions == regions[peak])
    return np.array(
        [
            left + core_columns.min() - CORE_MARGIN_PX,
            top + core_rows.min() - CORE_MARGIN_PX,
            left + core_columns.max() + 1 + CORE_MARGIN_PX,
            top + core_rows.max() + 1 + CORE_MARGIN_PX,
        ],
        np.float32,
    )
