"""Move images and truth by a homography for each frame.

Matrices map columns (x, y, 1) of continuous pixels (``boxes.py``) of the frame as it was to the
changed frame, up to a factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from stdet.boxes import centres_xy
from stdet.changes.footage import Footage, columns_of
from stdet.types import BoolArray, FloatArray, SequenceAnnotation

Float = NDArray[np.float64]

MARGIN_PX = 4.0
"""Scored targets have this much of the frame about their centre, as far as they had it before."""
_PARTLY_IGNORED = 0.1
"""A pixel is ignored where this share of it was."""
_TOLERANCE = 1e-4
"""Share of a box that rounding may put outside of the frame."""


def moved(
    footage: Footage,
    matrices: Float,
    hw: tuple[int, int],
    render: Callable[[FloatArray, int], FloatArray] | None = None,
) -> Footage:
    """Move frames and boxes; ids are kept.

    Boxes are those about the moved ellipses that the boxes enclosed, so that a round target keeps
    its size when the frame turns. A target that the change cuts at the edge of the frame is
    ignored, and one that it moves out of the frame is gone. Beyond the edge of the old frame the
    scene is mirrored; a target's mirror image is ignored.

    Args:
        footage: Frames as they were.
        matrices: float64 (T, 3, 3), of each frame.
        hw: Size of the changed frames.
        render: Moves the pixels of frame i; None samples them once, by a cubic spline.
    """

    def sample(image: FloatArray, position: int) -> FloatArray:
        return warp(image, matrices[position], hw)

    changed = footage.with_pixels(sample if render is None else render)

    def ignored_at(position: int) -> BoolArray | None:
        is_ignored = footage.ignored_at(position)
        if is_ignored is None:
            return None
        return warp(is_ignored.astype(np.float32), matrices[position], hw) > _PARTLY_IGNORED

    truth = _moved_truth(footage.truth, matrices, hw)
    return replace(changed, truth=truth, ignored_at=ignored_at)


def warp(image: FloatArray, matrix: Float, hw: tuple[int, int]) -> FloatArray:
    """Sample an image once at the places that a homography asks for.

    Args:
        image: float32 (H, W); its interpolating cubic spline is sampled, mirrored beyond the
            centres of its outermost pixels.
        matrix: float64 (3, 3).
        hw: Size of the result.

    Returns:
        float32 ``hw``.

    Source:
        Unser 1999 (IEEE Signal Processing Magazine 16): splines with a prefilter blur far less
        than local cubic kernels. Positions are not rounded, as OpenCV's ``remap`` does to 1/32 px.
    """
    back = np.linalg.inv(matrix)
    x, y = np.arange(hw[1]) + 0.5, np.arange(hw[0])[:, None] + 0.5
    columns, rows, scales = (along[0] * x + along[1] * y + along[2] for along in back)
    places = [rows / scales - 0.5, columns / scales - 0.5]
    sampled: FloatArray = map_coordinates(image, places, order=3, mode="mirror", output=np.float32)
    return sampled


def carry_boxes(boxes_xyxy: NDArray[np.floating], matrices: Float) -> FloatArray:
    """Move boxes, each by its homography.

    Args:
        boxes_xyxy: (M, 4), pixels.
        matrices: float64 (M, 3, 3).

    Returns:
        float32 (M, 4): about the moved centres, with the sides of the moved ellipses (by the
        derivative at the centre) that the boxes enclosed.
    """
    boxes = boxes_xyxy.astype(np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    homogeneous = np.einsum(
        "mij,mj->mi", matrices, np.column_stack([centres, np.ones(len(boxes))])
    )
    scales = homogeneous[:, 2, None]
    middles = homogeneous[:, :2] / scales
    derivatives = matrices[:, :2, :2] - middles[:, :, None] * matrices[:, 2, None, :2]
    half_sides = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.hypot(*np.moveaxis(derivatives * half_sides[:, None, :], 2, 0)) / scales
    return np.concatenate([middles - reach, middles + reach], axis=1).astype(np.float32)


def _moved_truth(
    truth: SequenceAnnotation, matrices: Float, hw: tuple[int, int]
) -> SequenceAnnotation:
    """Carry the truth, without what left the frame and with mirror images to ignore."""
    of_row = matrices[truth.frame_indices]
    surroundings = _grown(truth.boxes_xyxy)
    before = _share_inside(surroundings, truth.image_hw)
    after = _share_inside(carry_boxes(surroundings, of_row), hw)
    carried = replace(
        truth,
        image_hw=hw,
        boxes_xyxy=carry_boxes(truth.boxes_xyxy, of_row),
        is_ignored=truth.is_ignored | (after < before - _TOLERANCE),
    )
    kept = columns_of(carried, np.flatnonzero(after > 0))
    return _with_rows(carried, [kept, *_mirror_images(truth, of_row, hw)])


def _mirror_images(
    truth: SequenceAnnotation, of_row: Float, hw: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the columns of mirror images that come into the frame, to be ignored."""
    height, width = truth.image_hw
    # Mirrored about the centre of the first pixel, x becomes 1 - x; of the last, 2 W - 1 - x.
    mirrors_x, mirrors_y = (None, 1, 2 * width - 1), (None, 1, 2 * height - 1)
    both = [(x, y) for x in mirrors_x for y in mirrors_y][1:]
    found = []
    for number, (at_x, at_y) in enumerate(both, start=1):
        boxes = truth.boxes_xyxy.copy()
        for axis, at in ((0, at_x), (1, at_y)):
            if at is not None:
                boxes[:, [axis, axis + 2]] = at - boxes[:, [axis + 2, axis]]
        carried = carry_boxes(boxes, of_row)
        is_shown = _is_inside(carried, hw) & ~_is_inside(boxes, truth.image_hw)
        images = replace(
            truth,
            image_hw=hw,
            boxes_xyxy=carried,
            track_ids=truth.track_ids + number * _step_of_ids(truth),
            is_ignored=np.ones(len(truth), np.bool_),
        )
        found.append(columns_of(images, np.flatnonzero(is_shown)))
    return found


