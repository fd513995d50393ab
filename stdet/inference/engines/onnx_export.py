"""The parts of a detector as ONNX, for frames of any size."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from stdet.errors import ConfigError, reason_of
from stdet.inference.engines.names import import_library
from stdet.models.detector import ClipDetector
from stdet.models.inference_parts import (
    OUTPUT_NAMES,
    ClipInput,
    can_be_divided,
    fold_batch_norm,
    inference_parts,
)

FRAME_NAME = "frame"
"""Name of the frame part's input, float32 (1, channels, H, W) in [0, 1]."""

OPSET = 18

_PROBE_CELLS = 3
"""Side of the frame that is traced, in cells of the deepest stage; nothing depends on it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxParts:
    """Both parts; files may also be of the format of the engine that reads them.

    Attributes:
        frame: ONNX model, or a file: ``FRAME_NAME`` to ``map_names``.
        clip: ONNX model, or a file: ``clip_input_names`` to ``OUTPUT_NAMES``.
        map_names: Of a frame's maps, the features first.
        clip_input_names: In the order of ``clip_inputs``.
        clip_inputs: What they are.
        feature_stride: Pixels per cell of all maps.
        num_channels: Of a frame.
        size_divisor: Height and width of a frame are multiples of it, pixels.
    """

    frame: bytes | Path
    clip: bytes | Path
    map_names: tuple[str, ...]
    clip_input_names: tuple[str, ...]
    clip_inputs: tuple[ClipInput, ...]
    feature_stride: int
    num_channels: int
    size_divisor: int


def export_parts(detector: ClipDetector) -> OnnxParts:
    """Export a detector.

    Raises:
        ConfigError: If its temporal module is not motion coupling, it holds an operator that
            ONNX has not, or the package `onnx` is not installed.
    """
    import_library("onnx", wanted_by="ONNX export")
    if not can_be_divided(detector):
        raise ConfigError(
            f"ONNX export: the temporal module {type(detector.temporal).__name__} is not known; "
            "use motion coupling, or the engine eager."
        )
    folded = fold_batch_norm(detector).cpu().float()
    parts = inference_parts(folded)
    num_channels = folded.pixel_mean.shape[1]
    side = _PROBE_CELLS * folded.size_divisor
    frame = torch.zeros(1, num_channels, side, side)
    with torch.no_grad():
        maps = parts.frame(frame)
    inputs = tuple(maps[one.map_index] for one in parts.clip_inputs)
    return OnnxParts(
        frame=_export(parts.frame, (frame,), (FRAME_NAME,), parts.map_names),
        clip=_export(parts.clip, inputs, parts.clip_input_names, OUTPUT_NAMES),
        feature_stride=folded.head.feature_stride,
        num_channels=num_channels,
        size_divisor=folded.size_divisor,
        map_names=parts.map_names,
        clip_input_names=parts.clip_input_names,
        clip_inputs=parts.clip_inputs,
    )


def _export(
    part: nn.Module,
    inputs: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> bytes:
    """Return one part as ONNX.

    The exporter that traces takes a second, the newer one twenty, and their graphs are equally
    fast.
    """
    file = io.BytesIO()
    sizes = {2: "height", 3: "width"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # That there is a newer one, and of traced constants.
            torch.onnx.export(
                part,
                inputs,
                cast(Any, file),
                input_names=list(input_names),
                output_names=list(output_names),
                dynamic_axes=dict.fromkeys((*input_names, *output_names), sizes),
                opset_version=OPSET,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise ConfigError(
            f"ONNX export: the network cannot be exported ({reason_of(error)}); use the engine "
            "eager."
        ) from error
    return file.getvalue()
