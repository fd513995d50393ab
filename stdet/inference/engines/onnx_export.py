"""The parts of a detector as ONNX, for frames of any size."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from stdet.errors import ConfigError, reason_of
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.models.detector import ClipDetector
from stdet.models.folding import fold_for_inference
from stdet.models.inference_parts import can_be_divided, inference_parts
from stdet.models.part_names import FRAME_NAME, OUTPUT_NAMES

OPSET = 18

_PROBE_CELLS = 3
"""Side of the frame that is traced, in cells of the deepest stage; nothing depends on it."""


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
    folded = fold_for_inference(detector).cpu().float()
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
