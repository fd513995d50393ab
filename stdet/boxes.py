"""Box arithmetic, and the one statement of coordinates.

Continuous pixels: (0, 0) is the top-left corner of the top-left pixel; the pixel in column j,
row i covers [j, j + 1) x [i, i + 1) and has its centre at (j + 0.5, i + 0.5); the whole frame is
(0, 0, W, H). Boxes are ``xyxy`` float32 with x1 < x2 and y1 < y2; width = x2 - x1, never + 1. A
one-pixel target is (j, i, j + 1, i + 1). Sizes are (height, width) and named ``*_hw``; points are
(x, y) and named ``*_xy``. ``frame_index`` counts from 0. Readers in
``formats`` convert other conventions; no other package sees them.

The NumPy functions here serve tracking, evaluation and the readers; the torch side uses
``torchvision.ops``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.types import BoolArray, FloatArray


def xywh_to_xyxy(boxes_xywh: NDArray[np.floating]) -> FloatArray:
    """Convert (x, y, width, height) with a top-left corner to corners.

    Args:
        boxes_xywh: (N, 4), pixels.

    Returns:
        float32 (N, 4).

    Example:
        >>> xywh_to_xyxy(np.array([[2.0, 3.0, 4.0, 5.0]]))
        array([[2., 3., 6., 8.]], dtype=float32)
    """
    boxes = np.asarray(boxes_xywh, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32)


def xyxy_to_xywh(boxes_xyxy: FloatArray) -> FloatArray:
    """Convert corners to (x, y, width, height).

    Args:
        boxes_xyxy: float32 (N, 4), pixels.

    Returns:
        float32 (N, 4).
    """
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    xywh: FloatArray = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return xywh


def boxes_about(centres_xy: NDArray[np.floating], sides_wh: NDArray[np.floating]) -> FloatArray:
    """Return boxes by their centres.

    Args:
        centres_xy: (N, 2), pixels.
        sides_wh: Widths and heights (N, 2), or one for all.

    Returns:
        float32 (N, 4).
    """
    half = sides_wh / 2
    return np.concatenate([centres_xy - half, centres_xy + half], axis=1).astype(np.float32)


def centres_xy(boxes_xyxy: FloatArray) -> FloatArray:
    """Return box centres.

    Args:
        boxes_xyxy: float32 (N, 4), pixels.

    Returns:
        float32 (N, 2).
    """
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    return ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)


def centres_lie_in(is_marked: BoolArray, boxes_xyxy: FloatArray) -> BoolArray:
    """Return which boxes have their centre in one of the marked pixels.

    Args:
        is_marked: bool (H, W).
        boxes_xyxy: float32 (N, 4), pixels. A centre outside counts as at the edge.

    Returns:
        bool (N,).

    Example:
        >>> centres_lie_in(np.array([[True, False]]), np.array([[0.0, 0, 2, 1], [0, 0, 1, 1]]))
        array([False,  True])
    """
    height, width = is_marked.shape
    columns, rows = np.clip(centres_xy(boxes_xyxy), 0, [width - 1, height - 1]).astype(np.int64).T
    found: BoolArray = is_marked[rows, columns]
    return found


def centre_distance(pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> NDArray[np.float64]:
    """Measure how far each predicted centre lies from each true centre.

    Used instead of IoU for targets a few pixels wide, where one pixel can halve the overlap.

    Args:
        pred_xyxy: Predicted boxes, float32 (N, 4), pixels.
        gt_xyxy: True boxes, float32 (M, 4), pixels.

    Returns:
        Euclidean distances in pixels, float64 (N, M). N or M may be 0.

    Example:
        >>> centre_distance(np.array([[0., 0, 2, 2]]), np.array([[3., 4, 5, 6]]))
        array([[5.]])
    """
    pred = np.asarray(pred_xyxy, np.float64).reshape(-1, 4)
    truth = np.asarray(gt_xyxy, np.float64).reshape(-1, 4)
    delta = (pred[:, None, :2] + pred[:, None, 2:] - truth[None, :, :2] - truth[None, :, 2:]) / 2
    distance: NDArray[np.float64] = np.hypot(delta[..., 0], delta[..., 1])
    return distance


def box_iou(pred_xyxy: FloatArray, gt_xyxy: FloatArray) -> NDArray[np.float64]:
    """Measure the intersection over union of each pair.

    Args:
        pred_xyxy: float32 (N, 4), pixels.
        gt_xyxy: float32 (M, 4), pixels.

    Returns:
        float64 (N, M) in [0, 1]; 0 where both boxes have no area.

    Example:
        >>> box_iou(np.array([[0., 0, 2, 2]]), np.array([[1., 0, 3, 2]])).round(4)
        array([[0.3333]])
    """
    pred = np.asarray(pred_xyxy, np.float64).reshape(-1, 4)
    truth = np.asarray(gt_xyxy, np.float64).reshape(-1, 4)
    top_left = np.maximum(pred[:, None, :2], truth[None, :, :2])
    bottom_right = np.minimum(pred[:, None, 2:], truth[None, :, 2:])
    intersection = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    pred_area = (pred[:, 2:] - pred[:, :2]).prod(axis=1)
    gt_area = (truth[:, 2:] - truth[:, :2]).prod(axis=1)
    union = pred_area[:, None] + gt_area[None, :] - intersection
    iou: NDArray[np.float64] = np.divide(
        intersection, union, out=np.zeros_like(intersection), where=union > 0
    )
    return iou
