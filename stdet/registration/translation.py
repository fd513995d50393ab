"""How far the background of a video moved between two frames, by phase correlation.

This is what registration falls back to where a frame cannot be aligned (``alignment.py``): where
frames are small, or a sky has next to no structure. Phase correlation finds a displacement to some
hundredths of a pixel. It is believed only where it explains the frame as a whole better than no
motion at all: over a featureless sky the peak is noise, or the target itself. A long displacement
is measured again in what both frames show (``docs/decisions/0012``).

``shift_xy`` is the displacement in pixels: what was at x in the earlier frame is at x + shift in
the later one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.registration.median import median
from stdet.registration.phase_correlation import correlation_surface, windowed_spectrum
from stdet.registration.prepared_frame import PreparedFrame, padded_hw
from stdet.registration.transform import Transform
from stdet.types import FloatArray

_PEAK_SIGMA_PX = 1.0
"""The whitened correlation of two equal frames is one sample wide; blurred so far, its summit can
be told to a hundredth of a pixel. Noise, which whitening lifts, goes with it."""
_STEP = 2
"""They are compared in every other pixel of both axes."""
_TILES = 16
"""They are compared in tiles, so many along the shorter side."""
_TILES_OUT = 0.05
"""The tiles that speak most for a displacement do not count, this share: a target may be there."""
_MIN_GAIN = 0.03
"""What a displacement must explain better than no motion."""
_DIFFERENCE_FLOOR = 1e-4
"""Added to mean differences, in units of full scale."""
_OVERLAP_FROM = 0.125
"""From such a displacement on, relative to a side of the frame, it is measured again in what both
frames show; below, the first measurement of frames of 128 px and more is within 0.03 px."""
_MIN_OVERLAP_PX = 16
"""Of both sides; a narrower overlap is not correlated."""


def estimate_translation(
    before: PreparedFrame, after: PreparedFrame, *, guess: Transform | None = None
) -> Transform:
    """Return the translation of the background from one frame to another.

    Of the guess and the peak of the phase correlation it is the one that explains more; if that is
    long, the peak for what both frames show, where that explains still more; and the identity
    where none explains clearly more than no motion. What only one of two frames shows pulls their
    correlation towards zero.

    Args:
        before: The earlier frame.
        after: The later one, of the same size.
        guess: Of it the displacement of the centre counts. Frames far apart may share too little
            for a correlation.

    Source:
        Kuglin and Hines 1975 (phase correlation), the peak blurred and a Gaussian put through its
        neighbours. The comparison by tiles is ours.
    """
    candidates = [_correlation_peak(before.spectrum, after.spectrum, after.image.shape)]
    if guess is not None:
        candidates.append(guess.displacements(np.array(after.image.shape[::-1]) / 2))
    gains = [_gain(before.smooth, after.smooth, shift_xy) for shift_xy in candidates]
    best = int(np.argmax(gains))
    gain, shift_xy = gains[best], candidates[best]
    size_xy = np.array(after.image.shape[::-1])
    whole_xy = np.rint(shift_xy).astype(int)
    is_long = (np.abs(whole_xy) >= _OVERLAP_FROM * size_xy).any()
    if is_long and (size_xy - np.abs(whole_xy)).min() >= _MIN_OVERLAP_PX:
        again_xy = _overlap_peak(before.smooth, after.smooth, whole_xy)
        again = _gain(before.smooth, after.smooth, again_xy)
        if again > gain:
            gain, shift_xy = again, again_xy
    return Transform.translation(shift_xy) if gain > _MIN_GAIN else Transform.identity()


def _gain(before: FloatArray, after: FloatArray, shift_xy: NDArray[np.float64]) -> float:
    """Return how much better a displacement explains the later frame than no motion does.

    The mean over tiles of the logarithm of the ratio of mean absolute differences, each 1 at most
    and without the highest. Interpolation blurs the earlier frame and so takes noise from the
    difference; without motion it is blurred as much.
    """
    moved = Transform.translation(shift_xy).warp(before, step=_STEP).image
    part = shift_xy - np.floor(shift_xy)
    still = _blur(before, (part * (1 - part)).astype(np.float32))
    seen = after[::_STEP, ::_STEP]
    ratio = _tile_means(seen - still) / _tile_means(seen - moved)
    gains = np.sort(np.clip(np.log(ratio), -1, 1), axis=None)
    return float(gains[: len(gains) - int(_TILES_OUT * len(gains))].mean())


def _blur(image: FloatArray, variance_xy: FloatArray) -> FloatArray:
    """Blur by three taps of a variance, pixels squared; every ``_STEP``-th pixel of both axes."""
    height, width = image.shape
    padded = np.pad(image, 1, mode="edge")
    above, here, below = (padded[at : at + height : _STEP] for at in range(3))
    rows = here + variance_xy[1] / 2 * (above + below - 2 * here)
    left, centre, right = (rows[:, at : at + width : _STEP] for at in range(3))
    blurred: FloatArray = centre + variance_xy[0] / 2 * (left + right - 2 * centre)
    return blurred


def _tile_means(difference: FloatArray) -> FloatArray:
    """Return the mean magnitude in each tile, of a difference (H, W) less its median."""
    height, width = difference.shape
    side = max(min(height, width) // _TILES, 1)
    rows, columns = height // side, width // side
    whole = np.abs(difference - np.float32(median(difference[::2, ::2])))[
        : rows * side, : columns * side
    ]
    means: FloatArray = whole.reshape(rows, side, columns, side).mean(axis=(1, 3))
    return means + _DIFFERENCE_FLOOR


def _correlation_peak(
    before: NDArray[np.complex64], after: NDArray[np.complex64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the displacement (x, y) at the peak of the whitened, smoothed cross-correlation.

    Args:
        before: Spectrum of the earlier image.
        after: Spectrum of the later one.
        shape: Of both images.
    """
    height, width = padded_hw(shape)
    surface = correlation_surface(before, after, (height, width), blur_px=_PEAK_SIGMA_PX)
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    y = row + _summit(surface[:, column], int(row))
    x = column + _summit(surface[row], int(column))
    return np.array([(x + width / 2) % width - width / 2, (y + height / 2) % height - height / 2])


def _overlap_peak(
    before: FloatArray, after: FloatArray, whole_xy: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Return the displacement (x, y) by the correlation of what both frames show.

    Args:
        before: float32 (H, W).
        after: float32 (H, W).
        whole_xy: (2,) pixels: about how far the scene has moved.
    """
    x, y = whole_xy
    height, width = after.shape
    seen_before, seen_after = (
        image[max(v, 0) : height + min(v, 0), max(u, 0) : width + min(u, 0)]
        for image, u, v in ((before, -x, -y), (after, x, y))
    )
    padded = padded_hw(seen_after.shape)
    peak_xy = _correlation_peak(
        windowed_spectrum(seen_before, padded),
        windowed_spectrum(seen_after, padded),
        seen_after.shape,
    )
    return whole_xy + peak_xy


def _summit(values: FloatArray, peak: int) -> float:
    """Return the offset of a maximum from its sample, by the Gaussian through its neighbours."""
    around = values[[peak - 1, peak, (peak + 1) % len(values)]]
    left, middle, right = np.log(np.maximum(around, np.finfo(np.float32).tiny))
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0
