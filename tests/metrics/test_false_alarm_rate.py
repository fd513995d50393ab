"""False alarms per hour."""

import math

import pytest

from stdet.metrics.false_alarm_rate import HourlyRate


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # Exact Poisson limits as printed in tables (Garwood 1936), per count.
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390)],
)
def test_interval_is_that_of_published_tables(count, low, high):
    found = HourlyRate.of(count, seconds=3600)
    assert found.rate == count
    assert found.low == pytest.approx(low, abs=5e-4)
    assert found.high == pytest.approx(high, abs=5e-4)


def test_short_footage_leaves_much_open():
    # One false alarm in 12 seconds: 300 an hour, and between 7.6 and 1,671.
    found = HourlyRate.of(1, seconds=12)
    assert found.rate == pytest.approx(300)
    assert (found.low, found.high) == (pytest.approx(7.595, abs=1e-3), pytest.approx(1671.5, 1e-4))


@pytest.mark.parametrize("seconds", [math.nan, 0.0])
def test_unknown_frame_rate_gives_no_rate(seconds):
    found = HourlyRate.of(3, seconds=seconds)
    assert all(math.isnan(value) for value in (found.rate, found.low, found.high))
