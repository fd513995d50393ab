"""Tests of the rule for reference frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.registration.references import (
    KEPT_EVERY,
    LONG_LAGS,
    LONG_REACH,
    long_term_steps,
    num_awaited,
    reference_steps,
    steady_from,
)

LAGS = (4, 8, 12, 16, 20)


@pytest.mark.parametrize(
    ("index", "last", "expected"),
    [
        (20, 20, [-4, -8, -12, -16, -20]),
        (19, 99, [-4, -8, -12, -16, 4]),
        (4, 99, [-4, 4, 8, 12, 16]),
        (3, 99, [4, 8, 12, 16, 20]),
        (0, 99, [4, 8, 12, 16, 20]),
        # Too short: the farthest there are.
        (0, 9, [4, 8, 9, 7, 6]),
        (9, 9, [-4, -8, -9, -7, -6]),
        (5, 9, [-4, 4, -5, -3, 3]),
        (12, 19, [-4, -8, -12, 4, -11]),
        # Still fewer: one stands for several.
        (1, 3, [2, -1, 1, 2, -1]),
        (1, 1, [-1, -1, -1, -1, -1]),
        (0, 0, [0, 0, 0, 0, 0]),
    ],
)
def test_reference_frames_are_those_before_and_at_the_start_those_after(index, last, expected):
    assert reference_steps(index, last, LAGS) == expected


@given(st.integers(1, 60), st.integers(0, 59))
def test_reference_frames_lie_in_the_sequence_no_nearer_than_they_must(num_frames, index):
    index %= num_frames
    steps = reference_steps(index, num_frames - 1, LAGS)
    assert len(steps) == len(LAGS)
    assert all(0 <= index + step < num_frames for step in steps)
    assert len(set(steps)) == min(len(LAGS), max(num_frames - 1, 1))
    assert (0 in steps) == (num_frames == 1)
    if num_frames > 24:
        assert min(abs(step) for step in steps) == LAGS[0]


@pytest.mark.parametrize(("index", "within"), [(-3, 0), (14, 9)])
def test_padding_has_the_reference_frames_of_the_nearest_frame(index, within):
    expected = [within + step for step in reference_steps(within, 9, LAGS)]
    assert [index + step for step in reference_steps(index, 9, LAGS)] == expected


@given(st.integers(-5, 60), st.integers(0, 59))
def test_with_the_first_frame_repeated_all_steps_lead_back(index, last):
    steps = reference_steps(index, last, LAGS, missing="first_frame")
    assert steps == [-lag for lag in LAGS]


def test_frames_wait_for_the_reference_frames_that_come_last():
    awaited = [num_awaited(index, LAGS) for index in range(30)]
    for index in range(30):
        assert awaited[index] == max(0, *reference_steps(index, 99, LAGS))
    assert steady_from(LAGS) == 24 == 1 + max(i + wait for i, wait in enumerate(awaited) if wait)


@given(st.integers(0, 400), st.integers(0, KEPT_EVERY - 1))
def test_long_term_reference_frames_are_kept_ones_spread_over_what_has_been_seen(index, phase):
    steps = long_term_steps(index, phase=phase)
    if index < LONG_LAGS[0]:
        assert steps == []
        return
    kept = [at for at in range(index) if (at + phase) % KEPT_EVERY == 0 or at == 0]
    assert {index + step for step in steps} <= set(kept)
    assert all(LONG_LAGS[0] <= -step <= LONG_REACH for step in steps)
    assert sorted(steps, reverse=True) == steps
    assert -steps[-1] >= min(index, LONG_LAGS[-1])
    if index >= LONG_LAGS[-1]:
        off = [-step - lag for step, lag in zip(steps, LONG_LAGS, strict=True)]
        assert all(0 <= one < KEPT_EVERY for one in off)
