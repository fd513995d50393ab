import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.datasets.input_geometry import LETTERBOX_GREY, InputGeometry, detector_input

_hw = st.tuples(st.integers(1, 90), st.integers(1, 90))


def _ramp(hw: tuple[int, int]) -> torch.Tensor:
    """Two frames whose pixels hold the x and the y of their centre, (2, 1, H, W)."""
    y, x = torch.meshgrid(torch.arange(hw[0]) + 0.5, torch.arange(hw[1]) + 0.5, indexing="ij")
    return torch.stack([x, y])[:, None]


@settings(max_examples=60, deadline=None)
@given(_hw, st.sampled_from([None, (64, 64), (32, 96), (128, 64)]), st.sampled_from([8, 32]))
def test_boxes_come_back_from_the_input(source_hw, input_hw, divisor):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=divisor)
    height, width = source_hw
    boxes = torch.tensor(
        [[0, 0, width, height], [0.25, 0.5, 1, 0.75], [-3, -2, width + 5, height + 1]],
        dtype=torch.float32,
    )
    inside = geometry.boxes_to_input(boxes)
    torch.testing.assert_close(geometry.boxes_to_source(inside), boxes, atol=1e-4, rtol=1e-5)
    # The affine map says the same.
    corners = torch.cat([inside.reshape(-1, 2), torch.ones(6, 1)], dim=1)
    mapped = corners @ torch.from_numpy(geometry.to_source).T
    torch.testing.assert_close(mapped.reshape(-1, 4), boxes, atol=1e-3, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(_hw, st.sampled_from([None, (64, 64), (32, 96), (128, 64)]), st.sampled_from([8, 32]))
def test_input_has_its_size_and_holds_the_whole_frame(source_hw, input_hw, divisor):
    geometry = InputGeometry.fit(source_hw, input_hw=input_hw, size_divisor=divisor)
    found = geometry.apply(torch.rand(2, 1, *source_hw))
    assert tuple(found.shape[-2:]) == geometry.input_hw
    if input_hw is None:
        assert all(side % divisor == 0 for side in geometry.input_hw)
        slack = [a - b for a, b in zip(geometry.input_hw, source_hw, strict=True)]
        assert all(0 <= extra < divisor for extra in slack)
    else:
        assert geometry.input_hw == input_hw
        assert any(a == b for a, b in zip(geometry.content_hw, input_hw, strict=True))
    frame = torch.tensor([[0.0, 0.0, source_hw[1], source_hw[0]]])
    x1, y1, x2, y2 = geometry.boxes_to_input(frame)[0].tolist()
    assert x1 >= 0
    assert y1 >= 0
    assert x2 <= geometry.input_hw[1] + 1e-3
    assert y2 <= geometry.input_hw[0] + 1e-3


def test_native_frame_is_padded_right_and_below_by_its_edge():
    geometry = InputGeometry.fit((3, 5), input_hw=None, size_divisor=4)
    frame = torch.arange(15.0).reshape(1, 1, 3, 5)
    found = geometry.apply(frame)[0, 0]
    assert found.shape == (4, 8)
    assert found[:3, :5].tolist() == frame[0, 0].tolist()
    assert found[3, :5].tolist() == frame[0, 0, 2].tolist()
    assert found[1, 5:].tolist() == [9.0, 9.0, 9.0]
    assert found[3, 7].item() == 14.0
    boxes = torch.tensor([[1.0, 1.0, 2.0, 2.0]])
    assert geometry.boxes_to_input(boxes).tolist() == boxes.tolist()


def test_native_frame_of_fitting_size_is_passed_on_unchanged():
    frame = torch.rand(1, 1, 8, 16)
    geometry = InputGeometry.fit((8, 16), input_hw=None, size_divisor=8)
    assert geometry.apply(frame) is frame


def test_letterbox_is_centred_in_grey_128():
    # 20 x 40 into 64 x 64: scale 1.6, content 32 x 64, 16 rows above and below.
    geometry = InputGeometry.fit((20, 40), input_hw=(64, 64), size_divisor=32)
    assert (geometry.content_hw, geometry.top_left) == ((32, 64), (16, 0))
    found = geometry.apply(torch.zeros(1, 1, 20, 40))[0, 0]
    border = torch.cat([found[:16], found[48:]])
    assert border.unique().tolist() == pytest.approx([128 / 255])
    assert LETTERBOX_GREY == 128 / 255
    assert found[16:48].abs().max() == 0
    box = geometry.boxes_to_input(torch.tensor([[10.0, 5.0, 20.0, 10.0]]))
    assert box[0].tolist() == pytest.approx([16, 24, 32, 32])


def test_letterbox_of_equal_shape_without_border_only_scales():
    geometry = InputGeometry.fit((16, 16), input_hw=(32, 32), size_divisor=32)
    assert geometry.is_letterbox
    assert geometry.apply(torch.full((1, 1, 16, 16), 0.25)).unique().tolist() == [0.25]


@pytest.mark.parametrize("source_hw", [(32, 64), (20, 40), (16, 16), (48, 30)])
def test_input_sampled_at_the_mapped_centre_of_a_source_pixel_gives_that_pixel(source_hw):
    """A frame that holds its own coordinates says where each input pixel comes from."""
    geometry = InputGeometry.fit(source_hw, input_hw=(64, 64), size_divisor=32)
    found = geometry.apply(_ramp(source_hw))[:, 0]
    top, left = geometry.top_left
    rows = torch.arange(top, top + geometry.content_hw[0])
    columns = torch.arange(left, left + geometry.content_hw[1])
    y, x = torch.meshgrid(rows + 0.5, columns + 0.5, indexing="ij")
    ones = torch.ones_like(x)
    mapped = torch.einsum(
        "ij,jhw->ihw", torch.from_numpy(geometry.to_source), torch.stack([x, y, ones])
    )
    # At the border the edge pixel is repeated, which pulls the sample inwards.
    inner = (slice(None), slice(2, -2), slice(2, -2))
    content = found[:, top : top + geometry.content_hw[0], left : left + geometry.content_hw[1]]
    torch.testing.assert_close(content[inner], mapped[inner], atol=0.02, rtol=0)


def test_letterbox_of_its_own_size_returns_the_frame():
    frame = torch.rand(2, 1, 64, 64)
    geometry = InputGeometry.fit((64, 64), input_hw=(64, 64), size_divisor=32)
    torch.testing.assert_close(geometry.apply(frame), frame, atol=0, rtol=0)


def test_bright_pixel_stays_in_its_box():
    for input_hw in (None, (64, 64), (96, 32)):
        geometry = InputGeometry.fit((40, 24), input_hw=input_hw, size_divisor=16)
        frame = torch.zeros(1, 1, 40, 24)
        frame[0, 0, 17, 9] = 1
        # Where a frame shrinks, the grey border outshines a spread-out pixel; ask the content.
        top, left = geometry.top_left
        found = geometry.apply(frame)[0, 0]
        content = found[top : top + geometry.content_hw[0], left : left + geometry.content_hw[1]]
        row, column = divmod(int(content.argmax()), content.shape[1])
        box = geometry.boxes_to_input(torch.tensor([[9.0, 17.0, 10.0, 18.0]]))[0].tolist()
        assert box[0] - 1 < left + column + 0.5 < box[2] + 1
        assert box[1] - 1 < top + row + 0.5 < box[3] + 1


def test_frames_of_another_size_are_refused():
    geometry = InputGeometry.fit((8, 8), input_hw=None, size_divisor=8)
    with pytest.raises(ValueError, match=r"frames are \(8, 9\); expected \(8, 8\)"):
        geometry.apply(torch.zeros(1, 1, 8, 9))


def test_grey_is_repeated_and_maps_follow():
    geometry = InputGeometry.fit((4, 5), input_hw=(8, 8), size_divisor=8)
    grey = torch.rand(1, 1, 4, 5)
    found = detector_input(grey, torch.ones(1, 2, 4, 5), geometry=geometry, in_channels=3)
    assert found.shape == (1, 5, 8, 8)
    for channel in range(3):
        torch.testing.assert_close(found[0, channel], geometry.apply(grey)[0, 0])
    # A letterbox is grey, and nothing moves in it.
    assert found[0, 0, 0, 0].item() == pytest.approx(LETTERBOX_GREY)
    assert found[0, 3:, 0, 0].tolist() == [0.0, 0.0]
