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


@dataclass(kw_only=True, eq=False)
class NearPairs:
    """Pairs of a point of one set and a point of another, in no order.

    Attributes:
        rows: int64 (P,), points of the first set.
        columns: int64 (P,), the point of the second set in each pair.
    """

    rows: IntArray
    columns: IntArray


def pairs_within(
    first_xy: NDArray[np.float64], second_xy: NDArray[np.float64], radii_px: NDArray[np.float64]
) -> NearPairs:
    """Return every pair of points at most a distance apart that each first point has.

    Args:
        first_xy: float64 (N, 2), pixels. N may be 0.
        second_xy: float64 (M, 2), pixels. M may be 0.
        radii_px: The distances, float64 (N,).

    Example:
        >>> found = pairs_within(np.zeros((1, 2)), np.array([[3.0, 4.0], [9.0, 0.0]]), np.ones(1))
        >>> len(found.rows)
        0
    """
    squared_radii = radii_px * radii_px
    if len(first_xy) * len(second_xy) <= _MAX_DENSE_PAIRS:
        rows, columns = (
            squared_distances(first_xy, second_xy) <= squared_radii[:, None]
        ).nonzero()
        return NearPairs(rows=rows, columns=columns)
    near = near_pairs(first_xy, second_xy, float(radii_px.max(initial=0.0)))
    apart = second_xy.take(near.columns, axis=0) - first_xy.take(near.rows, axis=0)
    is_inside = apart[:, 0] ** 2 + apart[:, 1] ** 2 <= squared_radii.take(near.rows)
    return NearPairs(rows=near.rows[is_inside], columns=near.columns[is_inside])


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
        rows, columns = (squared_distances(first_xy, second_xy) <= reach_px**2).nonzero()
        return NearPairs(rows=rows, columns=columns)
    # Trees that serve one search are not worth balancing.
    trees = [cKDTree(points, balanced_tree=False) for points in (first_xy, second_xy)]
    found = trees[0].sparse_distance_matrix(trees[1], reach_px, output_type="ndarray")
    return NearPairs(rows=found["i"].astype(np.int64), columns=found["j"].astype(np.int64))


def squared_distances(
    first_xy: NDArray[np.float64], second_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared distance of each point from each other one, float64 (N, M)."""
    apart = first_xy.T[:, :, None] - np.ascontiguousarray(second_xy.T)[:, None]
    apart *= apart
    squared: NDArray[np.float64] = apart[0] + apart[1]
    return squared
