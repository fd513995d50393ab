import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import batched_nms

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.datasets.tensor_input import boxes_to_input
from stdet.errors import CheckpointError
from stdet.inference import decode
from stdet.inference.postprocess import MAX_CANDIDATES, postprocess
from stdet.models.box_coder import MAX_LOG_SIZE, decode_boxes, decode_scores
from stdet.models.head import HeadOutputs
from tests.head_outputs import clip_outputs, head_outputs

SURE = 12.0
"""A logit whose score is 1 to five digits."""


def _native(hw=(32, 32)):
    return InputGeometry.fit(hw, input_hw=None, size_divisor=4)


def _found(outputs, *, geometry=None, **changes):
    return postprocess(
        clip_outputs(outputs),
        config=PostprocessConfig(**{"score_floor": 0.05, **changes}),
        geometry=geometry or _native(),
        frame_index=3,
    )


@pytest.mark.parametrize("source_hw", [(37, 53), (101, 64), (64, 64), (5, 200)])
@pytest.mark.parametrize("input_hw", [None, (64, 64), (96, 64)])
def test_boxes_come_back_to_the_pixels_of_the_original_frame(source_hw, input_hw):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=8)
    height, width = source_hw
    box = torch.tensor([[0.3 * width, 0.4 * height, 0.3 * width + 3, 0.4 * height + 2]])
    inside = boxes_to_input(box, geometry)[0].tolist()
    grid = (geometry.input_hw[0] // 4, geometry.input_hw[1] // 4)
    found = _found(head_outputs([(inside, 0.9)], grid_hw=grid), geometry=geometry)
    np.testing.assert_allclose(found.boxes_xyxy, box.numpy(), atol=1e-3)
    assert found.image_hw == source_hw


def test_target_in_the_pixels_comes_back_where_it_was_drawn():
    # A bright 4 x 4 block of the source and the centre of mass that it has in the input.
    geometry = InputGeometry.fit((50, 70), input_hw=(96, 96), size_divisor=8)
    frame = np.zeros((1, 50, 70), np.float32)
    frame[0, 20:24, 40:44] = 1
    weights = (geometry.apply(frame) - geometry.apply(0 * frame))[0]
    ys, xs = np.indices((96, 96)) + 0.5
    x, y = ((weights * xs).sum() / weights.sum()), ((weights * ys).sum() / weights.sum())
    centre = geometry.boxes_to_source(np.array([[x, y, x, y]], np.float32))[0, :2]
    np.testing.assert_allclose(centre, [42.0, 22.0], atol=0.05)


def test_nms_keeps_the_strongest_of_overlapping_boxes():
    # IoU of the first two is 6 / 10: 8 x 6 of 8 x 10.
    boxes = [((8, 8, 16, 16), 0.6), ((8, 10, 16, 18), 0.8), ((20, 20, 26, 26), 0.3)]
    outputs = head_outputs(boxes, stride=2, grid_hw=(16, 16))
    found = _found(outputs, nms_iou=0.5)
    np.testing.assert_allclose(found.scores, [0.8, 0.3], rtol=1e-5)
    np.testing.assert_allclose(found.boxes_xyxy[0], [8, 10, 16, 18], atol=1e-4)
    assert len(_found(outputs, nms_iou=0.7)) == 3


def test_nms_leaves_other_classes_alone():
    boxes = [((8, 8, 16, 16), 0.6, 0), ((8, 10, 16, 18), 0.8, 1)]
    outputs = head_outputs(boxes, stride=2, grid_hw=(16, 16), num_classes=2)
    assert _found(outputs, nms_iou=0.5).class_ids.tolist() == [1, 0]


def test_score_floor_is_inclusive_and_drops_what_lies_below():
    outputs = head_outputs([((4, 4, 8, 8), 0.5), ((20, 20, 24, 24), 0.2)])
    floor = float(np.sort(decode.decode_scores(clip_outputs(outputs))[:, 0])[-2])
    assert len(_found(outputs, score_floor=floor)) == 2
    assert len(_found(outputs, score_floor=floor + 1e-4)) == 1
    assert len(_found(outputs, score_floor=0.9)) == 0


def test_boxes_are_clipped_to_the_original_frame_and_those_outside_left_out():
    outputs = head_outputs([((-3, -2, 5, 6), 0.9), ((27, 10, 31, 14), 0.8)])
    found = _found(outputs, geometry=_native((30, 26)))
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 0, 5, 6]], atol=1e-4)


