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

from stdet.registration.compared_pixels import ComparedPixels
from stdet.registration.explained_contrast import MIN_SIDE_PX, left_by, left_by_neither
from stdet.registration.gauss_newton import (
    MAX_TURN,
    MIN_SEEN,
    Fit,
    at_level,
    from_level,
    middle,
    normal_equations,
    refine,
)
from stdet.registration.phase_correlation import correlation_surface
from stdet.registration.prepared_frame import COARSE, FINE, PreparedFrame
from stdet.registration.transform import Transform
from stdet.types import FloatArray

MAX_ERROR_PX = 0.1
"""Above this standard error an alignment is not trusted."""
MAX_UNEXPLAINED = 0.08
"""Nor above this share of unexplained contrast; a homography, which explains more, from three
quarters of it on. Of 10,000 known warps right ones left up to 0.05; the two that were wrong with
a small error, both homographies, left 0.07, and unrelated frames more than 0.6."""
_OF_HOMOGRAPHY = 0.75
_HOMOGRAPHY_STEPS_PX = (0.06, 0.05, 0.05)
_NUM_PEAKS = 3
_NUM_REFINED = 2
_INFLATION = 2.0
"""Of the standard error: noise of the gradients and differences shared by neighbouring tiles are
not in it. Measured on known warps of 25 sources (``benchmarks/registration.py``)."""
_PEAK_SIGMA_PX = 0.7
"""Blur of the phase correlation, pixels of the coarse image."""
_NEAR_PX = 2.0
"""From so far steps at half the size arrive."""
_MIN_BEND_PX, _MIN_BEND = 0.05, 2.0
"""A homography is taken where it moves points by so much more than a similarity, and by so many
times its own error, root mean square over the frame."""
_INLIER = 0.25
"""Of the highest weight; pixels with less do not agree."""
_SLOPE_FLOOR = 1e-7
"""Keeps flat frames from a division by zero; full scale, squared."""


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
            return _without_bend(before, after, near)
    coarse = _align_coarsely(before, after, guess)
    found = None if coarse is None else _align_finely(before, after, coarse)
    return nothing if found is None else _without_bend(before, after, found)


def nearest_start(
    before: PreparedFrame, after: PreparedFrame, start: Transform, other: Transform
) -> Transform:
    """Return which of two starts explains more at a quarter of the size; the first of near ones.

    Args:
        before: The earlier frame.
        after: The later one, of the same size.
        start: From the earlier frame to the later one, about.
        other: Another guess.
    """
    apart = other @ start.inverse()
    if min(before.hw) < MIN_SIDE_PX or apart.largest_displacement(after.hw) < _NEAR_PX:
        return start
    return min(start, other, key=lambda each: _misfit(before, after, each, error_px=0.5))


def _align_coarsely(
    before: PreparedFrame, after: PreparedFrame, guess: Transform | None
) -> Transform | None:
    """Return the best of the starts, refined at a quarter of the size; None where all fail."""
    starts = [Transform.identity(), *_correlation_peaks(before, after)]
    if guess is not None:
        starts.append(guess)
    starts.sort(key=lambda start: _misfit(before, after, start, error_px=1.0))
    matrices = [
        refine(before.pixels(COARSE), after.reduced(COARSE), at_level(start, COARSE), COARSE)
        for start in starts[:_NUM_REFINED]
    ]
    found = [from_level(fit.matrix, COARSE) for fit in matrices if fit is not None]
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
    fit = refine(pixels, image, at_level(start, FINE), FINE, num=num)
    if fit is None:
        return None
    bent = _as_homography(pixels, image, fit) if num == 4 else None
    return _rated(before, after, fit if bent is None else bent)


def _without_bend(before: PreparedFrame, after: PreparedFrame, found: Alignment) -> Alignment:
    """Return a similarity in place of a homography that is not trusted, where that one is.

    A homography is kept from frame to frame. Where its error has grown so far that it does not
    differ significantly from a similarity, it would no longer be taken.
    """
    if found.is_trusted or found.transform.is_affine:
        return found
    pixels, image = before.pixels(FINE), after.reduced(FINE)
    centre_xy = np.array(before.hw[::-1]) / 2
    start = Transform.translation(found.transform.displacements(centre_xy))
    fit = refine(pixels, image, at_level(start, FINE), FINE)
    if fit is None:
        return found
    bent = at_level(found.transform, FINE)
    apart_px = FINE * np.sqrt((pixels.distances(fit.matrix, bent) ** 2).mean())
    plain = _rated(before, after, fit)
    is_same = apart_px <= _MIN_BEND * found.error_px
    # By a period of a facade neither is right, and both leave about as much.
    is_explained = plain.unexplained <= _OF_HOMOGRAPHY * MAX_UNEXPLAINED
    return plain if is_same and is_explained and plain.is_trusted else found


def _rated(before: PreparedFrame, after: PreparedFrame, fit: Fit) -> Alignment:
    """Return the alignment of a fit at half the size, with its error and what it explains."""
    share = left_by(before, after, fit.differences, fit.is_seen)
    if share > MAX_UNEXPLAINED:
        share = left_by_neither(before, after, fit, share)
    return Alignment(
        transform=from_level(fit.matrix, FINE),
        error_px=_INFLATION * FINE * fit.error_px(before.pixels(FINE)),
        unexplained=share,
        inliers=float((fit.weights > _INLIER * fit.weights.max()).sum() / fit.is_seen.sum()),
    )


def _as_homography(pixels: ComparedPixels, image: FloatArray, fit: Fit) -> Fit | None:
    """Refine a similarity as a homography; None where that does not go significantly farther."""
    weighted, _, normal = normal_equations(pixels, fit.weights, 8)
    numbers = np.linalg.solve(normal, weighted @ fit.differences)[:8]
    bend_px = np.linalg.norm(pixels.spread[..., 4:] @ numbers[4:], axis=-1).max()
    is_wild = np.abs(numbers[2:]).max() * pixels.to_unit[0, 0] > MAX_TURN
    if FINE * bend_px < _MIN_BEND_PX or is_wild:
        return None
    start = fit.matrix @ np.linalg.inv(pixels.step(numbers))
    bent = refine(pixels, image, start, FINE, num=8, steps_px=_HOMOGRAPHY_STEPS_PX)
    if bent is None:
        return None
    apart_px = np.sqrt((pixels.distances(fit.matrix, bent.matrix) ** 2).mean())
    return bent if apart_px > _MIN_BEND * _INFLATION * bent.error_px(pixels) else None


def _misfit(
    before: PreparedFrame, after: PreparedFrame, transform: Transform, *, error_px: float
) -> float:
    """Return how much of the coarse differences is more than a small error would leave, 0 to 1."""
    pixels = before.pixels(COARSE)
    matrix = at_level(transform, COARSE)
    differences, is_seen = pixels.differences(
        after.reduced(COARSE), matrix, interpolation=cv2.INTER_LINEAR
    )
    if np.count_nonzero(is_seen) < MIN_SEEN * is_seen.size:
        return 1.0
    differences = differences[is_seen] - middle(differences, is_seen)
    ratio = differences**2 / (pixels.slopes[is_seen] * error_px**2 + _SLOPE_FLOOR)
    return float((ratio / (1 + ratio)).mean())


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
