"""One-to-one matching by distance or another cost, shared by every detection metric.

The rule is optimal, not greedy: an early, unlucky choice must not turn a second hit into a miss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stdet.types import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Matched pairs, remembered by index.

    Attributes:
        pred_indices: int64 (P,), rows of the cost matrix, increasing.
        gt_indices: int64 (P,), the column matched to each of them.
    """

    pred_indices: IntArray
    gt_indices: IntArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pred_indices)


def match_points(
    costs: NDArray[np.float64], *, limit: float, is_ignored: BoolArray | None = None
) -> Matches:
    """Match predictions to truth one to one.

    Three aims in this order: as many pairs with counted truth as possible, then as many pairs with
    ignored truth as possible, then the smallest total cost. A pair is possible when its cost is
    strictly below the limit.

    One linear assignment reaches all three. With k = min(N, M), at most k pairs are made, and
    costs in units of the limit lie in [0, 1), so they sum to less than k. Each pair with ignored
    truth is paid k + 1, each pair with counted truth (k + 1) (k + 2): neither costs nor pairs
    with ignored truth can outweigh one pair of a higher aim. Impossible pairs cost 0, the same as
    staying alone, and are dropped afterwards.

    Args:
        costs: float64 (N, M), at least 0, prediction to truth, such as distances in pixels. N or
            M may be 0.
        limit: In the unit of the costs, above 0. ``np.nextafter(gate, np.inf)`` makes a gate
            inclusive.
        is_ignored: bool (M,), truth that counts neither as hit nor as miss; None for no such.

    Returns:
        The matched pairs.

    Example:
        >>> found = match_points(np.array([[2.0, 2.5], [2.0, 9.0]]), limit=3.0)
        >>> found.pred_indices, found.gt_indices
        (array([0, 1]), array([1, 0]))
    """
    is_possible = costs < limit
    num_pairs = min(costs.shape)
    reward = np.full(costs.shape[1], (num_pairs + 1.0) * (num_pairs + 2.0))
    if is_ignored is not None:
        reward[is_ignored] = num_pairs + 1.0
    rows, columns = linear_sum_assignment(np.where(is_possible, costs / limit - reward, 0.0))
    is_pair = is_possible[rows, columns]
    return Matches(
        pred_indices=rows[is_pair].astype(np.int64), gt_indices=columns[is_pair].astype(np.int64)
    )


def new_matches(is_near: BoolArray) -> BoolArray:
    """Say which predictions, added one after another, allow one more pair.

    The largest matching of the first n rows grows by one exactly when an augmenting path starts at
    row n, so one pass over rows in descending score counts the hits at every score threshold.

    Args:
        is_near: bool (N, M), possible pairs; rows in the order in which they are added.

    Returns:
        bool (N,). Its cumulative sum is the size of the largest matching of the first rows.

    Source:
        Berge 1957; Kuhn 1955.

    Example:
        >>> new_matches(np.array([[True, False], [True, False], [True, True]]))
        array([ True, False,  True])
    """
    owners: dict[int, int] = {}

    def is_augmented(pred: int, visited: set[int]) -> bool:
        for gt in np.flatnonzero(is_near[pred]).tolist():
            if gt not in visited:
                visited.add(gt)
                if gt not in owners or is_augmented(owners[gt], visited):
                    owners[gt] = pred
                    return True
        return False

    is_new = np.zeros(len(is_near), np.bool_)
    for pred in np.flatnonzero(is_near.any(axis=1)).tolist():
        is_new[pred] = is_augmented(pred, set())
    return is_new
