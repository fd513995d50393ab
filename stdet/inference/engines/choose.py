"""The engine of a name, ready to run a detector."""

from __future__ import annotations

import logging

import torch

from stdet.errors import ConfigError
from stdet.inference.engines.checked import CheckedEngine
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.engine import Engine
from stdet.inference.engines.names import FASTEST_FIRST, EngineName, is_installed
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.engines.onnxruntime import onnxruntime_engine
from stdet.inference.engines.openvino import openvino_engine
from stdet.models.detector import ClipDetector
from stdet.models.inference_parts import can_be_divided

log = logging.getLogger(__name__)

_ENGINES = {"openvino": openvino_engine, "onnxruntime": onnxruntime_engine}


def choose_engine(
    name: EngineName, detector: ClipDetector, *, device: torch.device, num_threads: int = 1
) -> Engine:
    """Return an engine, checked against PyTorch on the first frames.

    Args:
        name: `auto` takes, on a CPU, the fastest one that is installed and exports the detector;
            PyTorch on a GPU.
        detector: In eval mode, on the device.
        device: Where it runs.
        num_threads: CPU threads of OpenVINO and ONNX Runtime. Small maps gain little from more,
            which wait for each other.

    Raises:
        ConfigError: If the engine is not installed, does not run on the device or cannot take the
            detector.
    """
    if name == "eager":
        return eager_engine(detector)
    if name != "auto":
        fast = _ENGINES[name](export_parts(detector), device=str(device), num_threads=num_threads)
        return CheckedEngine(fast, eager_engine(detector), is_required=True)
    if device.type != "cpu" or not can_be_divided(detector):
        return eager_engine(detector)
    return _fastest(detector, device, num_threads)


def _fastest(detector: ClipDetector, device: torch.device, num_threads: int) -> Engine:
    """Return the fastest installed engine that takes the detector, exported once for all."""
    eager = eager_engine(detector)
    installed = [name for name in FASTEST_FIRST if is_installed(name)]
    if not installed:
        return eager
    try:
        parts = export_parts(detector)
    except ConfigError as error:
        log.warning("%s", error)
        return eager
    for name in installed:
        try:
            fast = _ENGINES[name](parts, device=str(device), num_threads=num_threads)
        except ConfigError as error:
            log.warning("%s", error)
        else:
            return CheckedEngine(fast, eager, is_required=False)
    return eager
