"""The form in which readers of every format hand over what labels say of images or of a video.

A label file names images one by one. Which of them form a sequence is decided once for all
formats, in ``image_runs.py``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError, shown
from stdet.formats.mot_rows import LARGEST_NUMBER
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource
from stdet.io.images.reader import open_image, read_header
from stdet.types import BoolArray, FloatArray, IntArray, SequenceAnnotation

_LOG = logging.getLogger(__name__)

_LARGEST_MEGAPIXELS = 1e6
"""Of an image that is not decoded; a header may declare sides of 64 bits."""

_LONGEST_NAME = 255
"""Bytes of a file name in the file systems that are in use."""


BadBoxes = Literal["refuse", "drop", "keep"]
"""What becomes of boxes that are not finite, empty or outside the frame: an error, a warning, or
nothing. Only the data check keeps them, to report them."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How strictly labels are read.

    Attributes:
        bad_boxes: What becomes of boxes that nothing can use.
        needs_images: Whether every image must exist. Without, sizes that only images tell are
            guessed (``ImageLabels.are_sizes_known``). Videos must exist in any case.
        max_megapixels: Largest area of a frame, 10^6 pixels.
        skipped_videos: Stems of videos that are not read, nor their labels (``videos`` alone).
    """

    bad_boxes: BadBoxes = "refuse"
    needs_images: bool = True
    max_megapixels: float = MAX_MEGAPIXELS
    skipped_videos: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageLabels:
    """Images, or frames of one video, and their boxes in the order of the label file.

    Attributes:
        where: the label file, for messages.
        paths: image files, one per image; of a video its file, once per frame.
        sizes_hw: int64 (I, 2), height and width of each image, pixels.
        image_rows: int64 (M,), the image that each box lies in.
        boxes_xyxy: float32 (M, 4), continuous pixels.
        class_ids: int64 (M,), counted from 0.
        track_ids: int64 (M,), at least 1, or ``UNKNOWN_TRACK_ID`` for every row.
        is_ignored: bool (M,).
        videos: name of the video of each image where that is stated, else empty.
        videos_by: what states it, for the log; "" where it is the layout itself.
        frame_ids: number of the frame of each image where the file states it, else empty.
        unused_categories: categories that no box uses, though they count as classes before others.
        group_categories: categories that only group others, and are no classes.
        fps: frames per second, ``None`` where unknown.
        video: the video whose frames these are, all in one sequence; ``None`` for image files.
        are_sizes_known: whether ``sizes_hw`` is stated or measured, and not guessed from boxes.
    """

    where: str
    paths: tuple[Path, ...]
    sizes_hw: IntArray
    image_rows: IntArray
    boxes_xyxy: FloatArray
    class_ids: IntArray
    track_ids: IntArray
    is_ignored: BoolArray
    videos: tuple[str, ...] = ()
    videos_by: str = ""
    frame_ids: tuple[int, ...] = ()
    unused_categories: tuple[str, ...] = ()
    group_categories: tuple[str, ...] = ()
    fps: float | None = None
    video: FrameSource | None = None
    are_sizes_known: bool = True

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def keep_boxes(self, rows: BoolArray) -> ImageLabels:
        """Return the same images with the chosen boxes only; ``rows`` is bool (M,)."""
        return replace(
            self,
            image_rows=self.image_rows[rows],
            boxes_xyxy=self.boxes_xyxy[rows],
            class_ids=self.class_ids[rows],
            track_ids=self.track_ids[rows],
            is_ignored=self.is_ignored[rows],
        )


def concatenate_labels(parts: Sequence[ImageLabels]) -> ImageLabels:
    """Join the labels of one data set, which come in parts, for whatever looks at all of them.

    Args:
        parts: At least one. What states sequences and frames of a part is left out: group first.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    rows = [part.image_rows + start for part, start in zip(parts, starts, strict=True)]
    return ImageLabels(
        where=first.where,
        paths=tuple(path for part in parts for path in part.paths),
        sizes_hw=np.concatenate([part.sizes_hw for part in parts]),
        image_rows=np.concatenate(rows),
        boxes_xyxy=np.concatenate([part.boxes_xyxy for part in parts]),
        class_ids=np.concatenate([part.class_ids for part in parts]),
        track_ids=np.concatenate([part.track_ids for part in parts]),
        is_ignored=np.concatenate([part.is_ignored for part in parts]),
        are_sizes_known=all(part.are_sizes_known for part in parts),
    )


def labels_of_sequences(
    truths: Sequence[SequenceAnnotation], paths: Sequence[Path], *, where: str
) -> ImageLabels:
    """Join the truths of sequences whose frames are images.

    Args:
        truths: At least one.
        paths: Of the images of all frames, sequence after sequence.
        where: The label file, for messages.
    """
    lengths = [truth.num_frames for truth in truths]
    starts = np.cumsum([0, *lengths[:-1]])
    rows = [truth.frame_indices + start for truth, start in zip(truths, starts, strict=True)]
    return ImageLabels(
        where=where,
        paths=tuple(paths),
        sizes_hw=np.repeat([truth.image_hw for truth in truths], lengths, axis=0),
        image_rows=np.concatenate(rows),
        boxes_xyxy=np.concatenate([truth.boxes_xyxy for truth in truths]),
        class_ids=np.concatenate([truth.class_ids for truth in truths]),
        track_ids=np.concatenate([truth.track_ids for truth in truths]),
        is_ignored=np.concatenate([truth.is_ignored for truth in truths]),
    )


