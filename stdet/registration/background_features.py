"""What moves against the background: each frame minus registered frames of other times.

In clutter a small target is rarely the brightest spot of its frame: on DAUB's data13, data17 and
data22 tens to hundreds of spots have more local contrast (``docs/decisions/0007``). Against the
background it moves, though, and a difference to earlier frames, brought into register, leaves
little else. Where a target hovers, contrast in the frame itself is all there is; how much of it
stands out depends on what is around. Three features per frame, images of its size:

residual
    median over five reference frames s of  I_t - warp(I_s, transform from s to t) - offset_s,
    offset_s being the spatial median of that difference (a gain step of the camera). They are
    the frames ``LAGS`` before t; ``references.py`` says which at the start of a sequence.
contrast
    the residual smoothed, minus its local mean, over the root of its local mean square and of what
    an error of registration leaves, (0.1 px)^2 times the local mean square of the gradient of
    frame - residual, the background: how far a spot stands out among the residuals around it,
    which are large along hard edges and in waving trees (``docs/decisions/0012``).
still contrast
    the frame itself smoothed, minus its local mean, over its local root mean square.

The median over five frames needs a spot to be absent from three of them at its present place, so
that a target leaves no ghosts where it has been, and a spot that blinks for one frame does not
spoil five. (In a sequence of fewer than six frames one stands for several, and there are ghosts.)
All depend on a frame and on these alone: in a stream each frame's are computed once.

Two more, where they are asked for, show what hovers: residual and contrast against long-term
reference frames, 24 to 120 frames before t. In the first 24 frames they are those above.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stdet.registration.median import median, pixelwise_median
from stdet.registration.prepared_frame import blurred
from stdet.registration.references import steady_from
from stdet.registration.registered_stream import RegisteredFrame
from stdet.registration.transform import Warped
from stdet.types import FloatArray

LAGS = (4, 8, 12, 16, 20)
"""Frames from a frame back to its reference frames. At half a pixel per frame, DAUB's slow half, a
target of 3 px has left its place after about six frames."""
STEADY_FROM = steady_from(LAGS)
"""From this frame on a stream has the features of each frame as it comes in."""
_SMOOTHING_SIGMA_PX = 0.7
_MEAN_SIDE_PX = 17
_RMS_SIDE_PX = 21
_RMS_FLOOR = 0.003
"""Keeps quantisation steps of a flat sky from looking like contrast, in units of full scale."""
_REGISTRATION_ERROR_PX = 0.1
"""Assumed where a residual is judged: an edge leaves a tenth of its slope per pixel."""
_GRADIENT_SIDE_PX = 5
_BAND_PIXELS = 32768
"""Residuals are computed for so many pixels at a time, which stay in the processor's cache."""


def background_features(registered: RegisteredFrame) -> FloatArray:
    """Compute the background features of one frame.

    Args:
        registered: With the reference frames of ``LAGS``.

    Returns:
        float32 (3, H, W): residual, in units of full scale, and the two contrasts, without unit.
        (5, H, W) where it has long-term reference frames: residual and contrast of these, too.

    Example:
        >>> from stdet.registration.registered_stream import register_frames
        >>> first, *_ = register_frames(np.zeros((3, 24, 32), np.float32), LAGS)
        >>> background_features(first).shape
        (3, 24, 32)
    """
    return frame_and_features(registered)[1:]


def frame_and_features(registered: RegisteredFrame) -> FloatArray:
    """Return a frame and its background features, float32 (1 + 3, H, W) or (1 + 5, H, W).

    Args:
        registered: As for ``background_features``.
    """
    residuals = [registered_residual(registered)]
    long_term = registered.long_term
    if long_term is not None:
        has_own = long_term.steps != registered.steps
        residuals.append(registered_residual(long_term) if has_own else residuals[0])
    return with_contrasts(registered.image, residuals)


def with_contrasts(frame: FloatArray, residuals: Sequence[FloatArray]) -> FloatArray:
    """Return a frame, residuals of it, and the contrasts that belong to them.

    Args:
        frame: float32 (H, W).
        residuals: float32 (H, W): the residual, or that and the long-term one; in the first frames
            these may be one array.

    Returns:
        As ``frame_and_features``.
    """
    channels = np.empty((2 + 2 * len(residuals), *frame.shape), np.float32)
    channels[0] = frame
    features = channels[1:]
    local_contrast(frame, out=features[2])
    for number, residual in enumerate(residuals):
        at, contrast = features[3 * number : 3 * number + 2]
        if number and residual is residuals[0]:
            at[:], contrast[:] = features[:2]
        else:
            at[:] = residual
            residual_contrast(residual, frame, out=contrast)
    return channels


