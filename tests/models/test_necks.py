import itertools

import pytest
import torch

from stdet.config import PyramidConfig
from stdet.models.backbone import CspDarknet
from stdet.models.build import build_pyramid
from stdet.models.necks.bp_fpn import BlurPool, BpFpn, GradientIsolatedShortcut
from stdet.models.necks.dgr import GradientRouter
from stdet.models.necks.fpn import Fpn
from stdet.models.necks.high_resolution_fpn import HighResolutionFpn
from stdet.models.necks.hourglass_fpn import HourglassFpn

CHANNELS = (4, 8, 16, 32, 64)
DOWNS = ("space_to_depth", "strided_conv", "max_pool", "blur_pool")
TYPES = ("fpn", "high_resolution", "hourglass", "bp_fpn")
JOINS = ("add", "concat")


def _features(hw=(32, 64), *, num_levels=5, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(
            2, CHANNELS[i], hw[0] >> (i + 1), hw[1] >> (i + 1), generator=generator, dtype=dtype
        ).requires_grad_()
        for i in range(num_levels)
    ]


def _bp_fpn(*, down="space_to_depth", join="add", output_stride=8, is_isolated=True):
    torch.manual_seed(0)
    fpn = Fpn(CHANNELS, output_stride=output_stride, depth=0.33)
    index = fpn.output_index
    shortcut = GradientIsolatedShortcut(
        CHANNELS[index - 1], CHANNELS[index], down=down, join=join, is_isolated=is_isolated
    )
    router = GradientRouter("none", scale=0.5, step_channels=fpn.step_channels)
    return BpFpn(fpn, router=router, shortcut=shortcut)


@pytest.mark.parametrize(("down", "join"), list(itertools.product(DOWNS, JOINS)))
def test_every_down_and_join_keeps_the_shape_of_the_plain_pyramid(down, join):
    neck = _bp_fpn(down=down, join=join)
    features = _features()
    assert neck(features).shape == neck.pyramid(features).shape == (2, 16, 4, 8)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("output_stride", [4, 8, 16])