def test_no_more_than_max_detections_and_they_are_the_best():
    boxes = [((4 * i, 4, 4 * i + 2, 6), 0.1 * (i + 1)) for i in range(6)]
    found = _found(head_outputs(boxes), max_detections=2)
    np.testing.assert_allclose(found.scores, [0.6, 0.5], rtol=1e-5)


def test_empty_grid_of_scores_gives_an_honest_nothing():
    found = _found(head_outputs())
    assert (len(found), found.frame_index, found.image_hw) == (0, 3, (32, 32))
    assert found.boxes_xyxy.shape == (0, 4)


def test_network_gone_astray_gives_finite_boxes():
    outputs = head_outputs([((4, 4, 8, 8), 0.5)])
    outputs.box_offsets[0, 2:] = 1e6
    outputs.obj_logits[0, 0, 2, 2] = 5.0
    outputs.cls_logits[0, 0, 2, 2] = 5.0
    found = _found(outputs)
    np.testing.assert_array_equal(found.boxes_xyxy, [[0, 0, 32, 32]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(
            ["cls_logits", "obj_logits", "box_offsets"], [math.nan, math.inf, -math.inf]
        ),
        ("box_offsets", 3e38),  # Overflows in pixels.
    ],
)
def test_output_that_is_not_finite_is_an_error_and_not_an_empty_frame(name, value):
    outputs = head_outputs([((4, 4, 8, 8), 0.5)])
    getattr(outputs, name)[0, 0, 0, 0] = value
    with pytest.raises(CheckpointError, match="frame 3: the network gives values that are not"):
        _found(outputs)


def _random_outputs(seed, *, num_classes=1, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return HeadOutputs(
        cls_logits=torch.randn(1, num_classes, 8, 8, generator=generator) * scale,
        obj_logits=torch.randn(1, 1, 8, 8, generator=generator) * scale,
        box_offsets=torch.randn(1, 4, 8, 8, generator=generator) * 0.3 + 0.3,
        feature_stride=4,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.9), st.integers(1, 3))
def test_result_equals_nms_of_torchvision_over_all_cells(seed, nms_iou, num_classes):
    outputs = _random_outputs(seed, num_classes=num_classes)
    boxes = decode_boxes(outputs)[0].clamp(0, 32)
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)  # Within the frame.
    boxes, cells = boxes[has_area], decode_scores(outputs)[0][has_area]
    scores, class_ids = cells.max(dim=1)
    kept = batched_nms(boxes, scores, class_ids, nms_iou)
    found = _found(outputs, score_floor=0.0, nms_iou=nms_iou)
    assert len(kept) > 5
    np.testing.assert_allclose(found.boxes_xyxy, boxes[kept].numpy(), atol=2e-5)
    np.testing.assert_allclose(found.scores, scores[kept].numpy(), rtol=1e-6)
    np.testing.assert_array_equal(found.class_ids, class_ids[kept].numpy())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 300))
def test_boxes_and_scores_are_those_that_losses_see(seed, scale):
    outputs = _random_outputs(seed, num_classes=2, scale=scale)
    outputs.box_offsets.mul_(scale)
    boxes, scores = (value[0].numpy() for value in (decode_boxes(outputs), decode_scores(outputs)))
    found = clip_outputs(outputs)
    np.testing.assert_allclose(decode.decode_boxes(found), boxes, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(decode.decode_scores(found), scores, rtol=1e-6, atol=1e-30)
    assert decode.MAX_LOG_SIZE == MAX_LOG_SIZE


def test_only_the_best_cells_enter_nms():
    grid = (40, 40)
    assert grid[0] * grid[1] > MAX_CANDIDATES
    obj = torch.linspace(-3, 3, 1600).reshape(1, 1, *grid)
    outputs = HeadOutputs(
        cls_logits=torch.full_like(obj, SURE),
        obj_logits=obj,
        box_offsets=torch.zeros(1, 4, *grid),
        feature_stride=4,
    )
    found = _found(outputs, geometry=_native((160, 160)), max_detections=2000)
    assert len(found) == MAX_CANDIDATES
    np.testing.assert_array_equal(found.boxes_xyxy[0], [156, 156, 160, 160])
