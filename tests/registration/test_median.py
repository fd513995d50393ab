"""Medians against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.registration.median import median, pixelwise_median

VALUES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30)


@given(VALUES)
def test_median_is_that_of_numpy(values):
    array = np.array(values, np.float32)
    assert median(array) == np.median(array)


def test_median_of_an_image_leaves_it_as_it_is():
    image = np.random.default_rng(0).random((5, 8)).astype(np.float32)
    before = image.copy()
    assert median(image[::2, ::3]) == np.median(before[::2, ::3])
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("count", [3, 5])
def test_pixelwise_median_is_the_median(count):
    images = np.random.default_rng(2).normal(size=(count, 30, 40)).astype(np.float32)
    images[1] = images[0]  # Ties, too.
    before = images.copy()
    np.testing.assert_array_equal(pixelwise_median(list(images)), np.median(images, axis=0))
    np.testing.assert_array_equal(images, before)
