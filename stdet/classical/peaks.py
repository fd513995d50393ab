"""A response map becomes detections: robust noise, local maxima, blobs, boxes.

What is the same for every classical method, so that they differ in their response alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from stdet.types import Detections, FloatArray

BOX_PX = 8.0
"""Smallest side of a box, pixels: DAUB labels its targets of 2 to 4 px with boxes of 8."""

MIN_HEIGHT = 3.0
"""Lowest peak that counts, in standard deviations of the response's noise."""

NOISE_FLOOR = 0.25
"""Smallest standard deviation of the noise that is believed, in units of a response's local RMS:
where most of a frame is of one grey level, its median deviation is 0."""

HALF_SCORE_HEIGHT = 10.0
"""Height that scores 0.5; see ``height_to_score``."""

MIN_DISTANCE_PX = 4.0
"""Of two detections with centres closer than this the weaker is dropped, pixels."""

_MAD_TO_STD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

_REACH_PX = 8
"""How far a blob is followed from its peak, pixels; so boxes are at most 17 px wide."""

_WITHIN_WINDOW = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))]).astype(bool)
"""8-connected in each window of a stack, and never from one window to the next."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Blobs:
    """Where the response stays above half of a peak, around each peak.

    Attributes:
        centres_xy: float64 (P, 2), weighted by the response, pixels.
        sizes_wh: float64 (P, 2), extent, pixels.
    """

    centres_xy: NDArray[np.float64]
    sizes_wh: NDArray[np.float64]


def height_to_score(heights: NDArray[np.floating]) -> FloatArray:
    """Map peak heights h, in standard deviations of noise, to scores: h / (h + 10).

    Monotone, 0.5 at h = 10, and without the saturation of an exponential, so that strong peaks
    keep their order.

    Args:
        heights: At least 0, any shape.

    Returns:
        float32 in [0, 1).

    Example:
        >>> height_to_score(np.array([0.0, 10.0, 30.0]))
        array([0.  , 0.5 , 0.75], dtype=float32)
    """
    scores = heights / (heights + HALF_SCORE_HEIGHT)
    return np.minimum(scores.astype(np.float32), np.nextafter(np.float32(1), np.float32(0)))


def find_peaks(response: FloatArray, *, max_detections: int, frame_index: int) -> Detections:
    """Turn a response map into detections.

    The height of a pixel is (response - median) / max(1.4826 MAD, ``NOISE_FLOOR``), with median
    and median absolute deviation over the frame. Each local maximum of at least ``MIN_HEIGHT`` is
    a detection. Its box lies about the response-weighted centroid of the blob above half of the
    peak, and is as large as that blob but at least ``BOX_PX``; boxes are clipped to the frame.

    Args:
        response: float32 (H, W), high where a target may be, in units of its local RMS.
        max_detections: Only the strongest so many peaks are looked at.
        frame_index: Of the frame.

    Returns:
        Detections in descending score, all of class 0.
    """
    image_hw = (response.shape[0], response.shape[1])
    deviations = response - np.median(response)
    noise = max(_MAD_TO_STD * float(np.median(np.abs(deviations))), NOISE_FLOOR)
    heights = deviations / np.float32(noise)
    peaks_rc = _local_maxima(heights)
    order = np.argsort(-heights[peaks_rc[:, 0], peaks_rc[:, 1]], kind="stable")
    peaks_rc = peaks_rc[order[:max_detections]]
    if not len(peaks_rc):
        return Detections.empty(frame_index=frame_index, image_hw=image_hw)
    blobs = _blobs(heights, peaks_rc)
    kept = _keep_apart(blobs.centres_xy)
    centres, half = blobs.centres_xy[kept], np.maximum(blobs.sizes_wh[kept], BOX_PX) / 2
    limits = np.array([image_hw[1], image_hw[0]])
    boxes = np.concatenate(
        [np.maximum(centres - half, 0), np.minimum(centres + half, limits)], axis=1
    )
    return Detections.from_unsorted(
        boxes.astype(np.float32),
        height_to_score(heights[peaks_rc[kept, 0], peaks_rc[kept, 1]]),
        frame_index=frame_index,
        image_hw=image_hw,
    )


def _local_maxima(heights: FloatArray) -> NDArray[np.int64]:
    """Return (row, column) of each maximum among its neighbours, int64 (P, 2).

    Of a plateau, such as a saturated target, it is the pixel nearest to the plateau's middle.
    """
    is_peak = (heights >= MIN_HEIGHT) & (heights == ndimage.maximum_filter(heights, size=5))
    labels, num_peaks = ndimage.label(is_peak, structure=np.ones((3, 3)))
    pixels = np.argwhere(is_peak)
    owners = labels[pixels[:, 0], pixels[:, 1]] - 1
    counts = np.maximum(np.bincount(owners, minlength=num_peaks), 1)
    middles = np.stack(
        [np.bincount(owners, pixels[:, axis], minlength=num_peaks) / counts for axis in (0, 1)],
        axis=1,
    )
    distances = np.square(pixels - middles[owners]).sum(axis=1)
    order = np.lexsort((distances, owners))
    _, first = np.unique(owners[order], return_index=True)
    found: NDArray[np.int64] = pixels[order[first]]
    return found


def _blobs(heights: FloatArray, peaks_rc: NDArray[np.int64]) -> _Blobs:
    """Measure the blob of each peak."""
    side = 2 * _REACH_PX + 1
    padded = np.pad(heights, _REACH_PX, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    windows = windows[peaks_rc[:, 0], peaks_rc[:, 1]]  # (P, side, side)
    peak = windows[:, _REACH_PX, _REACH_PX]
    labels, _ = ndimage.label(windows >= peak[:, None, None] / 2, structure=_WITHIN_WINDOW)
    is_blob = labels == labels[:, _REACH_PX, _REACH_PX][:, None, None]
    weights = np.where(is_blob, windows, np.float32(0))
    along_x, along_y = weights.sum(axis=1, dtype=np.float64), weights.sum(axis=2, dtype=np.float64)
    offsets = np.arange(side) - _REACH_PX + 0.5
    x = peaks_rc[:, 1] + along_x @ offsets / along_x.sum(axis=1)
    y = peaks_rc[:, 0] + along_y @ offsets / along_y.sum(axis=1)
    sizes = np.stack([_extent(is_blob.any(axis=1)), _extent(is_blob.any(axis=2))], axis=1)
    return _Blobs(centres_xy=np.stack([x, y], axis=1), sizes_wh=sizes)


def _extent(is_covered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how many pixels lie from the first covered one to the last of each row (P, side)."""
    first = is_covered.argmax(axis=1)
    last = is_covered.shape[1] - is_covered[:, ::-1].argmax(axis=1)
    extents: NDArray[np.float64] = (last - first).astype(np.float64)
    return extents


def _keep_apart(centres_xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows that no earlier kept row lies closer to than the least distance."""
    pairs = cKDTree(centres_xy).query_pairs(MIN_DISTANCE_PX, output_type="ndarray")
    is_kept = np.ones(len(centres_xy), np.bool_)
    for strong, weak in pairs[np.argsort(pairs[:, 0], kind="stable")].tolist():
        is_kept[weak] &= not is_kept[strong]
    kept: NDArray[np.int64] = np.flatnonzero(is_kept)
    return kept
