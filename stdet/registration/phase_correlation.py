"""Phase correlation: the spectrum of an image, and the correlation of two of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stdet.types import FloatArray

_WHITENING_FLOOR = 1e-3
"""Added to each spectral magnitude, relative to their mean, so that empty frequencies stay out."""


def windowed_spectrum(image: FloatArray, hw: tuple[int, ...]) -> NDArray[np.complex64]:
    """Return the spectrum of an image less its mean, under a Hann window.

    Args:
        image: float32 (H, W).
        hw: Height and width to which it is padded.
    """
    windowed = (image - image.mean()) * _window(*image.shape)
    spectrum: NDArray[np.complex64] = fft.rfft2(windowed, s=hw)
    return spectrum


def correlation_surface(
    before: NDArray[np.complex64],
    after: NDArray[np.complex64],
    hw: tuple[int, ...],
    *,
    blur_px: float,
) -> FloatArray:
    """Return the whitened, smoothed cross-correlation, float32 (H, W), cyclic.

    Args:
        before: Spectrum of the earlier image.
        after: Spectrum of the later one.
        hw: Height and width of both, padding included.
        blur_px: Standard deviation of the blur, pixels.
    """
    height, width = hw
    cross = after * before.conj()
    magnitude = np.abs(cross)
    cross /= magnitude + _WHITENING_FLOOR * magnitude.mean() + np.finfo(np.float32).tiny
    surface: FloatArray = fft.irfft2(cross * _lowpass(height, width, blur_px), s=(height, width))
    return surface


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> FloatArray:
    """Return a Hann window, float32 (H, W)."""
    along_y, along_x = (np.hanning(side).astype(np.float32) for side in (height, width))
    window: FloatArray = np.outer(along_y, along_x)
    return window


@lru_cache(maxsize=8)
def _lowpass(height: int, width: int, blur_px: float) -> FloatArray:
    """Return the transfer of a Gaussian blur, float32 (H, W // 2 + 1)."""
    along_y, along_x = (
        np.exp(-2 * (np.pi * blur_px * frequency) ** 2).astype(np.float32)
        for frequency in (np.fft.fftfreq(height), np.fft.rfftfreq(width))
    )
    transfer: FloatArray = np.outer(along_y, along_x)
    return transfer
