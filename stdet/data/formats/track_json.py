"""Detections and tracks of one source as JSON, written as they come.

    {"format": "stdet.tracks/1", "source": ..., "detector": "network", "weights": ...,
     "confidence": ..., "fps": ..., "image_hw": [H, W],
     "frames": [{"frame_index": 0, "detections": [{"box_xyxy": [...], "score": ...}],
                 "tracks": [{"track_id": 1, "box_xyxy": [...], "score": ...,
                             "is_coasted": false}]},
                ...],
     "num_frames": ..., "is_complete": true}

``detections`` are those from ``confidence`` on, and weaker ones that continue a track.
``detector`` is "network" or the name of a classical detector, which has no weights (null). Frames
count from 0, boxes are continuous pixels of the original frame (``boxes.py``). A file that
broke off is still valid JSON, with ``is_complete`` false.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from stdet.data.part_file import PartFile, keeps_output
from stdet.errors import DataError
from stdet.types import Detections, Tracks

FORMAT = "stdet.tracks/1"


class TrackJsonWriter:
    """Write frames as they come; memory does not grow.

    Args:
        path: Final name; written beside and renamed (``PartFile``).
        header: Values of the first keys.

    Raises:
        DataError: If the file cannot be written or the disk is full.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Remember what to write; nothing is opened yet."""
        self._file = PartFile(path)
        self._header = json.dumps({"format": FORMAT, **header})[:-1] + ', "frames": ['
        self._num_frames = 0
        self.is_complete = False

    def __enter__(self) -> Self:
        """Open the file."""
        self._file.__enter__()
        return self

    def write(self, detections: Detections, tracks: Tracks) -> None:
        """Append one frame."""
        entry = {
            "frame_index": detections.frame_index,
            "detections": [
                {"box_xyxy": _rounded(box), "score": round(float(score), 4)}
                for box, score in zip(detections.boxes_xyxy, detections.scores, strict=True)
            ],
            "tracks": [
                {
                    "track_id": int(tracks.track_ids[row]),
                    "box_xyxy": _rounded(tracks.boxes_xyxy[row]),
                    "score": round(float(tracks.scores[row]), 4),
                    "is_coasted": bool(tracks.detection_indices[row] < 0),
                }
                for row in range(len(tracks))
            ],
        }
        before = ",\n" if self._num_frames else self._header + "\n"
        self._file.write(before + json.dumps(entry))
        self._num_frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the list and the file."""
        footer = {"num_frames": self._num_frames, "is_complete": self.is_complete}
        try:
            if keeps_output(error):
                before = "" if self._num_frames else self._header
                self._file.write(before + "\n], " + json.dumps(footer)[1:] + "\n")
        finally:
            self._file.__exit__(kind, error, traceback)


MAX_FRAMES = 10_000_000
"""Longer sequences, 46 hours at 60 frames/s, are taken for a mistake in a frame number."""
_MAX_FPS = 1e6


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackFile:
    """A track JSON in memory.

    Attributes:
        name: Stem of the file.
        image_hw: Size of the frames.
        fps: Frames per second, None where unknown.
        confidence: Operating point of the run.
        detections: One per frame, frame 0 first; frames that were not read are empty.
        tracks: All of them.
    """

    name: str
    image_hw: tuple[int, int]
    fps: float | None
    confidence: float
    detections: tuple[Detections, ...]
    tracks: Tracks


def read_track_json(path: Path) -> TrackFile:
    """Read a file of ``TrackJsonWriter``.

    Raises:
        DataError: If it is missing, no JSON, or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not valid JSON ({error}). Use a file of `stdet track`."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: expected a JSON of `stdet track` with format {FORMAT!r}.")
    try:
        return _parse(path.stem, content)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: a frame is malformed ({error!r}). Write the file anew."
        ) from error


def _parse(name: str, content: dict[str, Any]) -> TrackFile:
    """Build the arrays."""
    image_hw = (int(content["image_hw"][0]), int(content["image_hw"][1]))
    fps, confidence = content["fps"], float(content["confidence"])
    if min(image_hw) < 1 or not 0 <= confidence <= 1:
        raise ValueError(f"image_hw {image_hw}, confidence {confidence}")
    if fps is not None and not 0 < fps < _MAX_FPS:
        raise ValueError(f"fps {fps}")
    entries = {int(entry["frame_index"]): entry for entry in content["frames"]}
    if entries and not 0 <= min(entries) <= max(entries) < MAX_FRAMES:
        raise ValueError(f"frame_index {min(entries)} to {max(entries)}")
    detections = []
    for index in range(max(entries, default=-1) + 1):
        rows = entries.get(index, {"detections": []})["detections"]
        detections.append(
            Detections.from_unsorted(
                np.array([row["box_xyxy"] for row in rows], np.float32).reshape(-1, 4),
                np.array([row["score"] for row in rows], np.float32),
                frame_index=index,
                image_hw=image_hw,
            )
        )
    rows = [(index, row) for index in sorted(entries) for row in entries[index]["tracks"]]
    tracks = Tracks(
        frame_indices=np.array([index for index, _ in rows], np.int64),
        track_ids=np.array([row["track_id"] for _, row in rows], np.int64),
        boxes_xyxy=np.array([row["box_xyxy"] for _, row in rows], np.float32).reshape(-1, 4),
        scores=np.array([row["score"] for _, row in rows], np.float32),
        class_ids=np.zeros(len(rows), np.int64),
        detection_indices=np.full(len(rows), -1, np.int64),
    )
    return TrackFile(
        name=name,
        image_hw=image_hw,
        fps=fps,
        confidence=confidence,
        detections=tuple(detections),
        tracks=tracks,
    )


def _rounded(box: np.ndarray[Any, Any]) -> list[float]:
    """Round to 1/1000 px, far below any detector's accuracy."""
    return [round(float(value), 3) for value in box]
