import pytest
import torch

from stdet.models.necks.bp_fpn import BpFpn
from stdet.models.necks.dgr import GradientRouter, scale_gradient
from stdet.models.necks.fpn import Fpn

CHANNELS = (4, 8, 16, 32)
KINDS = ("none", "lateral_scale", "straight_through")


def _neck(kind, scale=0.5):
    torch.manual_seed(0)
    fpn = Fpn(CHANNELS, output_stride=4, depth=0.33)
    neck = BpFpn(fpn, router=GradientRouter(kind, scale=scale), shortcut=None)
    return neck.double().eval()


def _leaves():
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(
            1, c, 32 >> i, 32 >> i, generator=generator, dtype=torch.float64
        ).requires_grad_()
        for i, c in enumerate(CHANNELS)
    ]


def _lateral_grads(kind, scale=0.5):
    """Gradients of C2, C3 (laterals) and C4 (deepest) for one fixed upstream gradient."""
    leaves = _leaves()
    out = _neck(kind, scale)(leaves)
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape))
    return [leaf.grad for leaf in leaves[1:]]


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


def test_lateral_scale_zero_detaches_every_lateral_and_nothing_else():
    c2, c3, c4 = _lateral_grads("lateral_scale", 0.0)
    _, _, plain_c4 = _lateral_grads("none")
    assert torch.equal(c2, torch.zeros_like(c2))
    assert torch.equal(c3, torch.zeros_like(c3))
    assert torch.equal(c4, plain_c4)


@pytest.mark.parametrize("scale", [0.25, 0.3, 1.0])
def test_lateral_scale_multiplies_lateral_gradients_exactly(scale):
    c2, c3, c4 = _lateral_grads("lateral_scale", scale)
    plain_c2, plain_c3, plain_c4 = _lateral_grads("none")
    assert plain_c2.any()
    assert plain_c3.any()
    assert torch.equal(c2, scale * plain_c2)
    assert torch.equal(c3, scale * plain_c3)
    assert torch.equal(c4, plain_c4)


def test_straight_through_adds_the_gradient_of_the_level_to_the_upsampled_map():
    generator = torch.Generator().manual_seed(2)
    grads = {}
    upstream = torch.randn(1, 8, 16, 16, generator=generator, dtype=torch.float64)
    start = torch.randn(1, 8, 16, 16, generator=generator, dtype=torch.float64)
    for kind in ("none", "straight_through"):
        neck = _neck(kind)
        upsampled = start.clone().requires_grad_()
        fused = neck.pyramid.steps[-1](upsampled, _leaves()[1].detach())
        neck.router.fused(fused, upsampled).backward(upstream)
        grads[kind] = upsampled.grad
    assert grads["none"].any()
    assert torch.equal(grads["straight_through"], grads["none"] + upstream)


def test_straight_through_changes_the_deepest_gradient_and_not_the_last_lateral():
    c2, _, c4 = _lateral_grads("straight_through")
    plain_c2, _, plain_c4 = _lateral_grads("none")
    assert torch.equal(c2, plain_c2)
    assert not torch.allclose(c4, plain_c4)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_bit_identical_for_every_member(kind):
    leaves = [leaf.detach().float() for leaf in _leaves()]
    assert torch.equal(_neck(kind).float()(leaves), _neck("none").float()(leaves))


@pytest.mark.parametrize("kind", KINDS)
def test_no_member_has_parameters_of_its_own(kind):
    assert _neck(kind).state_dict().keys() == _neck("none").state_dict().keys()