@pytest.mark.parametrize("channels", [None, 6])
def test_output_level_has_the_stride_and_channels_asked_for(
    tiny_model, kind, output_stride, channels
):
    pyramid = {"type": kind, "output_stride": output_stride, "channels": channels}
    neck = build_pyramid(tiny_model(num_stages=5, pyramid=pyramid), CHANNELS)
    stride = output_stride // 2 if kind == "high_resolution" else output_stride
    wanted = channels or 2 * stride
    assert PyramidConfig(**pyramid).feature_stride == stride
    assert (neck.output_stride, neck.out_channels) == (stride, wanted)
    assert neck(_features()).shape == (2, wanted, 32 // stride, 64 // stride)


def test_pyramid_refuses_a_level_without_a_deeper_one():
    with pytest.raises(ValueError, match="output_stride 8 needs a backbone level of that stride"):
        Fpn(CHANNELS[:3], output_stride=8, depth=0.33)


def test_shortcut_refuses_an_output_without_a_shallower_level():
    fpn = Fpn(CHANNELS, output_stride=2, depth=0.33)
    router = GradientRouter("none", scale=1.0, step_channels=fpn.step_channels)
    shortcut = GradientIsolatedShortcut(3, 4, down="max_pool", join="add")
    with pytest.raises(ValueError, match="needs a backbone level above"):
        BpFpn(fpn, router=router, shortcut=shortcut)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("output_stride", [4, 8])
def test_every_parameter_of_a_pyramid_learns(tiny_model, started, kind, output_stride):
    torch.manual_seed(0)
    pyramid = {"type": kind, "output_stride": output_stride, "hourglass_repeats": 2}
    neck = started(build_pyramid(tiny_model(num_stages=5, pyramid=pyramid), CHANNELS))
    neck(_features((64, 64))).pow(2).sum().backward()
    without = [n for n, p in neck.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_high_resolution_joins_the_shallow_level_with_gradient_and_the_base_does_not():
    grads = {}
    for name, neck in {
        "plain": Fpn(CHANNELS, output_stride=8, depth=0.33),
        "high": HighResolutionFpn(CHANNELS, base_stride=8, depth=0.33),
        "finer": Fpn(CHANNELS, output_stride=4, depth=0.33),
    }.items():
        features = _features()
        neck(features).pow(2).sum().backward()
        grads[name] = [f.grad is not None and bool(f.grad.any()) for f in features]
    assert grads["plain"] == [False, False, True, True, True]
    assert grads["high"] == grads["finer"] == [False, True, True, True, True]


def test_hourglass_mixes_the_finest_level_into_the_deepest_and_back(lively):
    # Without its first top-down pass, C3 reaches the output of an hourglass only from above; a far
    # cell sees a change of C3 there, since every way down widens the field.
    torch.manual_seed(0)
    fields = {}
    for repeats in (0, 1, 2):
        torch.manual_seed(0)
        neck = HourglassFpn(
            Fpn(CHANNELS, output_stride=8, depth=0.33),
            deepest_channels=CHANNELS[-1],
            depth=0.33,
            num_repeats=repeats,
        )
        lively(neck)
        features = [f.detach() for f in _features((512, 512))]
        before = neck(features)
        features[2][0, :, 32, 32] += 100
        moved = (neck(features) - before).abs()[0].sum(dim=0) > 0
        fields[repeats] = int(moved.any(dim=0).sum())
    # CSP alone: one 3x3 bottleneck. Then strides widen it by more each time.
    assert fields[0] == 3
    assert fields[0] < fields[1] < fields[2]


def test_blur_pool_keeps_a_constant_and_the_place_of_a_slope():
    pool = BlurPool(2)
    constant = torch.full((1, 2, 8, 8), 3.0)
    torch.testing.assert_close(pool(constant), torch.full((1, 2, 4, 4), 3.0))
    # The value at the centre (2j + 1) of a coarse cell, on a slope x + 0.5 at fine centres.
    slope = (torch.arange(8.0) + 0.5).expand(1, 2, 8, 8)
    torch.testing.assert_close(pool(slope)[..., 1:-1], torch.tensor([3.0, 5.0]).expand(1, 2, 4, 2))
    assert list(pool.state_dict()) == []


def _grads_through_the_shortcut_alone(started, down, join, *, is_isolated):
    """Which parameters of backbone and shortcut get a gradient through a started shortcut."""
    torch.manual_seed(0)
    backbone = CspDarknet(in_channels=1, depth=0.33, width=1 / 16)
    neck = started(_bp_fpn(down=down, join=join, is_isolated=is_isolated))
    features = backbone(torch.rand(2, 1, 32, 32))
    fused = neck.pyramid([f.detach() for f in features]).detach()
    # Squared, so that the sum is not blind to what BatchNorm subtracts.
    neck.shortcut(fused, features[neck.pyramid.output_index - 1]).pow(2).sum().backward()
    reached = {
        n: p.grad is not None and bool(p.grad.any()) for n, p in backbone.named_parameters()
    }
    return reached, [bool(p.grad.any()) for p in neck.shortcut.parameters()]


@pytest.mark.parametrize(("down", "join"), list(itertools.product(DOWNS, JOINS)))
def test_no_gradient_reaches_the_backbone_through_the_shortcut(started, down, join):
    reached, own = _grads_through_the_shortcut_alone(started, down, join, is_isolated=True)
    assert not any(reached.values())
    assert own
    assert all(own)


@pytest.mark.parametrize(("down", "join"), list(itertools.product(DOWNS, JOINS)))
def test_a_shortcut_that_is_not_isolated_reaches_stem_and_dark2_and_no_further(
    started, down, join
):
    reached, own = _grads_through_the_shortcut_alone(started, down, join, is_isolated=False)
    # C2 is the output of dark2, the first of the stages.
    assert {n for n, is_reached in reached.items() if is_reached} == {
        n for n in reached if n.startswith(("stem.", "stages.0."))
    }
    assert all(own)


@pytest.mark.parametrize("down", DOWNS)
def test_whole_gradient_of_every_backbone_parameter_is_that_without_the_shortcut(started, down):
    torch.manual_seed(0)
    backbone = CspDarknet(in_channels=1, depth=0.33, width=1 / 16).double()
    neck = started(_bp_fpn(down=down)).double()
    frames = torch.rand(2, 1, 32, 32, dtype=torch.float64)
    upstream = torch.randn(2, 16, 4, 4, dtype=torch.float64)
    grads = []
    for pyramid in (neck.pyramid, neck):
        backbone.zero_grad()
        pyramid(backbone(frames)).backward(upstream)
        grads.append({n: p.grad for n, p in backbone.named_parameters()})
    assert all(torch.equal(grads[1][name], grad) for name, grad in grads[0].items())
    isolated = grads[1]
    backbone.zero_grad()
    neck.shortcut.is_isolated = False
    neck(backbone(frames)).backward(upstream)
    assert not torch.equal(backbone.stem[1][0].weight.grad, isolated["stem.1.0.weight"])


@pytest.mark.parametrize("down", DOWNS)
def test_gradient_of_the_backbone_levels_is_that_of_the_plain_pyramid(started, down):
    neck = started(_bp_fpn(down=down))
    plain, joined = _features(), _features()
    upstream = torch.randn(2, 16, 4, 8, generator=torch.Generator().manual_seed(5))
    neck.pyramid(plain).backward(upstream)
    neck(joined).backward(upstream)
    for level in (2, 3, 4):
        assert torch.equal(joined[level].grad, plain[level].grad)
    assert joined[1].grad is None
    assert joined[0].grad is None


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("down", DOWNS)
def test_added_shortcut_begins_as_the_plain_pyramid_and_its_first_step_ends_that(
    down, is_training
):
    neck = _bp_fpn(down=down).train(is_training)
    features = [f.detach() for f in _features()]
    plain = neck.pyramid(features)
    out = neck(features)
    assert torch.equal(out, plain)
    out.pow(2).sum().backward()
    learning = {n for n, p in neck.shortcut.named_parameters() if p.grad.any()}
    assert {name.split(".")[-2] for name in learning} == {"1"}  # The normalisation alone.
    torch.optim.SGD(neck.shortcut.parameters(), lr=1e-4).step()
    neck.zero_grad()
    out = neck(features)
    assert not torch.equal(out, plain)
    out.pow(2).sum().backward()
    assert all(p.grad.any() for p in neck.shortcut.parameters())


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
