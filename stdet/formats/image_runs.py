"""Cut the images of a label file into contiguous runs, and name them.

Which images are a sequence, and in which order, is decided by the first of these that applies:

0. A video is one sequence, named by the stem of its file.
1. ``data.sequence_pattern``, where the user sets it: a regular expression that is searched in the
   path of every image, with the group ``sequence``, ``frame`` or both.
2. What the file or the layout states: ``video_id`` of COCO files, folders of MOTChallenge.
3. Its folder, and within a folder what names begin with (``images/frame_numbers.py``).

A run ends where frames are missing: where ``frame``, the stated number (``frame_id``) or the
number in the name jumps, whether the files or only their labels are missing. Frames that a label
file leaves out are not known to be free of targets.

Names. A folder's name is the shortest end of its path that no other folder of the label file
shares, joined with ``_``: ``data19``, or ``train_data5`` beside ``test_data5``. A last ``img1``,
the image folder of MOTChallenge, does not count. A video that has a folder of its own is named
like that folder, another as the file says. Sequences of one folder are named by what their file
names begin with. A sequence without gaps gives one run of its name; one with gaps gives
``data5_1477-1496`` and ``data5_2701-2720``, both of the group ``data5``.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from stdet.errors import DataError, printable, shown
from stdet.formats.image_labels import ImageLabels
from stdet.formats.mot_folder import IMAGE_FOLDERS
from stdet.io.images.frame_numbers import FrameRun, frame_runs, gaps_in, listing, natural_key
from stdet.types import SequenceAnnotation

_LOG = logging.getLogger(__name__)

_MAX_SAID = 3
"""Folders of which it is said how their names were taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageRun:
    """Images that follow one another.

    Attributes:
        group: name of the sequence before it was cut at gaps.
        files: one image per frame.
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
        group: name of the sequence before it was cut at gaps.
        rows: images in the order of their frames.
    """

    name: str
    group: str
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The images of a label file as runs.

    Attributes:
        runs: All images.
        said: What sequences and gaps were taken from, one line; "" where folders say it all.
    """

    runs: tuple[RunRows, ...]
    said: str


def cut_into_runs(labels: ImageLabels, *, pattern: str | None = None) -> list[ImageRun]:
    """Cut the images of a label file into contiguous runs, and say how. Opens no image.

    Args:
        labels: Images and boxes in any order, or a video.
        pattern: ``data.sequence_pattern``.

    Returns:
        Runs in natural order of their sequences, then of their frames.

    Raises:
        DataError: If the images of a sequence differ in size, two runs get the same name, or
            videos, frames and pattern contradict each other.
    """
    grouping = group_rows(labels, pattern=pattern)
    if grouping.said:
        _LOG.info("%s: %s.", labels.where, grouping.said)
    rows_of_group: dict[str, list[int]] = {}
    for run in grouping.runs:
        rows_of_group.setdefault(run.group, []).extend(run.rows)
    for rows in rows_of_group.values():
        _require_one_size(labels, rows)
    return [
        ImageRun(
            group=run.group,
            files=tuple(labels.paths[row] for row in run.rows),
            annotation=annotate(labels, run),
        )
        for run in grouping.runs
    ]


def group_rows(labels: ImageLabels, *, pattern: str | None = None) -> Grouping:
    """Say which images of a label file form a run, whatever their sizes.

    Args:
        labels: Images and boxes in any order.
        pattern: ``data.sequence_pattern``.

    Raises:
        DataError: If two runs get the same name, or videos, frames and pattern contradict each
            other.
    """
    if labels.video is not None:
        return _video_run(labels, labels.video.path)
    stated = _stated(labels, pattern)
    groups = _stated_groups(labels, stated) if stated.sequences else _folder_groups(labels, stated)
    runs = []
    for group in groups:
        for part in group.parts:
            name = f"{group.name}_{part.span}" if len(group.parts) > 1 else group.name
            runs.append(RunRows(name=name, group=group.name, rows=part.rows))
    for name, count in Counter(run.name for run in runs).items():
        if count > 1:
            raise DataError(
                f"{labels.where}: {count} sequences get the name {shown(name)}; expected distinct "
                "names. Rename a folder, or set data.sequence_pattern."
            )
    return Grouping(runs=tuple(runs), said=_said(labels, stated, groups))


def _video_run(labels: ImageLabels, video: Path) -> Grouping:
    """Return all frames of a video as one run, named by the stem of the file."""
    run = RunRows(name=video.stem, group=video.stem, rows=tuple(range(len(labels))))
    return Grouping(runs=(run,) if len(labels) else (), said="")


@dataclass(frozen=True, kw_only=True)
class _Stated:
    """What is known of the images without guessing; empty where nothing is.

    Attributes:
        sequences: Name of the sequence of each image.
        sequences_by: Where it comes from.
        frames: Number of the frame of each image.
        frames_by: Where it comes from.
    """

    sequences: tuple[str, ...]
    sequences_by: str
    frames: tuple[int, ...]
    frames_by: str


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A sequence before it is cut.

    Attributes:
        name: Its name.
        parts: Its runs in the order of time.
        said: How the names of its folder were taken.
    """

    name: str
    parts: tuple[FrameRun, ...]
    said: str = ""


