"""Spots of light: a point-spread function integrated over each pixel at sub-pixel positions.

A spot is a sum of Gaussian lobes. The integral of a Gaussian over a pixel is a product of
differences of the error function, so that a spot of any number of lobes is one small matrix
product, exact at every sub-pixel position. A motion blur adds copies of the lobes along the path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from stdet.types import FloatArray

Float = NDArray[np.float64]

REACH_SIGMAS = 4.5
"""A patch ends so many standard deviations from a lobe; 7e-6 of the light lies beyond."""
_BLUR_STEP_PX = 0.6
"""Distance of the copies along a motion blur."""
_MAX_BLUR_COPIES = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """The lobes of a spot about its centre of light.

    Attributes:
        offsets_xy: float64 (L, 2), pixels; their weighted mean is 0.
        sigmas: float64 (L,), pixels, with the blur of the lens.
        weights: float64 (L,), sum 1.
    """

    offsets_xy: Float
    sigmas: Float
    weights: Float

    def __post_init__(self) -> None:
        """Move the offsets so that the centre of light is the origin."""
        mean = (self.weights[:, None] * self.offsets_xy).sum(axis=0) / self.weights.sum()
        object.__setattr__(self, "offsets_xy", self.offsets_xy - mean)
        object.__setattr__(self, "weights", self.weights / self.weights.sum())

    def half_extent_xy(self) -> Float:
        """Return half the visible width and height: two standard deviations of the light."""
        spread = self.weights[:, None] * (self.offsets_xy**2 + self.sigmas[:, None] ** 2)
        half: Float = 2 * np.sqrt(spread.sum(axis=0))
        return half


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A spot on the pixels of a frame.

    Attributes:
        rows: Rows of the frame that it touches.
        columns: Columns.
        light: float32 (h, w), the share of the light on each pixel; sums to 1 when uncut.
        peak: Light of the brightest pixel, were the frame larger.
        core: Mean light of the pixels with at least half of that, were the frame larger.
    """

    rows: slice
    columns: slice
    light: FloatArray
    peak: float
    core: float

    @classmethod
    def cut(cls, whole: FloatArray, corner_xy: tuple[int, int], hw: tuple[int, int]) -> Patch:
        """Take what of a spot lies in a frame.

        Brightness is decided by the whole spot: only a faint rim of it may lie in the frame.

        Args:
            whole: float32 (h, w), light of the spot, which touches the frame.
            corner_xy: Column and row of its first pixel.
            hw: Size of the frame.
        """
        (left, top), (height, width) = corner_xy, whole.shape
        rows = slice(max(top, 0), min(top + height, hw[0]))
        columns = slice(max(left, 0), min(left + width, hw[1]))
        peak = float(whole.max())
        return cls(
            rows=rows,
            columns=columns,
            light=whole[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ],
            peak=peak,
            core=float(whole[whole >= 0.5 * peak].mean()),
        )

    def support(self) -> NDArray[np.bool_]:
        """Return the pixels of the target: those with at least half the light of the brightest.

        All may be false where the target lies beyond the border.
        """
        is_target: NDArray[np.bool_] = self.light >= 0.5 * self.peak
        return is_target


def point_shape(size_px: float, optics_sigma: float) -> Shape:
    """Return a round spot of a body ``size_px`` wide behind the lens.

    A body of width s has the variance of a Gaussian of standard deviation s / 4, so that the
    visible extent (four standard deviations) tends to s for a body much wider than the blur.
    """
    sigma = float(np.hypot(size_px / 4, optics_sigma))
    return Shape(offsets_xy=np.zeros((1, 2)), sigmas=np.array([sigma]), weights=np.ones(1))


def body_shape(size_px: float, optics_sigma: float, heading: float) -> Shape:
    """Return a body of three lobes along its heading, ``size_px`` long, warmer at its tail.

    Args:
        size_px: Length.
        optics_sigma: Blur of the lens, pixels.
        heading: Direction of flight, radians.
    """
    along = np.array([np.cos(heading), np.sin(heading)])
    sigma = float(np.hypot(size_px / 8, optics_sigma))
    places = np.array([-0.22, 0.0, 0.25])[:, None] * size_px * along
    return Shape(offsets_xy=places, sigmas=np.full(3, sigma), weights=np.array([0.42, 0.36, 0.22]))


def render(shape: Shape, centre_xy: Float, blur_xy: Float, hw: tuple[int, int]) -> Patch | None:
    """Integrate a spot over the pixels of a frame.

    Args:
        shape: Lobes.
        centre_xy: Centre of light in the middle of the exposure, continuous pixels.
        blur_xy: How far the spot moves during the exposure, pixels.
        hw: Size of the frame.

    Returns:
        The patch, or None where the spot does not touch the frame.
    """
    length = float(np.hypot(*blur_xy))
    copies = min(int(length / _BLUR_STEP_PX) + 1, _MAX_BLUR_COPIES)
    offsets, sigmas, weights = shape.offsets_xy, shape.sigmas, shape.weights
    if copies > 1:
        # Mid-points of equal parts of the exposure, so that the centre of light stays.
        times = (np.arange(copies) + 0.5) / copies - 0.5
        offsets = (times[:, None, None] * blur_xy + offsets).reshape(-1, 2)
        sigmas, weights = np.tile(sigmas, copies), np.tile(weights, copies) / copies
    centres = offsets + centre_xy
    reach = REACH_SIGMAS * sigmas
    left, top = np.floor((centres - reach[:, None]).min(axis=0)).astype(int)
    right, bottom = np.ceil((centres + reach[:, None]).max(axis=0)).astype(int)
    if left >= hw[1] or top >= hw[0] or right <= 0 or bottom <= 0:
        return None
    along_x = pixel_integrals(left, right, centres[:, 0], sigmas)
    along_y = pixel_integrals(top, bottom, centres[:, 1], sigmas) * weights[:, None]
    return Patch.cut((along_y.T @ along_x).astype(np.float32), (left, top), hw)


def pixel_integrals(first: int, last: int, centres: Float, sigmas: Float) -> Float:
    """Integrate unit Gaussians over pixels first .. last - 1.

    Returns:
        float64 (L, last - first).
    """
    edges = np.arange(first, last + 1)[None, :] - centres[:, None]
    integrals: Float = np.diff(erf(edges / (np.sqrt(2) * sigmas[:, None])), axis=1) / 2
    return integrals
