"""Which grey levels a sequence's scene has, whatever else its frames show.

Dead columns, burnt-in text, rows of telemetry and blank frames are 0.1 % of the pixels or more and
may lie anywhere. A scale that holds them squeezes the scene into a few hundredths of its range,
and a target in it is no longer seen.

1. Frames of one level, and single frames (at most one in eight) whose median lies far from that of
   the others, do not count.
2. The body of the levels grows from the shortest interval that holds half of the pixels, outwards
   until the next interval of that width holds less than 0.1 % of them.
3. Of what lies outside by more than that width, these do not count: up to four rows and columns
   (or 2 %) that lie outside for the most part, unlike their neighbours, and pixels whose level
   never changes while the others' do (dead pixels, text).
4. What then lies outside by more than three widths counts as scene, on either side, where it is
   more than 0.2 % of the pixels and more than 25 pixels of a frame: a hot object. Levels that
   stand alone are left out before (saturated text): to clip a single level loses nothing. Less
   does not widen the scale, but may be a target: it makes room above the scene.

In healthy footage nothing lies outside, and the levels are those of all pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from stdet.errors import DataError
from stdet.io.intensity.spoilt_pixels import TARGET_PIXELS, SpoiltPixels, groups_that_show_no_scene
from stdet.types import BoolArray

Levels = NDArray[Any]
"""Grey levels of a frame (H, W), of any integer type or float32; not finite: no level."""

_LOW_SHARE, _HIGH_SHARE = 0.001, 0.999
BLANK_SHARE = 0.99
"""Share of a blank frame's pixels that have one level."""
_MIN_FRAMES_TO_JUDGE = 4
_FRAMES_PER_ODD_ONE = 8
_ODD_FRAME_SPANS = 3.0
_ODD_FRAME_DEVIATIONS = 5.0
_SPARSE_SHARE = 1e-3
_ROOM = 3.0  # Around the body, in widths of the interval that holds half of the pixels.
_MIN_ODD_LINES = 4
_ODD_LINES_SHARE = 0.02
_ODD_LINE_SHARE = 0.25
_SPOILT_LINE_SHARE = 0.75
_MIN_FRAMES_FOR_FIXED = 3
_MAX_FIXED_SHARE = 0.5
_NUM_LONE_LEVELS = 4
_LONE_SHARE = 0.5
_SCENE_SHARE = 0.002
_MAX_PIXELS = 1 << 19
"""Pixels of a frame of wide levels that are counted; more are thinned out evenly."""


@dataclass(frozen=True, kw_only=True)
class SceneLevels:
    """The levels of a scene.

    Attributes:
        low: Level below which 0.1 % of the scene lies.
        high: Level above which 0.1 % of the scene lies.
        peak: Brightest level of the scene or of what may be a target.
        brightest: Brightest level of all.
        spoilt: Pixels that show no scene; None where there are none.
    """

    low: float
    high: float
    peak: float
    brightest: float
    spoilt: SpoiltPixels | None = None


@dataclass(frozen=True, eq=False)
class _Counts:
    """Distinct levels (N,), ascending, and how many pixels have them, int64 (N,)."""

    levels: Levels
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, pixels: Levels) -> _Counts:
        """Count pixels of any shape."""
        if pixels.dtype in (np.uint8, np.uint16):
            counts = np.bincount(pixels.ravel())
            levels = np.flatnonzero(counts)
            return cls(levels, counts[levels])
        return cls(*np.unique(pixels[np.isfinite(pixels)], return_counts=True))

    @classmethod
    def total_of(cls, parts: Sequence[_Counts]) -> _Counts:
        """Add up."""
        levels, rows = np.unique(np.concatenate([p.levels for p in parts]), return_inverse=True)
        counts = np.zeros(len(levels), np.int64)
        np.add.at(counts, rows, np.concatenate([part.counts for part in parts]))
        return cls(levels, counts)

    @property
    def total(self) -> int:
        """Number of pixels."""
        return int(self.counts.sum())

    def __getitem__(self, chosen: BoolArray) -> _Counts:
        """Return some of the levels."""
        return _Counts(self.levels[chosen], self.counts[chosen])

    def quantile(self, share: float) -> float:
        """Return the first level at or below which so many of the pixels lie."""
        cumulated = np.cumsum(self.counts)
        return float(self.levels[np.searchsorted(cumulated, share * cumulated[-1])])


@dataclass(frozen=True)
class _Body:
    """Where the body of the levels begins and ends, and how wide its denser half is.

    In float64: beside levels of float32 near the end of their range there must be room.
    """

    low: np.float64
    high: np.float64
    width: np.float64


