"""Cut the images of a label file into contiguous runs, and name them.

Images are ordered naturally by file name within their folder. A run ends where the numbering jumps
(``numbered_gaps`` of ``frame_numbers.py``), whether the files or only their labels are missing:
frames that a label file leaves out are not known to be free of targets.

Names. A folder's name is the shortest end of its path that no other folder of the label file
shares, joined with ``_``: ``data19``, or ``train_data5`` beside ``test_data5``. A last ``img1``,
the image folder of MOTChallenge, does not count. A folder without gaps gives one run of that name;
one with gaps gives ``data5_1477-1496`` and ``data5_2701-2720``, both of the group ``data5``.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stdet.data.formats.image_labels import ImageLabels
from stdet.data.frame_numbers import natural_key, numbered_gaps
from stdet.errors import DataError
from stdet.types import SequenceAnnotation

MOT_IMAGE_FOLDER = "img1"


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageRun:
    """Images that follow one another.

    Attributes:
        group: name of the folder.
        files: one image per frame, all of one folder.
        annotation: the truth; its name is unique within the label file.
    """

    group: str
    files: tuple[Path, ...]
    annotation: SequenceAnnotation


@dataclass(frozen=True, kw_only=True)
class RunRows:
    """Which images of a label file follow one another.

    Attributes:
        name: unique within the label file.
        group: name of the folder.
        rows: images in the order of their frames.
    """

    name: str
    group: str
    rows: tuple[int, ...]


def cut_into_runs(labels: ImageLabels, *, fps: float | None = None) -> list[ImageRun]:
    """Cut the images of a label file into contiguous runs. Opens no image.

    Args:
        labels: Images and boxes in any order.
        fps: Frames per second, written into the annotations.

    Returns:
        Runs in natural order of their folders, then of their frames.

    Raises:
        DataError: If the images of a folder differ in size or two runs get the same name.
    """
    runs = group_rows(labels)
    rows_of_group: dict[Path, list[int]] = {}
    for run in runs:
        rows_of_group.setdefault(labels.paths[run.rows[0]].parent, []).extend(run.rows)
    for rows in rows_of_group.values():
        _require_one_size(labels, rows)
    return [
        ImageRun(
            group=run.group,
            files=tuple(labels.paths[row] for row in run.rows),
            annotation=annotate(labels, run, fps=fps),
        )
        for run in runs
    ]


def group_rows(labels: ImageLabels) -> list[RunRows]:
    """Say which images of a label file form a run, whatever their sizes.

    Args:
        labels: Images and boxes in any order.

    Returns:
        Runs in natural order of their folders, then of their frames.

    Raises:
        DataError: If two runs get the same name.
    """
    rows_of_folder: dict[Path, list[int]] = {}
    for row, path in enumerate(labels.paths):
        rows_of_folder.setdefault(path.parent, []).append(row)
    folders = sorted(rows_of_folder, key=lambda folder: natural_key(str(folder)))
    runs = []
    for folder, group in zip(folders, _folder_names(folders), strict=True):
        rows = sorted(rows_of_folder[folder], key=lambda row: natural_key(labels.paths[row].name))
        gaps = numbered_gaps([labels.paths[row].name for row in rows])
        for start, stop in itertools.pairwise([0, *gaps, len(rows)]):
            run = rows[start:stop]
            name = f"{group}_{_span(labels, run)}" if gaps else group
            runs.append(RunRows(name=name, group=group, rows=tuple(run)))
    counts = Counter(run.name for run in runs)
    for name, count in counts.items():
        if count > 1:
            raise DataError(
                f"{labels.where}: {count} sequences get the name {name!r}; expected distinct "
                "names. Rename a folder."
            )
    return runs


def annotate(labels: ImageLabels, run: RunRows, *, fps: float | None = None) -> SequenceAnnotation:
    """Collect the boxes of a run; its size is that of its first image.

    Args:
        labels: Images and boxes; the boxes of the run are usable.
        run: Images of ``labels``.
        fps: Frames per second, written into the annotation.
    """
    frame_of_image = np.full(len(labels), -1, np.int64)
    frame_of_image[list(run.rows)] = np.arange(len(run.rows))
    frames = frame_of_image[labels.image_rows]
    boxes = np.flatnonzero(frames >= 0)
    boxes = boxes[np.lexsort((labels.track_ids[boxes], frames[boxes]))]
    height, width = labels.sizes_hw[run.rows[0]].tolist()
    return SequenceAnnotation(
        name=run.name,
        num_frames=len(run.rows),
        image_hw=(height, width),
        fps=fps,
        frame_indices=frames[boxes],
        track_ids=labels.track_ids[boxes],
        boxes_xyxy=labels.boxes_xyxy[boxes],
        class_ids=labels.class_ids[boxes],
        is_ignored=labels.is_ignored[boxes],
    )


def _folder_names(folders: Sequence[Path]) -> list[str]:
    """Return for each folder the shortest end of its path that no other folder shares."""
    parts = []
    for folder in folders:
        own = Path(os.path.abspath(folder)).parts
        parts.append(own[:-1] if own[-1] == MOT_IMAGE_FOLDER else own)
    ends = Counter(own[-length:] for own in parts for length in range(1, len(own) + 1))
    names = []
    for own in parts:
        unique = next((k for k in range(1, len(own)) if ends[own[-k:]] == 1), len(own))
        names.append("_".join(own[-unique:]))
    return names


def _span(labels: ImageLabels, rows: list[int]) -> str:
    """Return the first and last number of a run of numbered images."""
    stems = (labels.paths[row].stem for row in (rows[0], rows[-1]))
    return "-".join(str(int(re.findall(r"[0-9]+$", stem)[0])) for stem in stems)


def _require_one_size(labels: ImageLabels, rows: list[int]) -> None:
    """Check that the images of a folder have one size."""
    sizes = labels.sizes_hw[rows]
    other = np.flatnonzero((sizes != sizes[0]).any(axis=1))
    if len(other):
        odd = rows[other[0]]
        raise DataError(
            f"{labels.where}: {labels.paths[odd]} has height, width "
            f"{labels.sizes_hw[odd].tolist()} and {labels.paths[rows[0]]} {sizes[0].tolist()}; "
            "expected one size per folder. Put them into two folders."
        )
