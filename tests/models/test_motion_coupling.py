import pytest
import torch
from torch import Tensor

from stdet.models.temporal.motion_coupling import MotionCoupling


def _module(lively, *, num_frames=5, is_residual=False):
    torch.manual_seed(0)
    module = MotionCoupling(6, num_frames, expansion=2.0, is_residual=is_residual)
    torch.nn.init.uniform_(module.pair_weights)
    return lively(module).double()


def _inputs(num_context=4):
    generator = torch.Generator().manual_seed(1)
    shape = (2, num_context, 6, 5, 7)
    context = torch.randn(shape, generator=generator, dtype=torch.float64)
    return context, torch.randn(2, 6, 5, 7, generator=generator, dtype=torch.float64)


def _one_by_one(module: MotionCoupling, context: Tensor, key: Tensor) -> Tensor:
    """The published equations, one context frame after the other."""
    gate = module.gate(torch.cat([context[:, i] for i in range(context.shape[1])], dim=1))
    coupled_key = module.key_mix(torch.cat([module.key_conv(gate * key), key], dim=1))
    motion = torch.zeros_like(key)
    for i, weight in enumerate(module.pair_weights):
        motion = motion + weight * module.pair_conv(torch.cat([context[:, i], key], dim=1))
    return module.fuse(torch.cat([module.pair_mix(motion), coupled_key], dim=1))


@pytest.mark.parametrize("num_frames", [2, 3, 5])
def test_batched_fusion_equals_the_equations_one_context_frame_at_a_time(lively, num_frames):
    module = _module(lively, num_frames=num_frames)
    context, key = _inputs(num_frames - 1)
    torch.testing.assert_close(
        module(context, key).features,
        _one_by_one(module, context, key),
        rtol=1e-12,
        atol=1e-12,
    )


def test_residual_adds_the_key_frame(lively):
    context, key = _inputs()
    plain = _module(lively)(context, key).features
    with_key = _module(lively, is_residual=True)(context, key).features
    assert torch.equal(with_key, plain + key)


def test_weights_of_the_references_start_equal_and_sum_to_one():
    weights = MotionCoupling(4, 5).pair_weights
    assert weights.tolist() == [0.25] * 4  # 1 / 4 at T = 5, as published.
    assert weights.requires_grad


def test_order_of_the_references_matters(lively):
    module, (context, key) = _module(lively), _inputs()
    there, back = module(context, key), module(context.flip(1), key)
    assert not torch.allclose(there.features, back.features)


def test_wrong_number_of_references_is_refused(lively):
    context, key = _inputs(3)
    with pytest.raises(ValueError, match="context has 3 frames; expected 4"):
        _module(lively)(context, key)
