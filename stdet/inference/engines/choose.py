"""The engine of a name, ready to run a detector."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import torch

from stdet.errors import ConfigError
from stdet.inference.engines.bfloat16 import SUFFIX
from stdet.inference.engines.checked import BFLOAT16, FLOAT32, CheckedEngine
from stdet.inference.engines.eager import bfloat16_engine, eager_engine
from stdet.inference.engines.engine import Engine
from stdet.inference.engines.names import FASTEST_FIRST, EngineName, is_installed
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.engines.onnxruntime import onnxruntime_engine
from stdet.inference.engines.openvino import openvino_engine
from stdet.models.detector import ClipDetector
from stdet.models.inference_parts import can_be_divided

log = logging.getLogger(__name__)

_OF_PARTS: dict[str, Callable[..., Engine]] = {
    "openvino": openvino_engine,
    "openvino-bf16": functools.partial(openvino_engine, precision="bf16"),
    "onnxruntime": onnxruntime_engine,
}


def choose_engine(
    name: EngineName, detector: ClipDetector, *, device: torch.device, num_threads: int = 1
) -> Engine:
    """Return an engine, checked against PyTorch on the first frames.

    Args:
        name: `auto` takes, on a CPU, the fastest one that is installed and takes the detector;
            PyTorch on a GPU.
        detector: In eval mode, on the device.
        device: Where it runs.
        num_threads: CPU threads of OpenVINO and ONNX Runtime. Small maps gain little from more,
            which wait for each other.

    Raises:
        ConfigError: If the engine is not installed, does not run on the device or cannot take the
            detector.
    """
    exact = eager_engine(detector)
    if name == "eager":
        return exact
    export = functools.cache(lambda: export_parts(detector))

    def checked(name: EngineName, *, is_required: bool) -> Engine:
        if name == "eager-bf16":
            fast = bfloat16_engine(detector)
        else:
            fast = _OF_PARTS[name](export(), device=str(device), num_threads=num_threads)
        closeness = BFLOAT16 if name.endswith(SUFFIX) else FLOAT32
        return CheckedEngine(fast, exact, closeness=closeness, is_required=is_required)

    if name != "auto":
        return checked(name, is_required=True)
    if device.type != "cpu" or not can_be_divided(detector):
        return exact
    for candidate in FASTEST_FIRST:
        if is_installed(candidate):
            try:
                return checked(candidate, is_required=False)
            except ConfigError as error:
                log.warning("%s", error)
    return exact
