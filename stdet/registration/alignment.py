"""Direct alignment of two frames by a similarity or a homography, with an honest error.

Features and phase correlation need corners or pure translations. Here all grey levels speak: the
map is found that brings the later frame onto the earlier one with the least squared difference,
robustly, by Gauss-Newton steps.

1. Starts: a guess; where that is not enough, no motion and the three highest peaks of the phase
   correlation of both frames at a quarter of the size, too. The two that explain most are refined
   there, the better one at half the size.
2. Pixels: of every tile those with the largest gradients, a quarter of all; others tell nothing.
3. Weights: the difference that an error of d pixels leaves at a pixel is d times its gradient. So
   the scale of a pixel's difference is sqrt(noise^2 + (d gradient)^2), with d falling from step to
   step. Targets, overlays and what moves by itself lose their weight as d falls.
4. Error: the covariance of the map, with differences taken as independent between tiles only.
   Noise, texture, and parts of the scene that move by themselves all show in it. Over a
   featureless sky and between unrelated frames it is large.
5. Model: a similarity; a homography where a further step, along all eight of its numbers, goes
   significantly farther than a similarity can.
6. Explained: a map by one period of a facade has a small error, too. So a map is trusted only
   where what it leaves of the frames' differences is little beside the frames' own contrast.

Symbols: J Jacobian (P, 15) of P pixels: eight columns for x, y, zoom, rotation, stretch, shear and
two numbers of perspective, and seven for light: gain, and a grey level that varies over the frame
as a polynomial of second degree. (Vignetting stands still while the scene moves, and over a sky it
would speak alone.) r difference (P,), less light; w weights (P,).

Source:
    Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 2004 (inverse compositional); Liang and
    Zeger 1986 (covariance over clusters). Pixels, weights and the use of the error are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.registration.compared_pixels import ComparedPixels
from stdet.registration.phase_correlation import correlation_surface
from stdet.registration.prepared_frame import COARSE, FINE, PreparedFrame
from stdet.registration.transform import Transform
from stdet.types import BoolArray, FloatArray

MAX_ERROR_PX = 0.1
"""Above this standard error an alignment is not trusted."""
MAX_UNEXPLAINED = 0.08
"""Nor above this share of unexplained contrast; a homography, which explains more, from three
quarters of it on. Of 10,000 known warps right ones left up to 0.05; the two that were wrong with
a small error, both homographies, left 0.07, and unrelated frames more than 0.6."""
_OF_HOMOGRAPHY = 0.75
_STEPS_PX = {
    COARSE: (2.0, 1.0, 0.7, 0.5, 0.3, 0.2),
    FINE: (0.5, 0.25, 0.12, 0.06, 0.05, 0.05),
}
"""Expected error before each Gauss-Newton step, pixels of the reduced image."""
_HOMOGRAPHY_STEPS_PX = (0.06, 0.05, 0.05)
_LAST_STEPS = 2
"""What is left of them where a step is shorter than the last expected error."""
_ENOUGH_PX = {COARSE: 0.02, FINE: 0.004}
"""A step shorter than this is the last."""
_TAIL = 6.0
"""Squared differences, in units of their scale, from which weights fall fast."""
_NUM_PEAKS = 3
_NUM_REFINED = 2
_MIN_SEEN = 0.15
"""Share of the pixels that must lie in both frames."""
_MAX_TURN = 0.2
"""Rotation, radians, and zoom of one step; a longer one has lost its way."""
MIN_SIDE_PX = 64
"""Smaller frames have too few tiles for an error."""
_INFLATION = 2.0
"""Of the standard error: noise of the gradients and differences shared by neighbouring tiles are
not in it. Measured on known warps of 25 sources (``benchmarks/registration.py``)."""
_ROUNDING = 3e-4
"""Of grey levels of 8 bits at half the size, full scale 1; no difference is known better."""
_PEAK_SIGMA_PX = 0.7
"""Blur of the phase correlation, pixels of the coarse image."""
_NUM_LIGHT = 7
_MIN_BEND_PX, _MIN_BEND = 0.05, 2.0
"""A homography is taken where it moves points by so much more than a similarity, and by so many
times its own error, root mean square over the frame."""
_INLIER = 0.25
"""Of the highest weight; pixels with less do not agree."""
_LESSER = 1.5
"""No motion must leave so many times what a map leaves, if it is to explain a part."""
_MOVING = 0.15
"""Share of the contrast that may move by itself; what is explained worst is left out."""
_GAIN_STEP = (-0.34, 0.5)
"""What may be a change of the camera's gain from one frame to the other."""
_EVERY = 4
_KEPT_NOISE = 0.08
"""Share of the power of white noise that is left at half the size."""
_SLOPE_FLOOR, _NOISE_FLOOR, _RIDGE = 1e-7, 1e-6, 1e-11
"""Keep flat frames from a division by zero; in units of full scale, squared, and relative."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Where the background of one frame lies in another.

    Attributes:
        transform: From the earlier frame to the later one.
        error_px: Standard error of the transform, root mean square over the frame, pixels;
            infinite where no transform was found.
        unexplained: Share of the frames' contrast that the transform does not explain, noise
            left out, 0 to 1.
        inliers: Share of the compared pixels that agree with the transform, 0 to 1.
    """

    transform: Transform
    error_px: float
    unexplained: float
    inliers: float

    @property
    def is_trusted(self) -> bool:
        """Whether the frames can be compared pixel by pixel."""
        limit = MAX_UNEXPLAINED * (1 if self.transform.is_affine else _OF_HOMOGRAPHY)
        return self.error_px <= MAX_ERROR_PX and self.unexplained <= limit


