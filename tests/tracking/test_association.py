"""Cost, gates and assignment on cases small enough to count."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stdet.tracking.association import Assignment, assign, association_cost
from stdet.tracking.motion import StateArray


def cost_of(
    predicted: list[list[float]],
    measured: list[list[float]],
    *,
    variances: list[float],
    gate_sigma: float = 4.0,
    gate_px: float = 30.0,
) -> StateArray:
    return association_cost(
        np.array(predicted).reshape(-1, 2),
        np.array([variance * np.eye(2) for variance in variances]).reshape(-1, 2, 2),
        np.array(measured).reshape(-1, 2),
        gate_sigma=gate_sigma,
        gate_px=gate_px,
    )


def pairs_of(assignment: Assignment) -> set[tuple[int, int]]:
    return set(
        zip(assignment.track_rows.tolist(), assignment.detection_rows.tolist(), strict=True)
    )


def test_cost_is_squared_mahalanobis_distance_plus_log_determinant() -> None:
    # (3^2 + 4^2) / 25 + log(25 * 25).
    cost = cost_of([[0, 0]], [[3, 4]], variances=[25.0])
    np.testing.assert_allclose(cost, [[1 + np.log(625.0)]], rtol=1e-12)


def test_cost_follows_the_direction_of_the_uncertainty() -> None:
    covariance = np.array([[[4.0, 0.0], [0.0, 1.0]]])
    cost = association_cost(
        np.zeros((1, 2)), covariance, np.array([[2.0, 0], [0, 2]]), gate_sigma=4, gate_px=30
    )
    np.testing.assert_allclose(cost, [[1 + np.log(4.0), 4 + np.log(4.0)]], rtol=1e-12)


def test_gates_keep_pairs_on_their_edge_and_refuse_pairs_beyond() -> None:
    cost = cost_of([[0, 0]], [[4, 0], [4.001, 0]], variances=[1.0])
    assert np.isfinite(cost).tolist() == [[True, False]]
    cost = cost_of([[0, 0]], [[18, 24], [18, 24.001]], variances=[1000.0])
    assert np.isfinite(cost).tolist() == [[True, False]]


def test_uncertain_track_does_not_steal_from_a_certain_one() -> None:
    # By d^2 alone the vague track (10^2 / 400 = 0.25) would beat the sure one (1).
    cost = cost_of([[0, 0], [11, 0]], [[1, 0]], variances=[1.0, 400.0])
    assert pairs_of(assign(cost)) == {(0, 0)}


def test_more_pairs_beat_cheaper_pairs() -> None:
    # Track 0 prefers detection 0, but then track 1 is left with nothing.
    cost = np.array([[0.0, 1000.0], [1.0, np.inf]])
    assert pairs_of(assign(cost)) == {(0, 1), (1, 0)}


def test_nothing_possible_gives_no_pairs() -> None:
    for shape in [(0, 0), (0, 3), (2, 0), (2, 3)]:
        assert len(assign(np.full(shape, np.inf))) == 0
    assert cost_of([], [[1, 1]], variances=[]).shape == (0, 1)
    assert cost_of([[1, 1]], [], variances=[1.0]).shape == (1, 0)


@given(
    cost=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.one_of(st.just(np.inf), st.integers(-50, 50).map(float)),
    )
)
@settings(max_examples=100, deadline=None)
def test_assignment_equals_exhaustive_search(cost: StateArray) -> None:
    def price(pairs: set[tuple[int, int]]) -> tuple[int, float]:
        return -len(pairs), sum(float(cost[pair]) for pair in pairs)

    num_tracks, num_detections = cost.shape
    finite = [
        {pair for pair in zip(rows, columns, strict=True) if np.isfinite(cost[pair])}
        for size in range(min(cost.shape) + 1)
        for rows in itertools.combinations(range(num_tracks), size)
        for columns in itertools.permutations(range(num_detections), size)
    ]
    found = pairs_of(assign(cost))
    assert all(np.isfinite(cost[pair]) for pair in found)
    assert price(found) == min(price(pairs) for pairs in finite)
