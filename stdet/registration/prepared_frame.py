"""A frame and what is computed once for all frames that it is compared with."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stdet.registration.column_stripes import column_stripes
from stdet.registration.compared_pixels import ComparedPixels
from stdet.registration.median import median
from stdet.registration.phase_correlation import windowed_spectrum
from stdet.types import BoolArray, FloatArray

COARSE, FINE = 4, 2
"""Reductions of the size at which frames are aligned."""
_TILE_PX = {COARSE: 8, FINE: 16}
_SMALL_TILE_PX = {COARSE: 4, FINE: 8}
_SMALL_SIDE_PX = 128
"""Frames with a shorter side have smaller tiles, so that there are enough for an error."""
_SHARE = {COARSE: 0.5, FINE: 0.25}
"""Pixels of a tile that are used, at most."""
_ENOUGH_PIXELS = 4096
"""Of a reduced image; with more the error gets no smaller that matters."""
_BLUR_SIGMA_PX = 1.0
"""Before each halving of the size; less leaves aliases, which pull towards whole pixels."""
_SMOOTHING_SIGMA_PX = 1.0
_ROUGHNESS = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
_AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


class PreparedFrame:
    """A frame whose pyramid, spectra and gradients are computed when they are first needed.

    Single pixels that stand out are brought to the range of their neighbours: bad pixels stay
    where they are, and over a smooth scene they would carry every estimate. Reduced images are
    without the stripes of columns, which stay, too.

    Args:
        image: float32 (H, W).
        is_ignored: Pixels that say nothing of the scene, bool (H, W): they are not compared.
    """

    def __init__(self, image: FloatArray, is_ignored: BoolArray | None = None) -> None:
        """Compute nothing yet."""
        self.image = image
        self.is_ignored = is_ignored
        self._pixels: dict[int, ComparedPixels] = {}

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def even(self) -> FloatArray:
        """The image without single pixels that stand out, float32 (H, W)."""
        return np.clip(self.image, *neighbour_range(self.image))

    def reduced(self, reduction: int) -> FloatArray:
        """Return the even image without stripes at 1 / ``reduction`` of its size."""
        return self._half if reduction == FINE else self._quarter

    def pixels(self, reduction: int) -> ComparedPixels:
        """Return the pixels to compare at 1 / ``reduction`` of the size."""
        if reduction not in self._pixels:
            reduced = self.reduced(reduction)
            is_ignored: BoolArray | None = None
            if self.is_ignored is not None:
                height, width = reduced.shape
                whole = self.is_ignored[: height * reduction, : width * reduction]
                blocks = whole.reshape(height, reduction, width, reduction)
                is_ignored = np.asarray(blocks.any(axis=(1, 3)), np.bool_)
            tile_px = _SMALL_TILE_PX if min(self.hw) < _SMALL_SIDE_PX else _TILE_PX
            self._pixels[reduction] = ComparedPixels.of(
                reduced,
                tile_px=tile_px[reduction],
                share=min(_SHARE[reduction], _ENOUGH_PIXELS / reduced.size),
                is_ignored=is_ignored,
            )
        return self._pixels[reduction]

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the noise, from differences of neighbours; texture adds to it.

        Source:
            Immerkaer 1996; the median instead of the mean.
        """
        rough = np.abs(cv2.filter2D(self.even, -1, _ROUGHNESS)[::3, ::3])
        return 1.4826 * median(rough)

    @cached_property
    def coarse_spectrum(self) -> NDArray[np.complex64]:
        """Spectrum of the coarse image less its mean, under a Hann window."""
        return windowed_spectrum(self._quarter, self._quarter.shape)

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """Spectrum of the even image less its mean, under a Hann window, padded."""
        return windowed_spectrum(self.even, padded_hw(self.image.shape))

    @cached_property
    def smooth(self) -> FloatArray:
        """The even image blurred, float32 (H, W)."""
        return blurred(self.even, _SMOOTHING_SIGMA_PX)

    @cached_property
    def _half(self) -> FloatArray:
        return _halved(self.even - column_stripes(self.even))

    @cached_property
    def _quarter(self) -> FloatArray:
        return _halved(self._half)


def neighbour_range(image: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest of the eight neighbours of every pixel, (H, W) each."""
    lowest, highest = (
        np.asarray(extreme(image, _AROUND, borderType=cv2.BORDER_REFLECT_101), np.float32)
        for extreme in (cv2.erode, cv2.dilate)
    )
    return lowest, highest


def padded_hw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the next sides of which a Fourier transform is fast; that of prime sides is slow."""
    return tuple(fft.next_fast_len(side, real=True) for side in shape)


def blurred(image: FloatArray, sigma_px: float, *, out: FloatArray | None = None) -> FloatArray:
    """Return an image (H, W) under a Gaussian of 2.5 standard deviations to each side.

    Args:
        image: float32 (H, W).
        sigma_px: Standard deviation, pixels.
        out: float32 (H, W) for what is returned; None for a new array.
    """
    side = 2 * round(2.5 * sigma_px) + 1
    soft = cv2.GaussianBlur(
        image, (side, side), sigma_px, dst=out, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(soft, np.float32)


def _halved(image: FloatArray) -> FloatArray:
    """Return an image (H, W) at half its size, without aliases."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    blurred = cv2.GaussianBlur(image[: 2 * height, : 2 * width], (0, 0), _BLUR_SIGMA_PX)
    halved = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(halved, np.float32)
