"""Which detection belongs to which track: the pairs that explain a frame best.

Only pairs that may belong together are priced, and they are assigned in groups that share no track
and no detection, so that time and memory grow with the number of such pairs and not with the
product of tracks and detections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from stdet.tracking.states import StateArray
from stdet.types import BoolArray, IntArray

_GROUP_PAIRS = 128
"""Small groups are solved together up to about so many pairs, to save calls."""
_MAX_CELLS = 2500
"""A matrix of so many cells is solved as it is: to leave out empty rows would take longer."""
_MAX_DENSE_PAIRS = 512
"""A group of more pairs is solved as a sparse problem. A dense one has the better constant and
breaks ties by the order of rows, but its matrix grows with the square."""


@dataclass(kw_only=True, eq=False)
class ValuedPairs:
    """Pairs of track and detection that may belong together, in no order.

    Attributes:
        track_rows: int64 (P,).
        detection_rows: int64 (P,), the detection of each pair.
        values: What each pair explains beyond its track missed and its detection a false alarm,
            log-likelihood ratios, float64 (P,), above 0.
    """

    track_rows: IntArray
    detection_rows: IntArray
    values: StateArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.values)

    def __getitem__(self, rows: BoolArray | IntArray) -> ValuedPairs:
        """Return the chosen pairs."""
        return ValuedPairs(
            track_rows=self.track_rows[rows],
            detection_rows=self.detection_rows[rows],
            values=self.values[rows],
        )


@dataclass(kw_only=True, eq=False)
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

    def without_track(self, num: int) -> IntArray:
        """Return the rows of so many detections that no track has."""
        is_left = np.empty(num, np.bool_)
        is_left.fill(True)
        is_left[self.detection_rows] = False
        left: IntArray = is_left.nonzero()[0]
        return left

    @classmethod
    def concatenate(cls, *parts: Assignment) -> Assignment:
        """Return the pairs of all parts; they must not share a track or a detection."""
        nothing = np.zeros(0, np.int64)
        return cls(
            track_rows=np.concatenate([nothing, *(part.track_rows for part in parts)]),
            detection_rows=np.concatenate([nothing, *(part.detection_rows for part in parts)]),
        )


def assign(pairs: ValuedPairs) -> Assignment:
    """Choose one-to-one pairs of the largest sum of values; tracks and detections may stay alone.

    Where several sets are equally good, which one is chosen depends on the row numbers alone.

    Args:
        pairs: The possible ones. There may be none.

    Example:
        >>> pairs = assign(ValuedPairs(
        ...     track_rows=np.array([0, 0, 1]), detection_rows=np.array([0, 1, 0]),
        ...     values=np.array([3.0, 1.0, 2.5])))
        >>> pairs.track_rows, pairs.detection_rows
        (array([0, 1]), array([1, 0]))
    """
    if not len(pairs) or _are_all_apart(pairs):
        return Assignment(track_rows=pairs.track_rows, detection_rows=pairs.detection_rows)
    if len(pairs) <= _GROUP_PAIRS:
        return _assign_group(pairs)
    return Assignment.concatenate(*(_assign_group(group) for group in _groups(pairs)))


def _are_all_apart(pairs: ValuedPairs) -> bool:
    """Return whether no two pairs share a track or a detection."""
    for rows in (pairs.track_rows, pairs.detection_rows):
        if np.maximum.reduce(np.bincount(rows)) > 1:
            return False
    return True


def _groups(pairs: ValuedPairs) -> Iterator[ValuedPairs]:
    """Split the pairs into groups that share no track and no detection."""
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


def _assign_group(pairs: ValuedPairs) -> Assignment:
    """Assign at least one pair."""
    num_cells = (int(pairs.track_rows.max()) + 1) * (int(pairs.detection_rows.max()) + 1)
    if num_cells <= _MAX_CELLS:
        rows, columns = _solve_dense(pairs.track_rows, pairs.detection_rows, pairs.values)
        return Assignment(track_rows=rows, detection_rows=columns)
    tracks, track_of = np.unique(pairs.track_rows, return_inverse=True)
    detections, detection_of = np.unique(pairs.detection_rows, return_inverse=True)
    solve = _solve_dense if len(pairs) <= _MAX_DENSE_PAIRS else _solve_sparse
    rows, columns = solve(track_of, detection_of, pairs.values)
    return Assignment(track_rows=tracks[rows], detection_rows=detections[columns])


def _solve_dense(
    track_of: IntArray, detection_of: IntArray, values: StateArray
) -> tuple[IntArray, IntArray]:
    """Return the rows and columns of the best pairs."""
    matrix = np.zeros((track_of.max() + 1, detection_of.max() + 1))
    matrix[track_of, detection_of] = values
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    is_possible = matrix[rows, columns] > 0
    return rows[is_possible], columns[is_possible]


def _solve_sparse(
    track_of: IntArray, detection_of: IntArray, values: StateArray
) -> tuple[IntArray, IntArray]:
    """Do the same in memory that grows with the pairs alone."""
    num_tracks, num_detections = int(track_of.max()) + 1, int(detection_of.max()) + 1
    if num_tracks > num_detections:
        columns, rows = _solve_sparse(detection_of, track_of, values)
        return rows, columns
    # Each track has a column of its own that means none. SciPy takes a cost of 0 for no pair.
    own = np.arange(num_tracks)
    none = values.max() + 1
    matrix = csr_array(
        (
            np.concatenate([none - values, np.full(num_tracks, none)]),
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
