import itertools
import math

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.errors import CheckpointError
from stdet.inference.postprocess import (
    MAX_CANDIDATES,
    postprocess,
)
from stdet.models.box_coder import decode_boxes, decode_scores
from stdet.models.head import HeadOutputs
from tests.head_outputs import head_outputs

SURE = 12.0
"""A logit whose score is 1 to five digits."""


def _native(hw=(32, 32)):
    return InputGeometry.fit(hw, input_hw=None, size_divisor=4)


def _found(outputs, *, geometry=None, **changes):
    return postprocess(
        outputs,
        config=PostprocessConfig(**{"score_floor": 0.05, **changes}),
        geometry=geometry or _native(),
        frame_indices=[3],
    )[0]


@pytest.mark.parametrize("source_hw", [(37, 53), (101, 64), (64, 64), (5, 200)])
@pytest.mark.parametrize("input_hw", [None, (64, 64), (96, 64)])
def test_boxes_come_back_to_the_pixels_of_the_original_frame(source_hw, input_hw):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=8)
    height, width = source_hw
    box = torch.tensor([[0.3 * width, 0.4 * height, 0.3 * width + 3, 0.4 * height + 2]])
    inside = geometry.boxes_to_input(box)[0].tolist()
    grid = (geometry.input_hw[0] // 4, geometry.input_hw[1] // 4)
    found = _found(head_outputs([(inside, 0.9)], grid_hw=grid), geometry=geometry)
    np.testing.assert_allclose(found.boxes_xyxy, box.numpy(), atol=1e-3)
    assert found.image_hw == source_hw


def test_target_in_the_pixels_comes_back_where_it_was_drawn():
    # A bright 4 x 4 block of the source and the centre of mass that it has in the input.
    geometry = InputGeometry.fit((50, 70), input_hw=(96, 96), size_divisor=8)
    frame = torch.zeros(1, 1, 50, 70)
    frame[..., 20:24, 40:44] = 1
    weights = (geometry.apply(frame) - geometry.apply(0 * frame))[0, 0]
    ys, xs = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    x, y = ((weights * xs).sum() / weights.sum()), ((weights * ys).sum() / weights.sum())
    centre = geometry.boxes_to_source(torch.tensor([[x, y, x, y]]))[0, :2]
    torch.testing.assert_close(centre, torch.tensor([42.0, 22.0]), atol=0.05, rtol=0)


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
    floor = decode_scores(outputs)[0, :, 0].sort(descending=True).values[1].item()
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


def test_rows_of_a_batch_stay_with_their_frames():
    first, second = head_outputs([((4, 4, 8, 8), 0.5)]), head_outputs([((20, 20, 24, 24), 0.25)])
    both = HeadOutputs(
        **{
            name: torch.cat([getattr(first, name), getattr(second, name)])
            for name in ("cls_logits", "obj_logits", "box_offsets")
        },
        feature_stride=4,
    )
    found = postprocess(
        both,
        config=PostprocessConfig(score_floor=0.05),
        geometry=_native(),
        frame_indices=[7, 9],
    )
    assert [f.frame_index for f in found] == [7, 9]
    np.testing.assert_allclose([f.boxes_xyxy[0, 0] for f in found], [4, 20], atol=1e-4)
    with pytest.raises(ValueError, match="zip"):
        postprocess(both, config=PostprocessConfig(), geometry=_native(), frame_indices=[7])


def test_result_equals_plain_nms_over_all_cells():
    generator = torch.Generator().manual_seed(0)
    outputs = HeadOutputs(
        cls_logits=torch.randn(1, 1, 8, 8, generator=generator) + SURE,
        obj_logits=torch.randn(1, 1, 8, 8, generator=generator),
        box_offsets=torch.randn(1, 4, 8, 8, generator=generator) * 0.3 + 0.3,
        feature_stride=4,
    )
    boxes = decode_boxes(outputs)[0].clamp(0, 32)
    scores = decode_scores(outputs)[0, :, 0]
    kept = nms(boxes, scores, 0.4)
    found = _found(outputs, score_floor=0.0, nms_iou=0.4)
    assert 5 < len(kept) < 64
    np.testing.assert_array_equal(found.boxes_xyxy, boxes[kept].numpy())
    np.testing.assert_array_equal(found.scores, scores[kept].numpy())


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
