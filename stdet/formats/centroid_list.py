"""CSV of target centres beside folders of frames.

Header ``sequence,frame,x,y`` (``run`` is read as ``sequence``), one line per target and frame:
``frame`` counts the sorted images of the folder ``sequence`` from 0, ``x`` and ``y`` are pixel
indices with the centre of the first pixel at (0, 0), as `saitd` and `sky` centroids are. Inside,
pixel centres lie at halves, so 0.5 is added. A centre has no extent; its box is the pixel about
it. A sequence with at most one target per frame has one identity, others none.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from stdet.errors import DataError, foreign_errors, shown
from stdet.files.text_file import read_text_lines
from stdet.formats.image_labels import (
    BadBoxes,
    ImageLabels,
    coordinates,
    image_hw,
    image_path,
    keep_usable,
    names_in,
)
from stdet.io.frame_source import IMAGE_SUFFIXES
from stdet.io.images.frame_numbers import natural_key
from stdet.types import UNKNOWN_TRACK_ID

_SEQUENCE_COLUMNS = ("sequence", "run")


def read_centroid_list(path: Path, *, bad_boxes: BadBoxes = "refuse") -> ImageLabels:
    """Read centres whose image folders lie beside the file.

    Args:
        path: CSV file; the folder ``sequence`` lies in the same folder.
        bad_boxes: What becomes of centres that are NaN or outside the frame.

    Returns:
        All images of the named folders, those without targets included.

    Raises:
        DataError: If the file is missing or malformed, a folder or a frame does not exist, or a
            centre is unusable.
    """
    centres = _read_rows(path)
    images: list[Path] = []
    sizes: list[tuple[int, int]] = []
    image_rows: list[int] = []
    boxes: list[tuple[float, float, float, float]] = []
    track_ids: list[int] = []
    for name, rows in centres.items():
        folder = image_path(str(path), name, path.parent)
        files = [folder / entry for entry in sorted(names_in(str(folder)), key=natural_key)]
        files = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise DataError(
                f"{path}: names {shown(name)}, but {folder} holds no images. Add them."
            )
        for frame, x, y in rows:
            if not 0 <= frame < len(files):
                raise DataError(
                    f"{path}: {shown(name)} has a target on frame {shown(frame)}, but {folder} "
                    f"holds {len(files)} images. Frames count from 0; complete the folder or "
                    "mend the line."
                )
            image_rows.append(len(images) + frame)
            boxes.append((x, y, x + 1, y + 1))
        is_single = len({frame for frame, _, _ in rows}) == len(rows)
        track_ids += [1 if is_single else UNKNOWN_TRACK_ID] * len(rows)
        sizes += [image_hw(files[0])] * len(files)
        images += files
    labels = ImageLabels(
        where=str(path),
        paths=tuple(images),
        sizes_hw=np.array(sizes, np.int64).reshape(-1, 2),
        image_rows=np.array(image_rows, np.int64),
        boxes_xyxy=coordinates(boxes).astype(np.float32),
        class_ids=np.zeros(len(boxes), np.int64),
        track_ids=np.array(track_ids, np.int64),
        is_ignored=np.zeros(len(boxes), np.bool_),
    )
    return keep_usable(
        labels,
        describe=lambda row: f"on {images[image_rows[row]]} (x, y {boxes[row][:2]})",
        bad_boxes=bad_boxes,
    )


def is_centroid_header(line: str) -> bool:
    """Say whether a line could be the first of such a file.

    Example:
        >>> is_centroid_header("run,frame,x,y"), is_centroid_header("name,size")
        (True, False)
    """
    names = set(line.strip().split(","))
    return {"frame", "x", "y"} <= names and not names.isdisjoint(_SEQUENCE_COLUMNS)


def _read_rows(path: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Return (frame, x, y) of every line by sequence."""
    lines = read_text_lines(path, advice="expected a CSV of centroids; check data.root")
    reader = csv.DictReader(lines)
    with foreign_errors(path, advice="expected a CSV of centroids", problem="is not CSV"):
        header = list(reader.fieldnames or [])
        entries = [(reader.line_num, entry) for entry in reader]
    column = next((name for name in _SEQUENCE_COLUMNS if name in header), None)
    if column is None or not {"frame", "x", "y"} <= set(header):
        raise DataError(
            f"{path}:1: header is {shown(','.join(header))}; expected sequence,frame,x,y."
        )
    rows: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for number, entry in entries:
        try:
            values = int(entry["frame"]), float(entry["x"]), float(entry["y"])
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: {shown(','.join(map(str, entry.values())))}; expected a "
                "sequence and three numbers: frame, x, y. Mend the line."
            ) from error
        rows[str(entry[column])].append(values)
    return rows
