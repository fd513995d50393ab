"""Export weights in integers of 8 bits, left only where they find as much on labelled footage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stdet.config import StdetConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.splits import Split
from stdet.errors import CheckpointError
from stdet.evaluation.from_model import score_sequences, scored_sequences
from stdet.inference.checkpoint import Weights, load_detector
from stdet.inference.detector import Detector
from stdet.inference.engines.choose import choose_engine
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.names import import_library
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.engines.onnx_parts import OnnxParts
from stdet.inference.engines.quantise import Recorder, Samples, quantise
from stdet.inference.exported.write import (
    engine_of_files,
    require_finished,
    require_no_files,
    write_checked,
)
from stdet.inference.network import Network
from stdet.inference.trained_network import network_in_engine
from stdet.io.ignored_pixels import NOTHING_IGNORED
from stdet.io.open_source import open_source
from stdet.models.detector import ClipDetector

MAX_FALL = 0.002
"""Of Pd at ``RATE``, that 8 bits may cost."""

RATE = 0.05
"""False alarms per frame."""

_FRAMES_OF_VIDEO = 100
_EVERY = 5
"""Frames of each calibration video that are detected on; of so many one calibrates."""


@dataclass(frozen=True, kw_only=True)
class Int8Export:
    """What an export in 8 bits has left.

    Attributes:
        paths: Files, the metadata last.
        num_frames: Labelled frames of the check.
        pd: At ``RATE``, in 32 bits.
        int8_pd: Likewise, in 8.
    """

    paths: tuple[Path, ...]
    num_frames: int
    pd: float
    int8_pd: float


def export_int8(
    weights: str,
    out_dir: Path,
    *,
    calibrate: Sequence[Path],
    labelled: StdetConfig,
    split: Split = "validation",
    overwrite: bool = False,
    max_fall: float = MAX_FALL,
) -> Int8Export:
    """Write both parts for OpenVINO with convolutions in 8 bits, and their metadata.

    Args:
        weights: Name of shipped weights, or a file.
        out_dir: Folder; created.
        calibrate: Videos, folders or TIFFs, of what the network will see; none of the labelled
            ones.
        labelled: Its data and rules are those of the check.
        split: Of the labelled data.
        overwrite: Replace files of an earlier export.
        max_fall: Of Pd; beyond it nothing is written.

    Raises:
        CheckpointError: If the weights cannot be used, were never validated, or find less in 8
            bits; nothing is written then.
        ConfigError: If the network cannot be exported, or a package is missing.
        DataError: If footage cannot be read, a file is there already or cannot be written.
    """
    if not overwrite:
        require_no_files(out_dir, "openvino")
    for library in ("openvino", "onnxruntime.quantization"):
        import_library(library, wanted_by="int8")
    detector, loaded = load_detector(weights)
    require_finished(loaded)
    sequences = scored_sequences(labelled, split, NOTHING_IGNORED)
    parts = export_parts(detector)
    samples = _samples(detector, loaded, parts, calibrate)
    found: dict[str, float] = {}

    def check(files: OnnxParts) -> None:
        engines = {
            "32 bits": choose_engine("auto", detector, device=torch.device("cpu")),
            "8 bits": engine_of_files(files, "openvino"),
        }
        for name, engine in engines.items():
            network = network_in_engine(detector, loaded, engine)
            found[name] = _pd(network, loaded, labelled, sequences, title=name)
        fall = found["32 bits"] - found["8 bits"]
        if not fall <= max_fall:
            raise CheckpointError(
                f"{out_dir}: in 8 bits Pd at {RATE:g} false alarms per frame falls from "
                f"{found['32 bits']:.4f} to {found['8 bits']:.4f}, by more than {max_fall:g}. "
                "Nothing was written; calibrate on other footage, or export in 32 bits."
            )

    paths = write_checked(
        quantise(parts, samples),
        loaded,
        out_dir,
        format="openvino",
        check=check,
        overwrite=overwrite,
    )
    return Int8Export(
        paths=paths,
        num_frames=sum(map(len, sequences)),
        pd=found["32 bits"],
        int8_pd=found["8 bits"],
    )


def _samples(
    detector: ClipDetector, weights: Weights, parts: OnnxParts, videos: Sequence[Path]
) -> Samples:
    """Run the detector over videos, and keep what its parts were given."""
    recorder = Recorder(eager_engine(detector), parts, every=_EVERY)
    stages = Detector.from_network(network_in_engine(detector, weights, recorder))
    for video in videos:
        with open_source(video) as source:
            stages.predict(
                source.scale.apply(frame.pixels) for frame in source.frames(0, _FRAMES_OF_VIDEO)
            )
    return recorder.samples


def _pd(
    network: Network,
    weights: Weights,
    labelled: StdetConfig,
    sequences: Sequence[LabelledSequence],
    *,
    title: str,
) -> float:
    """Return Pd at ``RATE``."""
    config = replace(
        weights.config,
        data=labelled.data,
        evaluation=replace(labelled.evaluation, pd_at_false_alarms=(RATE,)),
    )
    scored = score_sequences(
        Detector.from_network(network), config, sequences, title=f"checking {title}"
    )
    return scored.report.overall.pd_fa.roc.pd_at_false_alarms_per_frame[f"{RATE:g}"]
