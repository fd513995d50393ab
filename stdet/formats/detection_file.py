"""Detections of any detector in one file, of one video: COCO results, MOT rows or CSV.

| ending | format | frames count |
| --- | --- | --- |
| `.json` | list of COCO results; `image_id` is the number of the frame | from 1 |
| `.txt` | MOT rows (``mot.py``); ids are not looked at | from 1 |
| `.csv` | header with frame, x, y, w, h, score, perhaps class; others are not read | from 0 |

Rows may stand in any order. Boxes of COCO and CSV are (left, top, width, height) in continuous
pixels (``boxes.py``). Classes of COCO are numbered from 0 in ascending order of their category.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stdet.boxes import xywh_to_xyxy
from stdet.errors import DataError, foreign_errors, shown
from stdet.files.text_file import read_text_lines
from stdet.formats.coco_entries import is_whole_number
from stdet.formats.coco_results import check_box_and_score, read_result_entries
from stdet.formats.mot import read_predictions
from stdet.formats.mot_rows import LARGEST_NUMBER, MAX_FRAMES, parse_number
from stdet.types import FloatArray, IntArray

CSV_COLUMNS = ("frame", "x", "y", "w", "h", "score")
"""That a CSV must have; ``class`` is read where it is there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionRows:
    """The rows of a file, in any order.

    Attributes:
        path: The file.
        frame_indices: int64 (M,), counted from 0.
        boxes_xyxy: float32 (M, 4), pixels.
        scores: float32 (M,) in [0, 1].
        class_ids: int64 (M,), counted from 0.
    """

    path: Path
    frame_indices: IntArray
    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: IntArray

    @property
    def num_frames(self) -> int:
        """Frames up to the last one with a row."""
        return int(self.frame_indices.max(initial=-1)) + 1

    @property
    def extent_hw(self) -> tuple[int, int]:
        """Height and width of the smallest frame that holds all boxes, at least one pixel."""
        right, low = np.ceil(self.boxes_xyxy[:, 2:].max(axis=0, initial=1)).tolist()
        return int(low), int(right)


def read_detections(path: Path) -> DetectionRows:
    """Read a file by its ending.

    Raises:
        DataError: If it cannot be read, has another ending, or, naming the row, holds a frame, box
            or score that cannot be used.
    """
    readers = {".json": _read_coco, ".txt": _read_mot, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: holds detections of no known format; expected .json (COCO results), .txt "
            "(MOT rows) or .csv."
        )
    return reader(path)


def _read_mot(path: Path) -> DetectionRows:
    rows = read_predictions(path)
    return DetectionRows(
        path=path,
        frame_indices=rows.frame_indices,
        boxes_xyxy=rows.boxes_xyxy,
        scores=rows.scores,
        class_ids=np.zeros(len(rows.scores), np.int64),
    )


def _read_coco(path: Path) -> DetectionRows:
    entries = read_result_entries(path)
    for number, entry in enumerate(entries):
        where = f"{path}: entry {number}"
        check_box_and_score(where, entry)
        frame, category = entry["image_id"], entry["category_id"]
        if not is_whole_number(frame) or not 1 <= frame <= MAX_FRAMES:
            raise DataError(
                f"{where} has image_id {shown(frame)}; expected the number of the frame, from 1. "
                "Number the images of one video so, or write a CSV."
            )
        if not is_whole_number(category) or not 0 <= category <= LARGEST_NUMBER:
            raise DataError(f"{where} has category_id {shown(category)}; expected a whole number.")
    categories = np.array([entry["category_id"] for entry in entries], np.int64)
    return DetectionRows(
        path=path,
        frame_indices=np.array([entry["image_id"] for entry in entries], np.int64) - 1,
        boxes_xyxy=xywh_to_xyxy(np.array([entry["bbox"] for entry in entries], np.float64)),
        scores=np.array([entry["score"] for entry in entries], np.float32),
        class_ids=np.unique(categories, return_inverse=True)[1].astype(np.int64),
    )


def _read_csv(path: Path) -> DetectionRows:
    advice = f"expected CSV with the columns {', '.join(CSV_COLUMNS)}"
    lines = read_text_lines(path, advice=advice)
    with foreign_errors(path, advice=advice, problem="is not CSV that can be read"):
        rows = [(number, row) for number, row in enumerate(csv.reader(lines), start=1) if row]
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    lacking = [name for name in CSV_COLUMNS if name not in header]
    if lacking:
        raise DataError(
            f"{path}:1: the header lacks {', '.join(lacking)}; expected {', '.join(CSV_COLUMNS)} "
            "and perhaps class."
        )
    column_of = {name: header.index(name) for name in (*CSV_COLUMNS, "class") if name in header}
    parsed = [_parse_csv(f"{path}:{number}", row, header, column_of) for number, row in rows[1:]]
    # Frame, x, y, w, h, score, class.
    table = np.array(parsed, np.float64).reshape(-1, 7)
    return DetectionRows(
        path=path,
        frame_indices=table[:, 0].astype(np.int64),
        boxes_xyxy=xywh_to_xyxy(table[:, 1:5]),
        scores=table[:, 5].astype(np.float32),
        class_ids=table[:, 6].astype(np.int64),
    )


def _parse_csv(
    where: str, row: Sequence[str], header: Sequence[str], column_of: Mapping[str, int]
) -> list[float]:
    """Return frame, x, y, w, h, score and class of a row."""
    if len(row) != len(header):
        raise DataError(f"{where}: {len(row)} columns; expected {len(header)}, as in the header.")
    found = {name: parse_number(where, name, row[column]) for name, column in column_of.items()}
    frame, score, class_id = found["frame"], found["score"], found.setdefault("class", 0.0)
    if not 0 <= frame < MAX_FRAMES:
        raise DataError(
            f"{where}: frame {frame:.0f}; frames count from 0, and no sequence has more than "
            f"{MAX_FRAMES:,}. Mend the row."
        )
    if found["w"] <= 0 or found["h"] <= 0:
        raise DataError(
            f"{where}: box of {found['w']:g} x {found['h']:g} px; expected positive sides."
        )
    if not 0 <= score <= 1:
        raise DataError(f"{where}: score {score:g}; expected 0 to 1. Rescale the scores.")
    if class_id < 0:
        raise DataError(f"{where}: class {class_id:.0f}; classes count from 0.")
    return [*(found[name] for name in CSV_COLUMNS), class_id]
