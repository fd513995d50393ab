"""Peaks of a residual's contrast: where they lie, and which are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.registration.contrast_peaks import LEAST_CONTRAST, MOST_PEAKS, contrast_peaks


def spot(x: float, y: float, height: float) -> np.ndarray:
    """Return a Gaussian of one pixel of standard deviation about a place, (24, 32)."""
    rows, columns = np.mgrid[:24, :32] + 0.5
    squared = (columns - x) ** 2 + (rows - y) ** 2
    return (height * np.exp(-squared / 2)).astype(np.float32)


@given(
    x=st.floats(4, 28),
    y=st.floats(4, 20),
    height=st.floats(5, 20),
    sign=st.sampled_from([-1, 1]),
)
def test_spot_is_one_peak_where_it_lies(x, y, height, sign):
    peaks = contrast_peaks(sign * spot(x, y, height))
    strongest = np.argmax(peaks.strengths)
    assert np.hypot(*(peaks.xy[strongest] - (x, y))) < 0.15
    # Of a spot halfway between pixels two may be equally high.
    assert len(np.unique(np.round(peaks.xy[:, 0] / 2))) <= 2
    assert 0.7 * height < peaks.strengths[strongest] <= height + 1e-4


def test_weak_peaks_and_those_at_the_edge_are_left_out():
    assert len(contrast_peaks(spot(10, 10, LEAST_CONTRAST - 0.1))) == 0
    assert len(contrast_peaks(spot(0.5, 10.5, 9))) == 0


def test_of_too_many_the_strongest_are_kept():
    contrast = np.zeros((200, 200), np.float32)
    places = np.arange(5, 195, 8)
    heights = np.linspace(3, 9, len(places) ** 2).reshape(len(places), -1)
    contrast[np.ix_(places, places)] = heights
    peaks = contrast_peaks(contrast)
    assert len(peaks) == MOST_PEAKS < heights.size
    assert peaks.strengths.min() == pytest.approx(np.sort(heights.ravel())[-MOST_PEAKS])
