import itertools

import pytest
import torch

from stdet.models.backbone import CspDarknet
from stdet.models.build import build_pyramid
from stdet.models.necks.bp_fpn import BpFpn, GradientIsolatedShortcut
from stdet.models.necks.dgr import GradientRouter
from stdet.models.necks.fpn import Fpn

CHANNELS = (4, 8, 16, 32, 64)
DOWNS = ("space_to_depth", "strided_conv", "max_pool")
JOINS = ("add", "concat")


def _features(hw=(32, 64), *, num_levels=5, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(
            2, CHANNELS[i], hw[0] >> (i + 1), hw[1] >> (i + 1), generator=generator, dtype=dtype
        ).requires_grad_()
        for i in range(num_levels)
    ]


def _bp_fpn(*, down="space_to_depth", join="add", output_stride=8):
    torch.manual_seed(0)
    fpn = Fpn(CHANNELS, output_stride=output_stride, depth=0.33)
    index = fpn.output_index
    shortcut = GradientIsolatedShortcut(CHANNELS[index - 1], CHANNELS[index], down=down, join=join)
    return BpFpn(fpn, router=GradientRouter("none", scale=0.5), shortcut=shortcut)


@pytest.mark.parametrize(("down", "join"), list(itertools.product(DOWNS, JOINS)))
def test_every_down_and_join_keeps_the_shape_of_the_plain_pyramid(down, join):
    neck = _bp_fpn(down=down, join=join)
    features = _features()
    assert neck(features).shape == neck.pyramid(features).shape == (2, 16, 4, 8)


@pytest.mark.parametrize("kind", ["fpn", "bp_fpn"])
@pytest.mark.parametrize("output_stride", [4, 8, 16])
@pytest.mark.parametrize("channels", [None, 6])
def test_output_level_has_the_stride_and_channels_asked_for(
    tiny_model, kind, output_stride, channels
):
    pyramid = {"type": kind, "output_stride": output_stride, "channels": channels}
    neck = build_pyramid(tiny_model(num_stages=5, pyramid=pyramid), CHANNELS)
    wanted = channels or 2 * output_stride
    assert (neck.output_stride, neck.out_channels) == (output_stride, wanted)
    assert neck(_features()).shape == (2, wanted, 32 // output_stride, 64 // output_stride)


def test_pyramid_refuses_a_level_without_a_deeper_one():
    with pytest.raises(ValueError, match="output_stride 8 needs a shallower and a deeper"):
        Fpn(CHANNELS[:3], output_stride=8, depth=0.33)


@pytest.mark.parametrize(("down", "join"), list(itertools.product(DOWNS, JOINS)))
def test_no_gradient_reaches_the_backbone_through_the_shortcut(down, join):
    torch.manual_seed(0)
    backbone = CspDarknet(in_channels=1, depth=0.33, width=1 / 16)
    neck = _bp_fpn(down=down, join=join)
    features = backbone(torch.rand(2, 1, 32, 32))
    fused = neck.pyramid([f.detach() for f in features]).detach()
    # Squared, so that the sum is not blind to what BatchNorm subtracts.
    neck.shortcut(fused, features[neck.pyramid.output_index - 1]).pow(2).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in backbone.parameters())
    assert all(p.grad.any() for p in neck.shortcut.down.parameters())


@pytest.mark.parametrize("down", DOWNS)
def test_gradient_of_the_backbone_levels_is_that_of_the_plain_pyramid(down):
    neck = _bp_fpn(down=down)
    plain, joined = _features(), _features()
    upstream = torch.randn(2, 16, 4, 8, generator=torch.Generator().manual_seed(5))
    neck.pyramid(plain).backward(upstream)
    neck(joined).backward(upstream)
    for level in (2, 3, 4):
        assert torch.equal(joined[level].grad, plain[level].grad)
    assert joined[1].grad is None
    assert joined[0].grad is None


def test_shortcut_changes_the_output_where_the_shallow_map_changes(lively):
    neck = lively(_bp_fpn())
    features = [f.detach() for f in _features()]
    before = neck(features)
    features[1] = features[1].clone()
    features[1][0, :, 2:4, 6:8] += 1  # The 2 x 2 block of cell (1, 3).
    moved = (neck(features) - before).abs().sum(dim=1) > 0
    assert moved.nonzero().tolist() == [[0, 1, 3]]


def test_without_shortcut_and_router_bp_fpn_is_the_plain_pyramid(tiny_model):
    config = tiny_model(num_stages=5, pyramid={"output_stride": 8, "gils": {"enabled": False}})
    neck = build_pyramid(config, CHANNELS)
    assert neck.shortcut is None
    features = _features()
    assert torch.equal(neck(features), neck.pyramid(features))
