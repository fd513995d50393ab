"""PyTorch, operator by operator, with BatchNorm folded and channels last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stdet.inference.engines.engine import Engine, EngineOfParts
from stdet.models.detector import ClipDetector, Predicted
from stdet.models.inference_parts import (
    FrameMaps,
    can_be_divided,
    fold_batch_norm,
    inference_parts,
)
from stdet.models.interfaces import TemporalState


def eager_engine(detector: ClipDetector) -> Engine:
    """Run a detector in PyTorch, on the device it is on.

    Args:
        detector: Copied, so that what happens to it later makes no difference.
    """
    folded = fold_batch_norm(detector)
    if not can_be_divided(folded):
        return _WholeEngine(folded)
    parts = inference_parts(folded)
    _to_channels_last(parts.frame)
    _to_channels_last(parts.clip)

    def run_frame(frame: Tensor) -> FrameMaps:
        maps: FrameMaps = parts.frame(frame.contiguous(memory_format=torch.channels_last))
        return maps

    return EngineOfParts(
        "eager",
        run_frame=run_frame,
        run_clip=lambda maps: parts.clip(*maps),
        clip_inputs=parts.clip_inputs,
        feature_stride=folded.head.feature_stride,
    )


class _WholeEngine:
    """A detector with a temporal module that is not known from inside, perhaps with a memory."""

    name = "eager"

    def __init__(self, folded: ClipDetector) -> None:
        self._detector = folded
        _to_channels_last(folded)

    def frame_maps(self, frame: Tensor) -> FrameMaps:
        frame = frame.contiguous(memory_format=torch.channels_last)
        return (self._detector.frame_features(frame),)

    def fuse(
        self, context: Sequence[FrameMaps], key: FrameMaps, state: TemporalState
    ) -> Predicted:
        stacked = torch.stack([maps[0] for maps in context], dim=1)
        return self._detector.fuse(stacked, key[0], state)


def _to_channels_last(module: nn.Module) -> None:
    """Keep weights with the channels of a pixel together, a quarter faster on a CPU."""
    module.to(memory_format=torch.channels_last)
