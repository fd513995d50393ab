"""How far the background of a video moves from one frame to the next: one translation per pair.

Phase correlation finds the displacement to a fraction of a pixel. It is believed only where it
explains the frame better than no motion at all: over a featureless sky the correlation peak is
noise. A least-squares refinement on grey-level gradients was tried and made things worse: it turns
the exact zero of a camera at rest into a few hundredths of a pixel, and the interpolation that
follows blurs hard edges into residuals.

Positions are continuous pixels. ``shift_xy`` is the displacement of the background in the frame:
what was at x in the earlier frame is at x + shift in the later one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stdet.types import FloatArray

_WHITENING_FLOOR = 1e-3
"""Added to each spectral magnitude, relative to their mean, so that empty frequencies stay out."""


class CameraMotion:
    """Estimate the background's displacement between successive frames of one size.

    Source:
        Kuglin and Hines 1975 (phase correlation), with a parabola through the peak's neighbours.

    Example:
        >>> frames = np.random.default_rng(0).random((40, 40)).astype(np.float32)
        >>> motion = CameraMotion()
        >>> motion.push(frames[:32, :32])
        array([0., 0.])
        >>> motion.push(frames[2:34, 5:37]).round(1)
        array([-5., -2.])
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self._previous: FloatArray | None = None
        self._spectrum: NDArray[np.complex64] | None = None
        self._window: FloatArray | None = None

    def push(self, frame: FloatArray) -> NDArray[np.float64]:
        """Take the next frame, float32 (H, W).

        Returns:
            float64 (2,): displacement (x, y) of the background since the frame before, pixels;
            zeros for the first frame.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        previous, old_spectrum = self._previous, self._spectrum
        if self._window is None:
            self._window = np.outer(np.hanning(frame.shape[0]), np.hanning(frame.shape[1])).astype(
                np.float32
            )
        if previous is not None and previous.shape != frame.shape:
            raise ValueError(f"frame is {frame.shape}; the one before is {previous.shape}.")
        spectrum = fft.rfft2((frame - frame.mean()) * self._window)
        self._previous, self._spectrum = frame, spectrum
        if previous is None or old_spectrum is None:
            return np.zeros(2)
        shift_xy = _correlation_peak(old_spectrum, spectrum, frame.shape)
        moved = np.median(np.abs(frame - translate(previous, shift_xy)))
        still = np.median(np.abs(frame - previous))
        return shift_xy if moved < still else np.zeros(2)


def translate(image: FloatArray, shift_xy: NDArray[np.float64]) -> FloatArray:
    """Move an image by a fraction of a pixel, bilinearly; edges are repeated.

    Args:
        image: float32 (H, W).
        shift_xy: What was at x is at x + shift, pixels.

    Returns:
        float32 (H, W).
    """
    height, width = image.shape
    whole = np.floor(shift_xy)
    along_x, along_y = (shift_xy - whole).astype(np.float32)
    columns = np.clip(np.arange(-1, width) - int(whole[0]), 0, width - 1)
    rows = np.clip(np.arange(-1, height) - int(whole[1]), 0, height - 1)
    patch = image[rows[:, None], columns]
    patch = patch[1:] * (1 - along_y) + patch[:-1] * along_y
    moved: FloatArray = patch[:, 1:] * (1 - along_x) + patch[:, :-1] * along_x
    return moved


def _correlation_peak(
    before: NDArray[np.complex64], after: NDArray[np.complex64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the displacement (x, y) at the peak of the whitened cross-correlation."""
    cross = after * before.conj()
    magnitude = np.abs(cross)
    cross /= magnitude + _WHITENING_FLOOR * magnitude.mean() + np.finfo(np.float32).tiny
    surface = fft.irfft2(cross, s=shape)
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    y = row + _parabola(surface[:, column], int(row))
    x = column + _parabola(surface[row], int(column))
    height, width = shape
    return np.array([(x + width / 2) % width - width / 2, (y + height / 2) % height - height / 2])


def _parabola(values: FloatArray, peak: int) -> float:
    """Return the offset of a maximum from its sample, by the parabola through its neighbours."""
    left, middle, right = values[peak - 1], values[peak], values[(peak + 1) % len(values)]
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0
