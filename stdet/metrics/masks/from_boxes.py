"""Boxes as masks and masks as boxes, for protocols that were made for the other kind.

A box becomes a filled box: the pixels whose centre lies in it, and where it is too thin to hold
any, those that hold its own centre. Boxes that touch become one component, as in any mask. A
component becomes the smallest box about its pixels.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stdet.boxes import centres_xy
from stdet.metrics.masks.components import Components
from stdet.types import BoolArray, FloatArray, IntArray

LARGEST_TARGET_PX2 = 81.0
"""Median area of true boxes, pixels squared, up to which a filled box passes for the mask of its
target: 9 x 9 px, the largest small target of the field. Larger boxes are mostly background."""


def pixel_bounds(boxes_xyxy: FloatArray, image_hw: tuple[int, int]) -> IntArray:
    """Return the first and the last but one column and row of the pixels with centres in boxes.

    Args:
        boxes_xyxy: float32 (N, 4), pixels.
        image_hw: Height and width of the frame, pixels.

    Returns:
        int64 (N, 4): columns x1 to x2 - 1 and rows y1 to y2 - 1 of the frame; none where x2 <= x1
        or y2 <= y1.

    Example:
        >>> pixel_bounds(np.array([[1.0, 0.6, 2.5, 9.0]]), (4, 4))
        array([[1, 1, 2, 4]])
    """
    height, width = image_hw
    bounds = np.ceil(boxes_xyxy.astype(np.float64) - 0.5)
    return bounds.clip(0, [width, height, width, height]).astype(np.int64)


def fill_boxes(boxes_xyxy: FloatArray, image_hw: tuple[int, int]) -> BoolArray:
    """Draw filled boxes.

    Args:
        boxes_xyxy: float32 (N, 4), pixels; what lies outside the frame is left out.
        image_hw: Height and width of the frame, pixels.

    Returns:
        bool (H, W).

    Example:
        >>> fill_boxes(np.array([[0.0, 0, 2, 1], [2.6, 1.6, 2.9, 1.9]]), (2, 3)).astype(int)
        array([[1, 1, 0],
               [0, 0, 1]])
    """
    mask = np.zeros(image_hw, np.bool_)
    bounds, centre = pixel_bounds(boxes_xyxy, image_hw), np.floor(centres_xy(boxes_xyxy))
    low, high = bounds[:, :2], bounds[:, 2:]
    is_thin = high <= low
    low = np.where(is_thin, centre, low).astype(np.int64)
    high = np.where(is_thin, centre + 1, high).astype(np.int64)
    is_inside = ((low >= 0) & (high <= image_hw[::-1])).all(axis=1)
    for (x1, y1), (x2, y2) in zip(low[is_inside], high[is_inside], strict=True):
        mask[y1:y2, x1:x2] = True
    return mask


def boxes_about_components(found: Components) -> FloatArray:
    """Return the smallest box about each component, float32 (N, 4), pixels.

    Example:
        >>> from stdet.metrics.masks.components import find_components
        >>> boxes_about_components(find_components(np.eye(3, dtype=bool)))
        array([[0., 0., 3., 3.]], dtype=float32)
    """
    places = ndimage.find_objects(found.labels)
    boxes = [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in places]
    return np.array(boxes, np.float32).reshape(-1, 4)


def median_area_px2(boxes_xyxy: FloatArray) -> float:
    """Return the median area of boxes, pixels squared; 0 without any."""
    sides = boxes_xyxy[:, 2:].astype(np.float64) - boxes_xyxy[:, :2]
    return float(np.median(sides.prod(axis=1))) if len(sides) else 0.0
