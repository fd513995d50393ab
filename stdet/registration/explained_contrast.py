"""How much of two frames' contrast a map between them does not explain."""

from __future__ import annotations

import cv2
import numpy as np

from stdet.registration.gauss_newton import (
    MIN_SEEN,
    Fit,
    at_level,
    without_light,
)
from stdet.registration.median import median
from stdet.registration.prepared_frame import FINE, PreparedFrame
from stdet.registration.transform import Transform
from stdet.types import BoolArray, FloatArray

MIN_SIDE_PX = 64
"""Smaller frames have too few tiles for an error."""
_LESSER = 1.5
"""No motion must leave so many times what a map leaves, if it is to explain a part."""
_MOVING = 0.15
"""Share of the contrast that may move by itself; what is explained worst is left out."""
_KEPT_NOISE = 0.08
"""Share of the power of white noise that is left at half the size."""
_NOISE_FLOOR = 1e-6
"""Keeps flat frames from a division by zero; full scale, squared."""


def left_by_neither(before: PreparedFrame, after: PreparedFrame, fit: Fit, share: float) -> float:
    """Return the share of contrast that neither a map explains nor standing still.

    Text and reticles stand still over a scene that moves. They must be the lesser part: a map that
    explains little more than no motion is judged by itself.

    Args:
        before: The earlier frame.
        after: The later one.
        fit: The map.
        share: What it leaves by itself.
    """
    still, is_seen = _differences_of(before, after, Transform.identity())
    if left_by(before, after, still, is_seen) < _LESSER * share:
        return share
    least = np.where(np.abs(still) < np.abs(fit.differences), still, fit.differences)
    return left_by(before, after, least, fit.is_seen)


def unexplained(before: PreparedFrame, after: PreparedFrame, transform: Transform) -> float:
    """Return the share of the frames' contrast that a transform does not explain.

    Args:
        before: The earlier frame.
        after: The later one, of the same size.
        transform: From the earlier frame to the later one.

    Returns:
        0 to 1, noise left out; 1 where the frames share too little, and for frames of
        less than 64x64 pixels.
    """
    if min(before.hw) < MIN_SIDE_PX:
        return 1.0
    differences, is_seen = _differences_of(before, after, transform)
    return 1.0 if is_seen.mean() < MIN_SEEN else left_by(before, after, differences, is_seen)


def _differences_of(
    before: PreparedFrame, after: PreparedFrame, transform: Transform
) -> tuple[FloatArray, BoolArray]:
    """Return the differences (P,) at half the size, less light, and which of them count."""
    pixels = before.pixels(FINE)
    differences, is_seen = pixels.differences(
        after.reduced(FINE), at_level(transform, FINE), interpolation=cv2.INTER_LINEAR
    )
    if not is_seen.any():
        return differences, is_seen
    return without_light(pixels, differences, is_seen), is_seen


def left_by(
    before: PreparedFrame, after: PreparedFrame, differences: FloatArray, is_seen: BoolArray
) -> float:
    """Return the share of the contrast that differences (P,) at half the size leave.

    The mean over tiles by their contrast, in which none counts more than the median, without
    those that are explained worst.
    """
    pixels = before.pixels(FINE)
    # Of two frames of one sensor; a frame that is noise alone must not explain itself.
    kept = 2 * _KEPT_NOISE * min(before.noise, after.noise) ** 2 + _NOISE_FLOOR
    seen = is_seen.reshape(pixels.num_tiles, -1)
    count = np.maximum(seen.sum(axis=1), 1)

    def variance(grey: FloatArray) -> FloatArray:
        tiles = grey.reshape(pixels.num_tiles, -1)
        middle = (tiles * seen).sum(axis=1) / count
        spread: FloatArray = (((tiles - middle[:, None]) * seen) ** 2).sum(axis=1) / count
        return spread

    contrast = np.maximum(variance(pixels.values), variance(pixels.values + differences))
    left = differences.reshape(pixels.num_tiles, -1)
    left_over = np.maximum(((left * seen) ** 2).sum(axis=1) / count - kept, 0)
    share = np.minimum(left_over / (contrast + kept), 1)
    importance = np.minimum(contrast, median(contrast) + _NOISE_FLOOR) * (count > 1)
    order = np.argsort(share)
    reached = np.cumsum(importance[order])
    kept_tiles = order[reached <= (1 - _MOVING) * reached[-1]]
    return float(
        (importance * share)[kept_tiles].sum() / (importance[kept_tiles].sum() + _NOISE_FLOOR)
    )
