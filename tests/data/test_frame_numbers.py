"""The numbering of frames, read from names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.data.frame_numbers import natural_key, numbered_gaps


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        (["1.bmp", "2.bmp", "3.bmp"], []),
        (["1477.bmp", "1478.bmp", "2701.bmp", "2702.bmp", "2703.bmp"], [2]),
        (["f0", "f5", "f10", "f20", "f25"], [3]),
        (["1", "2", "4", "5", "6", "9"], [2, 5]),
        (["a1.png", "a2.png", "b.png"], []),
        (["0001_left.png", "0009_left.png"], []),
        (["33.png", "67.png", "100.png", "133.png", "166.png"], []),
        (["12-59.9.png", "13-00.0.png", "13-00.1.png"], []),
        (["7.png"], []),
        ([], []),
    ],
)
def test_gaps_follow_jumps_in_the_numbering(names: list[str], gaps: list[int]):
    assert numbered_gaps(names) == gaps


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 10**6),
    step=st.integers(1, 50),
    lengths=st.lists(st.integers(4, 9), min_size=1, max_size=4),
    jump=st.integers(2, 1000),
)
def test_every_jump_and_nothing_else_is_a_gap(
    start: int, step: int, lengths: list[int], jump: int
):
    numbers, expected = [start], []
    for part, length in enumerate(lengths):
        if part:
            expected.append(len(numbers))
            numbers.append(numbers[-1] + jump * step)
        numbers += [numbers[-1] + step * k for k in range(1, length)]
    assert numbered_gaps([f"frame_{number:08d}.png" for number in numbers]) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**9), unique=True, max_size=20))
def test_natural_order_is_numeric_order(numbers: list[int]):
    names = sorted((f"IMG-{number}.png" for number in numbers), key=natural_key)
    assert names == [f"IMG-{number}.png" for number in sorted(numbers)]
