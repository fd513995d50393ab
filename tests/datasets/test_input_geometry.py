import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stdet.datasets.input_geometry import LETTERBOX_GREY, InputGeometry
from stdet.datasets.tensor_input import boxes_to_input, detector_input, fit_frames

_hw = st.tuples(st.integers(1, 90), st.integers(1, 90))
_input_hw = st.sampled_from([None, (64, 64), (32, 96), (128, 64)])


def _ramp(hw):
    """A frame whose channels hold the x and the y of each pixel's centre, (2, H, W)."""
    y, x = np.indices(hw, np.float32) + np.float32(0.5)
    return np.stack([x, y])


def _to_input(geometry, *boxes):
    return boxes_to_input(torch.tensor(boxes, dtype=torch.float32), geometry).numpy()


@settings(max_examples=60, deadline=None)
@given(_hw, _input_hw, st.sampled_from([8, 32]))
def test_boxes_come_back_from_the_input(source_hw, input_hw, divisor):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=divisor)
    height, width = source_hw
    boxes = [[0, 0, width, height], [0.25, 0.5, 1, 0.75], [-3, -2, width + 5, height + 1]]
    inside = _to_input(geometry, *boxes)
    np.testing.assert_allclose(geometry.boxes_to_source(inside), boxes, atol=1e-4, rtol=1e-5)
    # The affine map says the same.
    corners = np.concatenate([inside.reshape(-1, 2), np.ones((6, 1), np.float32)], axis=1)
    mapped = (corners @ geometry.to_source.T).reshape(-1, 4)
    np.testing.assert_allclose(mapped, boxes, atol=1e-3, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(_hw, _input_hw, st.sampled_from([8, 32]))
def test_input_has_its_size_and_holds_the_whole_frame(source_hw, input_hw, divisor):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=divisor)
    found = geometry.apply(np.zeros((2, *source_hw), np.float32))
    assert found.shape == (2, *geometry.input_hw)
    if input_hw is None:
        assert all(side % divisor == 0 for side in geometry.input_hw)
        slack = [a - b for a, b in zip(geometry.input_hw, source_hw, strict=True)]
        assert all(0 <= extra < divisor for extra in slack)
    else:
        assert geometry.input_hw == input_hw
        assert any(a == b for a, b in zip(geometry.content_hw, input_hw, strict=True))
    x1, y1, x2, y2 = _to_input(geometry, [0.0, 0.0, source_hw[1], source_hw[0]])[0]
    assert x1 >= 0
    assert y1 >= 0
    assert x2 <= geometry.input_hw[1] + 1e-3
    assert y2 <= geometry.input_hw[0] + 1e-3


@settings(max_examples=60, deadline=None)
@given(_hw, _input_hw, st.integers(0, 100))
def test_tensors_of_training_are_brought_to_the_detector_as_arrays_are(source_hw, input_hw, seed):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=8)
    # PyTorch's antialiasing is wrong for frames of one column: rows are not interpolated.
    assume(min(source_hw[1], geometry.content_hw[1]) > 1)
    frame = np.random.default_rng(seed).random((2, *source_hw), np.float32)
    found = fit_frames(torch.from_numpy(frame)[None], geometry, letterbox_value=0.25)[0].numpy()
    wanted = geometry.apply(frame, letterbox_value=0.25)
    np.testing.assert_allclose(found, wanted, atol=1e-5 if geometry.is_letterbox else 0)


def test_native_frame_is_padded_right_and_below_by_its_edge():
    geometry = InputGeometry.fit((3, 5), input_hw=None, size_divisor=4)
    frame = np.arange(15, dtype=np.float32).reshape(1, 3, 5)
    found = geometry.apply(frame)[0]
    assert found.shape == (4, 8)
    assert found[:3, :5].tolist() == frame[0].tolist()
    assert found[3, :5].tolist() == frame[0, 2].tolist()
    assert found[1, 5:].tolist() == [9.0, 9.0, 9.0]
    assert found[3, 7] == 14.0
    assert _to_input(geometry, [1.0, 1.0, 2.0, 2.0]).tolist() == [[1.0, 1.0, 2.0, 2.0]]


def test_native_frame_of_fitting_size_is_passed_on_unchanged():
    geometry = InputGeometry.fit((8, 16), input_hw=None, size_divisor=8)
    frame = np.zeros((1, 8, 16), np.float32)
    assert geometry.apply(frame) is frame
    tensor = torch.zeros(1, 1, 8, 16)
    assert fit_frames(tensor, geometry) is tensor