def measure_scene(read: Callable[[int], Levels], indices: Sequence[int]) -> SceneLevels:
    """Find the levels of a scene in some of its frames.

    Args:
        read: Returns the levels of a frame; a ``DataError`` leaves it out. Frames are read once,
            and twice more where something lies outside of the body.
        indices: Frames to look at.

    Raises:
        DataError: If no frame can be read or none has a finite level.
    """
    counted: dict[int, _Counts] = {}
    failure: DataError | None = None
    for index in indices:
        try:
            counts = _Counts.of(_thinned(read(index)))
        except DataError as error:
            failure = error
            continue
        if counts.total:
            counted[index] = counts
    if not counted:
        raise failure or DataError("no frames to measure the intensity on.")
    kept = _usual_frames(counted)
    pooled = _Counts.total_of([counted[index] for index in kept])
    body = _body(pooled)
    scene, peak, spoilt = pooled, pooled.levels[-1], None
    if pooled.levels[0] < body.low - body.width or peak > body.high + body.width:

        def frames() -> Iterator[Levels]:
            return (read(index) for index in kept)

        odd = _OddPixels.of(frames(), body)
        counts = _Counts.total_of([_Counts.of(odd.without(pixels)) for pixels in frames()])
        room = _ROOM * body.width
        most_of_target = TARGET_PIXELS * len(kept)
        sides = [
            counts[counts.levels < body.low - room],
            counts[counts.levels > body.high + room],
        ]
        below, above = (
            _without_lone_levels(side, body.width, most=most_of_target) for side in sides
        )
        inner = counts[(counts.levels >= body.low - room) & (counts.levels <= body.high + room)]
        least = max(_SCENE_SHARE * pooled.total, most_of_target)
        scene = _Counts.total_of([inner, *(s for s in (below, above) if s.total > least)])
        peak = above.levels[-1] if len(above.levels) else inner.levels[-1]
        lone = [
            np.setdiff1d(side.levels, left.levels)
            for side, left in zip(sides, (below, above), strict=True)
        ]
        spoilt = odd.spoilt(frames(), np.concatenate(lone))
    return SceneLevels(
        low=scene.quantile(_LOW_SHARE),
        high=scene.quantile(_HIGH_SHARE),
        peak=float(peak),
        brightest=max(float(counts.levels[-1]) for counts in counted.values()),
        spoilt=spoilt,
    )


def _thinned(pixels: Levels) -> Levels:
    """Return every n-th row and column of a large frame of wide levels, which are sorted."""
    step = _thinning(pixels)
    return pixels[::step, ::step]


def _thinning(pixels: Levels) -> int:
    if pixels.dtype in (np.uint8, np.uint16) or pixels.size <= _MAX_PIXELS:
        return 1
    return int(np.ceil(np.sqrt(pixels.size / _MAX_PIXELS)))


