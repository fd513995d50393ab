"""Assignment on cases small enough to count."""

import itertools
from unittest.mock import patch

import numpy as np
import pytest
from dense_tracking import dense_assign
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stdet.tracking import association
from stdet.tracking.association import Assignment, ValuedPairs, assign
from stdet.tracking.states import StateArray


def valued(values: StateArray) -> ValuedPairs:
    """Return the pairs of a matrix that are worth something."""
    rows, columns = np.nonzero(values > 0)
    return ValuedPairs(track_rows=rows, detection_rows=columns, values=values[rows, columns])


def pairs_of(assignment: Assignment) -> set[tuple[int, int]]:
    return set(
        zip(assignment.track_rows.tolist(), assignment.detection_rows.tolist(), strict=True)
    )


def test_one_pair_of_large_value_beats_two_of_small_value() -> None:
    assert pairs_of(assign(valued(np.array([[9.0, 2.0], [1.0, 0.0]])))) == {(0, 0)}
    assert pairs_of(assign(valued(np.array([[9.0, 5.0], [5.0, 0.0]])))) == {(0, 1), (1, 0)}


def test_nothing_possible_gives_no_pairs() -> None:
    for shape in [(0, 0), (0, 3), (2, 0), (2, 3)]:
        assert len(assign(valued(np.zeros(shape)))) == 0


@given(
    values=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.integers(-20, 50).map(float),
    )
)
@pytest.mark.parametrize("max_dense_pairs", [0, 512])
@settings(max_examples=100, deadline=None)
def test_assignment_equals_exhaustive_search(max_dense_pairs: int, values: StateArray) -> None:
    num_tracks, num_detections = values.shape
    best = max(
        sum(max(float(values[pair]), 0.0) for pair in zip(rows, columns, strict=True))
        for size in range(min(values.shape) + 1)
        for rows in itertools.combinations(range(num_tracks), size)
        for columns in itertools.permutations(range(num_detections), size)
    )
    with patch.object(association, "_MAX_DENSE_PAIRS", max_dense_pairs):
        found = pairs_of(assign(valued(values)))
    assert all(values[pair] > 0 for pair in found)
    assert sum(float(values[pair]) for pair in found) == pytest.approx(best)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(0, 150), st.integers(0, 150)),
    density=st.sampled_from([0.005, 0.05, 0.5]),
    is_whole=st.booleans(),
)
@pytest.mark.parametrize("max_dense_pairs", [0, 512])
@settings(max_examples=60, deadline=None)
def test_assignment_in_groups_is_as_good_as_of_all_at_once(
    max_dense_pairs: int, seed: int, shape: tuple[int, int], density: float, is_whole: bool
) -> None:
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(shape) < density, rng.uniform(0.01, 20, shape), 0.0)
    values = np.ceil(values) if is_whole else values
    pairs = valued(values)
    with patch.object(association, "_MAX_DENSE_PAIRS", max_dense_pairs):
        found = pairs_of(assign(pairs))
    expected = pairs_of(dense_assign(pairs))
    assert len({track for track, _ in found}) == len({row for _, row in found}) == len(found)
    assert sum(values[pair] for pair in found) == pytest.approx(
        sum(values[pair] for pair in expected), rel=1e-9
    )
