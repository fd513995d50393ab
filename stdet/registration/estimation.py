"""How the background of a video moved from one frame to another: a translation or a similarity.

A similarity (shift, rotation, zoom) is found by direct alignment of both frames and believed where
its own error says so (``alignment.py``). The rest of this module is about translations, and what
a similarity falls back to.

Phase correlation finds the displacement to some hundredths of a pixel. It is believed only where
it explains the frame as a whole better than no motion at all: over a featureless sky the peak is
noise, or the target itself. Frames some way apart are compared with one another directly:
displacements from frame to frame, added up over 20 frames, are wrong by half a pixel and more on
DAUB, which leaves every edge in a difference (``docs/decisions/0011``). A least-squares refinement
on grey-level gradients, of a translation or of an affine map, gained nothing over this.

A long displacement is measured again in what both frames show (``docs/decisions/0012``).

Callers get a ``Transform`` and rely on no more than that; within this module ``shift_xy`` is the
translation's displacement in pixels: what was at x in the earlier frame is at x + shift in the
later one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter

from stdet.config import CameraMotionModel
from stdet.registration.alignment import Alignable, align
from stdet.registration.phase_correlation import correlation_surface, windowed_spectrum
from stdet.registration.transform import Transform
from stdet.types import FloatArray

NEIGHBOURS = tuple((y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1))
"""Row and column of the eight neighbours of a pixel in a frame padded by one."""
_PEAK_SIGMA_PX = 1.0
"""The whitened correlation of two equal frames is one sample wide; blurred so far, its summit can
be told to a hundredth of a pixel. Noise, which whitening lifts, goes with it."""
_SMOOTHING_SIGMA_PX = 1.0
"""Of the frames in which displacements are compared with no motion."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedFrame:
    """A frame and what is computed once for all frames that it is compared with.

    Attributes:
        image: float32 (H, W).
        smooth: float32 (H, W), without single pixels that stand out, blurred.
        spectrum: complex64, of the frame without such pixels, less its mean, under a Hann window,
            padded. Over a smooth scene bad pixels, which stay where they are, would make
            the highest peak.
        alignable: The frame prepared for a similarity; None where a translation is estimated.
    """

    image: FloatArray
    smooth: FloatArray
    spectrum: NDArray[np.complex64]
    alignable: Alignable | None = None

    @classmethod
    def of(cls, image: FloatArray, motion: CameraMotionModel = "translation") -> PreparedFrame:
        """Prepare a frame, float32 (H, W), for a model of motion."""
        even = np.clip(image, *neighbour_range(image))
        return cls(
            image=image,
            smooth=gaussian_filter(even, _SMOOTHING_SIGMA_PX, mode="nearest", truncate=2.5),
            spectrum=_spectrum(even),
            alignable=Alignable(even) if motion == "similarity" else None,
        )


def estimate_transform(
    before: PreparedFrame, after: PreparedFrame, *, guess: Transform | None = None
) -> Transform:
    """Return the transform of the background from one frame to another.

    Of the guess and the peak of the phase correlation it is the one that explains more; if that is
    long, the peak for what both frames show, where that explains still more; and the identity
    where none explains clearly more than no motion. What only one of two frames shows pulls their
    correlation towards zero.

    Frames that are prepared for a similarity are aligned by one, where its error is small enough
    to be trusted; else the translation is returned.

    Args:
        before: The earlier frame.
        after: The later one, of the same size.
        guess: Frames far apart may share too little for a correlation.

    Returns:
        A translation or a similarity.

    Source:
        Kuglin and Hines 1975 (phase correlation), the peak blurred and a Gaussian put through its
        neighbours. The comparison by tiles is ours.
    """
    if before.alignable is not None and after.alignable is not None:
        alignment = align(before.alignable, after.alignable, guess=guess)
        if alignment.is_trusted:
            return alignment.transform
    candidates = [_correlation_peak(before.spectrum, after.spectrum, after.image.shape)]
    if guess is not None:
        candidates.append(guess.offset_xy)
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
    whole = np.abs(difference - np.median(difference[::2, ::2]))[: rows * side, : columns * side]
    means: FloatArray = whole.reshape(rows, side, columns, side).mean(axis=(1, 3))
    return means + _DIFFERENCE_FLOOR


class CameraMotion:
    """Estimate the background's transform between successive frames of one size.

    Example:
        >>> frames = np.random.default_rng(0).random((40, 40)).astype(np.float32)
        >>> motion = CameraMotion()
        >>> motion.push(frames[:32, :32]).offset_xy
        array([0., 0.])
        >>> motion.push(frames[2:34, 5:37]).offset_xy.round(1)
        array([-5., -2.])
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self._newest: PreparedFrame | None = None

    def push(self, frame: FloatArray) -> Transform:
        """Take the next frame, float32 (H, W).

        Returns:
            The transform of the background from the frame before to this one; the identity for
            the first frame.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        previous = self._newest
        if previous is not None and previous.image.shape != frame.shape:
            raise ValueError(f"frame is {frame.shape}; the one before is {previous.image.shape}.")
        self._newest = PreparedFrame.of(frame)
        if previous is None:
            return Transform.identity()
        return estimate_transform(previous, self._newest)


def neighbour_range(image: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest of the eight neighbours of every pixel, (H, W) each."""
    height, width = image.shape
    padded = np.pad(image, 1, mode="reflect")
    lowest, highest = np.full_like(image, np.inf), np.full_like(image, -np.inf)
    for y, x in NEIGHBOURS:
        neighbour = padded[y : y + height, x : x + width]
        np.minimum(lowest, neighbour, out=lowest)
        np.maximum(highest, neighbour, out=highest)
    return lowest, highest


def _spectrum(image: FloatArray) -> NDArray[np.complex64]:
    """Return the spectrum of an image (H, W) less its mean, under a Hann window and padded."""
    return windowed_spectrum(image, _padded(image.shape))


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the next sides of which a Fourier transform is fast; that of prime sides is slow."""
    return tuple(fft.next_fast_len(side, real=True) for side in shape)


def _correlation_peak(
    before: NDArray[np.complex64], after: NDArray[np.complex64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the displacement (x, y) at the peak of the whitened, smoothed cross-correlation.

    Args:
        before: Spectrum of the earlier image.
        after: Spectrum of the later one.
        shape: Of both images.
    """
    height, width = _padded(shape)
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
    peak_xy = _correlation_peak(_spectrum(seen_before), _spectrum(seen_after), seen_after.shape)
    return whole_xy + peak_xy


def _summit(values: FloatArray, peak: int) -> float:
    """Return the offset of a maximum from its sample, by the Gaussian through its neighbours."""
    around = values[[peak - 1, peak, (peak + 1) % len(values)]]
    left, middle, right = np.log(np.maximum(around, np.finfo(np.float32).tiny))
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0