def _usual_frames(counted: dict[int, _Counts]) -> list[int]:
    """Return the frames that are neither blank nor far from all others."""
    blank = [i for i, c in counted.items() if c.counts.max() >= BLANK_SHARE * c.total]
    kept = [index for index in counted if index not in blank] or list(counted)
    if len(kept) < _MIN_FRAMES_TO_JUDGE:
        return kept
    medians = np.array([counted[index].quantile(0.5) for index in kept])
    spans = [counted[index].quantile(0.95) - counted[index].quantile(0.05) for index in kept]
    distances = np.abs(medians - np.median(medians))
    allowed = _ODD_FRAME_SPANS * np.median(spans) + _ODD_FRAME_DEVIATIONS * np.median(distances)
    is_odd = distances > allowed
    if is_odd.sum() > max(len(kept) // _FRAMES_PER_ODD_ONE, 1):
        return kept
    return [index for index, odd in zip(kept, is_odd.tolist(), strict=True) if not odd]


def _body(pooled: _Counts) -> _Body:
    """Find the body of the levels; see step 2 of the module."""
    levels = pooled.levels.astype(np.float64)
    after = np.cumsum(pooled.counts)
    before = after - pooled.counts
    # The shortest interval from each level on that holds half of the pixels.
    ends = np.searchsorted(after, before + (pooled.total + 1) // 2)
    starts = np.flatnonzero(ends < len(levels))
    widths = levels[ends[starts]] - levels[starts]
    shortest = starts[widths == widths.min()]
    start = int(shortest[len(shortest) // 2])
    width = max(widths.min(), _unit(pooled.levels))
    least = _SPARSE_SHARE * pooled.total
    padded = np.concatenate([[0], after])
    above = padded[np.searchsorted(levels, levels + width, side="right")] - after
    below = before - padded[np.searchsorted(levels, levels - width, side="left")]
    ascending = np.flatnonzero((above < least) & (np.arange(len(levels)) >= ends[start]))
    descending = np.flatnonzero((below < least) & (np.arange(len(levels)) <= start))
    return _Body(levels[descending[-1]], levels[ascending[0]], width)


def _unit(levels: Levels) -> np.float64:
    """Return the least width that an interval of levels counts as having."""
    if np.issubdtype(levels.dtype, np.integer):
        return np.float64(1)
    return np.float64(np.spacing(np.abs(np.median(levels))))


@dataclass(frozen=True, eq=False)
class _OddPixels:
    """Pixels of the sensor that are unlike the others in most frames.

    Attributes:
        outside_shares: In which share of the frames a pixel lies outside of the body, (H, W).
        is_line: Pixels of odd lines (H, W).
        is_dead: Pixels whose level, outside of the body, never changes (H, W); none where that of
            the others does not either, or there are too few frames to tell.
        can_tell: Whether that can be told.
    """

    outside_shares: NDArray[np.float64]
    is_line: BoolArray
    is_dead: BoolArray
    can_tell: bool

    @classmethod
    def of(cls, frames: Iterator[Levels], body: _Body) -> _OddPixels:
        """Look through the frames."""
        low, high = body.low - body.width, body.high + body.width
        num_frames = 0
        for pixels in frames:
            is_outside = (pixels < low) | (pixels > high)
            if not num_frames:
                first, is_fixed = pixels, np.ones(pixels.shape, np.bool_)
                num_outside = np.zeros(pixels.shape, np.int32)
            is_fixed &= pixels == first
            num_outside += is_outside
            num_frames += 1
        shares = num_outside / num_frames
        is_always = num_outside == num_frames
        is_dead = is_always & is_fixed
        has_noise = (is_fixed & ~is_always).mean() < _MAX_FIXED_SHARE * (~is_always).mean()
        can_tell = bool(num_frames >= _MIN_FRAMES_FOR_FIXED and has_noise)
        if not can_tell or is_dead.mean() > _MAX_FIXED_SHARE:
            is_dead = np.zeros_like(is_dead)
        return cls(shares, _odd_lines(shares), is_dead, can_tell)

    def without(self, pixels: Levels) -> Levels:
        """Return the levels (N,) of the other pixels of a frame."""
        step = _thinning(pixels)
        ignored = self.is_line | self.is_dead
        return pixels[::step, ::step][~ignored[::step, ::step]]

    def spoilt(self, frames: Iterator[Levels], lone: Levels) -> SpoiltPixels | None:
        """Return the pixels that show no scene, and are no target.

        Args:
            frames: As before.
            lone: Levels that stand alone, outside of the scene.
        """
        if not self.can_tell:
            return None
        shares = self.outside_shares
        is_whole = (shares.mean(axis=0) >= _SPOILT_LINE_SHARE)[None, :] | (
            shares.mean(axis=1) >= _SPOILT_LINE_SHARE
        )[:, None]
        is_spoilt = self.is_line & is_whole
        odd = np.stack([self.is_dead, self.is_dead]).astype(np.float64)
        if len(lone):
            is_lone = np.stack([np.isin(pixels, lone) for pixels in frames])
            middle = len(is_lone) // 2
            halves = np.stack([part.mean(axis=0) for part in (is_lone[:middle], is_lone[middle:])])
            odd = np.maximum(odd, np.where(is_lone.sum(axis=0) > 1, halves, 0))
        odd[:, is_spoilt] = 0
        is_spoilt |= groups_that_show_no_scene(odd, np.where(is_spoilt, 0, shares))
        if is_spoilt.any() and is_spoilt.mean() <= _MAX_FIXED_SHARE:
            return SpoiltPixels(is_spoilt)
        return None


def _odd_lines(shares: NDArray[np.float64]) -> BoolArray:
    """Return the pixels (H, W) of the few rows and columns that are unlike their neighbours.

    Args:
        shares: How often each pixel lies outside of the body, (H, W).
    """
    is_odd = np.zeros(shares.shape, np.bool_)
    for axis in (0, 1):
        lines = shares.mean(axis=axis)
        most = max(_MIN_ODD_LINES, int(_ODD_LINES_SHARE * len(lines)))
        around = median_filter(lines, 4 * most + 1, mode="reflect")
        odd = lines - around >= _ODD_LINE_SHARE
        is_odd |= odd[None, :] if axis == 0 else odd[:, None]
    return is_odd


def _without_lone_levels(side: _Counts, width: np.float64, *, most: int) -> _Counts:
    """Leave out levels of more than ``most`` pixels that stand alone within half the width."""
    for _ in range(_NUM_LONE_LEVELS):
        if not side.total:
            break
        mode = int(side.counts.argmax())
        near = np.abs(side.levels - side.levels[mode]) <= max(width / 2, 2)
        count = int(side.counts[mode])
        if count <= most or count < _LONE_SHARE * side.counts[near].sum():
            break
        side = side[np.arange(len(side.levels)) != mode]
    return side
