import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou as torchvision_iou

from stdet.boxes import box_iou, centre_distance, centres_xy, xywh_to_xyxy, xyxy_to_xywh

# Multiples of 1/8 keep sums exact in float32, so that round trips can be compared for equality.
_coordinates = st.integers(-800, 800).map(lambda eighths: eighths / 8)
_sides = st.integers(1, 240).map(lambda eighths: eighths / 8)
_boxes = st.lists(st.tuples(_coordinates, _coordinates, _sides, _sides), max_size=6).map(
    lambda rows: np.array(rows, np.float32).reshape(-1, 4)
)


def test_width_is_never_plus_one():
    assert xywh_to_xyxy(np.array([[3, 4, 1, 1]])).tolist() == [[3, 4, 4, 5]]  # One pixel.
    assert xyxy_to_xywh(np.array([[3, 4, 4, 5]])).tolist() == [[3, 4, 1, 1]]


def test_small_target_off_by_one_pixel_has_half_the_overlap():
    # 3x3 boxes: 2 x 3 = 6 shared of 9 + 9 - 6 = 12 pixels.
    assert box_iou(np.array([[0, 0, 3, 3]]), np.array([[1, 0, 4, 3]])).tolist() == [[0.5]]


def test_centre_of_one_pixel_is_half_a_pixel_in():
    assert centres_xy(np.array([[3, 4, 4, 5]])).tolist() == [[3.5, 4.5]]


@settings(max_examples=40, deadline=None)
@given(_boxes)
def test_xywh_round_trip(boxes_xywh):
    again = xyxy_to_xywh(xywh_to_xyxy(boxes_xywh))
    np.testing.assert_array_equal(again, boxes_xywh)
    assert again.dtype == np.float32


@settings(max_examples=40, deadline=None)
@given(_boxes, _boxes)
def test_iou_is_symmetric_within_0_and_1_and_equals_torchvision(first, second):
    pred, truth = xywh_to_xyxy(first), xywh_to_xyxy(second)
    iou = box_iou(pred, truth)
    assert iou.shape == (len(pred), len(truth))
    assert ((iou >= 0) & (iou <= 1)).all()
    np.testing.assert_array_equal(iou, box_iou(truth, pred).T)
    other = torchvision_iou(torch.from_numpy(pred).double(), torch.from_numpy(truth).double())
    np.testing.assert_allclose(iou, other.numpy(), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(_boxes)
def test_box_equals_itself_and_lies_at_distance_0(boxes_xywh):
    boxes = xywh_to_xyxy(boxes_xywh)
    np.testing.assert_array_equal(np.diag(box_iou(boxes, boxes)), np.ones(len(boxes)))
    np.testing.assert_array_equal(np.diag(centre_distance(boxes, boxes)), np.zeros(len(boxes)))


@settings(max_examples=40, deadline=None)
@given(_boxes, _boxes, _coordinates, _coordinates)
def test_moving_the_scene_changes_neither_overlap_nor_distance(first, second, dx, dy):
    pred, truth = xywh_to_xyxy(first), xywh_to_xyxy(second)
    shift = np.array([dx, dy, dx, dy], np.float32)
    np.testing.assert_array_equal(box_iou(pred, truth), box_iou(pred + shift, truth + shift))
    np.testing.assert_array_equal(
        centre_distance(pred, truth), centre_distance(pred + shift, truth + shift)
    )


@settings(max_examples=40, deadline=None)
@given(_boxes, _boxes)
def test_distance_is_that_of_the_centres(first, second):
    pred, truth = xywh_to_xyxy(first), xywh_to_xyxy(second)
    delta = centres_xy(pred)[:, None] - centres_xy(truth)[None]
    expected = np.hypot(delta[..., 0], delta[..., 1])
    np.testing.assert_allclose(centre_distance(pred, truth), expected, rtol=1e-6)


def test_boxes_without_area_have_no_overlap():
    point, box = np.array([[1, 1, 1, 1]]), np.array([[0, 0, 2, 2]])
    assert box_iou(point, point).tolist() == [[0]]
    assert box_iou(point, box).tolist() == [[0]]


def test_touching_boxes_share_nothing():
    assert box_iou(np.array([[0, 0, 2, 2]]), np.array([[2, 0, 4, 2]])).tolist() == [[0]]


@pytest.mark.parametrize("function", [box_iou, centre_distance])
def test_no_boxes_give_an_empty_table(function):
    none, two = np.zeros((0, 4), np.float32), np.ones((2, 4), np.float32)
    assert function(none, two).shape == (0, 2)
    assert function(two, none).shape == (2, 0)
    assert function(none, none).shape == (0, 0)


@pytest.mark.parametrize("function", [xywh_to_xyxy, xyxy_to_xywh])
def test_no_boxes_keep_four_columns(function):
    assert function(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert centres_xy(np.zeros((0, 4), np.float32)).shape == (0, 2)
