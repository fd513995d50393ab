import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.synthesis.spots import body_shape, point_shape, render

HW = (64, 72)
CENTRES = st.tuples(st.floats(28, 44), st.floats(28, 36))
SIZES = st.floats(1, 15)


def _shape(size, angle):
    return point_shape(size, 0.5) if size < 6 else body_shape(size, 0.5, angle)


def _centroid(patch):
    rows = np.arange(patch.rows.start, patch.rows.stop) + 0.5
    columns = np.arange(patch.columns.start, patch.columns.stop) + 0.5
    light = patch.light.astype(np.float64)
    return np.array([(light * columns).sum(), (light.T * rows).sum()]) / light.sum()


@settings(max_examples=40, deadline=None)
@given(CENTRES, SIZES, st.floats(0, 6.3), st.floats(-5, 5), st.floats(-5, 5))
def test_light_is_conserved_and_its_centre_is_the_truth_at_every_sub_pixel_position(
    centre, size, angle, blur_x, blur_y
):
    patch = render(_shape(size, angle), np.array(centre), np.array([blur_x, blur_y]), HW)
    assert float(patch.light.sum()) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(_centroid(patch), centre, atol=0.01)


def test_spot_is_the_integral_of_the_gaussian_over_each_pixel():
    centre = np.array([20.3, 15.6])
    patch = render(point_shape(2.0, 0.6), centre, np.zeros(2), HW)
    sigma = np.hypot(0.5, 0.6)
    fine = (np.arange(HW[1] * 50) + 0.5) / 50
    along_x, along_y = (
        (np.exp(-((fine - c) ** 2) / (2 * sigma**2)) / np.sqrt(2 * np.pi) / sigma)
        .reshape(-1, 50)
        .mean(1)
        for c in centre
    )
    expected = np.outer(along_y[patch.rows], along_x[patch.columns])
    np.testing.assert_allclose(patch.light, expected, atol=1e-4)


def test_brightness_of_a_spot_at_the_border_is_that_of_the_whole_spot():
    inside = render(point_shape(3.0, 0.5), np.array([30.5, 30.5]), np.zeros(2), HW)
    outside = render(point_shape(3.0, 0.5), np.array([-2.5, 30.5]), np.zeros(2), HW)
    assert outside.core == pytest.approx(inside.core, rel=1e-5)
    assert outside.light.sum() < 0.01
    assert not outside.support().any()


def test_spot_beyond_the_frame_is_nothing():
    assert render(point_shape(2.0, 0.5), np.array([-20.0, 5.0]), np.zeros(2), HW) is None


@pytest.mark.parametrize("size", [8.0, 12.0, 15.0])
def test_visible_extent_of_a_large_body_is_near_its_size(size):
    half_x, half_y = body_shape(size, 0.5, 0.0).half_extent_xy()
    assert 2 * half_x == pytest.approx(size, rel=0.15)
    assert half_y < half_x