def _stated(labels: ImageLabels, pattern: str | None) -> _Stated:
    """Collect what the pattern and the file state."""
    sequences, frames = labels.videos, labels.frame_ids
    sequences_by, frames_by = labels.videos_by, "frame_id"
    if pattern is not None:
        expression = re.compile(pattern)
        matches = [expression.search(path.as_posix()) for path in labels.paths]
        if None in matches:
            raise DataError(
                f"{labels.where}: data.sequence_pattern fits {len(matches) - matches.count(None)} "
                f"of {len(matches)} images, not {printable(labels.paths[matches.index(None)])}; "
                "expected it to fit all. Change it."
            )
        found = [match.groupdict() for match in matches if match]
        if "sequence" in expression.groupindex:
            sequences = tuple(_sequence_name(labels, row, g) for row, g in enumerate(found))
            sequences_by = "data.sequence_pattern"
        if "frame" in expression.groupindex:
            frames = tuple(_frame_number(labels, row, g) for row, g in enumerate(found))
            frames_by = "data.sequence_pattern"
    return _Stated(
        sequences=sequences, sequences_by=sequences_by, frames=frames, frames_by=frames_by
    )


def _sequence_name(labels: ImageLabels, row: int, found: dict[str, str | None]) -> str:
    """Return the sequence that the pattern found in a path."""
    name = (found["sequence"] or "").strip("/").replace("/", "_")
    if not name:
        raise DataError(
            f"{labels.where}: data.sequence_pattern finds no sequence in "
            f"{printable(labels.paths[row])}; expected some text. Change it."
        )
    return name


def _frame_number(labels: ImageLabels, row: int, found: dict[str, str | None]) -> int:
    """Return the number that the pattern found in a path."""
    text = found["frame"] or ""
    if re.fullmatch(r"[0-9]{1,255}", text) is None:
        raise DataError(
            f"{labels.where}: data.sequence_pattern finds frame {shown(text)} in "
            f"{printable(labels.paths[row])}; expected a whole number. Change it."
        )
    return int(text)


def _stated_groups(labels: ImageLabels, stated: _Stated) -> list[_Group]:
    """Group images by the sequence that is stated for each."""
    rows_of_name: dict[str, list[int]] = {}
    for row, name in enumerate(stated.sequences):
        rows_of_name.setdefault(name, []).append(row)
    folders = {
        name: {labels.paths[row].parent for row in rows} for name, rows in rows_of_name.items()
    }
    names = {name: name for name in rows_of_name}
    alone = [next(iter(found)) for found in folders.values() if len(found) == 1]
    if stated.sequences_by == "video_id" and len(set(alone)) == len(folders):
        names = dict(zip(folders, _folder_names(alone), strict=True))
    return [
        _Group(name=names[name], parts=_parts(labels, stated, rows_of_name[name], names[name]))
        for name in sorted(rows_of_name, key=lambda name: natural_key(names[name]))
    ]


def _folder_groups(labels: ImageLabels, stated: _Stated) -> list[_Group]:
    """Group images by their folder, and within it by what their names begin with."""
    rows_of_folder: dict[Path, list[int]] = {}
    for row, path in enumerate(labels.paths):
        rows_of_folder.setdefault(path.parent, []).append(row)
    folders = sorted(rows_of_folder, key=lambda folder: natural_key(str(folder)))
    found: list[tuple[str, str, tuple[FrameRun, ...], str]] = []
    for folder, folder_name in zip(folders, _folder_names(folders), strict=True):
        rows = _in_natural_order(labels, rows_of_folder[folder])
        is_one = stated.frames_by == "data.sequence_pattern"
        runs = frame_runs([labels.paths[row].name for row in rows], is_one_sequence=is_one)
        for sequence in dict.fromkeys(run.sequence for run in runs.runs):
            parts = tuple(
                FrameRun(
                    sequence=sequence, rows=tuple(rows[place] for place in run.rows), span=run.span
                )
                for run in runs.runs
                if run.sequence == sequence
            )
            if stated.frames:
                members = [row for part in parts for row in part.rows]
                parts = _parts(labels, stated, members, folder_name)
            found.append((folder_name, sequence.rstrip(" _-."), parts, runs.said))
    beginnings = Counter(beginning or folder_name for folder_name, beginning, _, _ in found)
    groups = []
    for folder_name, beginning, parts, said in found:
        name = beginning or folder_name
        if beginning and beginnings[beginning] > 1:
            name = f"{folder_name}_{beginning}"
        groups.append(_Group(name=name, parts=parts, said=said))
    return groups


