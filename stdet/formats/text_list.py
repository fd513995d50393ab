"""Text lists, as published for DAUB, ITSDT-15K, IRDST and DMIST: one image per line.

    PATH x1,y1,x2,y2,c x1,y1,x2,y2,c ...

A line without boxes is a real frame without targets; c is the class, counted from 0. No
identities.

PATH. It ends with the first image suffix that a blank or the end of the line follows, so it may
hold blanks. The published lists hold absolute paths of somebody's machine
(``/home/public/DAUB/images/train/data5/0.bmp``): of an absolute path everything from its first
``images/`` on is taken relative to the data root. Other absolute paths are used as they are,
relative ones start at the root.

Corners. x1, y1, x2, y2 are continuous pixels, x2 = x1 + width without + 1. The lists do not say
so; the evidence is that all 8,982 boxes of ``coco_train_DAUB.txt`` equal x, y, x + width, y +
height of the COCO file of the same frames (``DAUB_instances_train2017.json``), 8 pixels wide in
both.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError, shown
from stdet.files.text_file import read_text_lines
from stdet.formats.image_labels import (
    BadBoxes,
    ImageLabels,
    coordinates,
    image_hw,
    image_path,
    keep_usable,
    require_files,
)
from stdet.io.frame_source import IMAGE_SUFFIXES
from stdet.types import UNKNOWN_TRACK_ID, IntArray

_SUFFIX = "|".join(re.escape(suffix) for suffix in IMAGE_SUFFIXES)
_LINE = re.compile(rf"(.*?(?:{_SUFFIX}))(?:\s+(.*))?", re.IGNORECASE)
_MAX_CLASS = 1e6
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


def read_text_list(
    path: Path, root: Path, *, bad_boxes: BadBoxes = "refuse", check_images: bool = True
) -> ImageLabels:
    """Read a text list whose images are video frames.

    Args:
        path: Text file.
        root: Folder that image paths are mapped to.
        bad_boxes: What becomes of boxes that are NaN, empty or outside the frame.
        check_images: Check that every image exists and take the size of each folder from its first
            image. False reads labels that come without images; the size of a folder is then the
            smallest one that holds its boxes, which serves statistics only.

    Returns:
        All images, those without boxes included.

    Raises:
        DataError: If the file is missing, a line is malformed or repeats an image, an image does
            not exist, or a box is unusable.
    """
    lines = _parse(path, root)
    labels = _collect(path, lines, check_images=check_images)
    return keep_usable(
        labels,
        describe=lambda row: (
            f"line {lines.line_of_box[row]} (x1, y1, x2, y2 {lines.boxes[row][:4]})"
        ),
        bad_boxes=bad_boxes,
    )


def starts_with_image(line: str) -> bool:
    """Say whether a line could be one of a text list.

    Example:
        >>> starts_with_image("a/0.bmp 1,2,3,4,0"), starts_with_image("These are labels.")
        (True, False)
    """
    return _LINE.fullmatch(line.strip()) is not None


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """Image paths; x1, y1, x2, y2 and class of each box; the image and line it comes from."""

    paths: list[Path]
    boxes: list[tuple[float, ...]]
    image_of_box: list[int]
    line_of_box: list[int]


def _parse(path: Path, root: Path) -> _Lines:
    """Read all lines."""
    listed: dict[Path, int] = {}
    line_of_box: list[int] = []
    image_of_box: list[int] = []
    boxes: list[tuple[float, ...]] = []
    lines = read_text_lines(
        path, advice="expected a text list; check data.root and the name of the annotation file"
    )
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        image, tokens = _parse_line(f"{path}:{number}", line.strip(), root)
        if image in listed:
            raise DataError(
                f"{path}:{number}: lists {str(image)!r} again after line {listed[image]}; "
                "expected each image once. Join the two lines."
            )
        boxes += [_parse_box(f"{path}:{number}", token) for token in tokens]
        line_of_box += [number] * len(tokens)
        image_of_box += [len(listed)] * len(tokens)
        listed[image] = number
    return _Lines(
        paths=list(listed), boxes=boxes, image_of_box=image_of_box, line_of_box=line_of_box
    )


def _collect(path: Path, lines: _Lines, *, check_images: bool) -> ImageLabels:
    """Turn parsed lines into columns, with the size of every image."""
    if check_images:
        require_files(str(path), lines.paths)
    boxes = coordinates([box[:4] for box in lines.boxes])
    rows = np.array(lines.image_of_box, np.int64)
    return ImageLabels(
        where=str(path),
        paths=tuple(lines.paths),
        sizes_hw=_sizes(lines.paths, rows, boxes, check_images=check_images),
        image_rows=rows,
        boxes_xyxy=boxes.astype(np.float32),
        class_ids=np.array([box[4] for box in lines.boxes], np.int64),
        track_ids=np.full(len(rows), UNKNOWN_TRACK_ID, np.int64),
        is_ignored=np.zeros(len(rows), np.bool_),
        are_sizes_known=check_images,
    )


def _parse_line(where: str, line: str, root: Path) -> tuple[Path, list[str]]:
    """Split a line into its image below the root and its boxes, still text."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise DataError(
            f"{where}: {shown(line)} does not start with an image path; expected PATH "
            f"x1,y1,x2,y2,class ... with a path that ends in {', '.join(IMAGE_SUFFIXES)}."
        )
    name, rest = match.groups()
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if _ABSOLUTE.match(name) and "images" in parts:
        name = "/".join(parts[parts.index("images") :])
    return image_path(where, name, root), (rest or "").split()


def _parse_box(where: str, token: str) -> tuple[float, ...]:
    """Return x1, y1, x2, y2 and the class."""
    try:
        values = tuple(float(value) for value in token.split(","))
    except ValueError:
        values = ()
    if len(values) != 5 or not (0 <= values[4] <= _MAX_CLASS and values[4].is_integer()):
        raise DataError(
            f"{where}: box {shown(token)}; expected x1,y1,x2,y2,class, four numbers "
            "and a class counted from 0. Mend the line."
        )
    return values


def _sizes(
    paths: list[Path],
    image_rows: IntArray,
    boxes: NDArray[np.float64],
    *,
    check_images: bool,
) -> IntArray:
    """Return height and width of every image, one size per folder."""
    sizes: dict[Path, tuple[int, int]] = {}
    if check_images:
        for path in paths:
            if path.parent not in sizes:
                sizes[path.parent] = image_hw(path)
    else:
        for row, corners in zip(image_rows.tolist(), boxes.tolist(), strict=True):
            height, width = sizes.get(paths[row].parent, (1, 1))
            if not (math.isfinite(corners[2]) and math.isfinite(corners[3])):
                continue
            sizes[paths[row].parent] = (
                max(height, math.ceil(corners[3])),
                max(width, math.ceil(corners[2])),
            )
    values = [sizes.get(path.parent, (1, 1)) for path in paths]
    return np.array(values, np.int64).reshape(-1, 2)
