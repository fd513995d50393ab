"""Where the background of one frame lies in another: an affine map of the plane.

Everything that moves points or images by the motion of the background goes through ``Transform``.
What kind of motion is estimated is the estimator's business (``estimation.py``) and nobody
else's.

Coordinates are continuous pixels, as in ``boxes.py``: the pixel of row i and column j has its
centre at (j + 0.5, i + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import affine_transform

from stdet.types import BoolArray, FloatArray

Float = NDArray[np.float64]
_IDENTITY = np.eye(2)
_CENTRE = 0.5
"""Of a pixel, from its corner, in both axes."""
_ROUNDING_PX = 1e-6
"""What rounding may put a pixel outside of an image that just covers it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Warped:
    """An image that has been moved.

    Attributes:
        image: float32 (H, W); pixels that the original does not show repeat its edge.
        is_covered: bool (H, W), true where the original shows the pixel's centre.
    """

    image: FloatArray
    is_covered: BoolArray


@dataclass(frozen=True, eq=False)
class Transform:
    """An affine map of points (x, y), in pixels.

    For translations inverse, composition, conjugation and points are exact to the last bit: they
    only negate and add.

    Attributes:
        matrix: float64 (3, 3), last row (0, 0, 1); maps columns (x, y, 1).

    Raises:
        ValueError: If the matrix has another shape or last row, or is not finite.

    Example:
        >>> step = Transform.translation((2.0, -1.0))
        >>> (step @ step).apply(np.array([[10.0, 10.0]]))
        array([[14.,  8.]])
    """

    matrix: Float

    def __post_init__(self) -> None:
        """Check the matrix and keep a copy that cannot be written to."""
        matrix = np.array(self.matrix, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise ValueError(f"matrix is {matrix!r}; expected 3x3 finite numbers.")
        if matrix[2].tolist() != [0, 0, 1]:
            raise ValueError(f"last row of the matrix is {matrix[2]}; expected (0, 0, 1).")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> Transform:
        """Return the map that moves nothing."""
        return cls(np.eye(3))

    @classmethod
    def translation(cls, shift_xy: ArrayLike) -> Transform:
        """Return the map that moves what is at x to x + shift, pixels."""
        return cls.affine(_IDENTITY, shift_xy)

    @classmethod
    def affine(cls, linear: ArrayLike, offset_xy: ArrayLike) -> Transform:
        """Return the map that moves what is at x to linear x + offset.

        Args:
            linear: (2, 2), without unit.
            offset_xy: (2,), pixels.
        """
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = linear, offset_xy
        return cls(matrix)

    @property
    def linear(self) -> Float:
        """The linear part, float64 (2, 2)."""
        return self.matrix[:2, :2]

    @property
    def offset_xy(self) -> Float:
        """Where the corner (0, 0) goes, float64 (2,), pixels."""
        return self.matrix[:2, 2]

    def inverse(self) -> Transform:
        """Return the map back.

        Raises:
            ValueError: If this one maps the plane to a line or a point.
        """
        linear = np.linalg.inv(self.linear)
        return Transform.affine(linear, -(linear @ self.offset_xy))

    def __matmul__(self, first: Transform) -> Transform:
        """Return the map that does ``first`` and then this one."""
        return Transform(self.matrix @ first.matrix)

    def conjugate(self, by: Transform) -> Transform:
        """Return this map in the coordinates to which ``by`` leads: ``by @ self @ by.inverse()``.

        If frames are cropped, zoomed or mirrored by ``by``, it is the motion between them.

        Raises:
            ValueError: If ``by`` has no inverse.
        """
        # Written so that what is no rotation or zoom stays none, to the last bit.
        turn = by.linear @ (self.linear - _IDENTITY) @ np.linalg.inv(by.linear)
        return Transform.affine(_IDENTITY + turn, by.linear @ self.offset_xy - turn @ by.offset_xy)

    def rounded(self) -> Transform:
        """Return this map with the numbers of single precision, as tables and clips hold them."""
        return Transform(self.matrix.astype(np.float32))

    def apply(self, points_xy: Float) -> Float:
        """Return where points (..., 2) go, float64 (..., 2), pixels."""
        return points_xy + self.displacements(points_xy)

    def displacements(self, points_xy: Float) -> Float:
        """Return how far points (..., 2) go, float64 (..., 2), pixels."""
        moved: Float = points_xy @ (self.linear - _IDENTITY).T + self.offset_xy
        return moved

    def largest_displacement(self, hw: tuple[int, ...]) -> float:
        """Return how far any point of a frame (H, W) goes at most along x or y, pixels."""
        height, width = hw
        # An affine displacement is largest at a corner.
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        return float(np.abs(self.displacements(corners)).max())

    def warp(self, image: FloatArray, *, step: int = 1) -> Warped:
        """Move an image, bilinearly.

        Args:
            image: float32 (H, W).
            step: Return every so many pixels of both axes, from the first.

        Returns:
            Image and coverage, (ceil(H / step), ceil(W / step)) each.

        Raises:
            ValueError: If the map has no inverse.
        """
        if (self.linear == _IDENTITY).all():
            return _translate(image, self.offset_xy, step)
        back = self.inverse()
        # From indices (row, column) of the result to those of the image.
        linear = step * back.linear[::-1, ::-1]
        offset = (back.apply(np.full(2, _CENTRE)) - _CENTRE)[::-1]
        hw = (-(-image.shape[0] // step), -(-image.shape[1] // step))
        moved: FloatArray = affine_transform(
            image, linear, offset, output_shape=hw, order=1, mode="nearest"
        )
        rows, columns = np.ogrid[: hw[0], : hw[1]]
        is_covered = np.ones(hw, np.bool_)
        for (along_row, along_column), start, side in zip(
            linear, offset, image.shape, strict=True
        ):
            at = along_row * rows + along_column * columns + start
            is_covered &= (at >= -_ROUNDING_PX) & (at <= side - 1 + _ROUNDING_PX)
        return Warped(image=moved, is_covered=is_covered)


def _translate(image: FloatArray, shift_xy: Float, step: int) -> Warped:
    """Move an image (H, W) by a fraction of a pixel; see ``Transform.warp``."""
    height, width = image.shape
    whole = np.floor(shift_xy)
    is_between = shift_xy > whole
    along_x, along_y = (shift_xy - whole).astype(np.float32)
    columns = np.arange(0, width, step) - int(whole[0])
    rows = np.arange(0, height, step) - int(whole[1])
    is_in_column = (columns >= is_between[0]) & (columns < width)
    is_in_row = (rows >= is_between[1]) & (rows < height)
    is_covered: BoolArray = is_in_row[:, None] & is_in_column
    right, low = np.clip(columns, 0, width - 1), np.clip(rows, 0, height - 1)
    if not (along_x or along_y):
        return Warped(image=image[low[:, None], right], is_covered=is_covered)
    left, high = np.clip(columns - 1, 0, width - 1), np.clip(rows - 1, 0, height - 1)
    patch = image[low] * (1 - along_y) + image[high] * along_y
    moved: FloatArray = patch[:, right] * (1 - along_x) + patch[:, left] * along_x
    return Warped(image=moved, is_covered=is_covered)