def residuals_of(features: FloatArray) -> list[FloatArray]:
    """Return the residuals (H, W) of background features (3 or 5, H, W)."""
    return [features[at] for at in range(0, len(features), 3)]


def registered_residual(registered: RegisteredFrame) -> FloatArray:
    """Return the residual, float32 (H, W); argument as in ``background_features``."""
    frame = registered.image
    moved = [registered.moved(number) for number in range(len(registered.references))]
    brighter = [np.float32(0 if each is None else _brighter(frame, each.image)) for each in moved]
    residual = np.empty_like(frame)
    num_rows = max(_BAND_PIXELS // frame.shape[1], 1)
    for top in range(0, len(frame), num_rows):
        rows = slice(top, top + num_rows)
        residual[rows] = pixelwise_median(
            [
                _difference(frame, each, offset, rows)
                for each, offset in zip(moved, brighter, strict=True)
            ]
        )
    return residual


def _brighter(frame: FloatArray, moved: FloatArray) -> float:
    """Return how much brighter a frame is; a quarter of a quarter of the pixels tells it."""
    return median(frame[::4, ::4] - moved[::4, ::4])


def _difference(
    frame: FloatArray, moved: Warped | None, brighter: np.float32, rows: slice
) -> FloatArray:
    """Return rows of what a frame has more than a reference frame.

    Of what the reference frame does not show, nobody can say that it changed; nor of any of it
    where the two are not registered.
    """
    if moved is None:
        return np.zeros_like(frame[rows])
    difference: FloatArray = frame[rows] - moved.image[rows]
    difference -= brighter
    moved.clear_uncovered(difference, rows)
    return difference


def residual_contrast(
    residual: FloatArray, frame: FloatArray, *, out: FloatArray | None = None
) -> FloatArray:
    """Return how far a residual stands out from those around it and from registration errors.

    Args:
        residual: float32 (H, W), units of full scale.
        frame: float32 (H, W), the frame that it is of; frame - residual is the background. An
            error of registration of 0.1 px leaves 0.1 of the background's gradient; its square
            counts beside the local mean square.
        out: float32 (H, W) for what is returned; None for a new array.

    Returns:
        float32 (H, W), without unit.
    """
    background = blurred(frame - residual, _SMOOTHING_SIGMA_PX)
    steepness = _local_mean(_squared_gradient(background), _GRADIENT_SIDE_PX)
    steepness *= np.float32(_REGISTRATION_ERROR_PX**2)
    return local_contrast(residual, steepness, out=out)


def local_contrast(
    image: FloatArray, expected_power: FloatArray | None = None, *, out: FloatArray | None = None
) -> FloatArray:
    """Return how far each pixel stands out: smoothed, minus local mean, over local RMS.

    Args:
        image: float32 (H, W), units of full scale.
        expected_power: float32 (H, W), added to the local mean square, full scale squared; None
            for nothing.
        out: float32 (H, W) for what is returned; None for a new array.

    Returns:
        float32 (H, W), without unit.
    """
    smooth = blurred(image, _SMOOTHING_SIGMA_PX, out=out)
    smooth -= _local_mean(image, _MEAN_SIDE_PX)
    power = _local_mean(smooth * smooth, _RMS_SIDE_PX)
    # Running sums leave rounding errors below zero where all is flat.
    np.maximum(power, 0, out=power)
    if expected_power is not None:
        power += expected_power
    power += np.float32(_RMS_FLOOR**2)
    smooth /= np.sqrt(power, out=power)
    return smooth


def _squared_gradient(image: FloatArray) -> FloatArray:
    """Return the squared length of the gradient per pixel; central, at the edges one-sided."""
    along_x, along_y = (
        np.asarray(
            cv2.Sobel(image, -1, *way, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE),
            np.float32,
        )
        for way in ((1, 0), (0, 1))
    )
    along_x[:, [0, -1]] *= 2
    along_y[[0, -1]] *= 2
    along_x *= along_x
    along_y *= along_y
    along_x += along_y
    return along_x


def _local_mean(image: FloatArray, side_px: int) -> FloatArray:
    """Return the mean over a square about every pixel of an image (H, W)."""
    square = (side_px, side_px)
    return np.asarray(cv2.blur(image, square, borderType=cv2.BORDER_REPLICATE), np.float32)