def _parts(
    labels: ImageLabels, stated: _Stated, rows: list[int], name: str
) -> tuple[FrameRun, ...]:
    """Cut a sequence where frames are missing, by their stated numbers or else by their names."""
    if not stated.frames:
        rows = _in_natural_order(labels, rows)
        runs = frame_runs([labels.paths[row].name for row in rows], is_one_sequence=True).runs
        return tuple(
            FrameRun(sequence="", rows=tuple(rows[place] for place in run.rows), span=run.span)
            for run in runs
        )
    rows = sorted(rows, key=lambda row: stated.frames[row])
    numbers = [stated.frames[row] for row in rows]
    for (first, number), (second, other) in pairwise(zip(rows, numbers, strict=True)):
        if number == other:
            raise DataError(
                f"{labels.where}: {printable(labels.paths[first])} and "
                f"{printable(labels.paths[second])} are both frame {number} of {shown(name)} by "
                f"{stated.frames_by}; expected one image per frame. Mend the file, or tell its "
                "sequences apart by data.sequence_pattern."
            )
    edges = [0, *gaps_in(numbers), len(rows)]
    return tuple(
        FrameRun(
            sequence="",
            rows=tuple(rows[start:stop]),
            span=f"{numbers[start]}-{numbers[stop - 1]}",
        )
        for start, stop in pairwise(edges)
    )


def _in_natural_order(labels: ImageLabels, rows: Sequence[int]) -> list[int]:
    """Sort images by folder and name."""
    return sorted(rows, key=lambda row: natural_key(labels.paths[row].as_posix()))


def _said(labels: ImageLabels, stated: _Stated, groups: Sequence[_Group]) -> str:
    """Say what sequences and gaps were taken from, where it is not folders without gaps."""
    parts = []
    if stated.sequences_by and stated.sequences:
        parts.append(f"{len(groups)} sequences by {stated.sequences_by}")
    if stated.frames:
        parts.append(f"order of frames by {stated.frames_by}")
    if stated.sequences or stated.frames:
        gaps = [labels.paths[part.rows[-1]].name for group in groups for part in group.parts[:-1]]
        if gaps:
            parts.append(f"{'gap' if len(gaps) == 1 else 'gaps'} after {listing(gaps)}")
        return "; ".join(parts)
    said: dict[Path, str] = {}
    for group in groups:
        if group.said:
            said[labels.paths[group.parts[0].rows[0]].parent] = group.said
    parts = [f"{folder}: {text}" for folder, text in list(said.items())[:_MAX_SAID]]
    if len(said) > _MAX_SAID:
        parts.append(f"likewise in {len(said) - _MAX_SAID} more folders")
    return "; ".join(parts)


def annotate(labels: ImageLabels, run: RunRows) -> SequenceAnnotation:
    """Collect the boxes of a run; its size is that of its first image.

    Args:
        labels: Images and boxes; the boxes of the run are usable.
        run: Images of ``labels``.
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
        fps=labels.fps,
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
        parts.append(own[:-1] if own[-1] == IMAGE_FOLDERS[0] else own)
    ends = Counter(own[-length:] for own in parts for length in range(1, len(own) + 1))
    names = []
    for own in parts:
        unique = next((k for k in range(1, len(own)) if ends[own[-k:]] == 1), len(own))
        names.append("_".join(own[-unique:]))
    return names


def _require_one_size(labels: ImageLabels, rows: list[int]) -> None:
    """Check that the images of a sequence have one size."""
    sizes = labels.sizes_hw[rows]
    other = np.flatnonzero((sizes != sizes[0]).any(axis=1))
    if len(other):
        odd = rows[other[0]]
        raise DataError(
            f"{labels.where}: {labels.paths[odd]} has height, width "
            f"{labels.sizes_hw[odd].tolist()} and {labels.paths[rows[0]]} {sizes[0].tolist()}; "
            "expected one size per sequence. Put them into two folders."
        )
