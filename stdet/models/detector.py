"""ClipDetector: how backbone, pyramid, temporal module and head are wired, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from stdet.models.backbone import CspDarknet
from stdet.models.head import DecoupledHead, HeadOutputs
from stdet.models.interfaces import Pyramid, Temporal, TemporalState


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """What the detector says of one key frame per row.

    Attributes:
        outputs: Raw outputs of the head.
        state: Of the temporal module, for the next key frame of the same sequence.
    """

    outputs: HeadOutputs
    state: TemporalState


class ClipDetector(nn.Module):
    """Detect on key frames from clips of T frames.

    Per-frame features depend on one frame only, so each frame's are computed once, whether the
    frames come as a window (``forward``) or one by one (``frame_features`` and ``fuse``).

    Args:
        backbone: Per-frame features.
        neck: Per-frame pyramid.
        temporal: Fusion of T maps.
        head: Predictions on the fused map.
        pixel_mean: Per channel, subtracted from frames in [0, 1].
        pixel_std: Per channel, divided by.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        backbone: CspDarknet,
        neck: Pyramid,
        temporal: Temporal,
        head: DecoupledHead,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
    ) -> None:
        """Keep the parts."""
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.temporal = temporal
        self.head = head
        self.size_divisor = backbone.feature_strides[-1]
        shape = (1, len(pixel_mean), 1, 1)
        mean, std = torch.tensor(pixel_mean), torch.tensor(pixel_std)
        self.register_buffer("pixel_mean", mean.reshape(shape), persistent=False)
        self.register_buffer("pixel_std", std.reshape(shape), persistent=False)

    def normalise(self, frames: Tensor) -> Tensor:
        """Map frames (N, C, H, W), grey and background features, to the network's range."""
        return (frames - self.pixel_mean) / self.pixel_std

    def frame_features(self, frames: Tensor) -> Tensor:
        """Compute each frame's pyramid level.

        Args:
            frames: (N, C, H, W) in [0, 1]; H and W multiples of ``size_divisor``.

        Returns:
            (N, out_channels, h, w).
        """
        return self.neck(self.backbone(self.normalise(frames)))

    def fuse(self, context: Tensor, key: Tensor, state: TemporalState = ()) -> Predicted:
        """Predict one key frame per row from features already computed.

        Args:
            context: (B, T - 1, out_channels, h, w) in order of time.
            key: (B, out_channels, h, w).
            state: ``Predicted.state`` of the key before in the same sequence, ``()`` at its start.
        """
        fused = self.temporal(context, key, state)
        return Predicted(outputs=self.head(fused.features), state=fused.state)

    def forward(self, frames: Tensor, context: Tensor, keys: Tensor) -> HeadOutputs:
        """Predict every key frame of a batch of windows.

        Args:
            frames: (B, W, C, H, W) in [0, 1].
            context: int64 (K, T - 1), positions in the window of each key's context.
            keys: int64 (K,), positions of the key frames.

        Returns:
            Outputs with B x K rows, clip-major.
        """
        return self.fuse_windows(self.window_features(frames), context, keys)

    def window_features(self, frames: Tensor) -> Tensor:
        """Map (B, W, C, H, W) to per-frame features (B, W, out_channels, h, w)."""
        flat = rearrange(frames, "b w c h x -> (b w) c h x")
        features = self.frame_features(flat)
        out: Tensor = rearrange(features, "(b w) c h x -> b w c h x", b=frames.shape[0])
        return out

    def fuse_windows(self, features: Tensor, context: Tensor, keys: Tensor) -> HeadOutputs:
        """Predict from window features; arguments and rows as in ``forward``."""
        picked, key = features[:, context], features[:, keys]  # (B, K, R, ...), (B, K, ...)
        if self.temporal.is_recurrent:
            fused = self._fuse_in_order(picked, key)
        else:
            fused = self.temporal(
                rearrange(picked, "b k r c h w -> (b k) r c h w"),
                rearrange(key, "b k c h w -> (b k) c h w"),
            ).features
        outputs: HeadOutputs = self.head(fused)
        return outputs

    def _fuse_in_order(self, context: Tensor, keys: Tensor) -> Tensor:
        """Fuse the K keys of each window one after another; returns (B K, C, h, w)."""
        state: TemporalState = ()
        fused = []
        for step in range(keys.shape[1]):
            found = self.temporal(context[:, step], keys[:, step], state)
            state = found.state
            fused.append(found.features)
        out: Tensor = rearrange(torch.stack(fused, dim=1), "b k c h w -> (b k) c h w")
        return out
