"""A label file or folder with its sequences, as checks and statistics look at it.

Bad boxes are kept apart rather than refused: the data check is the one place that reports them.
Nothing here decodes an image except for the sizes that text lists do not give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stdet.config import EvaluationConfig
from stdet.errors import DataError
from stdet.formats.image_labels import (
    BoxFaults,
    ImageLabels,
    box_faults,
    concatenate_labels,
    image_hw,
    names_in,
)
from stdet.formats.image_runs import RunRows, annotate, group_rows
from stdet.formats.label_files import LabelFile
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource
from stdet.metrics.tracking.linking import IdentifiedTruth, identify_truth
from stdet.types import BoolArray

LINK_GATE_PX = EvaluationConfig().link_gate_px
"""Largest step when targets are linked into trajectories, pixels; that of `stdet evaluate`."""

_MAX_SAID = 3
"""Sequence folders and videos of which it is said what sequences were taken from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """What one label file says.

    Attributes:
        file: The label file.
        labels: All its images and boxes, bad ones included.
        faults: What is wrong with the boxes.
        has_size: bool (I,), whether the size of an image is known from labels or images.
        is_present: bool (I,), whether an image or its video exists; its content is not looked at.
        runs: Contiguous sequences, rows of ``labels``.
        videos: The video of each run; None where its frames are images.
        said: What they were taken from; see ``Grouping``.
        truths: Usable boxes of each run, with identities, given or linked.
    """

    file: LabelFile
    labels: ImageLabels
    faults: BoxFaults
    has_size: BoolArray
    is_present: BoolArray
    runs: tuple[RunRows, ...]
    videos: tuple[FrameSource | None, ...]
    said: str
    truths: tuple[IdentifiedTruth, ...]

    @property
    def name(self) -> str:
        """The name of the split, unique within a call."""
        return self.file.split

    def relative(self, row: int) -> str:
        """Return the path of an image relative to the data root where it lies below it."""
        path = self.labels.paths[row]
        inside = path.is_relative_to(self.file.root)
        return str(path.relative_to(self.file.root) if inside else path)


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """A sequence among all those of a call.

    Attributes:
        split: Number of its split.
        run: Number of the run within the split.
    """

    split: int
    run: int


def load_split(
    file: LabelFile, *, pattern: str | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Split:
    """Read a label file and cut it into sequences.

    Args:
        file: The label file.
        pattern: As ``data.sequence_pattern``.
        max_megapixels: Largest area of a frame of a video, 10^6 pixels.

    Raises:
        DataError: If the file cannot be read, or two sequences get the same name.
    """
    parts = [_told_apart(part) for part in file.read(max_megapixels=max_megapixels)]
    labels = concatenate_labels(parts) if parts else None
    if labels is None or not len(labels):
        raise DataError(f"{file.path}: lists no image; expected at least one.")
    runs: list[RunRows] = []
    videos: list[FrameSource | None] = []
    said: list[str] = []
    start = 0
    for part in parts:
        grouping = group_rows(part, pattern=pattern)
        runs += [
            replace(run, rows=tuple(start + row for row in run.rows)) for run in grouping.runs
        ]
        videos += [part.video] * len(grouping.runs)
        said += [grouping.said] if grouping.said else []
        start += len(part)
    is_present = np.concatenate([_present(part) for part in parts])
    has_size = np.full(len(labels), labels.are_sizes_known)
    if not labels.are_sizes_known:
        labels, has_size = _with_sizes_of_images(labels, is_present)
    faults = box_faults(labels.boxes_xyxy, labels.sizes_hw[labels.image_rows])
    usable = labels.keep_boxes(~(faults.is_not_finite | faults.is_empty | faults.is_outside))
    return Split(
        file=file,
        labels=labels,
        faults=faults,
        has_size=has_size,
        is_present=is_present,
        runs=tuple(runs),
        videos=tuple(videos),
        said="; ".join(said[:_MAX_SAID]),
        truths=tuple(
            identify_truth(annotate(usable, run), link_gate_px=LINK_GATE_PX) for run in runs
        ),
    )


def _told_apart(labels: ImageLabels) -> ImageLabels:
    """Give each frame of a video a path of its own, ``clip.mp4#12``; no such file exists."""
    if labels.video is None:
        return labels
    video = labels.video.path
    paths = (video.with_name(f"{video.name}#{frame}") for frame in range(len(labels)))
    return replace(labels, paths=tuple(paths))


def places_of(splits: Sequence[Split]) -> list[Place]:
    """Number all sequences of some splits."""
    return [
        Place(split=number, run=run)
        for number, split in enumerate(splits)
        for run in range(len(split.runs))
    ]


def _present(labels: ImageLabels) -> BoolArray:
    """Say which images exist, reading each folder once; the frames of a video do."""
    if labels.video is not None:
        return np.full(len(labels), True)
    folders = {path.parent for path in labels.paths}
    listings = {folder: names_in(str(folder)) for folder in folders}
    return np.array([path.name in listings[path.parent] for path in labels.paths], np.bool_)


def _with_sizes_of_images(
    labels: ImageLabels, is_present: BoolArray
) -> tuple[ImageLabels, BoolArray]:
    """Replace guessed sizes by that of the first readable image of each folder."""
    sizes: dict[Path, tuple[int, int] | None] = {}
    for row in np.flatnonzero(is_present).tolist():
        path = labels.paths[row]
        if sizes.get(path.parent) is None:
            try:
                sizes[path.parent] = image_hw(path)
            except DataError:  # The image pass reports it.
                sizes[path.parent] = None
    known = [sizes.get(path.parent) for path in labels.paths]
    guesses = labels.sizes_hw.tolist()
    sizes_hw = np.array(
        [guess if size is None else size for size, guess in zip(known, guesses, strict=True)],
        np.int64,
    )
    has_size = np.array([size is not None for size in known], np.bool_)
    return replace(labels, sizes_hw=sizes_hw), has_size
