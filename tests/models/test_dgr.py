"""Every member of the family against the equation in the docstring of ``necks/dgr.py``."""

import copy
import typing

import pytest
import torch
from torch import nn

from stdet.config import DgrConfig, ModelConfig
from stdet.datasets.clips import Targets
from stdet.models.backbone import CspDarknet
from stdet.models.build import build_consistency, build_detector
from stdet.models.necks.bp_fpn import BpFpn
from stdet.models.necks.dgr import (
    DgrKind,
    GradientRouter,
    LevelConsistency,
    project_gradient,
    scale_gradient,
)
from stdet.models.necks.fpn import Fpn
from stdet.training.step import TrainingStep

CHANNELS = (4, 8, 16, 32)
KINDS = typing.get_args(typing.get_type_hints(DgrConfig)["type"])
GRADIENT_ONLY = tuple(kind for kind in KINDS if kind != "gate")


def _neck(kind, scale=0.5):
    """A pyramid in float64 with BatchNorm in eval mode, so that frames do not depend on others."""
    torch.manual_seed(0)
    fpn = Fpn(CHANNELS, output_stride=4, depth=0.33)
    router = GradientRouter(kind, scale=scale, step_channels=fpn.step_channels)
    neck = BpFpn(fpn, router=router, shortcut=None).double().eval()
    neck.router.train()
    return neck


def _leaves(num_frames=2):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(
            num_frames, c, 16 >> i, 16 >> i, generator=generator, dtype=torch.float64
        ).requires_grad_()
        for i, c in enumerate(CHANNELS)
    ]


def _upstream(out):
    return torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)


def _level_grads(kind, scale=0.5):
    """Gradients of C2, C3 (laterals) and C4 (deepest) for one fixed upstream gradient."""
    leaves = _leaves()
    out = _neck(kind, scale)(leaves)
    out.backward(_upstream(out))
    return [leaf.grad for leaf in leaves[1:]]


def _step_grads(kind, scale=0.5):
    """Gradients g_U, g_C of the last step alone, and its maps U, C, P and output, by name."""
    neck = _neck(kind, scale)
    generator = torch.Generator().manual_seed(2)
    size = (2, 8, 8, 8)
    maps = {
        "U": torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_(),
        "C": torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_(),
    }
    upsampled, lateral = neck.router.inputs(maps["U"], maps["C"])
    maps["P"] = neck.pyramid.steps[-1](upsampled, lateral)
    maps["P"].retain_grad()
    out = neck.router.fused(maps["P"], upsampled, 1)
    out.backward(_upstream(out))
    return {name: x.grad for name, x in maps.items()}, maps, out, neck


def _norms(grad):
    return grad.flatten(1).norm(dim=1)[:, None, None, None]


def test_family_is_the_one_that_is_documented():
    assert typing.get_args(DgrKind) == KINDS
    assert set(KINDS) == {
        "none", "lateral_scale", "topdown_scale", "straight_through", "gate", "consistency",
        "balance", "project",
    }  # fmt: skip


def test_scaled_gradient_is_the_formula_and_forward_the_identity():
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(5, dtype=torch.float64)
    out = scale_gradient(x, 0.3)
    assert torch.equal(out, x)
    out.backward(upstream)
    assert torch.equal(x.grad, upstream * 0.3)


def test_scale_zero_gives_exact_zeros_and_not_none():
    x = torch.randn(5, requires_grad=True)
    scale_gradient(x, 0.0).sum().backward()
    assert torch.equal(x.grad, torch.zeros(5))


@pytest.mark.parametrize(
    ("kind", "scaled", "kept"), [("lateral_scale", "C", "U"), ("topdown_scale", "U", "C")]
)
@pytest.mark.parametrize("scale", [0.0, 0.25, 0.3, 1.0])
def test_scales_multiply_one_gradient_of_a_step_and_leave_the_other(kind, scaled, kept, scale):
    plain, found = _step_grads("none")[0], _step_grads(kind, scale)[0]
    assert plain[scaled].any()
    assert torch.equal(found[scaled], scale * plain[scaled])
    assert torch.equal(found[kept], plain[kept])
    assert torch.equal(found["P"], plain["P"])


