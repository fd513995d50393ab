"""Which detection belongs to which track: gate, cost and assignment.

Only pairs inside the gate are priced, and they are assigned in groups that share no track and no
detection, so that time and memory grow with the number of such pairs and not with the product of
tracks and detections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from stdet.tracking.motion import StateArray
from stdet.tracking.neighbours import near_pairs
from stdet.types import BoolArray, IntArray

_GROUP_PAIRS = 128
"""Small groups are solved together up to about so many pairs, to save calls."""
_MAX_DENSE_PAIRS = 512
"""A group of more pairs is solved as a sparse problem. A dense one has the better constant and
breaks ties by the order of rows, but its matrix grows with the square."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PricedPairs:
    """Pairs of track and detection that may belong together, in no order.

    Attributes:
        track_rows: int64 (P,).
        detection_rows: int64 (P,), the detection of each pair.
        costs: float64 (P,), finite.
    """

    track_rows: IntArray
    detection_rows: IntArray
    costs: StateArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.costs)

    def __getitem__(self, rows: BoolArray | IntArray) -> PricedPairs:
        """Return the chosen pairs."""
        return PricedPairs(
            track_rows=self.track_rows[rows],
            detection_rows=self.detection_rows[rows],
            costs=self.costs[rows],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """One-to-one pairs of tracks and detections.

    Attributes:
        track_rows: int64 (K,).
        detection_rows: int64 (K,), the partner of each.
    """

    track_rows: IntArray
    detection_rows: IntArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.track_rows)

    @classmethod
    def concatenate(cls, *parts: Assignment) -> Assignment:
        """Return the pairs of all parts; they must not share a track or a detection."""
        nothing = np.zeros(0, np.int64)
        return cls(
            track_rows=np.concatenate([nothing, *(part.track_rows for part in parts)]),
            detection_rows=np.concatenate([nothing, *(part.detection_rows for part in parts)]),
        )


def possible_pairs(
    predicted_xy: StateArray,
    innovation_covariances: StateArray,
    measured_xy: StateArray,
    *,
    gate_sigma: float,
    gate_px: float,
) -> PricedPairs:
    """Price each pair of track and detection inside the gates by how unlikely it is.

    The price is d^2 + log det S, with d^2 = nu' S^-1 nu the squared Mahalanobis distance of the
    innovation nu: twice the negative log likelihood of a Gaussian, up to a constant. Without
    log det S a track that knows little (large S, hence small d) would steal the detections of
    tracks that know much.

    Args:
        predicted_xy: Predicted centres, float (N, 2), pixels. N may be 0.
        innovation_covariances: S of each track, float (N, 2, 2), pixels squared.
        measured_xy: Detected centres, float (M, 2), pixels. M may be 0.
        gate_sigma: Largest d of a possible pair.
        gate_px: Largest Euclidean distance of a possible pair, pixels.
    """
    # |nu|^2 <= d^2 times the largest eigenvalue of S, which no sum of a row's sizes is below.
    largest_variance = np.abs(innovation_covariances).sum(axis=2).max(initial=0.0)
    reach_px = min(gate_px, gate_sigma * float(np.sqrt(largest_variance)))
    near = near_pairs(predicted_xy, measured_xy, reach_px)
    innovation = measured_xy.take(near.columns, axis=0) - predicted_xy.take(near.rows, axis=0)
    precision = np.linalg.inv(innovation_covariances).take(near.rows, axis=0)
    distance_squared = np.einsum("pi,pij,pj->p", innovation, precision, innovation)
    log_determinant = np.linalg.slogdet(innovation_covariances).logabsdet
    is_inside = (distance_squared <= gate_sigma**2) & (
        np.hypot(innovation[:, 0], innovation[:, 1]) <= gate_px
    )
    return PricedPairs(
        track_rows=near.rows[is_inside],
        detection_rows=near.columns[is_inside],
        costs=(distance_squared + log_determinant[near.rows])[is_inside],
    )


