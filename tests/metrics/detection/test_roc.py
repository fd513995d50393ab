import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.metrics.detection.hit_rule import CentreDistance
from stdet.metrics.detection.pd_fa import ScoreCurve, score_curve
from stdet.metrics.detection.roc import partial_area, pd_at, score_at


def curve(num_hits, num_false, *, num_targets=4, num_frames=10, num_pixels=1000):
    return ScoreCurve(
        scores=np.linspace(0.9, 0.1, len(num_hits)).astype(np.float32),
        num_hits=np.array(num_hits, np.int64),
        num_false_alarms=np.array(num_false, np.int64),
        num_targets=num_targets,
        num_frames=num_frames,
        num_pixels=num_pixels,
    )


def test_pd_is_the_last_one_within_the_budget():
    found = curve([1, 2, 2, 3], [0, 0, 2, 5])
    assert [pd_at(found, false_alarms=n) for n in (0, 1.9, 2, 5, 99)] == [
        0.5,
        0.5,
        0.5,
        0.75,
        0.75,
    ]
    # A budget of exactly 2 per 1000 pixels is met although 0.002 * 1000 is rounded.
    assert pd_at(found, false_alarms=0.005 * found.num_pixels) == 0.75


def test_pd_is_zero_where_the_strongest_detection_is_false_and_nan_without_targets():
    assert pd_at(curve([0, 1], [1, 1]), false_alarms=0.5) == 0
    assert pd_at(curve([], []), false_alarms=3) == 0
    assert math.isnan(pd_at(curve([0], [1], num_targets=0), false_alarms=3))


def test_partial_area_counted_by_hand():
    # Per frame: Pd 1/2 from 0, 3/4 from 0.5 on; up to 1.0 the mean is 5/8, up to 0.25 it is 1/2.
    found = curve([1, 2, 3], [0, 0, 5])
    assert partial_area(found, max_false_alarms_per_frame=1.0) == pytest.approx(5 / 8)
    assert partial_area(found, max_false_alarms_per_frame=0.25) == pytest.approx(1 / 2)


def test_partial_area_of_a_perfect_and_of_a_silent_detector():
    assert partial_area(curve([4], [0]), max_false_alarms_per_frame=0.1) == 1
    assert partial_area(curve([], []), max_false_alarms_per_frame=0.1) == 0
    assert math.isnan(partial_area(curve([0], [1], num_targets=0), max_false_alarms_per_frame=1))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12), st.floats(0.01, 3))
def test_partial_area_is_the_mean_of_pd_over_a_fine_grid(steps, limit):
    hits = np.cumsum([hit for hit, _ in steps], dtype=np.int64)
    false = np.cumsum([false for _, false in steps], dtype=np.int64)
    found = curve(hits, false, num_targets=12, num_frames=4)
    rates = (np.arange(4000) + 0.5) / 4000 * limit
    mean = np.mean([pd_at(found, false_alarms=rate * 4) for rate in rates])
    assert partial_area(found, max_false_alarms_per_frame=limit) == pytest.approx(mean, abs=2e-3)


def test_curve_knows_frames_and_pixels(build):
    results = [
        build.result(build.annotation([[], []], name=name), build.detections([[], []]))
        for name in "ab"
    ]
    found = score_curve(results, rule=CentreDistance(3.0))
    assert (found.num_frames, found.num_pixels) == (4, 4 * 64 * 64)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.integers(0, 12),
)
def test_score_within_a_budget_is_that_of_the_pd_within_it(hits, false, budget):
    length = min(len(hits), len(false))
    num_hits, num_false = np.cumsum(hits[:length]), np.cumsum(false[:length])
    found = curve(num_hits, num_false, num_targets=int(num_hits[-1]) or 1)
    threshold = score_at(found, false_alarms=budget)
    passing = found.scores >= threshold
    assert num_false[passing].max(initial=0) <= budget
    expected = num_hits[passing].max(initial=0) / found.num_targets
    assert expected == pd_at(found, false_alarms=budget)
    # The next lower score would be too many.
    assert passing.all() or num_false[passing.sum()] > budget