@pytest.mark.parametrize("scale", [0.0, 0.3])
def test_scales_reach_every_level_as_often_as_their_steps(scale):
    plain_c2, plain_c3, plain_c4 = _level_grads("none")
    c2, c3, c4 = _level_grads("lateral_scale", scale)
    assert torch.equal(c2, scale * plain_c2)
    assert torch.equal(c3, scale * plain_c3)
    assert torch.equal(c4, plain_c4)
    # The gradient of C3 passes one top-down step, that of C4 two.
    c2, c3, c4 = _level_grads("topdown_scale", scale)
    assert torch.equal(c2, plain_c2)
    torch.testing.assert_close(c3, scale * plain_c3, rtol=1e-12, atol=0)
    torch.testing.assert_close(c4, scale**2 * plain_c4, rtol=1e-12, atol=0)


def test_straight_through_adds_the_gradient_of_the_level_to_the_upsampled_map():
    plain, found = _step_grads("none")[0], _step_grads("straight_through")[0]
    assert torch.equal(found["P"], plain["P"])
    assert torch.equal(found["U"], plain["U"] + plain["P"])
    assert torch.equal(found["C"], plain["C"])


def test_straight_through_changes_the_deepest_gradient_and_not_the_last_lateral():
    c2, _, c4 = _level_grads("straight_through")
    plain_c2, _, plain_c4 = _level_grads("none")
    assert torch.equal(c2, plain_c2)
    assert not torch.allclose(c4, plain_c4)