def align(
    before: PreparedFrame, after: PreparedFrame, *, guess: Transform | None = None
) -> Alignment:
    """Find the map that brings the background of one frame onto another.

    Args:
        before: The earlier frame, of at least 64x64 pixels.
        after: The later one, of the same size.
        guess: A further start; if it leads to a map that explains the frames, no other is tried.

    Raises:
        ValueError: If the sizes differ.

    Example:
        >>> scene = np.random.default_rng(0).random((150, 150)).astype(np.float32)
        >>> scene = cv2.GaussianBlur(scene, (0, 0), 2)
        >>> found = align(PreparedFrame(scene[:128, :128]), PreparedFrame(scene[3:131, 5:133]))
        >>> (found.transform.offset_xy.round(1) + 0.0).tolist(), found.is_trusted
        ([-5.0, -3.0], True)
    """
    if before.hw != after.hw:
        raise ValueError(f"frames of {before.hw} and {after.hw} cannot be aligned.")
    nothing = Alignment(
        transform=Transform.identity(), error_px=np.inf, unexplained=1.0, inliers=0.0
    )
    if min(before.hw) < MIN_SIDE_PX:
        return nothing
    if guess is not None:
        near = _align_finely(before, after, guess)
        if near is not None and not near.is_trusted and near.unexplained <= MAX_UNEXPLAINED:
            # Steps from a guess some pixels off may end before they arrive.
            near = _align_finely(before, after, near.transform)
        if near is not None and near.unexplained <= MAX_UNEXPLAINED:
            return near
    coarse = _align_coarsely(before, after, guess)
    found = None if coarse is None else _align_finely(before, after, coarse)
    return nothing if found is None else found


def _align_coarsely(
    before: PreparedFrame, after: PreparedFrame, guess: Transform | None
) -> Transform | None:
    """Return the best of the starts, refined at a quarter of the size; None where all fail."""
    starts = [Transform.identity(), *_correlation_peaks(before, after)]
    if guess is not None:
        starts.append(guess)
    starts.sort(key=lambda start: _misfit(before, after, start, error_px=1.0))
    matrices = [
        _refine(before.pixels(COARSE), after.reduced(COARSE), _at_level(start, COARSE), COARSE)
        for start in starts[:_NUM_REFINED]
    ]
    found = [_from_level(fit.matrix, COARSE) for fit in matrices if fit is not None]
    if not found:
        return None
    return min(found, key=lambda start: _misfit(before, after, start, error_px=0.5))


def _align_finely(
    before: PreparedFrame, after: PreparedFrame, start: Transform
) -> Alignment | None:
    """Refine a start at half the size, and choose the model; None where it is lost."""
    pixels, image = before.pixels(FINE), after.reduced(FINE)
    # What has been a homography from this key frame on stays one.
    num = 4 if start.is_affine else 8
    fit = _refine(pixels, image, _at_level(start, FINE), FINE, num=num)
    if fit is None:
        return None
    bent = _as_homography(pixels, image, fit) if num == 4 else None
    fit = fit if bent is None else bent
    share = _unexplained(before, after, fit.differences, fit.is_seen)
    if share > MAX_UNEXPLAINED:
        share = _unexplained_by_neither(before, after, fit, share)
    return Alignment(
        transform=_from_level(fit.matrix, FINE),
        error_px=_INFLATION * FINE * fit.error_px(pixels),
        unexplained=share,
        inliers=float((fit.weights > _INLIER * fit.weights.max()).sum() / fit.is_seen.sum()),
    )


def _unexplained_by_neither(
    before: PreparedFrame, after: PreparedFrame, fit: _Fit, share: float
) -> float:
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
    if _unexplained(before, after, still, is_seen) < _LESSER * share:
        return share
    least = np.where(np.abs(still) < np.abs(fit.differences), still, fit.differences)
    return _unexplained(before, after, least, fit.is_seen)


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
    return 1.0 if is_seen.mean() < _MIN_SEEN else _unexplained(before, after, differences, is_seen)


