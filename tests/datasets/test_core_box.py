"""Tests of the core inside a loose box."""

import numpy as np
import pytest

from stdet.datasets.core_box import CORE_MARGIN_PX, core_box


@pytest.mark.parametrize("sign", [1, -1])
def test_core_is_found_inside_a_loose_box(sign):
    frame = np.full((60, 60), 0.5, np.float32)
    frame[30:34, 22:25] += sign * 0.3
    box = core_box(frame, np.array([10, 15, 50, 55], np.float32))
    # Smoothing rounds the corners of 3 x 4 pixels but leaves their sides at half the peak.
    margin = CORE_MARGIN_PX
    np.testing.assert_allclose(box, [22 - margin, 30 - margin, 25 + margin, 34 + margin])


def test_brighter_spot_outside_the_box_is_not_taken():
    frame = np.zeros((60, 60), np.float32)
    frame[30:32, 30:32] = 0.5
    frame[30:32, 44:46] = 1.0
    box = core_box(frame, np.array([20, 20, 40, 40], np.float32))
    assert (box[0] + box[2]) / 2 == pytest.approx(31)


def test_box_without_content_stays():
    loose = np.array([5, 5, 15, 15], np.float32)
    np.testing.assert_array_equal(core_box(np.ones((20, 20), np.float32), loose), loose)
    outside = np.array([100, 100, 110, 110], np.float32)
    np.testing.assert_array_equal(core_box(np.ones((20, 20), np.float32), outside), outside)
