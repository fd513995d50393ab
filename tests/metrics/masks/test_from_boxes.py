import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.metrics.masks.components import find_components
from stdet.metrics.masks.from_boxes import (
    boxes_about_components,
    fill_boxes,
    median_area_px2,
    pixel_bounds,
)


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((1, 1, 3, 2), {(1, 1), (1, 2)}),  # Whole pixels.
        ((0.5, 0.5, 1.5, 1.5), {(0, 0)}),  # A centre on the left edge lies in, on the right not.
        ((2.6, 1.6, 2.9, 1.9), {(1, 2)}),  # Between centres: the pixel of its own centre.
        ((0, 1.6, 3, 1.9), {(1, 0), (1, 1), (1, 2)}),  # Thin in one direction only.
        ((-5, -5, 0.4, 0.4), set()),  # Reaches in, but holds no centre and has its own outside.
        ((-5, 0, 1, 1), {(0, 0)}),
        ((9, 9, 12, 12), set()),
    ],
)
def test_box_fills_the_pixels_whose_centre_lies_in_it(box, pixels):
    assert set(zip(*np.nonzero(fill_boxes(boxes(box), (3, 4))), strict=True)) == pixels


def test_boxes_that_touch_are_one_component():
    mask = fill_boxes(boxes((0, 0, 2, 2), (2, 0, 4, 2), (6, 0, 8, 2)), (4, 9))
    assert len(find_components(mask)) == 2
    assert not fill_boxes(boxes(), (4, 9)).any()


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 3)] * 2), max_size=4))
def test_whole_boxes_apart_survive_the_way_there_and_back(places):
    # One cell of 8 x 8 px for each, so that none touch.
    rows = [(8 * n + x, y, 8 * n + x + w, y + h) for n, (x, y, w, h) in enumerate(places)]
    mask = fill_boxes(boxes(*rows), (8, 40))
    back = boxes_about_components(find_components(mask))
    assert sorted(back.tolist()) == sorted(map(list, rows))


def test_bounds_end_at_the_frame():
    assert pixel_bounds(boxes((-3, -3, 99, 99)), (5, 7)).tolist() == [[0, 0, 7, 5]]


def test_median_area():
    assert median_area_px2(boxes((0, 0, 1, 1), (0, 0, 9, 9), (0, 0, 20, 20))) == 81
    assert median_area_px2(boxes()) == 0
