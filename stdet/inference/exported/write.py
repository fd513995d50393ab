"""Write a weights file as ONNX or OpenVINO: frame part, clip part, and what else a program needs.

What the parts take and give is said in ``stdet.json``; `docs/engines.md` explains its keys.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stdet.errors import CheckpointError, DataError
from stdet.files.atomic_file import explain_os_errors, write_whole
from stdet.files.locks import lock_folder
from stdet.files.settings_file import settings_to_dict
from stdet.inference.checkpoint import Weights, load_detector
from stdet.inference.engines.engine import Engine
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.inference.engines.onnxruntime import onnxruntime_engine
from stdet.inference.engines.openvino import openvino_core, openvino_engine
from stdet.inference.exported.metadata import (
    ENDINGS,
    FORMAT_VERSION,
    METADATA_NAME,
    ClipMap,
    ClipPart,
    ExportFormat,
    ExportMetadata,
    FileDigest,
    FrameInput,
    FramePart,
    Normalisation,
    Registration,
    WeightsDigest,
    clip_steps,
)
from stdet.inference.exported.read import digest_of
from stdet.inference.exported.verify import (
    DEFAULT_TOLERANCE,
    Agreement,
    Tolerance,
    verify_on_noise,
    verify_on_video,
)
from stdet.models.detector import ClipDetector
from stdet.models.part_names import FRAME_NAME, OUTPUT_NAMES
from stdet.registration.background_features import LAGS
from stdet.registration.references import LONG_LAGS


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export has left.

    Attributes:
        paths: Files, the metadata last.
        agreement: How far they agree with the weights.
    """

    paths: tuple[Path, ...]
    agreement: Agreement