def assign(pairs: PricedPairs) -> Assignment:
    """Choose the one-to-one pairs: as many as possible, and among those the cheapest sum.

    Where several sets are equally good, which one is chosen depends on the row numbers alone.

    Args:
        pairs: The possible ones. There may be none.

    Example:
        >>> pairs = assign(PricedPairs(
        ...     track_rows=np.array([0, 0, 1]), detection_rows=np.array([0, 1, 0]),
        ...     costs=np.array([1.0, 2.0, 1.5])))
        >>> pairs.track_rows, pairs.detection_rows
        (array([0, 1]), array([1, 0]))
    """
    return Assignment.concatenate(*(_assign_group(group) for group in _groups(pairs)))


def _groups(pairs: PricedPairs) -> Iterator[PricedPairs]:
    """Split the pairs into groups that share no track and no detection."""
    if len(pairs) <= _GROUP_PAIRS:
        if len(pairs):
            yield pairs
        return
    tracks, track_of = np.unique(pairs.track_rows, return_inverse=True)
    detections, detection_of = np.unique(pairs.detection_rows, return_inverse=True)
    num_nodes = len(tracks) + len(detections)
    graph = csr_array(
        (np.ones(len(pairs), np.int8), (track_of, len(tracks) + detection_of)),
        shape=(num_nodes, num_nodes),
    )
    _, component_of_node = connected_components(graph, directed=False)
    component_of = component_of_node[track_of]
    ends = np.cumsum(np.bincount(component_of))
    starts_group = np.diff((ends - 1) // _GROUP_PAIRS) > 0
    for rows in np.split(np.argsort(component_of, kind="stable"), ends[:-1][starts_group]):
        yield pairs[rows]


def _assign_group(pairs: PricedPairs) -> Assignment:
    """Assign at least one pair."""
    tracks, track_of = np.unique(pairs.track_rows, return_inverse=True)
    detections, detection_of = np.unique(pairs.detection_rows, return_inverse=True)
    costs = pairs.costs - pairs.costs.min()
    # One impossible pair costs more than any full set of possible ones.
    forbidden = (costs.max() + 1) * (min(len(tracks), len(detections)) + 1)
    solve = _solve_dense if len(pairs) <= _MAX_DENSE_PAIRS else _solve_sparse
    rows, columns = solve(track_of, detection_of, costs, forbidden)
    return Assignment(track_rows=tracks[rows], detection_rows=detections[columns])


def _solve_dense(
    track_of: IntArray, detection_of: IntArray, costs: StateArray, forbidden: float
) -> tuple[IntArray, IntArray]:
    """Return the rows and columns of the cheapest pairs; both are counted without gaps."""
    matrix = np.full((track_of.max() + 1, detection_of.max() + 1), forbidden)
    matrix[track_of, detection_of] = costs
    rows, columns = linear_sum_assignment(matrix)
    is_possible = matrix[rows, columns] < forbidden
    return rows[is_possible], columns[is_possible]


def _solve_sparse(
    track_of: IntArray, detection_of: IntArray, costs: StateArray, forbidden: float
) -> tuple[IntArray, IntArray]:
    """Do the same in memory that grows with the pairs alone."""
    num_tracks, num_detections = int(track_of.max()) + 1, int(detection_of.max()) + 1
    if num_tracks > num_detections:
        columns, rows = _solve_sparse(detection_of, track_of, costs, forbidden)
        return rows, columns
    # Each track has a column of its own that means none. SciPy takes a cost of 0 for no pair.
    own = np.arange(num_tracks)
    matrix = csr_array(
        (
            np.concatenate([costs + 1, np.full(num_tracks, forbidden + 1)]),
            (
                np.concatenate([track_of, own]),
                np.concatenate([detection_of, num_detections + own]),
            ),
        ),
        shape=(num_tracks, num_detections + num_tracks),
    )
    rows, columns = min_weight_full_bipartite_matching(matrix)
    is_possible = columns < num_detections
    return rows[is_possible].astype(np.int64), columns[is_possible].astype(np.int64)
