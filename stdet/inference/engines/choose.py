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
        return _checked(name, detector, device, num_threads, is_required=True)
    if device.type != "cpu" or not can_be_divided(detector):
        return eager_engine(detector)
    for fast in FASTEST_FIRST:
        if not is_installed(fast):
            continue
        try:
            return _checked(fast, detector, device, num_threads, is_required=False)
        except ConfigError as error:
            log.warning("%s", error)
    return eager_engine(detector)


def _checked(
    name: EngineName,
    detector: ClipDetector,
    device: torch.device,
    num_threads: int,
    *,
    is_required: bool,
) -> Engine:
    parts = export_parts(detector)
    fast = _ENGINES[name](parts, device=device, num_threads=num_threads)
    return CheckedEngine(fast, eager_engine(detector), is_required=is_required)
