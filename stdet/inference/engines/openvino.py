"""OpenVINO, on a CPU."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stdet.errors import ConfigError, reason_of
from stdet.inference.engines.bfloat16 import SUFFIX, require_bfloat16
from stdet.inference.engines.engine import Engine, EngineOfParts
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.types import FloatArray

_MAX_SIZES = 8
"""Sizes of frames whose compiled networks are kept."""

_PRECISION_HINT = "INFERENCE_PRECISION_HINT"

_Shapes = tuple[tuple[int, ...], ...]

Precision = Literal["f32", "bf16"]
"""Of the arithmetic, as OpenVINO calls it; maps and outputs are float32 all the same."""


def openvino_engine(
    parts: OnnxParts, *, device: str, num_threads: int, precision: Precision = "f32"
) -> Engine:
    """Run a detector in OpenVINO.

    Args:
        parts: Exported.
        device: The CPU.
        num_threads: CPU threads.
        precision: Of the arithmetic; layers that the parts have in 8 bits stay so.

    Raises:
        ConfigError: If OpenVINO is not installed or cannot load the parts, or the device is none
            of its own or has no bfloat16 where that is asked for.
    """
    name = "openvino" if precision == "f32" else f"openvino{SUFFIX}"
    library = import_library("openvino", wanted_by=f"engine {name}")
    if device != "cpu":
        raise ConfigError(f"engine {name}: runs on the CPU, not on {device}; use --device cpu.")
    if precision == "bf16":
        require_bfloat16(name, device)
    compiled = functools.partial(
        _CompiledPart, library, name=name, num_threads=num_threads, precision=precision
    )
    run_frame = compiled(parts.frame, maps="outputs")
    run_clip = compiled(parts.clip, maps="inputs")
    return EngineOfParts(
        name,
        run_frame=lambda frame: tuple(map(_channels_first, run_frame([frame]))),
        run_clip=lambda maps: run_clip(list(map(_channels_last, maps))),
        clip_inputs=parts.clip_inputs,
        feature_stride=parts.feature_stride,
    )


@functools.cache
def openvino_core(library: Any) -> Any:
    """Return OpenVINO's core, one for the life of the process.

    On CPUs with AMX each core gives the thread that made it a stack for signal handlers, and takes
    it back when it is freed. Of two cores freed in the order in which they were made, the second
    puts back the stack of the first, which is gone: the next signal ends the process.
    """
    return library.Core()


class _CompiledPart:
    """A part, compiled for each size of frames: a sixth faster than for any size.

    Maps go out and in with the channels of a cell together, as OpenVINO has them inside: to copy
    them into another order takes a sixth of the time of the frame part.
    """

    def __init__(
        self,
        library: Any,
        model: bytes | Path,
        *,
        name: str,
        num_threads: int,
        precision: Precision,
        maps: Literal["inputs", "outputs"],
    ) -> None:
        self._library = library
        self._core = openvino_core(library)
        self._model = model
        self._maps = maps
        self._name = name
        self._precision = precision
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": num_threads,
            _PRECISION_HINT: precision,  # Else some CPUs would take bfloat16, unasked.
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
            model = self._model_for(shapes)
            compiled = self._core.compile_model(model, "CPU", self._settings)
            require_precision(
                self._name,
                given=compiled.get_property(_PRECISION_HINT).to_string(),
                wanted=self._precision,
            )
            return compiled.create_infer_request()
        except RuntimeError as error:
            raise ConfigError(f"engine {self._name}: {reason_of(error)}; use another.") from error

    def _model_for(self, shapes: _Shapes) -> Any:
        """Return the part for inputs of these shapes, its maps with channels last."""
        model = self._core.read_model(self._model)
        to_inside = (0, 3, 1, 2)
        if self._maps == "inputs":
            shapes = tuple(tuple(shape[axis] for axis in to_inside) for shape in shapes)
        model.reshape(dict(enumerate(map(list, shapes))))
        prepared = self._library.preprocess.PrePostProcessor(model)
        inside, outside = map(self._library.Layout, ("NCHW", "NHWC"))
        of_part = prepared.input if self._maps == "inputs" else prepared.output
        for number in range(len(getattr(model, self._maps))):
            of_part(number).model().set_layout(inside)
            of_part(number).tensor().set_layout(outside)
        return prepared.build()


def _channels_first(maps: FloatArray) -> FloatArray:
    """Return maps (1, h, w, channels) as (1, channels, h, w), without a copy."""
    return np.moveaxis(maps, -1, 1)


def _channels_last(maps: FloatArray) -> FloatArray:
    """Return maps (1, channels, h, w) as (1, h, w, channels); only another engine's are copied."""
    return np.ascontiguousarray(np.moveaxis(maps, 1, -1))


def require_precision(name: str, *, given: str, wanted: str) -> None:
    """Refuse a network that was compiled for another precision: OpenVINO takes it as a hint.

    Raises:
        ConfigError: If it was.
    """
    if given != wanted:
        raise ConfigError(
            f"engine {name}: {wanted} was asked for, and the network runs in {given}; use "
            "another engine."
        )