def _differences_of(
    before: PreparedFrame, after: PreparedFrame, transform: Transform
) -> tuple[FloatArray, BoolArray]:
    """Return the differences (P,) at half the size, less light, and which of them count."""
    pixels = before.pixels(FINE)
    differences, is_seen = pixels.differences(
        after.reduced(FINE), _at_level(transform, FINE), interpolation=cv2.INTER_LINEAR
    )
    if not is_seen.any():
        return differences, is_seen
    differences -= _middle(differences, is_seen)
    weights = _weights(differences, pixels.slopes, is_seen, error_px=0.5)
    weighted, _, normal = _normal(pixels, weights, 0)
    light = np.linalg.solve(normal, weighted.T @ differences)
    light[0] = np.clip(light[0], *_GAIN_STEP)
    return differences - pixels.light(light), is_seen


def _unexplained(
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
    importance = np.minimum(contrast, np.median(contrast) + _NOISE_FLOOR) * (count > 1)
    order = np.argsort(share)
    reached = np.cumsum(importance[order])
    kept_tiles = order[reached <= (1 - _MOVING) * reached[-1]]
    return float(
        (importance * share)[kept_tiles].sum() / (importance[kept_tiles].sum() + _NOISE_FLOOR)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    """A map between two reduced images, and what its last step was computed from.

    Attributes:
        matrix: From indices of the earlier image to those of the later one, float64 (3, 3).
        differences: r, before the last step.
        weights: w.
        is_seen: Which pixels both images show, bool (P,).
        num: Of the map's numbers, 4 or 8.
    """

    matrix: NDArray[np.float64]
    differences: FloatArray
    weights: FloatArray
    is_seen: BoolArray
    num: int

    def covariance(self, pixels: ComparedPixels, num: int) -> NDArray[np.float64]:
        """Return the covariance (num, num) of a map of so many numbers."""
        _, jacobian, normal = _normal(pixels, self.weights, num)
        scores = jacobian * (self.weights * self.differences)[:, None]
        by_tile = scores.reshape(pixels.num_tiles, -1, num + _NUM_LIGHT).sum(
            axis=1, dtype=np.float64
        )
        meat = by_tile.T @ by_tile + _ROUNDING**2 * normal
        bread = np.linalg.inv(normal)
        covariance: NDArray[np.float64] = (bread @ meat @ bread)[:num, :num]
        return covariance

    def error_px(self, pixels: ComparedPixels) -> float:
        """Return the standard error, root mean square over the frame, reduced pixels."""
        spread = pixels.spread[..., : self.num]
        variances = np.einsum("gai,ij,gaj->g", spread, self.covariance(pixels, self.num), spread)
        return float(np.sqrt(max(variances.mean(), 0)))


def _refine(
    pixels: ComparedPixels,
    image: FloatArray,
    matrix: NDArray[np.float64],
    reduction: int,
    *,
    num: int = 4,
    steps_px: tuple[float, ...] = (),
) -> _Fit | None:
    """Take Gauss-Newton steps from a start; None where they lose their way."""
    interpolation = cv2.INTER_LINEAR if reduction == COARSE else cv2.INTER_LANCZOS4
    steps_px = steps_px or _STEPS_PX[reduction]
    light = np.zeros(_NUM_LIGHT)
    number = 0
    while number < len(steps_px):
        step_px = steps_px[number]
        found, is_seen = pixels.differences(image, matrix, interpolation=interpolation)
        if is_seen.mean() < _MIN_SEEN:
            return None
        differences = found - pixels.light(light)
        differences -= _middle(differences, is_seen)
        weights = _weights(differences, pixels.slopes, is_seen, error_px=step_px)
        weighted, _, normal = _normal(pixels, weights, num)
        solution = np.linalg.solve(normal, weighted.T @ differences)
        numbers = np.asarray(solution[:num], np.float64)
        light = np.asarray(light + solution[num:], np.float64)
        light[0] = np.clip(light[0], *_GAIN_STEP)
        if np.abs(numbers[2:]).max() * pixels.to_unit[0, 0] > _MAX_TURN:
            return None
        matrix = matrix @ np.linalg.inv(pixels.step(numbers))
        length_px = np.hypot(*numbers[:2]) + np.hypot(*numbers[2:4])
        if step_px <= 2 * steps_px[-1] and length_px < _ENOUGH_PX[reduction]:
            break
        # A start that is nearly right needs no weights for one that is not.
        is_near = length_px < steps_px[-1]
        number = max(number + 1, len(steps_px) - _LAST_STEPS if is_near else 0)
    left = found - pixels.light(light)
    return _Fit(
        matrix=matrix / matrix[2, 2],
        differences=left - _middle(left, is_seen),
        weights=weights,
        is_seen=is_seen,
        num=num,
    )


def _normal(
    pixels: ComparedPixels, weights: FloatArray, num: int
) -> tuple[FloatArray, FloatArray, NDArray[np.float64]]:
    """Return w J, J and J^T w J for a map of 0, 4 or 8 numbers, and light."""
    jacobian = pixels.similarity if num == 4 else pixels.jacobian[:, 8 - num :]
    weighted = jacobian * weights[:, None]
    normal = (weighted.T @ jacobian).astype(np.float64)
    normal += _RIDGE * np.trace(normal) * np.eye(num + _NUM_LIGHT)
    return weighted, jacobian, normal


def _as_homography(pixels: ComparedPixels, image: FloatArray, fit: _Fit) -> _Fit | None:
    """Refine a similarity as a homography; None where that does not go significantly farther."""
    weighted, _, normal = _normal(pixels, fit.weights, 8)
    numbers = np.linalg.solve(normal, weighted.T @ fit.differences)[:8]
    bend_px = np.linalg.norm(pixels.spread[..., 4:] @ numbers[4:], axis=-1).max()
    is_wild = np.abs(numbers[2:]).max() * pixels.to_unit[0, 0] > _MAX_TURN
    if FINE * bend_px < _MIN_BEND_PX or is_wild:
        return None
    start = fit.matrix @ np.linalg.inv(pixels.step(numbers))
    bent = _refine(pixels, image, start, FINE, num=8, steps_px=_HOMOGRAPHY_STEPS_PX)
    if bent is None:
        return None
    apart_px = np.sqrt((pixels.distances(fit.matrix, bent.matrix) ** 2).mean())
    return bent if apart_px > _MIN_BEND * _INFLATION * bent.error_px(pixels) else None


def _middle(values: FloatArray, is_seen: BoolArray) -> float:
    """Return the median of the pixels (P,) that count; every fourth tells it well enough."""
    some = values[::_EVERY][is_seen[::_EVERY]]
    return float(np.median(some if len(some) else values))


def _misfit(
    before: PreparedFrame, after: PreparedFrame, transform: Transform, *, error_px: float
) -> float:
    """Return how much of the coarse differences is more than a small error would leave, 0 to 1."""
    pixels = before.pixels(COARSE)
    matrix = _at_level(transform, COARSE)
    differences, is_seen = pixels.differences(
        after.reduced(COARSE), matrix, interpolation=cv2.INTER_LINEAR
    )
    if is_seen.mean() < _MIN_SEEN:
        return 1.0
    differences = differences[is_seen] - _middle(differences, is_seen)
    ratio = differences**2 / (pixels.slopes[is_seen] * error_px**2 + _SLOPE_FLOOR)
    return float((ratio / (1 + ratio)).mean())


def _weights(
    differences: FloatArray, slopes: FloatArray, is_seen: BoolArray, *, error_px: float
) -> FloatArray:
    """Return the weights of the pixels (P,); see step 3 of the module."""
    noise = 1.4826 * _middle(np.abs(differences), is_seen) + _ROUNDING
    scale = noise**2 + slopes * error_px**2
    weights = noise**2 / scale / (1 + differences**2 / (_TAIL * scale)) ** 2
    return np.where(is_seen, weights, 0).astype(np.float32)


def _correlation_peaks(before: PreparedFrame, after: PreparedFrame) -> list[Transform]:
    """Return the translations at the highest peaks of the coarse phase correlation."""
    height, width = after.reduced(COARSE).shape
    surface = correlation_surface(
        before.coarse_spectrum, after.coarse_spectrum, (height, width), blur_px=_PEAK_SIGMA_PX
    )
    peaks = []
    for _ in range(_NUM_PEAKS):
        row, column = np.unravel_index(surface.argmax(), surface.shape)
        x = (int(column) + width // 2) % width - width // 2
        y = (int(row) + height // 2) % height - height // 2
        peaks.append(Transform.translation((COARSE * x, COARSE * y)))
        around = np.arange(-2, 3)
        surface[np.ix_((row + around) % height, (column + around) % width)] = -np.inf
    return peaks


def _at_level(transform: Transform, reduction: int) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of a transform between indices of reduced images."""
    to_level = _indices(reduction)
    return to_level @ transform.matrix @ np.linalg.inv(to_level)


def _indices(reduction: int) -> NDArray[np.float64]:
    """Return the map (3, 3) from continuous pixels to indices of the reduced image."""
    return np.array([[1 / reduction, 0, -0.5], [0, 1 / reduction, -0.5], [0, 0, 1]])


def _from_level(matrix: NDArray[np.float64], reduction: int) -> Transform:
    """Return the transform of a matrix (3, 3) between indices of reduced images."""
    to_level = _indices(reduction)
    return Transform(np.linalg.inv(to_level) @ matrix @ to_level)
