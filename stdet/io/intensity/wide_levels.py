"""Levels that fit no 16 bits: float32 (temperatures, negative ones too), 32 bits, or signed.

They are brought to uint16 by one map per sequence, fixed before the first frame, so that frames
stay uint8 or uint16 everywhere else (bad pixels, drawing, caches). Integers that fit are shifted
at most, and keep every bit. Others are scaled so that the range the scene needs, room for targets
included, has 21,845 levels: 1/21,845 of the full scale is far below the noise of any sensor and
below the step of 8 bits by a factor of 85. What lies beyond three times that range is clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from stdet.io.frame_source import (
    Intensity,
    IntensityScale,
    RawImage,
    WideImage,
    sampled_frames,
    scale_of,
)
from stdet.io.images.errors import UnreadableImageError
from stdet.io.intensity.scene_levels import Levels, SceneLevels, measure_scene
from stdet.types import FloatArray

_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class LevelMap:
    """The affine map from wide levels to uint16.

    Attributes:
        lowest: Level that becomes 0.
        step: Wide levels per level of uint16.
    """

    lowest: float
    step: float

    def apply(self, wide: WideImage, label: object) -> NDArray[np.uint16]:
        """Map a frame (H, W); what is not finite is filled from its neighbours.

        Args:
            wide: int32, uint32 or float32 (H, W).
            label: The file, and the place in it, for the message.

        Raises:
            UnreadableImageError: If no level is finite.
        """
        with np.errstate(invalid="ignore"):  # A signalling NaN is a NaN.
            levels = wide.astype(np.float64)
        levels = fill_holes(levels, label)
        levels = np.rint((levels - self.lowest) / self.step)
        return np.clip(levels, 0, _MOST).astype(np.uint16)


@dataclass(frozen=True)
class WideIntensity:
    """What wide levels of a sequence need.

    Attributes:
        level_map: To uint16.
        intensity: Depth and scale of the mapped levels.
    """

    level_map: LevelMap
    intensity: Intensity


def measure_wide(read: Callable[[int], Levels], num_frames: int) -> WideIntensity:
    """Fix the map and the scale of a sequence of wide levels from at most 16 frames.

    Args:
        read: Returns the stored levels of a frame; a ``DataError`` skips it.
        num_frames: Frames to choose from.

    Raises:
        DataError: If no sampled frame can be read or none has a finite level.
    """
    extremes: list[float] = []

    def noted(index: int) -> Levels:
        levels = read(index)
        is_whole = np.issubdtype(levels.dtype, np.integer)
        extremes.extend([levels.min(), levels.max()] if is_whole else [np.nan])
        return levels

    scene = measure_scene(noted, sampled_frames(num_frames))
    level_map = _exact_map(extremes) or _scaled_map(scene)
    mapped = SceneLevels(
        **{
            name: (getattr(scene, name) - level_map.lowest) / level_map.step
            for name in ("low", "high", "peak", "brightest")
        },
        spoilt=scene.spoilt,
    )
    return WideIntensity(level_map, Intensity(16, scale_of(mapped)))


def fill_holes(levels: NDArray[np.float64], label: object) -> NDArray[np.float64]:
    """Fill what is not finite with the mean of its finite neighbours, or the nearest finite level.

    Raises:
        UnreadableImageError: If no level is finite.
    """
    is_finite = np.isfinite(levels)
    if is_finite.all():
        return levels
    if not is_finite.any():
        raise UnreadableImageError(f"{label}: holds no finite level; export it again.")
    known = np.pad(np.where(is_finite, levels, 0), 1)
    count = np.pad(is_finite.astype(np.float64), 1)
    sums, counts = _sum_3x3(known), _sum_3x3(count)
    around = np.divide(sums, counts, where=counts > 0, out=np.zeros_like(sums))
    filled: NDArray[np.float64] = np.where(is_finite, levels, around)
    is_inside = counts == 0
    if is_inside.any():
        nearest = distance_transform_edt(~is_finite, return_distances=False, return_indices=True)
        filled[is_inside] = levels[tuple(nearest[:, is_inside])]
    return filled


def to_raw(wide: RawImage | WideImage, label: object) -> RawImage:
    """Return a picture by itself as uint8 or uint16: wide levels by a map of its own."""
    if wide.dtype in (np.uint8, np.uint16):
        return wide  # type: ignore[return-value]
    level_map = measure_wide(lambda _: wide, 1).level_map
    return level_map.apply(wide, label)  # type: ignore[arg-type]


def _sum_3x3(padded: FloatArray | NDArray[np.float64]) -> NDArray[np.float64]:
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    total: NDArray[np.float64] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total


def _exact_map(extremes: list[float]) -> LevelMap | None:
    """Return the map that keeps every bit of integers, None where there is none."""
    lowest, highest = float(np.min(extremes)), float(np.max(extremes))
    if not highest - lowest <= _MOST:  # NaN: there are levels of float32.
        return None
    if lowest >= 0 and highest <= _MOST:
        return LevelMap(0.0, 1.0)
    return LevelMap(lowest - (_MOST - (highest - lowest)) // 2, 1.0)


def _scaled_map(scene: SceneLevels) -> LevelMap:
    """Return the map that gives the scale of a scene a third of all levels."""
    if scene.high > scene.low:
        unit = scene.high - scene.low
    else:  # One level: any step that the precision of float32 can show.
        unit = float(np.spacing(np.float32(max(abs(scene.high), 1.0)))) * _MOST
    in_units = SceneLevels(low=0.0, high=1.0, peak=(scene.peak - scene.low) / unit, brightest=0.0)
    scale: IntensityScale = scale_of(in_units)
    span = (scale.high - scale.low) * unit
    return LevelMap(scene.low + scale.low * unit - span, 3 * span / _MOST)
