"""MOTChallenge text files: tracks and truth; ``mot_folder.py`` reads whole folders.

One row per line, comma-separated:

    tracks   frame, id, left, top, width, height, score, -1, -1, -1
    truth    frame, id, left, top, width, height, flag, class, visibility

Frames, ids, classes and pixels count from 1: the format's description calls frame numbers, ids and
boxes 1-based (motchallenge.net/instructions), so the top-left pixel of the image is (1, 1). In the
continuous pixels of ``boxes.py`` the same corner is (0, 0); hence left = x1 + 1, top = y1 + 1,
while width = x2 - x1 stays. motmetrics takes the 1 off again when it loads a file; TrackEval
compares left and top as they are, so its scores do not change as long as both files keep the
convention. A viewer that takes left and top as zero-based draws boxes one pixel too far right and
down.

Numbers are written with up to eight decimals: reading gives back every float32 coordinate of
magnitude 0.25 or more exactly, smaller ones to 2e-8 px. The format has no room for
``Tracks.class_ids``, ``detection_indices`` and ``probabilities``; they are read as 0, -1 and NaN.

Nothing but this module and ``mot_rows.py`` knows that anything counts from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from stdet.errors import DataError
from stdet.files.atomic_file import AtomicFile
from stdet.formats.mot_rows import MAX_FRAMES, MotRows, read_rows, row_starts
from stdet.types import UNKNOWN_TRACK_ID, FloatArray, IntArray, SequenceAnnotation, Tracks


class MotWriter:
    """Write tracks as they come; the file appears under its name when the block ends.

    It is an ``AtomicFile``: after every ``write`` it holds whole lines, also on a full disk. A
    block that ends by an error leaves nothing, unless ``commit`` was called.

    Args:
        path: Text file to write; replaced where it exists.

    Raises:
        DataError: On entering, writing or leaving, if the file cannot be written or the disk is
            full.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is opened yet."""
        self._file = AtomicFile(path)
        self._last_frame_index = self._index_before = -1

    def __enter__(self) -> Self:
        """Open the file."""
        self._file.__enter__()
        return self

    def write(self, tracks: Tracks) -> None:
        """Append rows.

        Args:
            tracks: One frame or several, all later than those written before; may be empty.

        Raises:
            DataError: If the disk is full or the file cannot be written.
            ValueError: Outside the block, for a frame that is not later, or a box without area.
        """
        if not len(tracks):
            return
        if tracks.frame_indices[0] <= self._last_frame_index:
            raise ValueError(
                f"MotWriter({self._file.path}) got frame {tracks.frame_indices[0]} after frame "
                f"{self._last_frame_index}; expected a later one."
            )
        self._file.write(_track_lines(tracks))
        self._index_before = self._last_frame_index
        self._last_frame_index = int(tracks.frame_indices[-1])

    def undo(self) -> None:
        """Take back the last rows."""
        self._file.undo()
        self._last_frame_index = self._index_before

    def commit(self, path: Path | None = None) -> None:
        """Give the file its name, or another, before the block ends."""
        self._file.commit(path)

    def discard(self) -> None:
        """Drop what was written; nothing happens after ``commit``."""
        self._file.discard()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file, and give it its name, or drop it after an error."""
        self._file.__exit__(kind, error, traceback)


def write_tracks(path: Path, tracks: Tracks) -> None:
    """Write a whole sequence of tracks; the file appears complete or not at all.

    Args:
        path: Text file; replaced where it exists.
        tracks: Any number of frames.

    Raises:
        DataError: If the file cannot be written or the disk is full.
        ValueError: If a box has no area.
    """
    text = _track_lines(tracks)
    with AtomicFile(path) as file:
        file.write(text)


def write_annotation(path: Path, annotation: SequenceAnnotation) -> None:
    """Write the truth as a ``gt.txt``; the file appears complete or not at all.

    Ignored targets get flag 0, unknown ids -1, every target visibility 1. The number of frames,
    the image size and the frame rate belong in ``seqinfo.ini`` and are not written.

    Args:
        path: Text file; replaced where it exists.
        annotation: The truth of one sequence.

    Raises:
        DataError: If the file cannot be written or the disk is full.
        ValueError: If a box has no area.
    """
    starts = row_starts(annotation.frame_indices, annotation.track_ids, annotation.boxes_xyxy)
    rows = zip(starts, annotation.is_ignored, annotation.class_ids, strict=True)
    text = "".join(
        f"{start},{int(not is_ignored)},{class_id + 1},1\n" for start, is_ignored, class_id in rows
    )
    with AtomicFile(path) as file:
        file.write(text)


@dataclass(frozen=True, kw_only=True, eq=False)
class MotPredictions:
    """What a tracker or detector wrote.

    Attributes:
        frame_indices: int64 (M,), counted from 0.
        boxes_xyxy: float32 (M, 4), continuous pixels.
        scores: float32 (M,) in [0, 1].
        tracks: The same rows with their identities; empty where they have none.
        is_tracked: Whether they have.
    """

    frame_indices: IntArray
    boxes_xyxy: FloatArray
    scores: FloatArray
    tracks: Tracks
    is_tracked: bool