def image_path(where: str, name: str, root: Path) -> Path:
    r"""Return the path of an image that a label file names, with ``/`` or ``\`` between folders.

    Args:
        where: The label file, and the place in it, for the message.
        name: Relative to ``root``, or absolute.
        root: Folder that names are relative to.

    Raises:
        DataError: If no file can have that name.
    """
    name = name.replace("\\", "/")
    try:
        is_possible = max(map(len, os.fsencode(name).split(b"/"))) <= _LONGEST_NAME
    except UnicodeEncodeError:  # A lone surrogate.
        is_possible = False
    if not is_possible or not name or "\0" in name:
        raise DataError(
            f"{where}: no file can be named {shown(name)}; expected the path of images. Mend "
            "the file."
        )
    return root / name


def require_files(where: str, paths: Iterable[Path]) -> None:
    """Check that all images exist, reading each folder once so that 20,000 images take no time.

    Args:
        where: The label file, for the message.
        paths: Image files.

    Raises:
        DataError: If files are missing; says how many and names the first.
    """
    listings: dict[str, set[str]] = {}
    missing: list[Path] = []
    total = 0
    for path in paths:
        total += 1
        folder = os.path.dirname(path)
        if folder not in listings:
            listings[folder] = names_in(folder)
        if path.name not in listings[folder]:
            missing.append(path)
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {total} images do not exist; the first is "
            f"{str(missing[0])!r}. Check data.root, which image paths are relative to."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class BoxFaults:
    """What is wrong with each of M boxes; bool (M,) each, at most one of them true for a box."""

    is_not_finite: BoolArray
    is_empty: BoolArray
    is_outside: BoolArray


def coordinates(values: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return the coordinates of boxes as a file gives them, NaN where no image reaches them.

    Args:
        values: Four numbers per box, of any size.

    Returns:
        float64 (M, 4), at most ``LARGEST_NUMBER`` either way, so that sums are finite.
    """
    boxes = np.array(values, np.float64).reshape(-1, 4)
    return np.where(np.abs(boxes) <= LARGEST_NUMBER, boxes, np.nan)


def box_faults(boxes_xyxy: FloatArray, sizes_hw: IntArray) -> BoxFaults:
    """Find the boxes that are not finite, have no area or lie outside the frame.

    Args:
        boxes_xyxy: float32 (M, 4), pixels.
        sizes_hw: int64 (M, 2), size of the image that each box lies in.
    """
    x1, y1, x2, y2 = boxes_xyxy.T
    height, width = sizes_hw.T
    is_finite = np.asarray(np.isfinite(boxes_xyxy).all(axis=1))
    has_area: BoolArray = (x2 > x1) & (y2 > y1)
    is_inside = (x1 < width) & (y1 < height) & (x2 > 0) & (y2 > 0)
    return BoxFaults(
        is_not_finite=~is_finite,
        is_empty=is_finite & ~has_area,
        is_outside=is_finite & has_area & ~is_inside,
    )


def keep_usable(
    labels: ImageLabels, *, describe: Callable[[int], str], bad_boxes: BadBoxes
) -> ImageLabels:
    """Keep the boxes that are finite, not empty and at least partly inside the frame.

    Boxes that reach over the border are kept as they are.

    Args:
        labels: Images and boxes.
        describe: Says which box a row is, for the message.
        bad_boxes: Refuse them, log how many are dropped, or keep them all.

    Raises:
        DataError: If a box is bad and ``bad_boxes`` is `refuse`.
    """
    if bad_boxes == "keep":
        return labels
    sizes_hw = labels.sizes_hw[labels.image_rows]
    faults = box_faults(labels.boxes_xyxy, sizes_hw)
    usable: BoolArray = ~(faults.is_not_finite | faults.is_empty | faults.is_outside)
    if usable.all():
        return labels
    bad = np.flatnonzero(~usable)
    row = int(bad[0])
    height, width = sizes_hw[row].tolist()
    if faults.is_not_finite[row]:
        reason = "is not finite; expected four numbers"
    elif faults.is_empty[row]:
        reason = "has no area; expected a positive width and height"
    else:
        reason = f"lies outside its {width}x{height} frame"
    problem = f"{labels.where}: {len(bad)} unusable boxes; the first, {describe(row)}, {reason}"
    if bad_boxes == "refuse":
        raise DataError(f"{problem}. Mend the file, or pass --set data.drop_invalid_boxes=true.")
    _LOG.warning("%s. They are left out.", problem)
    return labels.keep_boxes(usable)


def image_hw(path: Path) -> tuple[int, int]:
    """Return height and width of an image file without decoding it, turned upright.

    Raises:
        DataError: If the file cannot be opened as an image.
    """
    with open_image(path, max_megapixels=_LARGEST_MEGAPIXELS) as image:
        return read_header(image, path).hw


def names_in(folder: str) -> set[str]:
    """Return the names in a folder; a missing folder holds none."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()
