"""How far a target stands out of its surroundings: the local signal-to-clutter ratio (SCR)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stdet.boxes import centres_xy
from stdet.types import FloatArray, IntArray

CORE_PX = 3
"""Side of the core whose mean stands for the target, pixels; smaller in a smaller box."""

GAP_PX = 2
"""Width of the seam around a box that is neither target nor surroundings, pixels."""

RING_PX = 8
"""How far the surroundings reach beyond a box, pixels."""

MIN_RING_PIXELS = 16
"""Fewer pixels than this give no standard deviation worth the name."""


def local_scr(frame: NDArray[Any], boxes_xyxy: FloatArray) -> NDArray[np.float64]:
    """Measure the signal-to-clutter ratio of each target of a frame.

        SCR = |mean(core) - mean(ring)| / std(ring)

    The core is the 3x3 square inside the box (or all of a smaller box) whose mean differs most
    from the ring's, so that a loose box does not dilute its target and a target colder than its
    surroundings counts like a warm one. The ring is the box grown by 8 px on each side, cut at the
    border of the image, less every target's box grown by 2 px. A pixel belongs to a box when its
    centre lies inside; a box without such a pixel stands for the pixel under its centre.

    The core is chosen, so noise without a target does not give 0: white noise gives 0.4 on average
    in a 4x4 box and 0.75 in an 8x8 box. Read values below 1 as "nothing to be seen in one frame".

    Args:
        frame: Grey levels of any type (H, W); their scale does not matter.
        boxes_xyxy: All targets of the frame, float32 (N, 4), pixels.

    Returns:
        float64 (N,), at least 0. NaN where it is undefined: the ring is of one grey level or has
        fewer than 16 pixels, or the box lies outside the image.

    Raises:
        ValueError: If ``frame`` does not have two axes.

    Source:
        The local SCR of the infrared small-target literature, for example Gao et al. 2013 (IEEE
        TIP 22(12), infrared patch-image model). There the target's extent is known and the
        surroundings are wider; here the box may be loose, hence the core, and a neighbour may be
        near, hence the narrow ring and the exclusion of all boxes.
    """
    if frame.ndim != 2:
        raise ValueError(f"frame has shape {frame.shape}; expected (H, W).")
    pixels = frame.astype(np.float64)
    bounds = _pixel_bounds(boxes_xyxy)
    is_near_target = np.zeros(frame.shape, np.bool_)
    for bound in bounds:
        is_near_target[_window(bound, GAP_PX)] = True
    return np.array(
        [_scr_of_one(pixels, is_near_target, bound) for bound in bounds], np.float64
    ).reshape(-1)


def _pixel_bounds(boxes_xyxy: FloatArray) -> IntArray:
    """Return the pixels of each box as int64 (N, 4): first column, row, one past the last ones."""
    bounds = np.ceil(boxes_xyxy.astype(np.float64).reshape(-1, 4) - 0.5).astype(np.int64)
    centre_pixels = np.floor(centres_xy(boxes_xyxy)).astype(np.int64)
    is_thin = bounds[:, 2:] <= bounds[:, :2]
    low = np.where(is_thin, centre_pixels, bounds[:, :2])
    high = np.where(is_thin, centre_pixels + 1, bounds[:, 2:])
    return np.concatenate([low, high], axis=1)


def _window(bound: IntArray, margin: int) -> tuple[slice, slice]:
    """Return rows and columns of a box grown by a margin; NumPy cuts them at the far border."""
    # Clipping at 0 matters: a negative slice bound would count from the far border.
    x1, y1 = np.maximum(bound[:2] - margin, 0).tolist()
    x2, y2 = np.maximum(bound[2:] + margin, 0).tolist()
    return slice(y1, y2), slice(x1, x2)


def _scr_of_one(
    pixels: NDArray[np.float64], is_near_target: NDArray[np.bool_], bound: IntArray
) -> float:
    """Measure one target."""
    box = pixels[_window(bound, 0)]
    window = _window(bound, RING_PX)
    ring = pixels[window][~is_near_target[window]]
    if not box.size or len(ring) < MIN_RING_PIXELS or np.ptp(ring) == 0:
        return float("nan")
    core_hw = (min(CORE_PX, box.shape[0]), min(CORE_PX, box.shape[1]))
    cores = sliding_window_view(box, core_hw).mean(axis=(2, 3))
    return float(np.abs(cores - ring.mean()).max() / ring.std())
