from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stdet.io.video.times import (
    frame_indices,
    frame_period,
    frame_rate,
    is_one_clock,
    plausible_rates,
)

_RATES = [Fraction(9), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60)]
_TICKS = [600, 1000, 12800, 90000]


def _indices(times: list[int], header: list[float] | None = None) -> list[int]:
    array = np.array(times, np.int64)
    return frame_indices(array, frame_period(array, header or [])).tolist()


@settings(deadline=None)
@given(
    st.sampled_from(_RATES),
    st.sampled_from(_TICKS),
    st.lists(st.integers(0, 9), min_size=12, max_size=200),
    st.integers(0, 10**9),
)
def test_dropped_frames_leave_holes_whatever_rate_and_clock(rate, ticks, digits, start):
    # Some frames are dropped; without any two in a row nothing would tell the rate.
    indices = np.array([at for at, digit in enumerate(digits) if digit or not at])
    steps = np.diff(indices)
    assume(len(steps) and (steps == 1).mean() > 0.5)
    times = [start + round(Fraction(int(at)) / rate * ticks) for at in indices]
    assert _indices(times) == indices.tolist()


@settings(deadline=None)
@given(st.lists(st.floats(0.75, 1.25), min_size=20, max_size=200), st.sampled_from(_TICKS))
def test_jitter_is_neither_a_hole_nor_a_duplicate(steps, ticks):
    times = np.concatenate([[0], np.rint(np.cumsum(steps) * ticks / 25)]).astype(np.int64)
    assume(0.9 < np.median(steps) < 1.05 and np.mean(steps) > 0.9)
    period = frame_period(times, [])
    assert frame_indices(times, period).tolist() == list(range(len(times)))


@pytest.mark.parametrize("milliseconds", [(33, 33, 34), (16, 17, 17), (8, 8, 9), (20, 20, 20)])
def test_rounded_time_stamps_are_even(milliseconds):
    times = np.cumsum([0, *milliseconds * 500]).tolist()
    assert _indices(times) == list(range(1501))


def test_frames_that_come_late_and_bunched_are_all_there():
    # The third frame is delayed by two periods; those after it catch up.
    steps = [40] * 20 + [120, 15, 15, 10] + [40] * 20
    assert _indices(np.cumsum([0, *steps]).tolist()) == list(range(45))


def test_half_of_the_rate_is_every_second_index():
    times = np.cumsum([0, *[33] * 40, *[66] * 40]).tolist()
    assert _indices(times) == [*range(41), *range(42, 121, 2)]


def test_slowly_changing_rate_has_no_holes():
    times = np.cumsum([0, *[333] * 60, *[417] * 60]).tolist()
    assert _indices(times) == list(range(121))


def test_header_tells_the_period_where_most_frames_are_dropped():
    indices = [0, 1, 5, 9, 10, 14, 18, 23, 27, 31, 32, 37]
    assert _indices([512 * at for at in indices], [512.0]) == indices


def test_rate_of_the_clock_is_not_taken_for_that_of_the_frames():
    assert plausible_rates([1000.0, None, 0.0, 25.0]) == [25.0]
    assert frame_rate(0.0437, []) == pytest.approx(22.88, abs=0.01)
    assert frame_rate(0.04, [20.83, 25.0]) == 25.0
    assert frame_rate(None, [25.0]) == 25.0
    assert frame_rate(None, []) is None


def test_jump_of_the_clock_is_no_hole():
    times = np.array([0, 40, 80, 80 + 7_200_000])
    indices = frame_indices(times, 40.0)
    assert not is_one_clock(times, indices, 0.001)
    assert is_one_clock(times[:3], indices[:3], 0.001)
