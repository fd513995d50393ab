"""Rows of detections and tracks for NumPy, pandas and supervision.

Everything goes through columns by name, which a structured array, a dict of arrays and a
``DataFrame`` all offer. pandas and supervision are imported when they are asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

BOX_COLUMNS = ("x1", "y1", "x2", "y2")
"""Corners, pixels of the original frame."""


def to_structured(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.void]:
    """Return columns as one structured array, (N,).

    Example:
        >>> to_structured({"track_id": np.array([1, 2]), "score": np.array([0.9, 0.8])})
        array([(1, 0.9), (2, 0.8)], dtype=[('track_id', '<i8'), ('score', '<f8')])
    """
    num_rows = len(next(iter(columns.values())))
    rows = np.zeros(num_rows, [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    return rows


def to_dataframe(columns: Mapping[str, NDArray[Any]]) -> Any:
    """Return columns as a ``pandas.DataFrame``.

    Raises:
        ImportError: If pandas is not installed.
    """
    return _import("pandas").DataFrame(dict(columns))


def column(rows: Any, name: str, default: float | None = None) -> NDArray[Any]:
    """Return a column of a structured array, a dict of arrays or a ``DataFrame``, (N,).

    Args:
        rows: What has the column.
        name: Of the column.
        default: Of every row where there is no such column; None: it is needed.

    Raises:
        ValueError: If a column that is needed is missing.
    """
    names = rows.dtype.names or () if isinstance(rows, np.ndarray) else list(rows.keys())
    if name in names:
        return np.asarray(rows[name])
    if default is None:
        raise ValueError(f"there is no column {name!r}; there are {', '.join(map(str, names))}.")
    return np.full(len(column(rows, BOX_COLUMNS[0])), default)


def boxes_of(rows: Any) -> NDArray[np.float32]:
    """Return the boxes of rows, float32 (N, 4)."""
    return np.stack([column(rows, name) for name in BOX_COLUMNS], axis=1).astype(np.float32)


def to_supervision(**columns: NDArray[Any]) -> Any:
    """Return ``supervision.Detections`` of these columns.

    Raises:
        ImportError: If supervision is not installed.
    """
    return _import("supervision").Detections(**columns)


def from_supervision(detections: Any, *, needed: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the columns of ``supervision.Detections``.

    Args:
        detections: ``xyxy`` and what else there is.
        needed: Columns that must be there, of ``confidence`` and ``tracker_id``.

    Raises:
        ValueError: If one is missing.
    """
    missing = [name for name in needed if getattr(detections, name) is None]
    if missing and len(detections):
        raise ValueError(f"supervision.Detections has no {', '.join(missing)}; set it first.")
    columns = {
        "score": detections.confidence,
        "class_id": detections.class_id,
        "track_id": detections.tracker_id,
    }
    boxes = np.asarray(detections.xyxy, np.float32).reshape(-1, 4)
    found = {name: boxes[:, index] for index, name in enumerate(BOX_COLUMNS)}
    for name, values in columns.items():
        if values is not None or not len(detections):
            found[name] = np.asarray([] if values is None else values)
    return found