def test_letterbox_is_centred_in_grey_128():
    # 20 x 40 into 64 x 64: scale 1.6, content 32 x 64, 16 rows above and below.
    geometry = InputGeometry.fit((20, 40), input_hw=(64, 64), size_divisor=32)
    assert (geometry.content_hw, geometry.top_left) == ((32, 64), (16, 0))
    found = geometry.apply(np.zeros((1, 20, 40), np.float32))[0]
    border = np.concatenate([found[:16], found[48:]])
    assert np.unique(border).tolist() == pytest.approx([128 / 255])
    assert LETTERBOX_GREY == 128 / 255
    assert np.abs(found[16:48]).max() == 0
    assert _to_input(geometry, [10.0, 5.0, 20.0, 10.0])[0].tolist() == pytest.approx(
        [16, 24, 32, 32]
    )


def test_letterbox_of_equal_shape_without_border_only_scales():
    geometry = InputGeometry.fit((16, 16), input_hw=(32, 32), size_divisor=32)
    assert geometry.is_letterbox
    assert np.unique(geometry.apply(np.full((1, 16, 16), 0.25, np.float32))).tolist() == [0.25]


@pytest.mark.parametrize("source_hw", [(32, 64), (20, 40), (16, 16), (48, 30)])
def test_input_sampled_at_the_mapped_centre_of_a_source_pixel_gives_that_pixel(source_hw):
    """A frame that holds its own coordinates says where each input pixel comes from."""
    geometry = InputGeometry.fit(source_hw, input_hw=(64, 64), size_divisor=32)
    found = geometry.apply(_ramp(source_hw))
    top, left = geometry.top_left
    x, y = _ramp(geometry.content_hw) + np.array([left, top], np.float32)[:, None, None]
    mapped = np.einsum("ij,jhw->ihw", geometry.to_source, np.stack([x, y, np.ones_like(x)]))
    # At the border the edge pixel is repeated, which pulls the sample inwards.
    inner = (slice(None), slice(2, -2), slice(2, -2))
    content = found[:, top : top + geometry.content_hw[0], left : left + geometry.content_hw[1]]
    np.testing.assert_allclose(content[inner], mapped[inner], atol=0.02, rtol=0)


def test_letterbox_of_its_own_size_returns_the_frame():
    frame = np.random.default_rng(0).random((2, 64, 64), np.float32)
    geometry = InputGeometry.fit((64, 64), input_hw=(64, 64), size_divisor=32)
    np.testing.assert_array_equal(geometry.apply(frame), frame)


def test_bright_pixel_stays_in_its_box():
    for input_hw in (None, (64, 64), (96, 32)):
        geometry = InputGeometry.fit((40, 24), input_hw=input_hw, size_divisor=16)
        frame = np.zeros((1, 40, 24), np.float32)
        frame[0, 17, 9] = 1
        # Where a frame shrinks, the grey border outshines a spread-out pixel; ask the content.
        top, left = geometry.top_left
        found = geometry.apply(frame)[0]
        content = found[top : top + geometry.content_hw[0], left : left + geometry.content_hw[1]]
        row, column = divmod(int(content.argmax()), content.shape[1])
        box = _to_input(geometry, [9.0, 17.0, 10.0, 18.0])[0]
        assert box[0] - 1 < left + column + 0.5 < box[2] + 1
        assert box[1] - 1 < top + row + 0.5 < box[3] + 1


def test_frames_of_another_size_are_refused():
    geometry = InputGeometry.fit((8, 8), input_hw=None, size_divisor=8)
    with pytest.raises(ValueError, match=r"frame is \(8, 9\); expected \(8, 8\)"):
        geometry.apply(np.zeros((1, 8, 9), np.float32))
    with pytest.raises(ValueError, match=r"frames are \(8, 9\); expected \(8, 8\)"):
        fit_frames(torch.zeros(1, 1, 8, 9), geometry)


def test_grey_is_repeated_and_maps_follow():
    geometry = InputGeometry.fit((4, 5), input_hw=(8, 8), size_divisor=8)
    grey = torch.rand(1, 1, 4, 5)
    found = detector_input(grey, torch.ones(1, 2, 4, 5), geometry=geometry, in_channels=3)
    assert found.shape == (1, 5, 8, 8)
    for channel in range(3):
        torch.testing.assert_close(found[0, channel], fit_frames(grey, geometry)[0, 0])
    # A letterbox is grey, and nothing moves in it.
    assert found[0, 0, 0, 0].item() == pytest.approx(LETTERBOX_GREY)
    assert found[0, 3:, 0, 0].tolist() == [0.0, 0.0]
