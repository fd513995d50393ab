"""Motion coupling: the key frame is gated by its context, then coupled with each frame of it.

Tensor letters: B batch, T frames, R = T - 1 context frames, C channels, h w feature size.
Symbols of SSTNet's motion-coupling neck: r, the gate computed from the whole context; c, the gated
key frame.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from stdet.models.interfaces import Fused, TemporalState
from stdet.models.layers import ConvBnAct


class MotionCoupling(nn.Module):
    """Motion-coupling module, a ``Temporal`` without memory.

        r = gate(cat(context))                         ends in a sigmoid
        c = key_mix(cat(key_conv(r * key), key))
        m = pair_mix(sum_i w_i * pair_conv(cat(context_i, key)))
        out = fuse(cat(m, c))                          + key where ``is_residual``

    ``gate``, ``key_mix``, ``pair_conv`` and ``fuse`` are two 3x3 convolutions with
    ``expansion * channels`` between them; ``key_conv`` and ``pair_mix`` two of ``channels``.

    Args:
        channels: C of each feature map, in and out.
        num_frames: T.
        expansion: Hidden width as a multiple of ``channels``; 2 as published.
        is_residual: Add the key frame's own map to the result. Ours: without it all that the head
            sees has passed ten untrained convolutions, and a network trained from nothing stays
            for long on the plateau where it finds no target at all.

    Source:
        SSTNet (TGRS 2024), the neck of YOLO-BP. The weights w_i start at 1 / R; published is 1 / 4
        at T = 5, which is the same.
    """

    is_recurrent = False

    def __init__(
        self, channels: int, num_frames: int, *, expansion: float = 2.0, is_residual: bool = False
    ) -> None:
        """Build the six blocks and the weights of the context frames."""
        super().__init__()
        num_context = num_frames - 1
        hidden = max(round(expansion * channels), 1)
        self.num_frames = num_frames
        self.is_residual = is_residual
        self.gate = _two_convs(num_context * channels, hidden, channels, last_act=nn.Sigmoid)
        self.key_conv = _two_convs(channels, channels, channels)
        self.key_mix = _two_convs(2 * channels, hidden, channels)
        self.pair_conv = _two_convs(2 * channels, hidden, channels)
        self.pair_mix = _two_convs(channels, channels, channels)
        self.fuse = _two_convs(2 * channels, hidden, channels)
        self.pair_weights = nn.Parameter(torch.full((num_context,), 1.0 / num_context))

    def forward(self, context: Tensor, key: Tensor, state: TemporalState = ()) -> Fused:
        """Fuse; arguments as in ``Temporal``, R context frames.

        Raises:
            ValueError: If there are not R context frames.
        """
        num_context = self.num_frames - 1
        if context.shape[1] != num_context:
            raise ValueError(f"context has {context.shape[1]} frames; expected {num_context}.")
        keys = repeat(key, "b c h w -> (b r) c h w", r=num_context)
        pairs = torch.cat([rearrange(context, "b r c h w -> (b r) c h w"), keys], dim=1)
        coupled = rearrange(self.pair_conv(pairs), "(b r) c h w -> b r c h w", r=num_context)
        motion = torch.einsum("brchw,r->bchw", coupled, self.pair_weights)
        joined = rearrange(context, "b r c h w -> b (r c) h w")
        return Fused(features=self.fuse_motion(joined, key, motion))

    def fuse_motion(self, context: Tensor, key: Tensor, motion: Tensor) -> Tensor:
        """Fuse from the weighted sum of the pairs.

        Args:
            context: (B, R C, h, w), all context frames side by side.
            key: (B, C, h, w).
            motion: (B, C, h, w), sum_i w_i * pair_conv(cat(context_i, key)).
        """
        gated = self.key_conv(self.gate(context) * key)
        coupled_key = self.key_mix(torch.cat([gated, key], dim=1))
        out: Tensor = self.fuse(torch.cat([self.pair_mix(motion), coupled_key], dim=1))
        return out + key if self.is_residual else out


def _two_convs(
    in_channels: int, hidden: int, out_channels: int, *, last_act: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Return two 3x3 convolutions, the last one with its own activation."""
    return nn.Sequential(
        ConvBnAct(in_channels, hidden, 3), ConvBnAct(hidden, out_channels, 3, act=last_act)
    )
