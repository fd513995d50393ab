"""Where the background of one frame lies in another: a projective map of the plane.

Everything that moves points or images by the motion of the background goes through ``Transform``.
What kind of motion is estimated is the estimator's business (``alignment.py``) and nobody
else's.

Coordinates are continuous pixels, as in ``boxes.py``: the pixel of row i and column j has its
centre at (j + 0.5, i + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from stdet.registration.row_spans import RowSpans
from stdet.types import BoolArray, FloatArray

Float = NDArray[np.float64]
_IDENTITY = np.eye(2)
_UNMOVED = np.eye(3)
_CENTRE = 0.5
"""Of a pixel, from its corner, in both axes."""
_WHITE = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Warped:
    """An image that has been moved.

    Attributes:
        image: float32 (H, W); pixels that the original does not show repeat its edge.
        spans: Of the pixels whose centre the original shows.
        is_shown: Which of those count, bool (H, W); None where all do.
    """

    image: FloatArray
    spans: RowSpans
    is_shown: BoolArray | None = None

    @property
    def is_covered(self) -> BoolArray:
        """Which pixels the original shows and that count, bool (H, W)."""
        is_within = self.spans.mask()
        return is_within if self.is_shown is None else is_within & self.is_shown

    def without(self, is_ignored: BoolArray | None) -> Warped:
        """Return this image, of which some pixels (H, W) do not count; None for none."""
        if is_ignored is None:
            return self
        is_shown = ~is_ignored if self.is_shown is None else self.is_shown & ~is_ignored
        return replace(self, is_shown=is_shown)

    def clear_uncovered(self, values: FloatArray, rows: slice) -> None:
        """Set values to 0 where they belong to pixels that are not covered.

        Args:
            values: float32 (rows, W), changed in place.
            rows: Of this image.
        """
        self.spans.clear_outside(values, rows)
        if self.is_shown is not None:
            np.copyto(values, 0, where=~self.is_shown[rows])


@dataclass(frozen=True, eq=False)
class Transform:
    """A projective map of points (x, y), in pixels.

    Translations, similarities and affine maps are such maps with the last row (0, 0, 1). For
    translations inverse, composition, conjugation and points are exact to the last bit: they only
    negate and add.

    Attributes:
        matrix: float64 (3, 3), lower right number 1; maps columns (x, y, 1) up to a factor.

    Raises:
        ValueError: If the matrix has another shape, is not finite, or sends the corner (0, 0) to
            infinity.

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
        if matrix[2, 2] == 0:
            raise ValueError(f"matrix is {matrix!r}; it sends the corner (0, 0) to infinity.")
        matrix /= matrix[2, 2]
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
    def is_identity(self) -> bool:
        """Whether every point stays where it is."""
        return not np.count_nonzero(self.matrix != _UNMOVED)

    @property
    def is_affine(self) -> bool:
        """Whether parallels stay parallel."""
        return not self.matrix[2, :2].any()

    @property
    def offset_xy(self) -> Float:
        """Where the corner (0, 0) goes, float64 (2,), pixels."""
        return self.matrix[:2, 2]

    def linear_at(self, points_xy: Float) -> Float:
        """Return how small displacements at points (..., 2) change, float64 (..., 2, 2).

        Of an affine map it is the linear part everywhere.
        """
        weight = points_xy @ self.matrix[2, :2] + 1
        moved = self.apply(points_xy)
        lost = moved[..., :, None] * self.matrix[2, :2]
        slope: Float = (self.matrix[:2, :2] - lost) / weight[..., None, None]
        return slope

    def scales_at(self, points_xy: Float) -> Float:
        """Return how many times longer small displacements at points (..., 2) become, float64.

        The mean over all directions: a square of that side has the area that a square becomes.

        Example:
            >>> Transform.affine([[0, -2], [2, 0]], (5.0, 5.0)).scales_at(np.zeros((1, 2)))
            array([2.])
        """
        slopes = self.linear_at(points_xy)
        areas = slopes[..., 0, 0] * slopes[..., 1, 1] - slopes[..., 0, 1] * slopes[..., 1, 0]
        scales: Float = np.sqrt(np.abs(areas))
        return scales

    def inverse(self) -> Transform:
        """Return the map back.

        Raises:
            ValueError: If this one maps the plane to a line or a point.
        """
        return self._inverse

    @cached_property
    def _inverse(self) -> Transform:
        if not self.is_affine:
            return Transform(np.asarray(np.linalg.inv(self.matrix), np.float64))
        linear = np.linalg.inv(self.matrix[:2, :2])
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
        if not (self.is_affine and by.is_affine):
            return by @ self @ by.inverse()
        # Written so that what is no rotation or zoom stays none, to the last bit.
        outer, inner = by.matrix[:2, :2], self.matrix[:2, :2]
        turn = outer @ (inner - _IDENTITY) @ np.linalg.inv(outer)
        return Transform.affine(_IDENTITY + turn, outer @ self.offset_xy - turn @ by.offset_xy)

    def rounded(self) -> Transform:
        """Return this map with the numbers of single precision, as tables and clips hold them."""
        return Transform(self.matrix.astype(np.float32))

    def apply(self, points_xy: Float) -> Float:
        """Return where points (..., 2) go, float64 (..., 2), pixels."""
        return points_xy + self.displacements(points_xy)

    def displacements(self, points_xy: Float) -> Float:
        """Return how far points (..., 2) go, float64 (..., 2), pixels."""
        moved: Float = points_xy @ (self.matrix[:2, :2] - _IDENTITY).T + self.offset_xy
        if self.is_affine:
            return moved
        rise = (points_xy @ self.matrix[2, :2])[..., None]
        projected: Float = (moved - rise * points_xy) / (1 + rise)
        return projected

    def largest_displacement(self, hw: tuple[int, ...]) -> float:
        """Return how far any corner of a frame (H, W) goes at most along x or y, pixels."""
        height, width = hw
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        return float(np.abs(self.displacements(corners)).max())

    def warp(
        self, image: FloatArray, *, step: int = 1, is_ignored: BoolArray | None = None
    ) -> Warped:
        """Move an image, bilinearly.

        Args:
            image: float32 (H, W).
            step: Return every so many pixels of both axes, from the first.
            is_ignored: Pixels of the image that do not show the scene, bool (H, W): where they
                take part nothing is covered. None for none.

        Returns:
            Image and coverage, (ceil(H / step), ceil(W / step)) each.

        Raises:
            ValueError: If the map has no inverse.
        """
        if step == 1 and is_ignored is None and self.is_identity:
            return Warped(image=image.copy(), spans=RowSpans.whole(image.shape))
        height, width = image.shape
        size = (-(-width // step), -(-height // step))
        # From indices of the result to those of the image.
        of_index = np.array([[step, 0, _CENTRE], [0, step, _CENTRE], [0, 0, 1]])
        to_index = np.array([[1, 0, -_CENTRE], [0, 1, -_CENTRE], [0, 0, 1]])
        back = to_index @ self.inverse().matrix @ of_index
        warp, matrix = (
            (cv2.warpAffine, back[:2]) if self.is_affine else (cv2.warpPerspective, back)
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = warp(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        spans = RowSpans.of_warp(back, (size[1], size[0]), (height, width))
        is_shown: BoolArray | None = None
        if is_ignored is not None:
            # Where an ignored pixel takes part, a white picture that is black there is darker.
            white = np.where(is_ignored, np.uint8(0), np.uint8(_WHITE))
            shown = warp(white, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            is_shown = np.asarray(shown) == _WHITE
        return Warped(image=np.asarray(moved, np.float32), spans=spans, is_shown=is_shown)