def _import(name: str) -> ModuleType:
    """Import a library that stdet does without."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{name} is not installed; run `pip install {name}`.") from error


class DetectionRows:
    """Conversions of ``Detections``."""

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    frame_index: int

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the rows as columns by name."""
        return {
            "frame_index": np.full(len(self.scores), self.frame_index, np.int64),
            **dict(zip(BOX_COLUMNS, self.boxes_xyxy.T, strict=True)),
            "score": self.scores,
            "class_id": self.class_ids,
        }

    def to_numpy(self) -> NDArray[np.void]:
        """Return a structured array (N,): frame_index, x1, y1, x2, y2, score, class_id."""
        return to_structured(self._columns())

    def to_dataframe(self) -> Any:
        """Return a ``pandas.DataFrame`` with the columns of ``to_numpy``."""
        return to_dataframe(self._columns())

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections``."""
        return to_supervision(
            xyxy=self.boxes_xyxy, confidence=self.scores, class_id=self.class_ids
        )

    @classmethod
    def from_numpy(cls, rows: Any, *, frame_index: int, image_hw: tuple[int, int]) -> Self:
        """Build from rows of one frame or of several, of which one is taken.

        Args:
            rows: Structured array, dict of arrays or ``DataFrame`` with x1, y1, x2, y2 and score;
                without ``class_id`` all are of class 0, without ``frame_index`` all of the frame.
            frame_index: Which frame, counted from 0.
            image_hw: Height and width of the frame.

        Raises:
            ValueError: If a column is missing, or the rows are no detections.
        """
        is_taken = column(rows, "frame_index", frame_index) == frame_index
        build: Any = cls
        found: Self = build.from_unsorted(
            boxes_of(rows)[is_taken],
            column(rows, "score").astype(np.float32)[is_taken],
            frame_index=frame_index,
            image_hw=image_hw,
            class_ids=column(rows, "class_id", 0)[is_taken],
        )
        return found

    @classmethod
    def from_dataframe(cls, rows: Any, *, frame_index: int, image_hw: tuple[int, int]) -> Self:
        """Build from the rows of a ``pandas.DataFrame``; see ``from_numpy``."""
        return cls.from_numpy(rows, frame_index=frame_index, image_hw=image_hw)

    @classmethod
    def from_supervision(
        cls, detections: Any, *, frame_index: int, image_hw: tuple[int, int]
    ) -> Self:
        """Build from ``supervision.Detections`` with confidences.

        Raises:
            ValueError: If there are no confidences.
        """
        rows = from_supervision(detections, needed=("confidence",))
        return cls.from_numpy(rows, frame_index=frame_index, image_hw=image_hw)


class TrackRows:
    """Conversions of ``Tracks``."""

    frame_indices: NDArray[np.int64]
    track_ids: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    detection_indices: NDArray[np.int64]

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the rows as columns by name."""
        return {
            "frame_index": self.frame_indices,
            "track_id": self.track_ids,
            **dict(zip(BOX_COLUMNS, self.boxes_xyxy.T, strict=True)),
            "score": self.scores,
            "probability": self.probabilities,
            "class_id": self.class_ids,
            "detection_index": self.detection_indices,
        }

    def to_numpy(self) -> NDArray[np.void]:
        """Return a structured array (M,).

        Its fields are frame_index, track_id, x1, y1, x2, y2, score, probability, class_id,
        detection_index.
        """
        return to_structured(self._columns())

    def to_dataframe(self) -> Any:
        """Return a ``pandas.DataFrame`` with the columns of ``to_numpy``."""
        return to_dataframe(self._columns())

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections`` with tracker ids; meant for tracks of one frame."""
        return to_supervision(
            xyxy=self.boxes_xyxy,
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.track_ids,
        )

    @classmethod
    def from_numpy(cls, rows: Any) -> Self:
        """Build from rows in any order.

        Args:
            rows: Structured array, dict of arrays or ``DataFrame`` with frame_index, track_id, x1,
                y1, x2, y2 and score; without ``class_id`` all are of class 0, without
                ``detection_index`` all coasted, without ``probability`` it is not known.

        Raises:
            ValueError: If a column is missing, or the rows are no tracks.
        """
        frames, ids = column(rows, "frame_index"), column(rows, "track_id")
        order = np.lexsort((ids, frames))
        build: Any = cls
        found: Self = build(
            frame_indices=frames[order].astype(np.int64),
            track_ids=ids[order].astype(np.int64),
            boxes_xyxy=boxes_of(rows)[order],
            scores=column(rows, "score")[order].astype(np.float32),
            probabilities=column(rows, "probability", np.nan)[order].astype(np.float32),
            class_ids=column(rows, "class_id", 0)[order].astype(np.int64),
            detection_indices=column(rows, "detection_index", -1)[order].astype(np.int64),
        )
        return found

    @classmethod
    def from_dataframe(cls, rows: Any) -> Self:
        """Build from the rows of a ``pandas.DataFrame``; see ``from_numpy``."""
        return cls.from_numpy(rows)

    @classmethod
    def from_supervision(cls, detections: Any, *, frame_index: int) -> Self:
        """Build from one frame's ``supervision.Detections`` with confidences and tracker ids.

        Raises:
            ValueError: If there are no confidences or no tracker ids.
        """
        rows = from_supervision(detections, needed=("confidence", "tracker_id"))
        num_rows = len(rows["x1"])
        return cls.from_numpy({"frame_index": np.full(num_rows, frame_index), **rows})
