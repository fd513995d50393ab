"""Gauss-Newton steps of one reduced frame onto another, and the error of where they lead.

The symbols are those of ``alignment.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.registration.compared_pixels import ComparedPixels
from stdet.registration.median import median
from stdet.registration.prepared_frame import COARSE, FINE
from stdet.registration.transform import Transform
from stdet.types import BoolArray, FloatArray

_STEPS_PX = {
    COARSE: (2.0, 1.0, 0.7, 0.5, 0.3, 0.2),
    FINE: (0.5, 0.25, 0.12, 0.06, 0.05, 0.05),
}
"""Expected error before each Gauss-Newton step, pixels of the reduced image."""
_LAST_STEPS = 2
"""What is left of them where a step is shorter than the last expected error."""
_ENOUGH_PX = {COARSE: 0.02, FINE: 0.004}
"""A step shorter than this is the last."""
_TAIL = 6.0
"""Squared differences, in units of their scale, from which weights fall fast."""
MIN_SEEN = 0.15
"""Share of the pixels that must lie in both frames."""
MAX_TURN = 0.2
"""Rotation, radians, and zoom of one step; a longer one has lost its way."""
_ROUNDING = 3e-4
"""Of grey levels of 8 bits at half the size, full scale 1; no difference is known better."""
_NUM_LIGHT = 7
_GAIN_STEP = (-0.34, 0.5)
"""What may be a change of the camera's gain from one frame to the other."""
_EVERY = 4
_RIDGE = 1e-11
"""Keeps the normal equations of flat frames solvable, relative."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
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

    def covariance(self, pixels: ComparedPixels) -> NDArray[np.float64]:
        """Return the covariance (num, num) of the map's numbers."""
        num = self.num
        _, jacobian, normal = normal_equations(pixels, self.weights, num)
        scores = jacobian * (self.weights * self.differences)
        by_tile = scores.reshape(num + _NUM_LIGHT, pixels.num_tiles, -1).sum(
            axis=2, dtype=np.float64
        )
        meat = by_tile @ by_tile.T + _ROUNDING**2 * normal
        bread = np.linalg.inv(normal)
        covariance: NDArray[np.float64] = (bread @ meat @ bread)[:num, :num]
        return covariance

    def error_px(self, pixels: ComparedPixels) -> float:
        """Return the standard error, root mean square over the frame, reduced pixels."""
        spread = pixels.spread[..., : self.num]
        variances = np.einsum("gai,ij,gaj->g", spread, self.covariance(pixels), spread)
        return float(np.sqrt(max(variances.mean(), 0)))


def refine(
    pixels: ComparedPixels,
    image: FloatArray,
    matrix: NDArray[np.float64],
    reduction: int,
    *,
    num: int = 4,
    steps_px: tuple[float, ...] = (),
) -> Fit | None:
    """Take Gauss-Newton steps from a start; None where they lose their way."""
    interpolation = cv2.INTER_LINEAR if reduction == COARSE else cv2.INTER_LANCZOS4
    steps_px = steps_px or _STEPS_PX[reduction]
    light = np.zeros(_NUM_LIGHT)
    number = 0
    while number < len(steps_px):
        step_px = steps_px[number]
        found, is_seen = pixels.differences(image, matrix, interpolation=interpolation)
        if np.count_nonzero(is_seen) < MIN_SEEN * is_seen.size:
            return None
        differences = found - pixels.light(light)
        differences -= middle(differences, is_seen)
        weights = _weights(differences, pixels.slopes, is_seen, error_px=step_px)
        weighted, _, normal = normal_equations(pixels, weights, num)
        solution = np.linalg.solve(normal, weighted @ differences)
        numbers = np.asarray(solution[:num], np.float64)
        light = np.asarray(light + solution[num:], np.float64)
        light[0] = min(max(light[0], _GAIN_STEP[0]), _GAIN_STEP[1])
        if np.abs(numbers[2:]).max() * pixels.to_unit[0, 0] > MAX_TURN:
            return None
        matrix = matrix @ np.linalg.inv(pixels.step(numbers))
        length_px = np.hypot(*numbers[:2]) + np.hypot(*numbers[2:4])
        if step_px <= 2 * steps_px[-1] and length_px < _ENOUGH_PX[reduction]:
            break
        # A start that is nearly right needs no weights for one that is not.
        is_near = length_px < steps_px[-1]
        number = max(number + 1, len(steps_px) - _LAST_STEPS if is_near else 0)
    left = found - pixels.light(light)
    return Fit(
        matrix=matrix / matrix[2, 2],
        differences=left - middle(left, is_seen),
        weights=weights,
        is_seen=is_seen,
        num=num,
    )


def normal_equations(
    pixels: ComparedPixels, weights: FloatArray, num: int
) -> tuple[FloatArray, FloatArray, NDArray[np.float64]]:
    """Return w J and J, transposed, and J^T w J for a map of 0, 4 or 8 numbers, and light."""
    jacobian = pixels.similarity if num == 4 else pixels.jacobian[8 - num :]
    weighted = jacobian * weights
    normal = (weighted @ jacobian.T).astype(np.float64)
    normal.flat[:: len(normal) + 1] += _RIDGE * normal.trace()
    return weighted, jacobian, normal


def _weights(
    differences: FloatArray, slopes: FloatArray, is_seen: BoolArray, *, error_px: float
) -> FloatArray:
    """Return the weights of the pixels (P,); see step 3 of the module."""
    noise = 1.4826 * middle(np.abs(differences), is_seen) + _ROUNDING
    scale = noise**2 + slopes * error_px**2
    weights = noise**2 / scale / (1 + differences**2 / (_TAIL * scale)) ** 2
    return np.where(is_seen, weights, 0).astype(np.float32)


def middle(values: FloatArray, is_seen: BoolArray) -> float:
    """Return the median of the pixels (P,) that count; every fourth tells it well enough."""
    some = values[::_EVERY][is_seen[::_EVERY]]
    return median(some if len(some) else values)


def at_level(transform: Transform, reduction: int) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of a transform between indices of reduced images."""
    to_index, to_pixel = _indices(reduction)
    return to_index @ transform.matrix @ to_pixel


def from_level(matrix: NDArray[np.float64], reduction: int) -> Transform:
    """Return the transform of a matrix (3, 3) between indices of reduced images."""
    to_index, to_pixel = _indices(reduction)
    return Transform(to_pixel @ matrix @ to_index)


def _indices(reduction: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the map (3, 3) from continuous pixels to indices of the reduced image, and back."""
    to_index = np.array([[1 / reduction, 0, -0.5], [0, 1 / reduction, -0.5], [0, 0, 1]])
    half = 0.5 * reduction
    return to_index, np.array([[reduction, 0, half], [0, reduction, half], [0, 0, 1]])


def without_light(
    pixels: ComparedPixels, differences: FloatArray, is_seen: BoolArray
) -> FloatArray:
    """Return differences (P,) less what gain and offsets explain of them."""
    differences = differences - middle(differences, is_seen)
    weights = _weights(differences, pixels.slopes, is_seen, error_px=0.5)
    weighted, _, normal = normal_equations(pixels, weights, 0)
    light = np.linalg.solve(normal, weighted @ differences)
    light[0] = min(max(light[0], _GAIN_STEP[0]), _GAIN_STEP[1])
    return differences - pixels.light(light)
