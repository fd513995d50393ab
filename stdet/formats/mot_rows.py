"""The rows of MOTChallenge files as text and as arrays; the format is described in ``mot.py``.

The only place that adds and takes off the 1 at which frames and pixels count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import xywh_to_xyxy
from stdet.errors import DataError, shown
from stdet.files.text_file import read_text_lines
from stdet.types import UNKNOWN_TRACK_ID, BoolArray, FloatArray, IntArray

MIN_WIDTH_PX = 1e-8
"""Narrower boxes would be written as width 0."""

LARGEST_NUMBER = 1e9
"""Far beyond any image or sequence, well inside float32 and int64."""

MAX_FRAMES = 10_000_000
"""Longer sequences, 46 hours at 60 frames/s, are taken for a mistake in a frame number."""

MIN_COLUMNS = 7
"""Frame, id, four of the box, and score or flag."""
_XYZ_COLUMNS = 10  # A row this long holds world coordinates where the truth has its class.


@dataclass(frozen=True, kw_only=True, eq=False)
class MotRows:
    """The rows of one file, sorted by (frame, id).

    Attributes:
        path: The file.
        lines: int64 (M,), the line of each row, counted from 1.
        frame_indices: int64 (M,), counted from 0.
        ids: int64 (M,), as in the file.
        boxes_xyxy: float32 (M, 4), continuous pixels.
        scores: float64 (M,), column 7: score or flag.
        classes: int64 (M,), column 8 of a row of eight or nine columns, else -1.
    """

    path: Path
    lines: IntArray
    frame_indices: IntArray
    ids: IntArray
    boxes_xyxy: FloatArray
    scores: NDArray[np.float64]
    classes: IntArray

    def refuse(self, is_wrong: BoolArray, message: Callable[[int], str]) -> None:
        """Raise if any row is wrong.

        Args:
            is_wrong: bool (M,).
            message: Says what is wrong with a given row.

        Raises:
            DataError: For the wrong row that comes first in the file, naming file and line.
        """
        if is_wrong.any():
            row = min(np.flatnonzero(is_wrong), key=lambda row: int(self.lines[row]))
            raise DataError(f"{self.path}:{self.lines[row]}: {message(int(row))}.")


def read_rows(path: Path) -> MotRows:
    """Read and check what tracks and truth have in common.

    Args:
        path: Text file; blank lines are skipped.

    Returns:
        The rows; they may stand in any order in the file.

    Raises:
        DataError: If the file cannot be read; or, naming file and line, for a row with too few or
            many columns, something that is not a number, a frame below 1, a box without area, or
            an id that its frame already has.
    """
    parsed = [
        (line, *_parse_row(f"{path}:{line}", row))
        for line, row in enumerate(read_text_lines(path, advice="expected MOT rows"), start=1)
        if row.strip()
    ]
    # Line, frame, id, left, top, width, height, score or flag, class.
    table = np.array(sorted(parsed, key=lambda row: row[1:3]), np.float64).reshape(-1, 9)
    lines, frames, ids = table[:, :3].astype(np.int64).T
    rows = MotRows(
        path=path,
        lines=lines,
        frame_indices=frames - 1,
        ids=ids,
        boxes_xyxy=xywh_to_xyxy(table[:, 3:7] - [1, 1, 0, 0]),
        scores=table[:, 7],
        classes=table[:, 8].astype(np.int64),
    )
    is_repeated = np.zeros(len(ids), np.bool_)
    is_repeated[1:] = (np.diff(frames) == 0) & (np.diff(ids) == 0) & (ids[1:] != UNKNOWN_TRACK_ID)
    rows.refuse(
        is_repeated,
        lambda row: f"frame {frames[row]} has id {ids[row]} already in line {lines[row - 1]}",
    )
    return rows


def row_starts(frame_indices: IntArray, ids: IntArray, boxes_xyxy: FloatArray) -> list[str]:
    """Format the six columns that tracks and truth have in common.

    Args:
        frame_indices: int64 (M,), counted from 0.
        ids: int64 (M,).
        boxes_xyxy: float32 (M, 4), continuous pixels.

    Returns:
        M texts "frame,id,left,top,width,height".

    Raises:
        ValueError: If a box has no area.
    """
    corners = boxes_xyxy.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    for row in np.flatnonzero((sides < MIN_WIDTH_PX).any(axis=1)):
        raise ValueError(
            f"frame {frame_indices[row]}, track {ids[row]} has box {boxes_xyxy[row].tolist()} "
            "without area; MOT files hold positive widths and heights."
        )
    numbers = np.concatenate([corners[:, :2] + 1, sides], axis=1).tolist()
    return [
        f"{frame_index + 1},{track_id}," + ",".join(map(_decimal, row))
        for frame_index, track_id, row in zip(frame_indices, ids, numbers, strict=True)
    ]


def _parse_row(where: str, text: str) -> tuple[float, ...]:
    """Return frame, id, left, top, width, height, score or flag, and class or -1 of a line."""
    columns = text.rstrip().removesuffix(",").split(",")
    if not MIN_COLUMNS <= len(columns) <= _XYZ_COLUMNS:
        raise DataError(
            f"{where}: {len(columns)} columns; expected 7 to {_XYZ_COLUMNS}, separated by commas: "
            "frame, id, left, top, width, height, score, ..."
        )
    names = ["frame", "id", "left", "top", "width", "height", "score", "class"]
    if len(columns) == _XYZ_COLUMNS:
        names.pop()
    row = tuple(parse_number(where, *pair) for pair in zip(names, columns, strict=False))
    frame, width, height = row[0], row[4], row[5]
    if frame == 0:
        raise DataError(f"{where}: frame 0, so the file counts from 0; MOT counts from 1.")
    if not 1 <= frame <= MAX_FRAMES:
        raise DataError(
            f"{where}: frame {frame:.0f}; MOT counts from 1, and no sequence has more than "
            f"{MAX_FRAMES:,} frames. Mend the row."
        )
    if width <= 0 or height <= 0:
        raise DataError(f"{where}: box of {width:g} x {height:g} px; expected positive sides.")
    return row if len(row) == 8 else (*row, -1.0)


def parse_number(where: str, name: str, text: str) -> float:
    """Return a finite number, a whole one of a frame, an id or a class.

    Args:
        where: File and line, for messages.
        name: Of the column.
        text: What it holds.

    Raises:
        DataError: If it holds something else.
    """
    is_whole = name in ("frame", "id", "class")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) <= LARGEST_NUMBER or (is_whole and not value.is_integer()):
        kind = "a whole number" if is_whole else "a finite number"
        raise DataError(f"{where}: {name} is {shown(text.strip())}; expected {kind}.")
    return value


def _decimal(value: float) -> str:
    """Return up to eight decimals without trailing zeros, never an exponent."""
    return f"{value:.8f}".rstrip("0").rstrip(".")
