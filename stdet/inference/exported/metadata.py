"""``stdet.json``: what a program needs beside exported parts (keys: `docs/engines.md`)."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from stdet.config import ModelConfig, PostprocessConfig, TemporalConfig, TrackerConfig
from stdet.config.checks import STRICT
from stdet.datasets.clip_sampler import ClipShape

ExportFormat = Literal["onnx", "openvino"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

ENDINGS: dict[ExportFormat, tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin")}
"""Of the files of a part; the first one names it."""

METADATA_NAME = "stdet.json"
FORMAT_VERSION = 3
"""Of the keys of ``METADATA_NAME``."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class FileDigest:
    """A file beside the metadata."""

    sha256: str


@dataclass(config=STRICT, frozen=True, kw_only=True)
class WeightsDigest:
    """The weights file that was exported."""

    name: str
    sha256: str


@dataclass(config=STRICT, frozen=True, kw_only=True)
class FrameInput:
    """What the frame part is given; ``input_hw`` is the only size where it is not None."""

    name: str
    channels: tuple[str, ...]
    size_divisor: int = Field(ge=1, le=1024)
    input_hw: tuple[int, int] | None


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Normalisation:
    """Of the grey level in [0, 1]; done inside the frame part."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class FramePart:
    """What is run once per frame; ``outputs`` are its maps."""

    input: FrameInput
    outputs: tuple[str, ...]
    normalisation: Normalisation


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ClipMap:
    """One input of the clip part: a map of a frame, counted from the key frame (0)."""

    name: str
    map: str
    frame: int


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ClipPart:
    """What is run once per key frame."""

    inputs: tuple[ClipMap, ...]
    outputs: tuple[str, ...]
    feature_stride: int = Field(ge=1, le=1024)


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Registration:
    """How many frames back the reference frames lie."""

    lags: tuple[int, ...]
    long_term_lags: tuple[int, ...]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ExportMetadata:
    """Everything; the sections from ``model`` on are those of the configuration."""

    stdet_export: int
    weights: WeightsDigest
    files: dict[str, FileDigest]
    frame: FramePart
    clip: ClipPart
    scales: tuple[int, ...]
    registration: Registration
    model: ModelConfig
    postprocess: PostprocessConfig
    tracker: TrackerConfig


def clip_steps(temporal: TemporalConfig) -> list[int]:
    """Return the frames of a clip by position, counted from the key frame, which is the last."""
    shape = ClipShape.of(temporal)
    return [*(shape.context_steps * shape.frame_stride).tolist(), 0]
