"""Boxes and masks of pixels that do not belong to the scene."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.errors import DataError
from stdet.io.ignored_pixels import IgnoredZones

HW = (12, 20)


def save_mask(path, is_ignored, seen=255):
    Image.fromarray(np.where(is_ignored, 0, seen).astype(np.uint8)).save(path)
    return path


@st.composite
def boxes_within(draw):
    x, y = draw(st.integers(0, HW[1] - 1)), draw(st.integers(0, HW[0] - 1))
    return x, y, draw(st.integers(1, HW[1] - x)), draw(st.integers(1, HW[0] - y))


@settings(max_examples=50, deadline=None)
@given(st.lists(boxes_within(), min_size=1, max_size=4))
def test_a_pixel_is_ignored_where_a_box_covers_its_centre(boxes):
    rows, columns = np.mgrid[: HW[0], : HW[1]] + 0.5
    expected = np.zeros(HW, bool)
    for x, y, width, height in boxes:
        expected |= (columns > x) & (columns < x + width) & (rows > y) & (rows < y + height)
    if expected.all():
        with pytest.raises(DataError, match="ignores the whole frame"):
            IgnoredZones(boxes=tuple(boxes)).of_frames(HW)
    else:
        np.testing.assert_array_equal(IgnoredZones(boxes=tuple(boxes)).of_frames(HW), expected)


@pytest.mark.parametrize("seen", [1, 255])
def test_black_pixels_of_a_mask_are_ignored_and_boxes_are_added(tmp_path, seen):
    is_ignored = np.zeros(HW, bool)
    is_ignored[3:5, 7:11] = True
    path = save_mask(tmp_path / "mask.png", is_ignored, seen)
    np.testing.assert_array_equal(IgnoredZones(mask=path).of_frames(HW), is_ignored)
    is_ignored[0, 0] = True
    np.testing.assert_array_equal(
        IgnoredZones(boxes=((0, 0, 1, 1),), mask=path).of_frames(HW), is_ignored
    )


def test_nothing_ignored_is_no_mask(tmp_path):
    white = save_mask(tmp_path / "mask.png", np.zeros(HW, bool))
    assert IgnoredZones().of_frames(HW) is None
    assert IgnoredZones(mask=white).of_frames(HW) is None


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(DataError, match="19,0,2,1: reaches outside of the frames, which are 20"):
        IgnoredZones(boxes=((19, 0, 2, 1),)).of_frames(HW)
    turned = save_mask(tmp_path / "turned.png", np.zeros(HW[::-1], bool))
    with pytest.raises(DataError, match="is 12 pixels wide and 20 high; the frames are 20 wide"):
        IgnoredZones(mask=turned).of_frames(HW)
    black = save_mask(tmp_path / "black.png", np.ones(HW, bool))
    with pytest.raises(DataError, match=r"black\.png: ignores the whole frame.*Black pixels"):
        IgnoredZones(mask=black).of_frames(HW)
    Image.new("L", HW[::-1]).save(tmp_path / "mask.jpg")
    with pytest.raises(DataError, match=r"mask\.jpg"):
        IgnoredZones(mask=tmp_path / "mask.jpg").of_frames(HW)
