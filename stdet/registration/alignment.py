"""Direct alignment of two frames by a similarity, with an honest error.

Features and phase correlation need corners or pure translations. Here all grey levels speak: the
similarity (shift, rotation, zoom) is found that brings the later frame onto the earlier one with
the least squared difference, robustly, by Gauss-Newton steps.

1. Starts: no motion, a guess, and the three highest peaks of the phase correlation of both frames
   at a quarter of the size. The two that explain most are refined there, the better one at half
   the size.
2. Pixels: of every tile those with the largest gradients, a quarter of all; others tell nothing.
3. Weights: the difference that an error of d pixels leaves at a pixel is d times its gradient. So
   the scale of a pixel's difference is sqrt(noise^2 + (d gradient)^2), with d falling from step to
   step. Targets, overlays and what moves by itself lose their weight as d falls.
4. Error: the covariance of the similarity, with differences taken as independent between tiles
   only. Noise, texture, and parts of the scene that move by themselves all show in it. Over a
   featureless sky and between unrelated frames it is large.

Symbols: J Jacobian (P, 6) of P pixels for x, y, zoom, rotation, gain and offset of the grey level;
r difference (P,); w weights (P,).

Source:
    Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 2004 (inverse compositional); Liang and
    Zeger 1986 (covariance over clusters). Pixels, weights and the use of the error are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.registration.phase_correlation import correlation_surface, windowed_spectrum
from stdet.registration.transform import Transform
from stdet.types import BoolArray, FloatArray

MAX_ERROR_PX = 0.1
"""Above this standard error an alignment is not trusted."""
_BLUR_SIGMA_PX = 1.0
"""Before each halving of the size; less leaves aliases, which pull towards whole pixels."""
_COARSE, _FINE = 4, 2
_TILE_PX = {_COARSE: 8, _FINE: 16}
_SHARE = {_COARSE: 0.5, _FINE: 0.25}
"""Pixels of a tile that are used."""
_STEPS_PX = {
    _COARSE: (2.0, 1.0, 0.7, 0.5, 0.3, 0.2),
    _FINE: (0.5, 0.25, 0.12, 0.06, 0.05, 0.05),
}
"""Expected error before each Gauss-Newton step, pixels of the level."""
_ENOUGH_PX = {_COARSE: 0.02, _FINE: 0.004}
"""A step shorter than this is the last."""
_TAIL = 6.0
"""Squared differences, in units of their scale, from which weights fall fast."""
_NUM_PEAKS = 3
_NUM_REFINED = 2
_MIN_SEEN = 0.15
"""Share of the pixels that must lie in both frames."""
_MAX_TURN = 0.2
"""Rotation, radians, and zoom of one step; a longer one has lost its way."""
_MIN_SIDE_PX = 64
"""Smaller frames have too few tiles for an error."""
_INFLATION = 2.0
"""Of the standard error: noise of the gradients and differences shared by neighbouring tiles are
not in it. Measured on known warps of 25 sources (``benchmarks/registration.py``)."""
_ROUNDING = 3e-4
"""Of grey levels of 8 bits at half the size, full scale 1; no difference is known better."""
_NO_ERROR = float("inf")
_PEAK_SIGMA_PX = 0.7
"""Blur of the phase correlation, pixels of the coarse image."""
_SLOPE_FLOOR, _NOISE_FLOOR, _RIDGE = 1e-7, 1e-6, 1e-11
"""Keep flat frames from a division by zero; in units of full scale, squared, and relative."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Where the background of one frame lies in another.

    Attributes:
        transform: From the earlier frame to the later one.
        error_px: Standard error of the transform, root mean square over the frame, pixels;
            infinite where no transform was found.
    """

    transform: Transform
    error_px: float

    @property
    def is_trusted(self) -> bool:
        """Whether the error is small enough to compare the frames pixel by pixel."""
        return self.error_px <= MAX_ERROR_PX


class Alignable:
    """A frame, and what is computed once for all frames that it is aligned with.

    Args:
        image: float32 (H, W).
    """

    def __init__(self, image: FloatArray) -> None:
        """Halve the image twice; nothing else is computed before it is needed."""
        self.hw = (image.shape[0], image.shape[1])
        half = _halved(image)
        self._images = {_FINE: half, _COARSE: _halved(half)}
        self._levels: dict[int, _Level] = {}

    def prepare(self) -> None:
        """Compute now what alignments would compute when they first need it."""
        self.level(_COARSE)
        self.level(_FINE)
        self.spectrum.any()

    def image(self, reduction: int) -> FloatArray:
        """Return the image at 1 / ``reduction`` of its size."""
        return self._images[reduction]

    def level(self, reduction: int) -> _Level:
        """Return the pixels to align at 1 / ``reduction`` of the size."""
        if reduction not in self._levels:
            self._levels[reduction] = _Level.of(self._images[reduction], reduction)
        return self._levels[reduction]

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """Spectrum of the coarse image less its mean, under a Hann window."""
        image = self._images[_COARSE]
        return windowed_spectrum(image, image.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Level:
    """The pixels of the earlier frame that are compared, tile after tile.

    Attributes:
        points_xy: Where they are, float32 (P, 2), indices of the reduced image.
        values: Their grey levels, float32 (P,).
        jacobian: J, float32 (P, 6).
        slopes: Squared gradients, float32 (P,).
        num_tiles: Tiles; each has the same number of pixels.
        centre_xy: About which rotation and zoom turn.
        radius: Distance at which they move a pixel by 1, pixels.
    """

    points_xy: FloatArray
    values: FloatArray
    jacobian: FloatArray
    slopes: FloatArray
    num_tiles: int
    centre_xy: NDArray[np.float64]
    radius: float

    @classmethod
    def of(cls, image: FloatArray, reduction: int) -> _Level:
        """Choose the pixels of an image (H, W)."""
        along_x, along_y = np.zeros_like(image), np.zeros_like(image)
        along_x[:, 1:-1] = (image[:, 2:] - image[:, :-2]) / 2
        along_y[1:-1] = (image[2:] - image[:-2]) / 2
        slopes = along_x * along_x + along_y * along_y
        slopes[:2] = slopes[-2:] = 0
        slopes[:, :2] = slopes[:, -2:] = 0
        rows, columns = _steepest(slopes, side=_TILE_PX[reduction], share=_SHARE[reduction])
        centre_xy = (np.array(image.shape[::-1]) - 1) / 2
        radius = max(image.shape) / 2
        u = ((columns - centre_xy[0]) / radius).astype(np.float32)
        v = ((rows - centre_xy[1]) / radius).astype(np.float32)
        values, gx, gy = image[rows, columns], along_x[rows, columns], along_y[rows, columns]
        jacobian = [gx, gy, gx * u + gy * v, gy * u - gx * v, values - image.mean(), 1 + 0 * gx]
        return cls(
            points_xy=np.stack([columns, rows], -1).astype(np.float32),
            values=values,
            jacobian=np.stack(jacobian, 1),
            slopes=slopes[rows, columns],
            num_tiles=(image.shape[0] // _TILE_PX[reduction])
            * (image.shape[1] // _TILE_PX[reduction]),
            centre_xy=centre_xy,
            radius=radius,
        )

    def differences(
        self, image: FloatArray, matrix: NDArray[np.float64], *, interpolation: int
    ) -> tuple[FloatArray, BoolArray]:
        """Return what a moved image has more than this one (P,), and which pixels it shows."""
        at = (self.points_xy @ matrix[:2, :2].T + matrix[:2, 2]).astype(np.float32)
        height, width = image.shape
        is_seen: BoolArray = np.all((at >= 2) & (at <= (width - 3, height - 3)), axis=1)
        columns, rows = (at[:, axis].reshape(self.num_tiles, -1) for axis in (0, 1))
        moved = np.asarray(cv2.remap(image, columns, rows, interpolation), np.float32).ravel()
        return moved - self.values, is_seen


def align(before: Alignable, after: Alignable, *, guess: Transform | None = None) -> Alignment:
    """Find the similarity that brings the background of one frame onto another.

    Args:
        before: The earlier frame, of at least 64x64 pixels.
        after: The later one, of the same size.
        guess: A further start.

    Raises:
        ValueError: If the sizes differ.

    Example:
        >>> scene = np.random.default_rng(0).random((150, 150)).astype(np.float32)
        >>> scene = cv2.GaussianBlur(scene, (0, 0), 2)
        >>> found = align(Alignable(scene[:128, :128]), Alignable(scene[3:131, 5:133]))
        >>> (found.transform.offset_xy.round(1) + 0.0).tolist(), found.is_trusted
        ([-5.0, -3.0], True)
    """
    if before.hw != after.hw:
        raise ValueError(f"frames of {before.hw} and {after.hw} cannot be aligned.")
    nothing = Alignment(transform=Transform.identity(), error_px=_NO_ERROR)
    if min(before.hw) < _MIN_SIDE_PX:
        return nothing
    coarse = _align_coarsely(before, after, guess)
    if coarse is None:
        return nothing
    fit = _refine(before, after, coarse, _FINE)
    return nothing if fit is None else fit


def _align_coarsely(
    before: Alignable, after: Alignable, guess: Transform | None
) -> Transform | None:
    """Return the best of the starts, refined at a quarter of the size; None where all fail."""
    starts = [Transform.identity(), *_correlation_peaks(before, after)]
    if guess is not None:
        starts.append(guess)
    starts.sort(key=lambda start: _unexplained(before, after, start, error_px=1.0))
    fits = [_refine(before, after, start, _COARSE) for start in starts[:_NUM_REFINED]]
    found = [fit.transform for fit in fits if fit is not None]
    if not found:
        return None
    return min(found, key=lambda start: _unexplained(before, after, start, error_px=0.5))


def _unexplained(
    before: Alignable, after: Alignable, transform: Transform, *, error_px: float
) -> float:
    """Return how much of the coarse differences is more than a small error would leave, 0 to 1."""
    level = before.level(_COARSE)
    matrix = _at_level(transform, _COARSE)
    differences, is_seen = level.differences(
        after.image(_COARSE), matrix, interpolation=cv2.INTER_LINEAR
    )
    if is_seen.mean() < _MIN_SEEN:
        return 1.0
    differences = differences[is_seen] - np.median(differences[is_seen])
    ratio = differences**2 / (level.slopes[is_seen] * error_px**2 + _SLOPE_FLOOR)
    return float((ratio / (1 + ratio)).mean())


def _refine(
    before: Alignable, after: Alignable, start: Transform, reduction: int
) -> Alignment | None:
    """Take Gauss-Newton steps from a start; None where they lose their way."""
    level, image = before.level(reduction), after.image(reduction)
    matrix = _at_level(start, reduction)
    interpolation = cv2.INTER_LINEAR if reduction == _COARSE else cv2.INTER_LANCZOS4
    steps_px = _STEPS_PX[reduction]
    for number, step_px in enumerate(steps_px):
        differences, is_seen = level.differences(image, matrix, interpolation=interpolation)
        if is_seen.mean() < _MIN_SEEN:
            return None
        differences = differences - np.median(differences[is_seen])
        weights = _weights(differences, level.slopes, is_seen, error_px=step_px)
        weighted = level.jacobian * weights[:, None]
        normal = (weighted.T @ level.jacobian).astype(np.float64)
        normal += _RIDGE * np.trace(normal) * np.eye(6)
        shift_x, shift_y, zoom, turn = np.linalg.solve(normal, weighted.T @ differences)[:4]
        zoom, turn = zoom / level.radius, turn / level.radius
        if max(abs(zoom), abs(turn)) > _MAX_TURN:
            return None
        matrix = matrix @ np.linalg.inv(_about(level.centre_xy, zoom, turn, (shift_x, shift_y)))
        length_px = np.hypot(shift_x, shift_y) + level.radius * np.hypot(zoom, turn)
        if number and length_px < _ENOUGH_PX[reduction] and step_px <= 2 * steps_px[-1]:
            break
    to_level = _indices(reduction)
    full = np.linalg.inv(to_level) @ matrix @ to_level
    full[2] = 0, 0, 1
    error_px = (
        _INFLATION * reduction * _standard_error(level, weighted * differences[:, None], normal)
    )
    return Alignment(transform=Transform(full), error_px=error_px)


def _weights(
    differences: FloatArray, slopes: FloatArray, is_seen: BoolArray, *, error_px: float
) -> FloatArray:
    """Return the weights of the pixels (P,); see step 3 of the module."""
    noise = 1.4826 * float(np.median(np.abs(differences[is_seen]))) + _NOISE_FLOOR
    scale = noise**2 + slopes * error_px**2
    weights = noise**2 / scale / (1 + differences**2 / (_TAIL * scale)) ** 2
    return np.where(is_seen, weights, 0).astype(np.float32)


def _standard_error(level: _Level, scores: FloatArray, normal: NDArray[np.float64]) -> float:
    """Return the standard error of a similarity, root mean square over the frame, pixels.

    Args:
        level: The pixels.
        scores: Weighted J times differences, float32 (P, 6).
        normal: J^T W J, (6, 6).
    """
    by_tile = scores.reshape(level.num_tiles, -1, 6).sum(axis=1, dtype=np.float64)
    meat = by_tile.T @ by_tile + _ROUNDING**2 * normal
    bread = np.linalg.inv(normal)
    variances = np.diag(bread @ meat @ bread)
    # Rotation and zoom move a pixel at the mean square distance from the centre, half a radius^2.
    return float(np.sqrt(variances[0] + variances[1] + (variances[2] + variances[3]) / 2))


def _steepest(
    slopes: FloatArray, *, side: int, share: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the pixels of each tile with the largest values, tile by tile."""
    rows, columns = slopes.shape[0] // side, slopes.shape[1] // side
    whole = slopes[: rows * side, : columns * side].reshape(rows, side, columns, side)
    tiles = whole.transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
    num = int(share * side * side)
    chosen = np.argpartition(tiles, side * side - num, axis=1)[:, side * side - num :]
    tile_row, tile_column = np.divmod(np.arange(rows * columns)[:, None], columns)
    row, column = np.divmod(chosen, side)
    return (tile_row * side + row).ravel(), (tile_column * side + column).ravel()


