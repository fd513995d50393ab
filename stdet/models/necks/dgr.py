"""Directional gradient regularisation (DGR): how gradients travel between pyramid levels.

The paper says that DGR "enforces hierarchical feature consistency during backpropagation" at
"near-zero overhead"; its formula is not public. The members below are this project's reading.
All of them leave the forward pass as it is. With C_i the lateral map of a step, U the upsampled
deep map, P = mix(cat(U, C_i)) the fused level, sg() stop-gradient and L the loss:

``none``
    dL/dC_i and dL/dU as in the plain FPN.
``lateral_scale``
    C_i is replaced by a C_i + (1 - a) sg(C_i): dL/dC_i is multiplied by a (0 detaches it).
``straight_through``
    P is replaced by P + U - sg(U): dL/dU gains dL/dP, so that the gradient of the supervised level
    reaches the deep levels directly.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class _ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, scale: float) -> Tensor:
        """Return x unchanged."""
        ctx.scale = scale  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        """Return the scaled gradient."""
        return grad * ctx.scale, None  # type: ignore[attr-defined]


class _AddGradient(torch.autograd.Function):
    """First argument unchanged; the gradient goes, unchanged, to both arguments.

    P + U - sg(U) in one step: the sum rounds in floating point, this does not.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, fused: Tensor, upsampled: Tensor
    ) -> Tensor:
        """Return ``fused`` unchanged."""
        return fused.view_as(fused)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient twice."""
        return grad, grad


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """Return x; in the backward pass its gradient is multiplied by ``scale``.

    With ``scale`` 0 the gradient is an exact zero tensor, not None.
    """
    scaled: Tensor = _ScaleGradient.apply(x, scale)
    return scaled


class GradientRouter(nn.Module):
    """One member of the DGR family, without parameters.

    Args:
        kind: Member; see the module's docstring for each equation.
        scale: a of ``lateral_scale``, in [0, 1].
    """

    def __init__(
        self, kind: Literal["none", "lateral_scale", "straight_through"], *, scale: float
    ) -> None:
        """Remember the member."""
        super().__init__()
        self.kind = kind
        self.scale = scale

    def lateral(self, lateral: Tensor) -> Tensor:
        """Route the gradient of a lateral map; identity in the forward pass."""
        return scale_gradient(lateral, self.scale) if self.kind == "lateral_scale" else lateral

    def fused(self, fused: Tensor, upsampled: Tensor) -> Tensor:
        """Route the gradient of a fused level to the upsampled map; identity forward.

        Args:
            fused: (N, C, h, w).
            upsampled: Same shape.
        """
        if self.kind == "straight_through":
            out: Tensor = _AddGradient.apply(fused, upsampled)
            return out
        return fused
