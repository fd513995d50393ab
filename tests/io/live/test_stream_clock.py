import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.io.live.stream_clock import Instant, StreamClock, frame_interval

PERIOD = 0.04


def _instants(positions, delays):
    return [
        Instant(arrival=1000 + PERIOD * position + delay, stream=7 + PERIOD * position)
        for position, delay in zip(positions, delays, strict=True)
    ]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.data())
def test_index_counts_intervals_whatever_the_delays(steps, data):
    positions = [sum(steps[:count]) for count in range(1, len(steps) + 1)]
    delays = data.draw(st.lists(st.floats(0, 5), min_size=len(positions), max_size=len(positions)))
    clock = StreamClock(PERIOD)
    found = [clock.index(instant) for instant in _instants(positions, delays)]
    assert found == [position - positions[0] for position in positions]


def test_late_frames_keep_their_time_of_capture():
    """A stall of a second, after which what was missed comes at once."""
    positions = list(range(60))
    delays = [0.1] * 20 + [1.1 - PERIOD * late for late in range(25)] + [0.1] * 15
    clock = StreamClock(PERIOD)
    for position, instant in zip(positions, _instants(positions, delays), strict=True):
        assert clock.captured(instant) == pytest.approx(1000.1 + PERIOD * position)


def test_drift_of_the_clocks_does_not_add_up():
    """A camera that is slow by 1 in 1000: after an hour it is 3.6 s behind."""
    clock = StreamClock(1.0)
    for position in range(3600):
        now = position * 1.001
        captured = clock.captured(Instant(arrival=now, stream=float(position)))
    assert 0 <= now - captured < 0.1


def test_another_connection_counts_the_time_between():
    clock = StreamClock(PERIOD)
    clock.index(Instant(arrival=10.0, stream=500.0))
    assert clock.captured(Instant(arrival=10.0, stream=500.0)) == 10.0
    clock.reconnect()
    assert clock.index(Instant(arrival=14.0, stream=0.0)) == 100
    assert clock.captured(Instant(arrival=14.0, stream=0.0)) == 14.0
    assert clock.index(Instant(arrival=14.04, stream=PERIOD)) == 101


def test_frames_without_times_are_counted():
    clock = StreamClock(PERIOD)
    found = [clock.index(Instant(arrival=at, stream=None)) for at in (0.0, 0.3, 7.0)]
    assert found == [0, 1, 2]
    assert clock.captured(Instant(arrival=7.0, stream=None)) == 7.0


def test_times_that_jump_back_or_far_are_not_believed():
    clock = StreamClock(PERIOD)
    streams = [0.0, 0.04, -5.0, 9000.0]
    found = [
        clock.index(Instant(arrival=10 + PERIOD * position, stream=stream))
        for position, stream in enumerate(streams)
    ]
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("period", "declared", "expected"),
    [(0.04, 25.0, 0.04), (0.0401, 25.0, 0.04), (0.04, 50.0, 0.04), (0.04, None, 0.04)],
)
def test_rate_is_measured_where_the_declared_one_is_wrong(period, declared, expected):
    instants = [Instant(arrival=0, stream=period * count) for count in range(16)]
    assert frame_interval(instants, declared) == pytest.approx(expected)


def test_rate_of_a_stream_without_times_is_the_declared_one():
    instants = [Instant(arrival=count, stream=None) for count in range(16)]
    assert frame_interval(instants, 9.0) == 1 / 9
    assert frame_interval(instants, None) is None