def _correlation_peaks(before: Alignable, after: Alignable) -> list[Transform]:
    """Return the translations at the highest peaks of the coarse phase correlation."""
    height, width = after.image(_COARSE).shape
    surface = correlation_surface(
        before.spectrum, after.spectrum, (height, width), blur_px=_PEAK_SIGMA_PX
    )
    peaks = []
    for _ in range(_NUM_PEAKS):
        row, column = np.unravel_index(surface.argmax(), surface.shape)
        x = (int(column) + width // 2) % width - width // 2
        y = (int(row) + height // 2) % height - height // 2
        peaks.append(Transform.translation((_COARSE * x, _COARSE * y)))
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


def _about(
    centre_xy: NDArray[np.float64], zoom: float, turn: float, shift_xy: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of a small similarity about a centre."""
    matrix = np.array([[1 + zoom, -turn, 0.0], [turn, 1 + zoom, 0.0], [0, 0, 1]])
    matrix[:2, 2] = centre_xy + shift_xy - matrix[:2, :2] @ centre_xy
    return matrix


def _halved(image: FloatArray) -> FloatArray:
    """Return an image (H, W) at half its size, without aliases."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    blurred = cv2.GaussianBlur(image[: 2 * height, : 2 * width], (0, 0), _BLUR_SIGMA_PX)
    halved = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(halved, np.float32)
