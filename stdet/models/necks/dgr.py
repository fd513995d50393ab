"""Directional gradient regularisation (DGR): how gradients travel between pyramid levels.

The paper says that DGR "enforces hierarchical feature consistency during backpropagation" at
"near-zero overhead"; its formula is not public. The members below are this project's reading.
Symbols, at the step that makes level i: C_i the lateral map, U the deep map P_{i+1} reduced and
upsampled, P = mix(U, C_i) the fused level, L the loss, g_X = dL/dX as it is without DGR, sg()
stop-gradient, <.,.> and ||.|| over all cells and channels of one frame.

``none``
    g_C and g_U as in the plain FPN.
``lateral_scale``
    C_i is replaced by a C_i + (1 - a) sg(C_i): g_C becomes a g_C (0 detaches the lateral).
``topdown_scale``
    U is replaced by a U + (1 - a) sg(U): g_U becomes a g_U (0 detaches the deep levels).
``straight_through``
    P is replaced by P + U - sg(U): g_U becomes g_U + g_P, so that the gradient of the supervised
    level reaches the deep levels directly.
``gate``
    P is replaced by P * s, s = sigmoid(W U + b): with G the gradient of the gated level,
    g_P = G * s and g_U gains W^T (G * P * s (1 - s)). The only member that costs at inference.
``consistency``
    Adds to the loss the mean of 1 - cos(W P, sg(U)) over cells and steps, with W a 1x1 projection
    that exists in training only: P learns to agree with U, and U nothing from P.
``balance``
    Both gradients of a step get the same norm, their joint norm kept: with
    m = sqrt((||g_U||^2 + ||g_C||^2) / 2), g_U becomes g_U m / ||g_U|| and g_C g_C m / ||g_C||.
    Where one of them is 0 both stay. After GradNorm (Chen et al. 2018, arXiv 1711.02257), which
    learns weights of losses to this end; here the two are levels and nothing is learnt.
``project``
    C_i feeds the pyramid (gradient g_C) and the deeper stages of the backbone (gradient h). Where
    <g_C, h> < 0, g_C becomes g_C - h <g_C, h> / ||h||^2: what the lateral asks for against the
    deeper levels is taken out. Gradient surgery (PCGrad, Yu et al. 2020, arXiv 2001.06782) in one
    direction only; theirs is between tasks, and mutual.

All but ``gate`` leave the forward pass as it is, bit for bit, and are absent in eval mode in both
directions, so that an exported network has the graph of ``none``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from stdet.config import DgrKind

LevelPair = tuple[Tensor, Tensor]
"""P and U of one step, both (N, C, h, w)."""


class _ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: float) -> Tensor:
        """Return x unchanged."""
        ctx.scale = scale  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        """Return the scaled gradient."""
        return grad * ctx.scale, None  # type: ignore[attr-defined]


class _AddGradient(torch.autograd.Function):
    """First argument unchanged; the gradient goes, unchanged, to both arguments.

    P + U - sg(U) in one step: the sum rounds in floating point, this does not.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, fused: Tensor, upsampled: Tensor) -> Tensor:
        """Return ``fused`` unchanged."""
        return fused.view_as(fused)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient twice."""
        return grad, grad


class _BalanceGradients(torch.autograd.Function):
    """Identity on two maps whose gradients get the same norm in each frame."""

    @staticmethod
    def forward(ctx: FunctionCtx, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return both unchanged."""
        return one.view_as(one), other.view_as(other)

    @staticmethod
    def backward(ctx: FunctionCtx, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return both gradients with the root mean square of their norms."""
        one_norm, other_norm = _dot(one, one).sqrt(), _dot(other, other).sqrt()
        common = ((one_norm.square() + other_norm.square()) / 2).sqrt()
        is_defined = (one_norm > 0) & (other_norm > 0)

        def scaled(grad: Tensor, norm: Tensor) -> Tensor:
            factor = torch.where(is_defined, common / norm.where(is_defined, 1), 1)
            return grad * factor.to(grad.dtype)

        return scaled(one, one_norm), scaled(other, other_norm)


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """Return x; in the backward pass its gradient is multiplied by ``scale``.

    With ``scale`` 0 the gradient is an exact zero tensor, not None.
    """
    scaled: Tensor = _ScaleGradient.apply(x, scale)
    return scaled


def project_gradient(feature: Tensor) -> Tensor:
    """Return a view of ``feature`` whose gradient loses what opposes that of other consumers.

    Args:
        feature: (N, C, h, w), used elsewhere too; all its other uses together make h.

    Returns:
        The same values. In the backward pass the gradient of ``feature`` becomes h + g_C, or
        h + g_C - h <g_C, h> / ||h||^2 in frames where the two conflict.
    """
    if not feature.requires_grad:
        return feature
    view = feature.view_as(feature)
    own: list[Tensor] = []
    view.register_hook(own.append)  # type: ignore[no-untyped-call]

    def joined(total: Tensor) -> Tensor:
        if not own:
            return total
        lateral = own.pop()
        deep = total - lateral
        square, dot = _dot(deep, deep), _dot(lateral, deep)
        factor = torch.where(square > 0, dot.clamp(max=0) / square.where(square > 0, 1), 0)
        return total - deep * factor.to(total.dtype)

    feature.register_hook(joined)  # type: ignore[no-untyped-call]
    return view


class GradientRouter(nn.Module):
    """One member of the DGR family; see the module's docstring for each equation.

    Args:
        kind: Member.
        scale: a of ``lateral_scale`` and ``topdown_scale``, in [0, 1].
        step_channels: Channels of the fused level of each step, deepest first; only ``gate``
            needs them, for its parameters.
    """

    def __init__(self, kind: DgrKind, *, scale: float, step_channels: Sequence[int]) -> None:
        """Build the projections of ``gate``; no other member has parameters here."""
        super().__init__()
        self.kind = kind
        self.scale = scale
        channels = step_channels if kind == "gate" else ()
        self.gates = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)

    def inputs(self, upsampled: Tensor, lateral: Tensor) -> tuple[Tensor, Tensor]:
        """Route the gradients of the two maps that a step joins; identity forward.

        Args:
            upsampled: U, (N, C, h, w).
            lateral: C_i, (N, C', h, w).
        """
        if not self.training:
            return upsampled, lateral
        if self.kind == "lateral_scale":
            return upsampled, scale_gradient(lateral, self.scale)
        if self.kind == "topdown_scale":
            return scale_gradient(upsampled, self.scale), lateral
        if self.kind == "project":
            return upsampled, project_gradient(lateral)
        if self.kind == "balance":
            return cast(tuple[Tensor, Tensor], _BalanceGradients.apply(upsampled, lateral))
        return upsampled, lateral

    def fused(self, fused: Tensor, upsampled: Tensor, step: int) -> Tensor:
        """Route the gradient of a fused level; identity forward but for ``gate``.

        Args:
            fused: P, (N, C, h, w).
            upsampled: U, same shape.
            step: Number of the step, deepest first.
        """
        if self.kind == "gate":
            return fused * torch.sigmoid(self.gates[step](upsampled))
        if self.kind == "straight_through" and self.training:
            out: Tensor = _AddGradient.apply(fused, upsampled)
            return out
        return fused


class LevelConsistency(nn.Module):
    """The loss of ``consistency``; training only, no part of the detector.

    Args:
        step_channels: Channels of the fused level of each step, deepest first.
    """

    def __init__(self, step_channels: Sequence[int]) -> None:
        """Build one projection for each step."""
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(c, c, 1, bias=False) for c in step_channels)

    def forward(self, pairs: Sequence[LevelPair]) -> Tensor:
        """Return the mean over steps, frames and cells of 1 - cos(W P, sg(U)), in [0, 2].

        Args:
            pairs: P and U of each step, deepest first.
        """
        losses = []
        for projection, (fused, upsampled) in zip(self.projections, pairs, strict=True):
            wanted = upsampled.detach()
            cosine = F.cosine_similarity(_wide(projection(fused)), _wide(wanted), dim=1)
            losses.append((1 - cosine).mean())
        return torch.stack(losses).mean()


def _wide(x: Tensor) -> Tensor:
    """Return float32 at least: half precision loses the digits of sums of squares."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Return the inner product of each frame, (N, 1, 1, 1)."""
    return (_wide(one) * _wide(other)).sum((1, 2, 3), keepdim=True)