def _step_of_ids(truth: SequenceAnnotation) -> int:
    """Return what makes new ids of the old ones; 0 where there are none."""
    return int(truth.track_ids.max(initial=0)) if truth.has_identities else 0


def _with_rows(truth: SequenceAnnotation, parts: list[dict[str, Any]]) -> SequenceAnnotation:
    """Return the truth with the rows of all parts, sorted by frame and id."""
    columns: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    order = np.lexsort((columns["track_ids"], columns["frame_indices"]))
    return replace(truth, **{name: column[order] for name, column in columns.items()})


def _grown(boxes_xyxy: FloatArray) -> FloatArray:
    """Return boxes with sides of at least twice the margin."""
    centres = centres_xy(boxes_xyxy)
    return np.concatenate(
        [
            np.minimum(boxes_xyxy[:, :2], centres - MARGIN_PX),
            np.maximum(boxes_xyxy[:, 2:], centres + MARGIN_PX),
        ],
        axis=1,
    ).astype(np.float32)


def _share_inside(boxes_xyxy: FloatArray, hw: tuple[int, int]) -> Float:
    """Return the share of each box (M, 4) that lies in the frame, float64 (M,)."""
    boxes = boxes_xyxy.astype(np.float64)
    size_xy = np.array([hw[1], hw[0]], np.float64)
    inside = np.clip(boxes[:, 2:], 0, size_xy) - np.clip(boxes[:, :2], 0, size_xy)
    shares: Float = inside.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shares


def _is_inside(boxes_xyxy: FloatArray, hw: tuple[int, int]) -> BoolArray:
    """Say whose centre lies in the frame, bool (M,)."""
    centres = centres_xy(boxes_xyxy)
    inside: BoolArray = np.all((centres >= 0) & (centres <= (hw[1], hw[0])), axis=1)
    return inside
