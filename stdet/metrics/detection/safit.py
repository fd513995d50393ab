"""SAFit: an overlap for targets of any size, in the place of IoU in COCO's average precision.

Source:
    Ying et al. 2024, "Visible-Thermal Tiny Object Detection: A Benchmark Dataset and Baselines"
    (arXiv 2406.14482). With A the area of the true box, IoU its overlap with the detection, and
    NWD = exp(-W / C) the normalised Wasserstein distance of the two boxes taken as Gaussians,

        SAFit = s IoU + (1 - s) NWD,    s = 1 / (1 + exp(-(sqrt(A) / C - 1))),    C = 32 px.

    W is the norm of the differences of centres and of half the sides (Wang et al. 2021,
    arXiv 2110.13389). The public code of SAFit takes the upper left corners in the place of
    centres: ``anchor="corner"``. The two agree where boxes are of one size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.detection.pairs import areas, overlaps
from stdet.types import BoolArray, FloatArray

SCALE_PX = 32.0
"""C, the size at which IoU and NWD have the same weight, pixels."""

Anchor = Literal["corner", "centre"]
"""What the distance of two boxes is measured between."""


def safit(
    anchor: Anchor,
) -> Callable[[FloatArray, FloatArray, BoolArray], NDArray[np.float64]]:
    """Return the measure of pairs, for ``flatten``.

    Example:
        >>> measure = safit("centre")
        >>> box, none = np.array([[0.0, 0, 32, 32]], np.float32), np.zeros(1, bool)
        >>> measure(box + 32, box, none).round(4)  # No overlap, W = 32 sqrt(2): exp(-1.4142) / 2.
        array([0.1216])
    """

    def measure(boxes: FloatArray, gt: FloatArray, is_ignored: BoolArray) -> NDArray[np.float64]:
        sides = [(b[:, 2:] - b[:, :2]).astype(np.float64) for b in (boxes, gt)]
        places = [b[:, :2].astype(np.float64) for b in (boxes, gt)]
        if anchor == "centre":
            places = [place + side / 2 for place, side in zip(places, sides, strict=True)]
        squares = (places[0] - places[1]) ** 2 + ((sides[0] - sides[1]) / 2) ** 2
        nwd = np.exp(-np.sqrt(squares.sum(axis=1)) / SCALE_PX)
        share = 1 / (1 + np.exp(1 - np.sqrt(areas(gt)) / SCALE_PX))
        fitness: NDArray[np.float64] = share * overlaps(boxes, gt, is_ignored) + (1 - share) * nwd
        return fitness

    return measure
