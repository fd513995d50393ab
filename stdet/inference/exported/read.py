"""Read what `stdet export` has written, and run it without PyTorch."""

from __future__ import annotations

import hashlib
import json
import logging
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stdet.config import StdetConfig
from stdet.errors import CheckpointError, ConfigError, foreign_errors, shown
from stdet.files.regular_file import file_mode, require_regular_file
from stdet.files.settings_file import check_settings, settings_to_dict
from stdet.inference.engines.engine import Engine
from stdet.inference.engines.names import EngineName, check_device_name, has_library
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.inference.engines.onnxruntime import onnxruntime_engine
from stdet.inference.engines.openvino import openvino_engine
from stdet.inference.exported.metadata import (
    ENDINGS,
    FORMAT_VERSION,
    FORMATS,
    METADATA_NAME,
    ExportFormat,
    ExportMetadata,
    clip_steps,
)
from stdet.inference.network import Network
from stdet.inference.weights_files import config_of_weights, shipped_weights, weights_folder
from stdet.models.part_names import ClipInput

log = logging.getLogger(__name__)

_MAX_BYTES = 1_000_000
"""Of the metadata."""
_ADVICE = "run `stdet export` again"


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportedNetwork:
    """An exported network.

    Attributes:
        parts: Its files.
        format: Theirs.
        config: That the weights carry.
        path: Of the metadata.
    """

    parts: OnnxParts
    format: ExportFormat
    config: StdetConfig
    path: Path

    def network(self, *, device: str, engine: EngineName) -> Network:
        """Return the network in an engine that reads the files.

        Args:
            device: `auto` for the CPU, `cpu`, `cuda` or `cuda:N`.
            engine: `auto` takes ONNX Runtime for ONNX where it is installed, else OpenVINO.

        Raises:
            ConfigError: If the engine cannot read the format, is not installed, or does not run
                on the device.
        """
        check_device_name(device)
        made = self._engine(engine, "cpu" if device == "auto" else device)
        log.info("The network of %s runs in %s.", self.path, made.name)
        return Network(
            made,
            model=self.config.model,
            config=self.config.postprocess,
            size_divisor=self.parts.size_divisor,
            weights=self.path,
        )

    def _engine(self, name: EngineName, device: str) -> Engine:
        if name == "auto":
            is_onnx = self.format == "onnx"
            has_runtime = has_library("onnxruntime") or not has_library("openvino")
            name = "onnxruntime" if is_onnx and has_runtime else "openvino"
        if name.startswith("eager") or (name == "onnxruntime" and self.format != "onnx"):
            raise ConfigError(
                f"engine {name}: does not read the {self.format} files of {self.path}; leave "
                "--engine out, or name the weights that they were exported from."
            )
        if name == "onnxruntime":
            return onnxruntime_engine(self.parts, device=device, num_threads=1)
        return openvino_engine(
            self.parts,
            device=device,
            num_threads=1,
            precision="bf16" if name == "openvino-bf16" else "f32",
        )


def find_exported(weights: str, *, with_shipped: bool) -> Path | None:
    """Return the metadata of an exported network; None where the name means something else.

    Args:
        weights: A folder, a file of metadata (.json), or another name of weights.
        with_shipped: Whether the name of shipped weights means their exported form, where that
            is shipped as well.

    Raises:
        CheckpointError: If the name is one that no file can have.
    """
    if weights in shipped_weights():
        shipped = weights_folder() / weights / METADATA_NAME
        return shipped if with_shipped and shipped.is_file() else None
    path = Path(weights)
    if path.suffix == ".json":
        return path
    mode = file_mode(path, kind=CheckpointError)
    return path / METADATA_NAME if mode is not None and stat.S_ISDIR(mode) else None


def load_exported(path: Path) -> ExportedNetwork:
    """Read the metadata of an exported network, and check the files beside it.

    Raises:
        CheckpointError: If anything is missing or damaged, or of another version.
    """
    metadata = _read_metadata(path)
    names = {ENDINGS[format][0]: format for format in FORMATS}
    formats = [names[ending] for ending in names if f"frame{ending}" in metadata.files]
    if len(formats) != 1:
        raise CheckpointError(f"{path}: lists no file of a frame part; {_ADVICE}.")
    for name in (f"{part}{end}" for part in ("frame", "clip") for end in ENDINGS[formats[0]]):
        file = path.parent / name
        require_regular_file(file, advice=_ADVICE, kind=CheckpointError)
        listed = metadata.files.get(name)
        if listed is None or digest_of(file.read_bytes()) != listed.sha256:
            raise CheckpointError(f"{file}: is not the file that {path} describes; {_ADVICE}.")
    ending = ENDINGS[formats[0]][0]
    settings = {
        name: settings_to_dict(getattr(metadata, name))
        for name in ("model", "postprocess", "tracker")
    }
    return ExportedNetwork(
        parts=OnnxParts(
            frame=path.parent / f"frame{ending}",
            clip=path.parent / f"clip{ending}",
            map_names=metadata.frame.outputs,
            clip_input_names=tuple(one.name for one in metadata.clip.inputs),
            clip_inputs=_clip_inputs(metadata, path),
            feature_stride=metadata.clip.feature_stride,
            num_channels=len(metadata.frame.input.channels),
            size_divisor=metadata.frame.input.size_divisor,
        ),
        format=formats[0],
        config=config_of_weights(settings, path),
        path=path,
    )


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(data).hexdigest()


def _read_metadata(path: Path) -> ExportMetadata:
    require_regular_file(
        path, advice="name a folder that `stdet export` has written", kind=CheckpointError
    )
    if path.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"{path}: has more than {_MAX_BYTES:,} bytes; {_ADVICE}.")
    with foreign_errors(path, advice=_ADVICE, problem="is not JSON", kind=CheckpointError):
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    version = values.get("stdet_export") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: stdet_export is {shown(version)}, expected {FORMAT_VERSION}; export the "
            "weights with this version of stdet."
        )
    try:
        return check_settings(ExportMetadata, values, where=str(path))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def _clip_inputs(metadata: ExportMetadata, path: Path) -> tuple[ClipInput, ...]:
    """Return what the clip part is given, by position in the clip and number of the map."""
    frames, maps = clip_steps(metadata.model.temporal), metadata.frame.outputs
    with foreign_errors(path, advice=_ADVICE, problem="clip.inputs", kind=CheckpointError):
        return tuple(
            ClipInput(position=frames.index(one.frame), map_index=maps.index(one.map))
            for one in metadata.clip.inputs
        )
