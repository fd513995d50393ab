import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.detection.matching import match_points, new_matches

RADIUS = 3.0


@st.composite
def distance_matrices(draw):
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    values = draw(
        st.lists(st.integers(0, 40), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    )
    ignored = draw(st.lists(st.booleans(), min_size=shape[1], max_size=shape[1]))
    return np.array(values, float).reshape(shape) / 8, np.array(ignored, bool)


def every_matching(distances):
    """Yield every set of possible pairs, as (row, column) lists."""
    num_rows, num_columns = distances.shape
    for columns in itertools.product(range(-1, num_columns), repeat=num_rows):
        taken = [column for column in columns if column >= 0]
        pairs = [(row, column) for row, column in enumerate(columns) if column >= 0]
        if len(set(taken)) == len(taken) and all(distances[pair] < RADIUS for pair in pairs):
            yield pairs


@given(distance_matrices())
@settings(max_examples=150, deadline=None)
def test_matching_is_the_best_of_all_matchings(case):
    distances, ignored = case

    def worth(pairs):
        num_ignored = sum(bool(ignored[column]) for _, column in pairs)
        total = sum(distances[pair] for pair in pairs)
        return (len(pairs) - num_ignored, num_ignored, -round(total, 6))

    found = match_points(distances, limit=RADIUS, is_ignored=ignored)
    pairs = list(zip(found.pred_indices.tolist(), found.gt_indices.tolist(), strict=True))
    assert worth(pairs) == max(worth(pairs) for pairs in every_matching(distances))


@given(distance_matrices())
@settings(max_examples=100, deadline=None)
def test_new_matches_count_the_pairs_of_every_prefix(case):
    distances, _ = case
    sizes = [len(match_points(distances[:num], limit=RADIUS)) for num in range(len(distances) + 1)]
    assert new_matches(distances < RADIUS).tolist() == np.diff(sizes).astype(bool).tolist()


def test_a_second_hit_beats_a_shorter_distance():
    # Greedy takes the pair at 0.1 px and leaves the other prediction 9 px from its target.
    found = match_points(np.array([[0.1, 2.9], [2.9, 9.0]]), limit=RADIUS)
    assert found.gt_indices.tolist() == [1, 0]


def test_radius_is_strict_and_the_next_float_makes_it_inclusive():
    at_radius = np.array([[3.0]])
    assert len(match_points(at_radius, limit=3.0)) == 0
    assert len(match_points(at_radius, limit=float(np.nextafter(3.0, np.inf)))) == 1


def test_matching_with_nothing_on_either_side_is_empty():
    for shape in [(0, 0), (0, 3), (3, 0)]:
        assert len(match_points(np.zeros(shape), limit=RADIUS)) == 0
        assert not new_matches(np.zeros(shape, bool)).any()
