"""Where sequences come from, and how clips are cut from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from stdet.config.checks import STRICT
from stdet.config.old_keys import explain_old_data

LabelFormat = Literal["coco", "text", "videos", "mot", "centroids"]
"""Layout of labels on disk; each has a reader in ``formats/read_labels.py``."""

SourceFormat = Literal[LabelFormat, "generated"]
"""What a source of sequences may be."""

BoxKind = Literal["box", "point", "core"]
"""What a label's box says of the target; see ``SourceConfig.boxes``."""


Frame = Annotated[int, Field(ge=0)]
"""Index of a frame."""


def _check_pattern(pattern: str | None) -> None:
    """Refuse a pattern that is no regular expression or finds neither sequence nor frame."""
    if pattern is None:
        return
    try:
        groups = set(re.compile(pattern).groupindex)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"sequence_pattern is no regular expression ({error})") from error
    if not groups or not groups <= {"sequence", "frame"}:
        raise ValueError(
            "sequence_pattern needs a group (?P<sequence>...), a group (?P<frame>[0-9]+) or both, "
            f"and no other named group; got {', '.join(sorted(groups)) or 'none'}"
        )


@dataclass(config=STRICT, frozen=True, kw_only=True)
class SourceConfig:
    """A source of sequences: labels of one format below one folder, or generated scenes."""

    root: Path = Path()
    """Folder that image paths are relative to; itself relative to ``data.root``."""
    format: SourceFormat = "coco"
    """Layout on disk: COCO JSON, text list, folder of videos with boxes, MOTChallenge folders,
    CSV of centroids. `generated` draws synthetic scenes instead."""
    annotations: Path | None = None
    """Annotation file or folder, relative to ``root``; needed for all but `generated`."""
    sequences: tuple[str, ...] = ()
    """Names of the sequences to take; empty takes all."""
    excluded_sequences: tuple[str, ...] = ()
    """Names to leave out. Neither videos that are not taken nor their labels are read."""
    boxes: BoxKind = "box"
    """What the boxes say, in training. `box`: the target's extent. `point`: only its centre; its
    box has ``train.augment.min_box_px`` at any zoom (DAUB). `core`: a bright or dark core lies
    somewhere inside a loose box, and is measured in the frame."""
    sequence_pattern: str | None = None
    """As ``data.sequence_pattern``, for this source; None takes that one."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the windows of a training epoch, relative to the weights of the other sources."""
    frames: dict[str, tuple[Frame, Frame]] = Field(default_factory=dict)
    """First and last frame of sequences that are cut, by name and counted from 0, such as a
    stretch in which a target hovers. The others are taken whole."""
    max_frames: int | None = Field(default=None, gt=0)
    """Longer sequences are cut to this many frames around their middle; None takes all."""
    num_sequences: int | None = Field(default=None, gt=0, le=10_000)
    """Sequences of 50 frames; needed for `generated`, and for it only."""
    seed: int = Field(default=0, ge=0)
    """Fixes the scenes of `generated`."""
    hot_spots_max: int = Field(default=2, ge=0, le=1000)
    """Most still hot spots in a sequence of `generated`. They are unlabelled and look like
    hovering targets: many of them cost those (docs/decisions/0005)."""

    def __post_init__(self) -> None:
        """Check the pattern, and what the format needs."""
        _check_pattern(self.sequence_pattern)
        for name, (first, last) in self.frames.items():
            if first > last:
                raise ValueError(f"frames of {name} end ({last}) before they begin ({first})")
        is_generated = self.format == "generated"
        if is_generated != (self.num_sequences is not None):
            raise ValueError("num_sequences is needed with format generated, and only with it")
        if is_generated and self.max_frames is not None:
            raise ValueError("max_frames has no meaning with format generated; remove it")
        if is_generated != (self.annotations is None):
            raise ValueError(
                "annotations is needed with every format but generated: the annotation file or "
                "folder, relative to root"
            )


@dataclass(config=STRICT, frozen=True, kw_only=True)
class DataConfig:
    """Where sequences come from and how clips are cut from them."""

    root: Path = Path("data/daub")
    """Folder that the sources' roots are relative to; a source without one has its files here."""
    train: tuple[SourceConfig, ...] = (
        SourceConfig(annotations=Path("annotations/instances_train2017.json")),
    )
    """Sources to train on. A single one gives every window once per epoch. Of several, each gives
    windows by its weight, whatever its size, and within it a sequence by the square root of its
    length."""
    validation: tuple[SourceConfig, ...] = ()
    """Sources to choose the checkpoint and the operating point on."""
    validation_sequences: tuple[str, ...] = ()
    """Names of sequences of ``train`` that are held out for validation, where ``validation`` is
    empty."""
    test: tuple[SourceConfig, ...] = (
        SourceConfig(annotations=Path("annotations/instances_test2017.json")),
    )
    """Sources to score."""
    leaked_sequences: tuple[str, ...] = ()
    """Sequences that are scored and are copies of training frames; scores are given with and
    without them."""
    subsets: dict[str, str] = Field(default_factory=dict)
    """Further groups of sequences to give scores of: a title and the pattern of their names, such
    as `SCR 1 to 3: "scr1to3_*"`."""
    sequence_pattern: str | None = None
    """Regular expression, searched in an image's path, that says which sequence and frame it is:
    with a group `(?P<sequence>...)`, a group `(?P<frame>[0-9]+)` or both. None takes what files,
    folders and names say."""
    drop_invalid_boxes: bool = False
    """Leave out boxes that are NaN, empty or outside the frame instead of stopping."""
    max_megapixels: float = Field(default=32.0, gt=0)
    """Largest area of a frame, 10^6 pixels: a file of a few kilobytes may declare a frame of
    gigabytes."""
    window_extra: int = Field(default=0, ge=0, le=256)
    """k: a window of T + k frames trains k + 1 key frames on shared per-frame features."""
    cache_megabytes: int = Field(default=2048, ge=0)
    """Memory for decoded frames in every loader process, in MB."""

    def __post_init__(self) -> None:
        """Check the pattern."""
        _check_pattern(self.sequence_pattern)

    @model_validator(mode="before")
    @classmethod
    def _explain_old_keys(cls, values: Any) -> Any:
        """Answer keys of earlier versions with those of this one."""
        given = getattr(values, "kwargs", values)
        message = explain_old_data(given) if isinstance(given, dict) else None
        if message is not None:
            raise ValueError(message)
        return values
