"""PyTorch, operator by operator, folded (``models/folding.py``) and channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stdet.errors import ConfigError
from stdet.inference.engines.bfloat16 import SUFFIX, require_bfloat16
from stdet.inference.engines.engine import ClipOutputs, Engine, EngineOfParts, FrameMaps, State
from stdet.models.detector import ClipDetector
from stdet.models.folding import fold_for_inference
from stdet.models.inference_parts import can_be_divided, inference_parts
from stdet.types import FloatArray


def eager_engine(detector: ClipDetector) -> Engine:
    """Run a detector in PyTorch, on the device it is on.

    Args:
        detector: Copied, so that what happens to it later makes no difference.
    """
    folded = fold_for_inference(detector)
    device = folded.pixel_mean.device
    if not can_be_divided(folded):
        return _WholeEngine(folded)
    parts = inference_parts(folded)
    _to_channels_last(parts.frame)
    _to_channels_last(parts.clip)

    @torch.inference_mode()
    def run_frame(frame: FloatArray) -> FrameMaps:
        maps: FrameMaps = parts.frame(_frame_tensor(frame, device))
        return maps

    @torch.inference_mode()
    def run_clip(maps: Sequence[Any]) -> list[FloatArray]:
        return [_array(one) for one in parts.clip(*(_tensor(value, device) for value in maps))]

    return EngineOfParts(
        "eager",
        run_frame=run_frame,
        run_clip=run_clip,
        clip_inputs=parts.clip_inputs,
        feature_stride=folded.head.feature_stride,
    )


def bfloat16_engine(detector: ClipDetector) -> Engine:
    """Run a detector in PyTorch on the CPU, its convolutions in bfloat16.

    Args:
        detector: Copied; see ``can_be_divided``.

    Raises:
        ConfigError: If its temporal module is not motion coupling, or the CPU has no bfloat16.
    """
    name = f"eager{SUFFIX}"
    require_bfloat16(name, str(detector.pixel_mean.device))
    if not can_be_divided(detector):
        raise ConfigError(
            f"engine {name}: the temporal module {type(detector.temporal).__name__} is not known; "
            "use eager."
        )
    folded = fold_for_inference(detector)
    device = folded.pixel_mean.device
    parts = inference_parts(folded)
    for part in (parts.frame, parts.clip):
        part.to(dtype=torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Grey levels keep their 32 bits until the mean is taken off: a dim target is small beside it.
    folded.pixel_mean, folded.pixel_std = detector.pixel_mean, detector.pixel_std

    @torch.inference_mode()
    def run_frame(frame: FloatArray) -> FrameMaps:
        with torch.autocast("cpu", torch.bfloat16):
            maps: FrameMaps = parts.frame(_frame_tensor(frame, device))
        return tuple(one.float() for one in maps)

    @torch.inference_mode()
    def run_clip(maps: Sequence[Any]) -> list[FloatArray]:
        with torch.autocast("cpu", torch.bfloat16):
            found = parts.clip(*(_tensor(value, device).bfloat16() for value in maps))
        return [_array(one) for one in found]

    return EngineOfParts(
        name,
        run_frame=run_frame,
        run_clip=run_clip,
        clip_inputs=parts.clip_inputs,
        feature_stride=folded.head.feature_stride,
    )


class _WholeEngine:
    """A detector with a temporal module that is not known from inside, perhaps with a memory."""

    name = "eager"

    def __init__(self, folded: ClipDetector) -> None:
        self._detector = folded
        self._device = folded.pixel_mean.device
        _to_channels_last(folded)

    @torch.inference_mode()
    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        return (self._detector.frame_features(_frame_tensor(frame, self._device)),)

    @torch.inference_mode()
    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        stacked = torch.stack([maps[0] for maps in context], dim=1)
        found = self._detector.fuse(stacked, key[0], state)
        cls_logits, obj_logits, box_offsets = map(_array, found.outputs.tensors)
        return ClipOutputs(
            cls_logits=cls_logits,
            obj_logits=obj_logits,
            box_offsets=box_offsets,
            feature_stride=found.outputs.feature_stride,
            state=found.state,
        )


def _frame_tensor(frame: FloatArray, device: torch.device) -> Tensor:
    return _tensor(frame, device).contiguous(memory_format=torch.channels_last)


def _tensor(value: FloatArray | Tensor, device: torch.device) -> Tensor:
    """Return a map of this engine or of another one as a tensor of the device."""
    return torch.as_tensor(value, device=device)


def _array(value: Tensor) -> FloatArray:
    array: FloatArray = value.float().cpu().numpy()
    return array


def _to_channels_last(module: nn.Module) -> None:
    """Keep weights with the channels of a pixel together, a quarter faster on a CPU."""
    module.to(memory_format=torch.channels_last)
