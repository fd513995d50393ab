"""OpenVINO, on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stdet.errors import ConfigError, reason_of
from stdet.inference.engines.engine import Engine, EngineOfParts
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.types import FloatArray

_MAX_SIZES = 8
"""Sizes of frames whose compiled networks are kept."""

_Shapes = tuple[tuple[int, ...], ...]


def openvino_engine(parts: OnnxParts, *, device: str, num_threads: int) -> Engine:
    """Run a detector in OpenVINO.

    Args:
        parts: Exported.
        device: The CPU.
        num_threads: CPU threads.

    Raises:
        ConfigError: If OpenVINO is not installed or cannot load the parts, or the device is none
            of its own.
    """
    library = import_library("openvino", wanted_by="engine openvino")
    if device != "cpu":
        raise ConfigError(f"engine openvino: runs on the CPU, not on {device}; use --device cpu.")
    core = library.Core()
    run_frame = _CompiledPart(core, parts.frame, num_threads=num_threads)
    run_clip = _CompiledPart(core, parts.clip, num_threads=num_threads)
    return EngineOfParts(
        "openvino",
        run_frame=lambda frame: run_frame([frame]),
        run_clip=run_clip,
        clip_inputs=parts.clip_inputs,
        feature_stride=parts.feature_stride,
    )


class _CompiledPart:
    """A part, compiled for each size of frames: a sixth faster than for any size."""

    def __init__(self, core: Any, model: bytes | Path, *, num_threads: int) -> None:
        self._core = core
        self._model = model
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": num_threads,
            "INFERENCE_PRECISION_HINT": "f32",  # Some CPUs would take bfloat16.
        }
        self._requests: dict[_Shapes, Any] = {}

    def __call__(self, inputs: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        request = self._request(tuple(value.shape for value in inputs))
        arrays = [np.ascontiguousarray(value) for value in inputs]
        return tuple(request.infer(arrays, share_inputs=True).values())

    def _request(self, shapes: _Shapes) -> Any:
        """Return what runs inputs of these shapes."""
        if shapes not in self._requests:
            if len(self._requests) == _MAX_SIZES:
                del self._requests[next(iter(self._requests))]
            self._requests[shapes] = self._compile(shapes)
        return self._requests[shapes]

    def _compile(self, shapes: _Shapes) -> Any:
        try:
            model = self._core.read_model(self._model)
            model.reshape(dict(enumerate(map(list, shapes))))
            return self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        except RuntimeError as error:
            raise ConfigError(f"engine openvino: {reason_of(error)}; use another.") from error
