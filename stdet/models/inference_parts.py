"""A trained detector as two networks for inference: what needs one frame, and what needs a clip.

Motion coupling's first convolution of a pair (context frame, key frame) is a sum of two, one of
each frame; both are computed with the frame, once, and not again for every clip and every pair
that the frame is in.

Tensor letters: C channels, R = T - 1 context frames, h w feature size; one clip at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stdet.models.detector import ClipDetector
from stdet.models.head import DecoupledHead, HeadOutputs
from stdet.models.layers import ConvBnAct
from stdet.models.part_names import ClipInput
from stdet.models.temporal.motion_coupling import MotionCoupling

FrameMaps = tuple[Tensor, ...]
"""What is kept of a frame: maps (1, channels, h, w), the features first."""

ClipOutputs = tuple[Tensor, Tensor, Tensor]
"""In the order of ``OUTPUT_NAMES``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InferenceParts:
    """Both networks.

    Attributes:
        frame: Frame (1, channels, H, W) in [0, 1] to ``FrameMaps``.
        clip: Maps, in the order of ``clip_inputs``, to ``ClipOutputs``.
        map_names: Of a frame's maps.
        clip_inputs: What the clip part is given.
    """

    frame: nn.Module
    clip: nn.Module
    map_names: tuple[str, ...]
    clip_inputs: tuple[ClipInput, ...]

    @property
    def clip_input_names(self) -> tuple[str, ...]:
        """Names of ``clip_inputs``, such as ``features_0``."""
        return tuple(f"{self.map_names[i.map_index]}_{i.position}" for i in self.clip_inputs)


def can_be_divided(detector: ClipDetector) -> bool:
    """Say whether its temporal module is motion coupling, the only one known from inside."""
    return isinstance(detector.temporal, MotionCoupling)


def inference_parts(folded: ClipDetector) -> InferenceParts:
    """Divide a detector.

    Args:
        folded: From ``fold_for_inference``; see ``can_be_divided``.

    Raises:
        ValueError: If the temporal module is another one than motion coupling.
    """
    coupling = folded.temporal
    if not isinstance(coupling, MotionCoupling):
        raise ValueError(f"the temporal module {type(coupling).__name__} cannot be divided.")
    context = range(coupling.num_frames - 1)
    key = coupling.num_frames - 1
    return InferenceParts(
        frame=_FrameOfPairs(folded, coupling),
        clip=_ClipOfPairs(coupling, folded.head),
        map_names=("features", "pair_context", "pair_key"),
        clip_inputs=(
            *(ClipInput(position=i, map_index=0) for i in context),
            *(ClipInput(position=i, map_index=1) for i in context),
            ClipInput(position=key, map_index=0),
            ClipInput(position=key, map_index=2),
        ),
    )


class _FrameOfPairs(nn.Module):
    """Features, and both halves of the first convolution of a pair."""

    def __init__(self, detector: ClipDetector, coupling: MotionCoupling) -> None:
        super().__init__()
        self.detector = detector
        conv = _first_conv(coupling.pair_conv)
        channels = conv.in_channels // 2
        self.pair_context = _half(conv, slice(0, channels), has_bias=False)
        self.pair_key = _half(conv, slice(channels, None), has_bias=True)

    def forward(self, frame: Tensor) -> FrameMaps:
        features = self.detector.frame_features(frame)
        return features, self.pair_context(features), self.pair_key(features)


class _ClipOfPairs(nn.Module):
    """Motion coupling from halves of pairs, and the head."""

    def __init__(self, coupling: MotionCoupling, head: DecoupledHead) -> None:
        super().__init__()
        self.coupling = coupling
        self.head = head
        first, self.pair_end = coupling.pair_conv[0], coupling.pair_conv[1]
        assert isinstance(first, ConvBnAct)
        self.pair_act = first[-1]
        self.pair_weights: list[float] = coupling.pair_weights.detach().tolist()

    def forward(self, *maps: Tensor) -> ClipOutputs:
        num_context = len(self.pair_weights)
        context, pairs = maps[:num_context], maps[num_context:-2]
        key, pair_key = maps[-2:]
        coupled = [self.pair_end(self.pair_act(pair + pair_key)) for pair in pairs]
        motion = coupled[0] * self.pair_weights[0]
        for one, weight in zip(coupled[1:], self.pair_weights[1:], strict=True):
            motion = motion + one * weight
        fused = self.coupling.fuse_motion(torch.cat(context, dim=1), key, motion)
        outputs: HeadOutputs = self.head(fused)
        return outputs.tensors


def _first_conv(two_convs: nn.Sequential) -> nn.Conv2d:
    """Return the first convolution of two blocks, which holds its BatchNorm."""
    first = two_convs[0]
    assert isinstance(first, ConvBnAct)
    conv = first[0]
    assert isinstance(conv, nn.Conv2d)
    return conv


def _half(conv: nn.Conv2d, channels: slice, *, has_bias: bool) -> nn.Conv2d:
    """Return the convolution of some of the channels in."""
    weight = conv.weight[:, channels].detach().clone()
    half = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        padding=(conv.padding[0], conv.padding[1]),  # type: ignore[arg-type]
        bias=has_bias,
    )
    half.weight = nn.Parameter(weight, requires_grad=False)
    if has_bias:
        assert conv.bias is not None
        half.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=False)
    return half
