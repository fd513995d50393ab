"""Cost, gates and assignment on cases small enough to count."""

import itertools
from unittest.mock import patch

import numpy as np
import pytest
from dense_tracking import dense_assign, dense_pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stdet.tracking import association
from stdet.tracking.association import Assignment, PricedPairs, assign, possible_pairs
from stdet.tracking.motion import StateArray


def pairs_within_gates(
    predicted: list[list[float]],
    measured: list[list[float]],
    *,
    variances: list[float],
    gate_sigma: float = 4.0,
    gate_px: float = 30.0,
) -> PricedPairs:
    return possible_pairs(
        np.array(predicted).reshape(-1, 2),
        np.array([variance * np.eye(2) for variance in variances]).reshape(-1, 2, 2),
        np.array(measured).reshape(-1, 2),
        gate_sigma=gate_sigma,
        gate_px=gate_px,
    )


def priced(cost: StateArray) -> PricedPairs:
    """Return the pairs of a matrix that are possible."""
    rows, columns = np.nonzero(np.isfinite(cost))
    return PricedPairs(track_rows=rows, detection_rows=columns, costs=cost[rows, columns])


def pairs_of(assignment: Assignment) -> set[tuple[int, int]]:
    return set(
        zip(assignment.track_rows.tolist(), assignment.detection_rows.tolist(), strict=True)
    )


def test_cost_is_squared_mahalanobis_distance_plus_log_determinant() -> None:
    # (3^2 + 4^2) / 25 + log(25 * 25).
    pairs = pairs_within_gates([[0, 0]], [[3, 4]], variances=[25.0])
    np.testing.assert_allclose(pairs.costs, [1 + np.log(625.0)], rtol=1e-12)


def test_cost_follows_the_direction_of_the_uncertainty() -> None:
    covariance = np.array([[[4.0, 0.0], [0.0, 1.0]]])
    pairs = possible_pairs(
        np.zeros((1, 2)), covariance, np.array([[2.0, 0], [0, 2]]), gate_sigma=4, gate_px=30
    )
    costs = pairs.costs[np.argsort(pairs.detection_rows)]
    np.testing.assert_allclose(costs, [1 + np.log(4.0), 4 + np.log(4.0)], rtol=1e-12)


def test_gates_keep_pairs_on_their_edge_and_refuse_pairs_beyond() -> None:
    pairs = pairs_within_gates([[0, 0]], [[4, 0], [4.001, 0]], variances=[1.0])
    assert pairs.detection_rows.tolist() == [0]
    pairs = pairs_within_gates([[0, 0]], [[18, 24], [18, 24.001]], variances=[1000.0])
    assert pairs.detection_rows.tolist() == [0]


def test_uncertain_track_does_not_steal_from_a_certain_one() -> None:
    # By d^2 alone the vague track (10^2 / 400 = 0.25) would beat the sure one (1).
    pairs = pairs_within_gates([[0, 0], [11, 0]], [[1, 0]], variances=[1.0, 400.0])
    assert len(pairs) == 2
    assert pairs_of(assign(pairs)) == {(0, 0)}


def test_more_pairs_beat_cheaper_pairs() -> None:
    # Track 0 prefers detection 0, but then track 1 is left with nothing.
    cost = np.array([[0.0, 1000.0], [1.0, np.inf]])
    assert pairs_of(assign(priced(cost))) == {(0, 1), (1, 0)}


def test_nothing_possible_gives_no_pairs() -> None:
    for shape in [(0, 0), (0, 3), (2, 0), (2, 3)]:
        assert len(assign(priced(np.full(shape, np.inf)))) == 0
    assert len(pairs_within_gates([], [[1, 1]], variances=[])) == 0
    assert len(pairs_within_gates([[1, 1]], [], variances=[1.0])) == 0


@given(
    cost=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.one_of(st.just(np.inf), st.integers(-50, 50).map(float)),
    )
)
@pytest.mark.parametrize("max_dense_pairs", [0, 512])
@settings(max_examples=100, deadline=None)
def test_assignment_equals_exhaustive_search(max_dense_pairs: int, cost: StateArray) -> None:
    def price(pairs: set[tuple[int, int]]) -> tuple[int, float]:
        return -len(pairs), sum(float(cost[pair]) for pair in pairs)

    num_tracks, num_detections = cost.shape
    finite = [
        {pair for pair in zip(rows, columns, strict=True) if np.isfinite(cost[pair])}
        for size in range(min(cost.shape) + 1)
        for rows in itertools.combinations(range(num_tracks), size)
        for columns in itertools.permutations(range(num_detections), size)
    ]
    with patch.object(association, "_MAX_DENSE_PAIRS", max_dense_pairs):
        found = pairs_of(assign(priced(cost)))
    assert all(np.isfinite(cost[pair]) for pair in found)
    assert price(found) == min(price(pairs) for pairs in finite)


@st.composite
def scenes(draw):
    """Return tracks, their covariances and detections, crowded or not, on a grid or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_tracks, num_detections = draw(st.integers(0, 150)), draw(st.integers(0, 150))
    side = draw(st.sampled_from([30.0, 300.0, 3000.0]))
    root = rng.normal(0, 2, (num_tracks, 2, 2))
    covariances = root @ root.swapaxes(1, 2) + np.eye(2)
    tracks = rng.uniform(0, side, (num_tracks, 2))
    detections = rng.uniform(0, side, (num_detections, 2))
    if draw(st.booleans()):
        covariances, tracks, detections = (
            np.tile(np.eye(2), (num_tracks, 1, 1)),
            tracks.round(),
            detections.round(),
        )
    return tracks, covariances, detections


@given(scenes(), st.sampled_from([3.0, 30.0]))
@settings(max_examples=100, deadline=None)
def test_possible_pairs_equal_those_of_all_pairs(scene, gate_px) -> None:
    found, expected = (
        find(*scene, gate_sigma=4.0, gate_px=gate_px) for find in (possible_pairs, dense_pairs)
    )
    order = np.lexsort((found.detection_rows, found.track_rows))
    np.testing.assert_array_equal(found.track_rows[order], expected.track_rows)
    np.testing.assert_array_equal(found.detection_rows[order], expected.detection_rows)
    np.testing.assert_allclose(found.costs[order], expected.costs, rtol=1e-12)


@given(scenes())
@pytest.mark.parametrize("max_dense_pairs", [0, 512])
@settings(max_examples=60, deadline=None)
def test_assignment_in_groups_is_as_good_as_of_all_at_once(max_dense_pairs, scene) -> None:
    pairs = possible_pairs(*scene, gate_sigma=4.0, gate_px=30.0)
    with patch.object(association, "_MAX_DENSE_PAIRS", max_dense_pairs):
        found = pairs_of(assign(pairs))
    expected = pairs_of(dense_assign(pairs))
    cost_of = dict(
        zip(
            zip(pairs.track_rows.tolist(), pairs.detection_rows.tolist(), strict=True),
            pairs.costs.tolist(),
            strict=True,
        )
    )
    assert len({track for track, _ in found}) == len({row for _, row in found}) == len(found)
    assert len(found) == len(expected)
    assert sum(cost_of[pair] for pair in found) == pytest.approx(
        sum(cost_of[pair] for pair in expected), rel=1e-9
    )
