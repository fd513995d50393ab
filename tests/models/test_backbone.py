import pytest
import torch
from einops import rearrange

from stdet.models.backbone import CspDarknet
from stdet.models.layers import SpaceToDepth


def test_space_to_depth_only_moves_values():
    x = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    folded = SpaceToDepth()(x)
    assert folded.shape == (2, 12, 2, 3)
    # Channel (2 i + j) C + c of cell (h, w) is channel c of pixel (2 h + i, 2 w + j).
    assert folded[1, (2 * 1 + 0) * 3 + 2, 1, 2] == x[1, 2, 2 * 1 + 1, 2 * 2 + 0]
    back = rearrange(folded, "b (i j c) h w -> b c (h i) (w j)", i=2, j=2)
    assert torch.equal(back, x)


def test_published_stages_have_the_published_channels_and_strides():
    with torch.device("meta"):
        backbone = CspDarknet(in_channels=3, depth=0.33, width=0.50)
        features = backbone(torch.zeros(1, 3, 64, 96))
    assert backbone.channels == (32, 64, 128, 256, 512)
    assert backbone.feature_strides == (2, 4, 8, 16, 32)
    assert [tuple(f.shape) for f in features] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(backbone.channels, backbone.feature_strides, strict=True)
    ]


@pytest.mark.parametrize("num_stages", [2, 3, 4, 5])
def test_fewer_stages_are_the_first_ones(num_stages):
    backbone = CspDarknet(in_channels=1, depth=0.33, width=1 / 16, num_stages=num_stages)
    features = backbone(torch.zeros(2, 1, 32, 32))
    assert [f.shape[1:] for f in features] == [
        (4 * 2**stage, 16 // 2**stage, 16 // 2**stage) for stage in range(num_stages)
    ]


def test_frames_do_not_see_each_other(lively):
    backbone = lively(CspDarknet(in_channels=1, depth=0.33, width=1 / 16, num_stages=3))
    frames = torch.rand(3, 1, 16, 16, requires_grad=True)
    backbone(frames)[-1][1].sum().backward()
    assert frames.grad[1].any()
    assert not frames.grad[[0, 2]].any()