def test_gate_multiplies_forward_and_backward_by_its_formula():
    grads, maps, out, neck = _step_grads("gate")
    conv = neck.router.gates[1]
    gate = torch.sigmoid(conv(maps["U"].detach()))
    level = maps["P"].detach()
    torch.testing.assert_close(out.detach(), level * gate, rtol=0, atol=0)
    upstream = _upstream(out)
    assert torch.equal(grads["P"], upstream * gate)
    # g_U is that through P, plus W^T (G P s (1 - s)).
    inner = upstream * level * gate * (1 - gate)
    through_gate = torch.einsum("oi,nohw->nihw", conv.weight[:, :, 0, 0], inner)
    upsampled = maps["U"].detach().requires_grad_()
    neck.pyramid.steps[-1](upsampled, maps["C"].detach()).backward(upstream * gate)
    torch.testing.assert_close(grads["U"], upsampled.grad + through_gate, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_gate_gradients_equal_finite_differences(level):
    neck, leaves = _neck("gate"), _leaves()
    out = neck(leaves)
    out.backward(_upstream(out))
    direction = torch.randn(
        leaves[level].shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64
    )

    def loss(step):
        moved = [leaf.detach() for leaf in leaves]
        moved[level] = moved[level] + step * direction
        return (neck(moved) * _upstream(out)).sum().item()

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert (leaves[level].grad * direction).sum().item() == pytest.approx(slope, rel=1e-6)


def test_balance_gives_both_gradients_the_root_mean_square_of_their_norms():
    plain, found = _step_grads("none")[0], _step_grads("balance")[0]
    one, other = _norms(plain["U"]), _norms(plain["C"])
    assert not torch.allclose(one, other)
    common = ((one**2 + other**2) / 2).sqrt()
    torch.testing.assert_close(found["U"], plain["U"] * common / one, rtol=1e-12, atol=0)
    torch.testing.assert_close(found["C"], plain["C"] * common / other, rtol=1e-12, atol=0)
    torch.testing.assert_close(_norms(found["U"]), _norms(found["C"]), rtol=1e-12, atol=0)


def test_balance_leaves_a_frame_without_gradient_on_one_side_alone():
    router = GradientRouter("balance", scale=1.0, step_channels=())
    one, other = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    a, b = router.inputs(one, other)
    # Frame 1 of the second map gets no gradient.
    (a.sum() + 3 * b[0].sum()).backward()
    assert torch.equal(one.grad[1], torch.ones(3, 4, 4))
    assert torch.equal(other.grad[1], torch.zeros(3, 4, 4))
    torch.testing.assert_close(one.grad[0], other.grad[0])
    torch.testing.assert_close(one.grad[0], torch.full((3, 4, 4), 5**0.5))


def test_projection_takes_out_what_opposes_the_deeper_gradient():
    # Two frames of two cells. Frame 0: g = (1, 1), h = (-2, 0): <g, h> = -2, g becomes (0, 1).
    # Frame 1: g = (1, 1), h = (2, 0) agree: g stays.
    x = torch.zeros(2, 1, 1, 2, dtype=torch.float64, requires_grad=True)
    view = project_gradient(x)
    deep = torch.tensor([[-2.0, 0], [2, 0]], dtype=torch.float64).reshape(2, 1, 1, 2)
    ((x * deep).sum() + view.sum()).backward()
    assert x.grad.flatten(1).tolist() == [[-2, 1], [3, 1]]


def test_projection_without_another_use_or_without_its_own_changes_nothing():
    x = torch.randn(1, 1, 2, 2, requires_grad=True)
    project_gradient(x).sum().backward()
    assert torch.equal(x.grad, torch.ones(1, 1, 2, 2))
    y = torch.randn(1, 1, 2, 2, requires_grad=True)
    project_gradient(y)
    (2 * y).sum().backward()
    assert torch.equal(y.grad, torch.full((1, 1, 2, 2), 2.0))
    constant = torch.zeros(1, 1, 2, 2)
    assert project_gradient(constant) is constant


def test_projection_in_a_network_is_the_formula_at_every_lateral():
    torch.manual_seed(3)
    backbone = CspDarknet(in_channels=1, depth=0.33, width=1 / 16, num_stages=4).double().eval()
    frames = torch.randn(12, 1, 32, 32, dtype=torch.float64)
    upstream = torch.randn(12, 8, 8, 8, dtype=torch.float64)
    neck = _neck("none")

    def grad_of_c3(kind, *, is_lateral_cut=False, is_deep_cut=False):
        """Gradient of C3; C4 is computed from C3, or from a copy of it."""
        levels = backbone(frames)
        c3 = levels[2].detach().requires_grad_()
        neck.router.kind = kind
        c4 = backbone.stages[2](c3.detach() if is_deep_cut else c3)
        used = c3.detach() if is_lateral_cut else c3
        neck([levels[0].detach(), levels[1].detach(), used, c4]).backward(upstream)
        return c3.grad

    lateral = grad_of_c3("none", is_deep_cut=True)
    deep = grad_of_c3("none", is_lateral_cut=True)
    dot = (lateral * deep).sum((1, 2, 3), keepdim=True)
    assert (dot < 0).any()
    assert (dot > 0).any()
    wanted = lateral - deep * dot.clamp(max=0) / _norms(deep) ** 2 + deep
    torch.testing.assert_close(grad_of_c3("project"), wanted, rtol=1e-9, atol=1e-12)
    # What is left of the lateral's gradient no longer opposes that of the deeper levels.
    left = grad_of_c3("project") - deep
    assert ((left * deep).sum((1, 2, 3)) >= -1e-12).all()


def _pairs(num_steps=2):
    generator = torch.Generator().manual_seed(5)
    return [
        tuple(
            torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64).requires_grad_()
            for _ in range(2)
        )
        for _ in range(num_steps)
    ]


def test_consistency_is_one_minus_the_mean_cosine_and_one_way():
    torch.manual_seed(0)
    loss, pairs = LevelConsistency((3, 3)).double(), _pairs()
    value = loss(pairs)
    cosines = []
    for projection, (fused, upsampled) in zip(loss.projections, pairs, strict=True):
        mapped = torch.einsum("oi,nihw->nohw", projection.weight[:, :, 0, 0], fused)
        cosine = (mapped * upsampled).sum(1) / (mapped.norm(dim=1) * upsampled.norm(dim=1))
        cosines.append(cosine.mean())
    torch.testing.assert_close(value, 1 - torch.stack(cosines).mean(), rtol=1e-12, atol=0)
    value.backward()
    assert all(fused.grad.any() and upsampled.grad is None for fused, upsampled in pairs)
    assert all(p.grad.any() for p in loss.parameters())
    assert torch.autograd.gradcheck(
        lambda fused: loss([(fused, pairs[0][1]), pairs[1]]), (pairs[0][0],)
    )


def test_consistency_is_zero_where_the_levels_agree_and_two_where_they_oppose():
    loss = LevelConsistency((3,))
    nn.init.dirac_(loss.projections[0].weight)
    level = torch.randn(1, 3, 4, 4)
    assert loss([(level, 2 * level)]).item() == pytest.approx(0, abs=1e-6)
    assert loss([(level, -level)]).item() == pytest.approx(2, abs=1e-6)


