"""The numbering of frames, read from names."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.io.images.frame_numbers import frame_runs, natural_key


def numbered_gaps(names: list[str]) -> list[int]:
    """Return the positions after gaps, where names are one sequence."""
    runs = frame_runs(names).runs
    return [run.rows[0] for run in runs[1:]]


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


def _found(names: list[str]) -> list[tuple[str, int]]:
    """Return the sequence and length of every run."""
    runs = frame_runs(sorted(names, key=natural_key)).runs
    return [(run.sequence, len(run.rows)) for run in runs]


_CLOCKS = [
    "%Y%m%d%H%M%S{ms}",
    "%Y%m%dT%H%M%S.{ms}",
    "%Y%m%d_%H%M%S_{ms}",
    "%Y-%m-%dT%H-%M-%S.{ms}",
    "%Y-%m-%d_%H-%M-%S-{ms}Z",
    "cam2_%Y%m%d%H%M%S{ms}_ir",
    "%H-%M-%S.{ms}",
    "%H%M%S_{ms}",
    "%H%M%S{ms}",
    "%s.{ms}",
    "%s{ms}",
]


def _stamps(form: str, start: datetime.datetime, offsets_ms: list[int]) -> list[str]:
    times = [start + datetime.timedelta(milliseconds=offset) for offset in offsets_ms]
    return [
        time.strftime(form.replace("%s", str(int(time.timestamp())))).format(
            ms=f"{time.microsecond // 1000:03d}"
        )
        + ".png"
        for time in times
    ]


@pytest.mark.parametrize("form", _CLOCKS)
@pytest.mark.parametrize(
    "start", ["2024-05-01T12:00:59", "2024-05-01T12:59:59", "2024-12-31T23:59:59"]
)
def test_times_go_on_over_minutes_hours_and_midnight(form: str, start: str):
    begin = datetime.datetime.fromisoformat(start).replace(tzinfo=datetime.UTC)
    names = _stamps(form, begin, list(range(0, 2400, 40)))
    found = frame_runs(sorted(names, key=natural_key)).runs
    assert len(found) == 1
    assert [sorted(names, key=natural_key)[row] for row in found[0].rows] == names


@pytest.mark.parametrize("form", _CLOCKS)
def test_a_gap_in_time_is_found_wherever_it_lies(form: str):
    begin = datetime.datetime(2024, 5, 1, 12, 0, 59, tzinfo=datetime.UTC)
    for gap_ms in (120, 1000, 59_000, 3_600_000):
        names = _stamps(
            form, begin, [*range(0, 1200, 40), *range(1160 + gap_ms, 2400 + gap_ms, 40)]
        )
        assert [length for _, length in _found(names)] == [30, 31]


@settings(max_examples=40, deadline=None)
@given(
    stems=st.lists(
        st.sampled_from(["s1_", "s2_", "s10_", "clip-a-", "clip-b-", "A", "cam.2.", "day 3 "]),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    length=st.integers(2, 30),
    width=st.integers(1, 6),
    ending=st.sampled_from(["", "_ir", "_png.rf.0123456789abcdef0123456789abcdef"]),
)
def test_beginnings_of_names_are_sequences(stems: list[str], length: int, width: int, ending: str):
    names = [f"{stem}{k:0{width}d}{ending}.png" for stem in stems for k in range(1, length + 1)]
    assert sorted(number for _, number in _found(names)) == [length] * len(stems)


@pytest.mark.parametrize(
    "names",
    [
        [f"frame_{k}_of_40.png" for k in range(1, 41)],
        [f"{k:04d}_2024050112{k // 30:02d}.png" for k in range(60)],
        [f"DJI_20240501_1200{k // 25:02d}_{k:04d}_T.JPG" for k in range(100)],
        [f"12-00-{k // 25:02d}_{k:04d}.png" for k in range(100)],
        [f"{k:06d}.png" for k in range(200)],
        [f"{k * 40 / 1000:.3f}.png" for k in range(100)],
    ],
    ids=["of-n", "stamp-behind", "counter-behind", "clock-counter", "plain", "seconds"],
)
def test_names_that_vary_in_more_than_the_number_stay_one_sequence(names: list[str]):
    assert len(_found(names)) == 1


def test_a_plain_number_is_no_time():
    names = [f"{k:06d}.png" for k in (*range(40, 60), *range(100, 120))]
    assert [length for _, length in _found(names)] == [20, 20]


def test_numbers_of_any_size_are_read():
    names = [f"{'9' * 200}{k}.png" for k in range(5)] + ["1" * 250 + ".png"]
    assert sum(length for _, length in _found(names)) == 6