def export_weights(
    weights: str,
    out_dir: Path,
    *,
    format: ExportFormat,
    video: Path | None = None,
    num_frames: int | None = None,
    overwrite: bool = False,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> Exported:
    """Write both parts and their metadata, once they are known to say what the weights say.

    Args:
        weights: Name of shipped weights, or a file.
        out_dir: Folder; created.
        format: Of the parts.
        video: Is tracked with the parts and with the weights, and everything compared; None
            compares random frames alone.
        num_frames: First frames of it, None for all.
        overwrite: Replace files of an earlier export.
        tolerance: Beyond which they disagree.

    Raises:
        CheckpointError: If the weights cannot be used, were never validated, or the parts say
            something else; nothing is written then.
        ConfigError: If the network cannot be exported, or a package is missing.
        DataError: If a file is there already or cannot be written, or the video cannot be read.
    """
    detector, loaded = load_detector(weights)
    found: list[Agreement] = []

    def check(parts: OnnxParts) -> None:
        agreement = _checked(parts, detector, loaded, format, video, num_frames, tolerance)
        agreement.require(out_dir)
        found.append(agreement)

    require_finished(loaded)
    paths = write_checked(
        export_parts(detector), loaded, out_dir, format=format, check=check, overwrite=overwrite
    )
    return Exported(paths=paths, agreement=found[0])


def require_finished(weights: Weights) -> None:
    """Refuse weights that were never validated.

    Raises:
        CheckpointError: If they were not.
    """
    if weights.config.postprocess.confidence is None:
        raise CheckpointError(
            f"{weights.path}: was never validated, so that it has no operating point; export "
            "weights of a finished training."
        )


def write_checked(
    parts: OnnxParts,
    weights: Weights,
    out_dir: Path,
    *,
    format: ExportFormat,
    check: Callable[[OnnxParts], None],
    overwrite: bool,
) -> tuple[Path, ...]:
    """Write both parts and their metadata, once they have passed a check.

    Args:
        parts: ONNX models.
        weights: That they were made of.
        out_dir: Folder; created.
        format: To write.
        check: Is given the parts as files, and raises where they are not to be left.
        overwrite: Replace files of an earlier export.

    Returns:
        The files, the metadata last.

    Raises:
        DataError: If a file is there already or cannot be written.
    """
    names = _names(format)
    with explain_os_errors(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    with lock_folder(out_dir):
        if not overwrite:
            require_no_files(out_dir, format)
        with tempfile.TemporaryDirectory() as work:
            files = _write_parts(parts, Path(work), format)
            check(files)
            content = {name: (Path(work) / name).read_bytes() for name in names[:-1]}
        metadata = _metadata(files, weights, content)
        content[METADATA_NAME] = (json.dumps(settings_to_dict(metadata), indent=2) + "\n").encode()
        for name, data in content.items():
            write_whole(out_dir / name, data)
    return tuple(out_dir / name for name in names)


def require_no_files(out_dir: Path, format: ExportFormat) -> None:
    """Refuse a folder that has files of an export.

    Raises:
        DataError: If it has, or cannot be looked into.
    """
    for path in (out_dir / name for name in _names(format)):
        with explain_os_errors(path):
            is_there = path.exists()
        if is_there:
            raise DataError(f"{path}: already there; pass --overwrite to replace it.")


def _names(format: ExportFormat) -> list[str]:
    """Return the names of all files, the metadata last."""
    parts = [f"{part}{ending}" for part in ("frame", "clip") for ending in ENDINGS[format]]
    return [*parts, METADATA_NAME]


def engine_of_files(parts: OnnxParts, format: ExportFormat) -> Engine:
    """Return the engine that runs files of a format, on one thread of the CPU."""
    make = onnxruntime_engine if format == "onnx" else openvino_engine
    return make(parts, device="cpu", num_threads=1)


def _write_parts(parts: OnnxParts, folder: Path, format: ExportFormat) -> OnnxParts:
    """Write both parts to a folder; returns them as files."""
    ending = ENDINGS[format][0]
    paths = {"frame": folder / f"frame{ending}", "clip": folder / f"clip{ending}"}
    models = {"frame": parts.frame, "clip": parts.clip}
    with explain_os_errors(folder):
        for name, path in paths.items():
            model = models[name]
            assert isinstance(model, bytes)
            if format == "onnx":
                path.write_bytes(model)
                continue
            library: Any = import_library("openvino", wanted_by="format openvino")
            # Half precision is its default, and loses three digits.
            library.save_model(
                openvino_core(library).read_model(model), path, compress_to_fp16=False
            )
    return replace(parts, frame=paths["frame"], clip=paths["clip"])


def _checked(
    parts: OnnxParts,
    detector: ClipDetector,
    weights: Weights,
    format: ExportFormat,
    video: Path | None,
    num_frames: int | None,
    tolerance: Tolerance,
) -> Agreement:
    """Compare the files with the weights."""
    engine = engine_of_files(parts, format)
    clip_frames = weights.config.model.temporal.num_frames
    agreement = verify_on_noise(engine, detector, num_frames=clip_frames, tolerance=tolerance)
    if video is None or agreement.problems:
        return agreement
    return verify_on_video(
        engine, detector, weights, video, num_frames=num_frames, tolerance=tolerance
    )


def _metadata(parts: OnnxParts, weights: Weights, content: dict[str, bytes]) -> ExportMetadata:
    """Return what a program needs beside the parts."""
    model = weights.config.model
    channels = ["grey"] * model.in_channels
    if model.background:
        channels += ["residual", "contrast", "still_contrast"]
        channels += ["long_term_residual", "long_term_contrast"] * model.long_term
    steps = clip_steps(model.temporal)
    return ExportMetadata(
        stdet_export=FORMAT_VERSION,
        weights=WeightsDigest(name=weights.path.name, sha256=digest_of(weights.path.read_bytes())),
        files={name: FileDigest(sha256=digest_of(data)) for name, data in content.items()},
        frame=FramePart(
            input=FrameInput(
                name=FRAME_NAME,
                channels=tuple(channels),
                size_divisor=parts.size_divisor,
                input_hw=model.input_hw,
            ),
            outputs=parts.map_names,
            normalisation=Normalisation(mean=model.pixel_mean, std=model.pixel_std),
        ),
        clip=ClipPart(
            inputs=tuple(
                ClipMap(name=name, map=parts.map_names[i.map_index], frame=steps[i.position])
                for name, i in zip(parts.clip_input_names, parts.clip_inputs, strict=True)
            ),
            outputs=OUTPUT_NAMES,
            feature_stride=parts.feature_stride,
        ),
        scales=model.scales,
        registration=Registration(
            lags=LAGS if model.background else (),
            long_term_lags=LONG_LAGS if model.long_term else (),
        ),
        model=model,
        postprocess=weights.config.postprocess,
        tracker=weights.config.tracker,
    )