def read_predictions(path: Path) -> MotPredictions:
    """Read tracks, or detections whose ids are -1 in every row.

    Rows may stand in any order and hold 7 to 10 columns; those after the score are not read. A
    score of -1, which the format uses for "none", is read as 1.

    Args:
        path: Text file; an empty one holds no tracks.

    Returns:
        All rows.

    Raises:
        DataError: Naming the file and line of the first row that is wrong.
    """
    rows = read_rows(path)
    scores = rows.scores
    is_tracked = not len(rows.ids) or bool((rows.ids != UNKNOWN_TRACK_ID).any())
    has_none = scores == -1
    rows.refuse(
        is_tracked & (rows.ids < 1), lambda row: f"id {rows.ids[row]}; MOT ids count from 1"
    )
    rows.refuse(
        ~has_none & ((scores < 0) | (scores > 1)),
        lambda row: f"score {scores[row]:g}; expected 0 to 1, or -1 for none; rescale the scores",
    )
    known_scores: FloatArray = np.where(has_none, 1.0, scores).astype(np.float32)
    tracks = Tracks.empty()
    if is_tracked:
        tracks = Tracks(
            frame_indices=rows.frame_indices,
            track_ids=rows.ids,
            boxes_xyxy=rows.boxes_xyxy,
            scores=known_scores,
            probabilities=np.full(len(scores), np.nan, np.float32),
            class_ids=np.zeros(len(scores), np.int64),
            detection_indices=np.full(len(scores), -1, np.int64),
        )
    return MotPredictions(
        frame_indices=rows.frame_indices,
        boxes_xyxy=rows.boxes_xyxy,
        scores=known_scores,
        tracks=tracks,
        is_tracked=is_tracked,
    )


def read_tracks(path: Path) -> Tracks:
    """Read tracks, written by this project or by any other tracker.

    Args:
        path: Text file as in ``read_predictions``; an empty one holds no tracks.

    Returns:
        All rows, with class 0 and ``detection_indices`` -1 (not known).

    Raises:
        DataError: Naming the file and line of the first row that is wrong, or if the rows have no
            identities.
    """
    predictions = read_predictions(path)
    if not predictions.is_tracked:
        raise DataError(f"{path}: every id is -1, so these are detections; MOT ids count from 1.")
    return predictions.tracks


def read_annotation(
    path: Path,
    *,
    name: str,
    image_hw: tuple[int, int],
    num_frames: int | None = None,
    fps: float | None = None,
) -> SequenceAnnotation:
    """Read the truth of one sequence.

    Column 7 is a flag: 0 marks a target that counts neither as hit nor as miss. Column 8 is the
    class, from 1, or -1 for none, which becomes class 0; rows of ten columns (the 2015 format)
    hold world coordinates there and are of class 0 too. Visibility is not read. Ids of -1, in
    every row, mean that the identities are not known.

    Args:
        path: Text file; an empty one holds no targets.
        name: Name of the sequence.
        image_hw: Height and width of its frames, pixels.
        num_frames: Length of the sequence. None takes the last frame with a target, which is too
            short wherever the sequence ends without one.
        fps: Frames per second, None if unknown.

    Returns:
        The truth.

    Raises:
        DataError: Naming the file and line of the first row that is wrong.
    """
    rows = read_rows(path)
    if num_frames is not None and num_frames > MAX_FRAMES:
        raise DataError(
            f"{path}: is of a sequence of {num_frames} frames; expected at most {MAX_FRAMES:,}. "
            "Correct the length of the sequence."
        )
    _check_truth(rows, num_frames)
    if num_frames is None:
        num_frames = int(rows.frame_indices.max(initial=-1)) + 1
    return SequenceAnnotation(
        name=name,
        num_frames=num_frames,
        image_hw=image_hw,
        fps=fps,
        frame_indices=rows.frame_indices,
        track_ids=rows.ids,
        boxes_xyxy=rows.boxes_xyxy,
        class_ids=np.where(rows.classes == -1, 0, rows.classes - 1),
        is_ignored=rows.scores == 0,
    )


def _check_truth(rows: MotRows, num_frames: int | None) -> None:
    """Raise ``DataError`` at the first row that cannot be truth."""
    is_unknown = rows.ids == UNKNOWN_TRACK_ID
    rows.refuse(
        (rows.ids < 1) & ~is_unknown,
        lambda row: f"id {rows.ids[row]}; MOT ids count from 1, -1 means unknown",
    )
    rows.refuse(
        is_unknown & (not is_unknown.all()),
        lambda _: "id -1 (unknown) in a file with known ids; expected all or none unknown",
    )
    rows.refuse(
        (rows.classes < 1) & (rows.classes != -1),
        lambda row: f"class {rows.classes[row]}; MOT classes count from 1, -1 means none",
    )
    if num_frames is not None:
        rows.refuse(
            rows.frame_indices >= num_frames,
            lambda row: (
                f"frame {rows.frame_indices[row] + 1} of a sequence of {num_frames} frames; "
                "correct the row or the length of the sequence"
            ),
        )


def _track_lines(tracks: Tracks) -> str:
    """Return the rows of a track file."""
    starts = row_starts(tracks.frame_indices, tracks.track_ids, tracks.boxes_xyxy)
    rows = zip(starts, tracks.scores.tolist(), strict=True)
    return "".join(f"{start},{score:.9g},-1,-1,-1\n" for start, score in rows)
