"""Connected components of binary masks, shared by the mask metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stdet.types import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The 8-connected components of one mask, in the order of their first pixel, row by row.

    Attributes:
        labels: int32 (H, W), 0 outside, component number from 1 on.
        centroids_rc: float64 (N, 2), mean row and column of the pixels, counted from 0.
        areas: int64 (N,), pixels.
    """

    labels: NDArray[np.int32]
    centroids_rc: NDArray[np.float64]
    areas: IntArray

    def __len__(self) -> int:
        """Return the number of components."""
        return len(self.areas)


def find_components(mask: BoolArray) -> Components:
    """Label the 8-connected components of a mask.

    Args:
        mask: bool (H, W).

    Example:
        >>> found = find_components(np.eye(3, dtype=bool))
        >>> found.areas, found.centroids_rc
        (array([3]), array([[1., 1.]]))
    """
    labels, num = ndimage.label(mask, structure=np.ones((3, 3)))
    rows, columns = np.nonzero(mask)
    numbers = labels[rows, columns]
    areas = np.bincount(numbers, minlength=num + 1)[1:]
    sums = [
        np.bincount(numbers, weights=place, minlength=num + 1)[1:] for place in (rows, columns)
    ]
    return Components(
        labels=labels,
        centroids_rc=(np.stack(sums, axis=1) / areas[:, None]).reshape(-1, 2),
        areas=areas.astype(np.int64),
    )


def check_masks(prediction: BoolArray, truth: BoolArray) -> None:
    """Check a pair of masks.

    Raises:
        ValueError: If the masks are not bool (H, W) or differ in shape.
    """
    for mask in (prediction, truth):
        if mask.dtype != np.bool_ or mask.shape != truth.shape or mask.ndim != 2:
            raise ValueError(
                f"mask is {mask.dtype} {mask.shape}; expected bool (H, W), both alike. Threshold "
                "it first, as in mask > 0."
            )
