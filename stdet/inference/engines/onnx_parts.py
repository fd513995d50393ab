"""The parts of a detector as ONNX, or as files of the format of the engine that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stdet.models.part_names import ClipInput


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxParts:
    """Both parts.

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
