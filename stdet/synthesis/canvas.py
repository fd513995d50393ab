"""Canvases larger than the frame: random fields, layers, and windows cut out of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from stdet.synthesis.spots import Float
from stdet.types import FloatArray

MARGIN_PX = 8
"""Canvas beyond the outermost position of the frame."""


@dataclass(kw_only=True, eq=False)
class Layer:
    """One sheet of the scene.

    Attributes:
        image: float32 (Hc, Wc), levels.
        opacity: float32 (Hc, Wc) in [0, 1]; empty (0, 0) for an opaque sheet.
        parallax: How far it moves when the background moves by 1; 1 is the background, 0 the
            distance at infinity of a camera that only turns.
        velocity_xy: Its own motion over the background, pixels per frame.
        hides_targets: Whether targets fly behind it.
        shimmer: float32 (Hc, Wc), a second pattern that ``image`` swings into and out of (waves),
            or empty.
        shimmer_frames: Time of one swing, frames.
    """

    image: FloatArray
    opacity: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    parallax: float = 1.0
    velocity_xy: tuple[float, float] = (0.0, 0.0)
    hides_targets: bool = False
    shimmer: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    shimmer_frames: float = 20.0


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Where the frame lies on a canvas.

    Attributes:
        corner_xy: Top-left corner of the unrotated frame on the canvas, pixels.
        angle: Turn of the frame about its middle, radians.
        hw: Size of the frame.
    """

    corner_xy: Float
    angle: float
    hw: tuple[int, int]


def cut(canvas: FloatArray, view: View) -> FloatArray:
    """Cut a frame out of a canvas at a sub-pixel position, bilinearly.

    Args:
        canvas: float32 (Hc, Wc).
        view: Must lie within the canvas.

    Returns:
        float32 (H, W).
    """
    if view.angle:
        return _cut_turned(canvas, view)
    height, width = view.hw
    left, top = np.floor(view.corner_xy).astype(int)
    right_share, lower_share = (np.float32(share) for share in view.corner_xy - (left, top))
    patch = canvas[top : top + height + 1, left : left + width + 1]
    rows = patch[:-1] + (patch[1:] - patch[:-1]) * lower_share if lower_share else patch[:-1]
    if not right_share:
        return rows[:, :-1].copy()
    window: FloatArray = rows[:, :-1] + (rows[:, 1:] - rows[:, :-1]) * right_share
    return window


def _cut_turned(canvas: FloatArray, view: View) -> FloatArray:
    """Cut a turned frame: look up the four neighbours of every pixel."""
    height, width = view.hw
    cosine, sine = np.float32(np.cos(view.angle)), np.float32(np.sin(view.angle))
    x = np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - height / 2)
    middle_x, middle_y = view.corner_xy + np.array([width / 2, height / 2]) - 0.5
    at_x = x * cosine - y * sine + np.float32(middle_x)
    at_y = x * sine + y * cosine + np.float32(middle_y)
    column = np.clip(at_x, 0, canvas.shape[1] - 1.001).astype(np.int32)
    row = np.clip(at_y, 0, canvas.shape[0] - 1.001).astype(np.int32)
    at_x -= column
    at_y -= row
    flat = canvas.ravel()
    first = row * canvas.shape[1] + column
    upper = flat[first]
    upper += (flat[first + 1] - upper) * at_x
    first += canvas.shape[1]
    lower = flat[first]
    lower += (flat[first + 1] - lower) * at_x
    upper += (lower - upper) * at_y
    turned: FloatArray = upper
    return turned


def fractal(
    rng: np.random.Generator, hw: tuple[int, int], exponent: float, *, stretch: float = 1.0
) -> FloatArray:
    """Return a random field with amplitude 1 / frequency ** exponent, mean 0 and deviation 1.

    Real clouds and terrain have spectra near such power laws; exponents of 1 to 2 look like them.

    Args:
        rng: Source of chance.
        hw: Size of the canvas.
        exponent: Larger is smoother.
        stretch: Above 1 draws the field out along x.
    """
    size = tuple(scipy.fft.next_fast_len(side, real=True) for side in hw)
    fy = np.fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size[1]).astype(np.float32)[None, :] * np.float32(stretch)
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1
    gain = frequency ** np.float32(-exponent)
    gain[0, 0] = 0  # Carries the mean.
    white = scipy.fft.rfft2(rng.standard_normal(size, dtype=np.float32))
    whole = scipy.fft.irfft2(white * gain, s=size)
    field_: FloatArray = np.ascontiguousarray(whole[: hw[0], : hw[1]], dtype=np.float32)
    field_ -= field_.mean()
    field_ /= field_.std()
    return field_


def step(distance: NDArray[np.floating]) -> FloatArray:
    """Rise from 0 to 1 over about a pixel around 0."""
    rise: FloatArray = ((1 + np.tanh(2 * distance)) / 2).astype(np.float32)
    return rise


def smooth_step(values: NDArray[np.floating], low: float, high: float) -> FloatArray:
    """Rise from 0 at ``low`` to 1 at ``high`` with level ends."""
    share = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    rise: FloatArray = share * share * (3 - 2 * share)
    return rise
