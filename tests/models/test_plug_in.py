import importlib.util
import typing
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from stdet import BPFPN
from stdet.models.backbone import CspDarknet
from stdet.models.necks.dgr import DgrKind

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "bp_fpn_in_torchvision.py"
RESNET = [64, 128, 256, 512]


def _levels(channels=(4, 6, 8, 10), side=32):
    generator = torch.Generator().manual_seed(1)
    return OrderedDict(
        (f"c{i}", torch.randn(2, c, side >> i, side >> i, generator=generator).requires_grad_())
        for i, c in enumerate(channels)
    )


def _neck(**options):
    torch.manual_seed(0)
    return BPFPN(in_channels=[4, 6, 8, 10], out_channels=5, **options)


def test_it_begins_as_the_pyramid_without_shortcut():
    found, wanted = _neck()(_levels()), _neck(gils=False)(_levels())
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_without_shortcut_it_is_the_pyramid_of_torchvision():
    neck = _neck(gils=False)
    wanted = FeaturePyramidNetwork([6, 8, 10], 5)
    for number, (lateral, output) in enumerate(zip(neck.laterals, neck.outputs, strict=True)):
        wanted.inner_blocks[number][0].load_state_dict(lateral.state_dict())
        wanted.layer_blocks[number][0].load_state_dict(output.state_dict())
    levels = _levels()
    found = neck(levels)
    expected = wanted(OrderedDict(list(levels.items())[1:]))
    assert list(found) == list(expected) == ["c1", "c2", "c3"]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dgr", typing.get_args(DgrKind))
def test_shortcut_lets_no_gradient_into_the_shallow_level_whatever_the_member(started, dgr):
    neck, levels = started(_neck(dgr=dgr)), _levels()
    loss = sum(level.pow(2).sum() for level in neck(levels).values())
    assert (neck.consistency_loss is not None) == (dgr == "consistency")
    if neck.consistency_loss is not None:
        loss = loss + neck.consistency_loss
    loss.backward()
    grads = {name: level.grad for name, level in levels.items()}
    assert grads["c0"] is None
    assert all(grads[name].any() for name in ("c1", "c2", "c3"))
    without = [n for n, p in neck.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_detail_of_the_shallow_level_reaches_the_finest_output_alone(started):
    neck, levels = started(_neck()).eval(), {k: v.detach() for k, v in _levels().items()}
    before = neck(levels)
    levels["c0"] = levels["c0"] + 1
    after = neck(levels)
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["c1"]


def test_members_change_gradients_and_not_the_output():
    grads = {}
    for dgr in ("none", "lateral_scale", "straight_through"):
        neck, levels = _neck(dgr=dgr, dgr_scale=0.0), _levels()
        out = neck(levels)
        out["c1"].sum().backward()
        grads[dgr] = (out["c1"], levels["c1"].grad, levels["c3"].grad)
    assert torch.equal(grads["lateral_scale"][0], grads["none"][0])
    assert torch.equal(grads["straight_through"][0], grads["none"][0])
    assert not grads["lateral_scale"][1].any()
    # The sum passes the gradient of C1's level to U as it is, once more at each of two steps.
    torch.testing.assert_close(grads["straight_through"][2], 4 * grads["none"][2])


def test_lists_are_named_by_number_and_odd_sizes_fit():
    neck = BPFPN(in_channels=[4, 6, 8], out_channels=5)
    levels = [torch.zeros(1, c, s, s + 2) for c, s in ((4, 26), (6, 13), (8, 7))]
    levels[1], levels[2] = torch.zeros(1, 6, 13, 14), torch.zeros(1, 8, 7, 7)
    out = neck(levels)
    assert {name: tuple(level.shape[2:]) for name, level in out.items()} == {
        "1": (13, 14),
        "2": (7, 7),
    }


def test_wrong_numbers_of_levels_are_refused():
    with pytest.raises(ValueError, match=r"has 1 level\(s\); expected at least 2"):
        BPFPN(in_channels=[4], out_channels=5)
    with pytest.raises(ValueError, match="got 3 levels; in_channels names 4"):
        _neck()(list(_levels().values())[:3])


def test_extra_blocks_of_torchvision_add_their_levels():
    levels = _levels()
    assert list(_neck(extra_blocks=LastLevelMaxPool())(levels)) == ["c1", "c2", "c3", "pool"]
    more = _neck(extra_blocks=LastLevelP6P7(5, 5))(levels)
    assert list(more) == ["c1", "c2", "c3", "p6", "p7"]


def test_it_works_on_our_backbone_too():
    backbone = CspDarknet(in_channels=1, depth=0.33, width=1 / 16, num_stages=4)
    out = BPFPN(in_channels=backbone.channels, out_channels=7)(backbone(torch.rand(1, 1, 32, 32)))
    assert [tuple(level.shape) for level in out.values()] == [
        (1, 7, 8, 8),
        (1, 7, 4, 4),
        (1, 7, 2, 2),
    ]


def test_gradients_of_a_resnet_are_those_without_the_shortcut(started):
    torch.manual_seed(0)
    body = IntermediateLayerGetter(
        resnet18(weights=None), {f"layer{n}": str(n) for n in (1, 2, 3, 4)}
    ).eval()
    images, grads = torch.rand(1, 3, 64, 64), []
    for gils in (False, True):
        neck = started(BPFPN(in_channels=RESNET, out_channels=8, gils=gils)).eval()
        for conv in (*neck.laterals, *neck.outputs):
            nn.init.constant_(conv.weight, 0.01)
        body.zero_grad()
        sum(level.sum() for level in neck(body(images)).values()).backward()
        grads.append([p.grad for p in body.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_it_replaces_the_pyramid_inside_fcos(started):
    torch.manual_seed(0)
    stages = {f"layer{n}": str(n) for n in (1, 2, 3, 4)}
    backbone = BackboneWithFPN(resnet18(weights=None), stages, RESNET, 32)
    backbone.fpn = started(BPFPN(in_channels=RESNET, out_channels=32, dgr="balance"))
    anchors = AnchorGenerator(sizes=((8,), (16,), (32,)), aspect_ratios=((1.0,),) * 3)
    model = FCOS(backbone, 2, anchor_generator=anchors, min_size=64, max_size=64)
    images = [torch.rand(3, 64, 64)]
    targets = [{"boxes": torch.tensor([[20.0, 20, 28, 28]]), "labels": torch.tensor([1])}]
    loss = sum(model(images, targets).values())
    loss.backward()
    assert loss.isfinite()
    assert backbone.body.conv1.weight.grad.any()
    assert all(p.grad.any() for p in backbone.fpn.shortcut.parameters())
    with torch.no_grad():
        (found,) = model.eval()(images)
    assert found.keys() == {"boxes", "scores", "labels"}


def test_example_runs_and_is_short(capsys):
    assert len(EXAMPLE.read_text().splitlines()) <= 60
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    out = capsys.readouterr().out
    assert "classification" in out
    assert "detections:" in out