def test_consistency_adds_its_term_to_the_loss_and_nothing_to_the_weights(tiny_model):
    pyramid = {"dgr": {"type": "consistency"}}
    frames = torch.rand(1, 3, 1, 24, 40, generator=torch.Generator().manual_seed(1))
    nothing = Targets(
        boxes_xyxy=torch.zeros(0, 4),
        class_ids=torch.zeros(0, dtype=torch.int64),
        track_ids=torch.zeros(0, dtype=torch.int64),
    )
    found = {}
    for weight in (0.0, 1.0, 2.0):
        torch.manual_seed(0)
        config: ModelConfig = tiny_model(pyramid=pyramid)
        detector = build_detector(config)
        step = TrainingStep(
            detector,
            None,
            build_consistency(config, detector),
            motion_weight=0.0,
            consistency_weight=weight,
        )
        total, terms = step(frames, torch.tensor([[0, 1]]), torch.tensor([2]), [nothing])
        total.backward()
        assert all(p.grad.any() for p in step.consistency.parameters()) == (weight > 0)
        found[weight] = terms
    assert found[0.0][5] == 0
    assert found[2.0][5].item() == pytest.approx(2 * found[1.0][5].item(), rel=1e-5)
    assert (found[1.0][0] - found[0.0][0]).item() == pytest.approx(found[1.0][5].item(), rel=1e-4)
    assert torch.equal(found[1.0][1:5], found[0.0][1:5])
    assert detector.state_dict().keys() == build_detector(tiny_model()).state_dict().keys()


@pytest.mark.parametrize("kind", GRADIENT_ONLY)
def test_forward_is_bit_identical_for_every_member_but_the_gate(kind):
    leaves = [leaf.detach().float().requires_grad_() for leaf in _leaves()]
    assert torch.equal(_neck(kind).float()(leaves), _neck("none").float()(leaves))


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_gate_has_parameters_of_its_own(kind):
    more = _neck(kind).state_dict().keys() - _neck("none").state_dict().keys()
    assert bool(more) == (kind == "gate")


def _graph(kind, tiny_model):
    """What an exported detector computes, as text."""
    torch.manual_seed(0)
    detector = build_detector(tiny_model(pyramid={"dgr": {"type": kind}})).eval()
    arguments = (torch.rand(1, 3, 1, 16, 16),)

    class Frames(nn.Module):
        def __init__(self):
            super().__init__()
            self.detector = detector

        def forward(self, frames):
            features = self.detector.window_features(frames)
            return self.detector.temporal(features[:, :2], features[:, 2]).features

    return str(torch.export.export(Frames(), arguments).graph)


@pytest.fixture(scope="module")
def plain_graph(tiny_model):
    return _graph("none", tiny_model)


@pytest.mark.parametrize("kind", GRADIENT_ONLY[1:])
def test_exported_graph_is_that_without_the_member(kind, tiny_model, plain_graph):
    assert _graph(kind, tiny_model) == plain_graph


def test_exported_graph_of_the_gate_is_another(tiny_model, plain_graph):
    assert _graph("gate", tiny_model) != plain_graph


@pytest.mark.parametrize("kind", KINDS)
def test_training_step_reaches_every_parameter(kind, tiny_model, started):
    torch.manual_seed(0)
    config = tiny_model(num_stages=4, pyramid={"dgr": {"type": kind}})
    detector = started(build_detector(config))
    step = TrainingStep(
        detector,
        None,
        build_consistency(config, detector),
        motion_weight=0.0,
        consistency_weight=1.0,
    )
    target = Targets(
        boxes_xyxy=torch.tensor([[4.0, 4, 9, 9]]),
        class_ids=torch.zeros(1, dtype=torch.int64),
        track_ids=torch.ones(1, dtype=torch.int64),
    )
    total, _ = step(
        torch.rand(1, 3, 1, 32, 32), torch.tensor([[0, 1]]), torch.tensor([2]), [target]
    )
    total.backward()
    without = [n for n, p in step.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    # A copy trains on: the moving average and the processes of a run copy modules.
    copy.deepcopy(step)
