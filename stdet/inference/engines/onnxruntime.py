"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stdet.errors import ConfigError, reason_of
from stdet.inference.engines.engine import Engine, EngineOfParts
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.models.part_names import FRAME_NAME, OUTPUT_NAMES
from stdet.types import FloatArray

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

_Run = Callable[[Mapping[str, FloatArray]], tuple[FloatArray, ...]]


def onnxruntime_engine(parts: OnnxParts, *, device: str, num_threads: int) -> Engine:
    """Run a detector in ONNX Runtime.

    Args:
        parts: Exported.
        device: `cpu`, `cuda` or `cuda:N`.
        num_threads: On a CPU.

    Raises:
        ConfigError: If ONNX Runtime is not installed or cannot load the parts, or would run them
            elsewhere than on the device.
    """
    library = import_library("onnxruntime", wanted_by="engine onnxruntime")
    run_frame = _session(library, parts.frame, parts.map_names, device, num_threads)
    run_clip = _session(library, parts.clip, OUTPUT_NAMES, device, num_threads)
    names = parts.clip_input_names
    return EngineOfParts(
        "onnxruntime",
        run_frame=lambda frame: run_frame({FRAME_NAME: frame}),
        run_clip=lambda maps: run_clip(dict(zip(names, maps, strict=True))),
        clip_inputs=parts.clip_inputs,
        feature_stride=parts.feature_stride,
    )


def _session(
    library: Any,
    model: bytes | Path,
    output_names: tuple[str, ...],
    device: str,
    num_threads: int,
) -> _Run:
    """Load one part."""
    kind, _, index = device.partition(":")
    provider = _PROVIDERS[kind]
    available = library.get_available_providers()
    if provider not in available:
        raise ConfigError(
            f"engine onnxruntime: this installation has no {provider} for device {device} "
            f"(it has {', '.join(available)}); install another one, or choose another device."
        )
    settings = library.SessionOptions()
    settings.intra_op_num_threads = num_threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3  # Errors; they are raised as well.
    # Threads that spin while they wait slow down whatever else runs.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options = [{"device_id": int(index or 0)}] if kind == "cuda" else [{}]
    try:
        session = library.InferenceSession(
            str(model) if isinstance(model, Path) else model,
            settings,
            providers=[provider],
            provider_options=options,
        )
    except Exception as error:  # Its errors have no base class of their own.
        raise ConfigError(f"engine onnxruntime: {reason_of(error)}; use another.") from error
    require_provider(session.get_providers(), provider)

    def run(inputs: Mapping[str, FloatArray]) -> tuple[FloatArray, ...]:
        try:
            return tuple(session.run(list(output_names), dict(inputs)))
        except Exception as error:
            raise ConfigError(
                f"engine onnxruntime: cannot run the network ({reason_of(error)}); use another."
            ) from error

    return run


def require_provider(given: list[str], wanted: str) -> None:
    """Refuse a session that runs elsewhere: where a provider fails, the CPU replaces it silently.

    Raises:
        ConfigError: If the provider that comes first is not the wanted one.
    """
    if given[:1] != [wanted]:
        raise ConfigError(
            f"engine onnxruntime: {wanted} was asked for, and the session runs on "
            f"{', '.join(given) or 'nothing'}; check the installation of its libraries, or choose "
            "device cpu."
        )
