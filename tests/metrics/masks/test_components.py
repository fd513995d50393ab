import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.masks.components import check_masks, find_components


def random_mask(height, width, density, seed):
    return np.random.default_rng(seed).random((height, width)) < density


random_masks = st.builds(
    random_mask,
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]),
    st.integers(0, 10_000),
)


@given(random_masks)
@settings(max_examples=100, deadline=None)
def test_components_come_in_the_order_of_their_first_pixel_and_cover_the_mask(mask):
    found = find_components(mask)
    numbers, first = np.unique(found.labels[mask], return_index=True)
    assert numbers.tolist() == list(range(1, len(found) + 1))
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(found.labels > 0, mask)
    assert found.areas.sum() == mask.sum()


@given(random_masks)
@settings(max_examples=50, deadline=None)
def test_centroid_is_the_mean_of_the_pixels(mask):
    found = find_components(mask)
    assert found.centroids_rc.shape == (len(found), 2)
    for row in range(len(found)):
        pixels = np.argwhere(found.labels == row + 1)
        np.testing.assert_array_equal(found.centroids_rc[row], pixels.mean(axis=0))


def test_diagonal_neighbours_are_one_component():
    # Three pixels on a diagonal, and one two columns away from the last.
    found = find_components(np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 1]], bool))
    assert found.areas.tolist() == [3, 1]
    assert found.centroids_rc.tolist() == [[1, 1], [2, 4]]


def test_empty_mask_has_no_components():
    found = find_components(np.zeros((3, 4), bool))
    assert (len(found), found.centroids_rc.shape, found.areas.shape) == (0, (0, 2), (0,))


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool), np.zeros((1, 4, 4), bool)]
)
def test_masks_of_another_type_or_shape_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected bool \(H, W\)"):
        check_masks(wrong, np.zeros((4, 4), bool))
