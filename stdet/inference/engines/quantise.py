"""The parts of a detector with convolutions in integers of 8 bits, after training.

Inputs of a convolution get one scale, from the range that they have on calibration footage; its
weights get one for each channel out. The first convolution and those that end a part stay in 32
bits: grey levels of dim targets, sums of motion coupling, logits and offsets need more digits than
8 bits have.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stdet.errors import ConfigError, foreign_errors
from stdet.inference.engines.engine import ClipOutputs, Engine, FrameMaps, State
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.models.part_names import FRAME_NAME
from stdet.types import FloatArray

KEPT_ENDS = ("pair_context", "pair_key", "cls_pred", "obj_pred", "box_pred")
"""Modules whose convolutions end a part."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """What the parts were given on calibration footage, float32.

    Attributes:
        frames: Of the frame part, (1, channels, H, W) each.
        clips: Of the clip part, one map per ``OnnxParts.clip_inputs`` each.
    """

    frames: Sequence[FloatArray]
    clips: Sequence[Sequence[FloatArray]]


class Recorder:
    """An engine that keeps some of what it is given.

    Args:
        engine: That computes.
        parts: Say what the clip part is given.
        every: Of so many frames and clips one is kept.
    """

    def __init__(self, engine: Engine, parts: OnnxParts, *, every: int) -> None:
        """Keep nothing yet."""
        self.name = engine.name
        self._engine, self._inputs, self._every = engine, parts.clip_inputs, every
        self._frames: list[FloatArray] = []
        self._clips: list[list[FloatArray]] = []
        self._num_seen = {"frame": 0, "clip": 0}

    @property
    def samples(self) -> Samples:
        """What was kept."""
        return Samples(frames=self._frames, clips=self._clips)

    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        """Compute what is kept of a frame."""
        if self._is_kept("frame"):
            self._frames.append(frame.copy())
        return self._engine.frame_maps(frame)

    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Predict on a key frame."""
        if self._is_kept("clip"):
            clip = (*context, key)
            self._clips.append([_copied(clip[i.position][i.map_index]) for i in self._inputs])
        return self._engine.fuse(context, key, state)

    def _is_kept(self, part: str) -> bool:
        self._num_seen[part] += 1
        return self._num_seen[part] % self._every == 0


def quantise(parts: OnnxParts, samples: Samples) -> OnnxParts:
    """Return the parts with most convolutions in 8 bits.

    Args:
        parts: ONNX models.
        samples: At least one of each part.

    Raises:
        ConfigError: If ONNX Runtime is not installed or cannot quantise the parts.
    """
    frames = [{FRAME_NAME: one} for one in samples.frames]
    clips = [dict(zip(parts.clip_input_names, one, strict=True)) for one in samples.clips]
    return replace(
        parts,
        frame=_quantised(parts.frame, frames, num_kept=1),
        clip=_quantised(parts.clip, clips, num_kept=0),
    )


def _quantised(
    model: bytes | Path, inputs: Sequence[Mapping[str, FloatArray]], *, num_kept: int
) -> bytes:
    """Return one part quantised, but for so many convolutions at its start and its last ones."""
    import_library("onnxruntime", wanted_by="int8")
    onnx: Any = import_library("onnx", wanted_by="int8")
    quantization: Any = import_library("onnxruntime.quantization", wanted_by="int8")
    assert isinstance(model, bytes)
    convs = [node.name for node in onnx.load_from_string(model).graph.node if _is_conv(node)]
    kept = convs[:num_kept] + [name for name in convs if any(end in name for end in KEPT_ENDS)]
    with (
        tempfile.TemporaryDirectory() as folder,
        foreign_errors(
            "int8",
            problem="ONNX Runtime cannot quantise the network",
            advice="export it in 32 bits",
            kind=ConfigError,
        ),
        _quiet(),
    ):
        given, out = Path(folder) / "given.onnx", Path(folder) / "out.onnx"
        given.write_bytes(model)
        quantization.quantize_static(
            str(given),
            str(out),
            _Reader(inputs),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # SiLU follows a convolution in the same pass; its input needs no rounding of its own.
            extra_options={"OpTypesToExcludeOutputQuantization": ["Conv"]},
        )
        return out.read_bytes()


def _copied(value: FloatArray | Tensor) -> FloatArray:
    array: FloatArray = torch.as_tensor(value).cpu().numpy().copy()
    return array


class _Reader:
    """Calibration inputs, one after the other, as ONNX Runtime asks for them."""

    def __init__(self, inputs: Sequence[Mapping[str, FloatArray]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Mapping[str, FloatArray] | None:
        return next(self._inputs, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let ONNX Runtime not warn, on the root logger, of passes that the exporter has made."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _is_conv(node: Any) -> bool:
    return bool(node.op_type == "Conv")
