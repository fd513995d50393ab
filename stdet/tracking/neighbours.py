"""Which points lie near which others, in time and memory linear in the pairs that do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from stdet.types import IntArray

_SLACK = 1e-6
"""Share by which the search reaches farther than asked, for the rounding inside the tree."""
_MAX_DENSE_PAIRS = 2500
"""Up to so many pairs it is faster to look at each of them than to build trees."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NearPairs:
    """Pairs of a point of one set and a point of another, in no order.

    Attributes:
        rows: int64 (P,), points of the first set.
        columns: int64 (P,), the point of the second set in each pair.
    """

    rows: IntArray
    columns: IntArray


def near_pairs(
    first_xy: NDArray[np.float64], second_xy: NDArray[np.float64], radius_px: float
) -> NearPairs:
    """Return every pair of points at most a distance apart, and possibly some just beyond it.

    Args:
        first_xy: float64 (N, 2), pixels. N may be 0.
        second_xy: float64 (M, 2), pixels. M may be 0.
        radius_px: The distance.

    Example:
        >>> found = near_pairs(np.zeros((1, 2)), np.array([[3.0, 4.0], [9.0, 0.0]]), 5.0)
        >>> found.rows, found.columns
        (array([0]), array([0]))
    """
    if not len(first_xy) or not len(second_xy):
        return NearPairs(rows=np.zeros(0, np.int64), columns=np.zeros(0, np.int64))
    reach_px = radius_px * (1 + _SLACK)
    if len(first_xy) * len(second_xy) <= _MAX_DENSE_PAIRS:
        between = first_xy[:, None] - second_xy
        is_near = between[..., 0] ** 2 + between[..., 1] ** 2 <= reach_px**2
        rows, columns = is_near.nonzero()
        return NearPairs(rows=rows, columns=columns)
    # Trees that serve one search are not worth balancing.
    trees = [cKDTree(points, balanced_tree=False) for points in (first_xy, second_xy)]
    found = trees[0].sparse_distance_matrix(trees[1], reach_px, output_type="ndarray")
    return NearPairs(rows=found["i"].astype(np.int64), columns=found["j"].astype(np.int64))
