"""Detections and tracks of one source as JSON, written as they come.

    {"format": "stdet.tracks/1", "source": ..., "detector": "network", "weights": ...,
     "confidence": ..., "fps": ..., "image_hw": [H, W],
     "frames": [{"frame_index": 0,
                 "camera_motion": {"is_trusted": true, "matrix": [[...], [...], [...]]},
                 "detections": [{"box_xyxy": [...], "score": ...}],
                 "tracks": [{"track_id": 1, "box_xyxy": [...], "score": ...,
                             "probability": ..., "is_coasted": false}]},
                ...],
     "track_summaries": [{"track_id": 1, ...}, ...],
     "false_tracks": {"num_tracks": ..., "expected": ..., "hours": ..., ...},
     "num_missing": 0, "num_frames": ..., "is_complete": true}

``detections`` are those from ``confidence`` on, and weaker ones that continue a track.
``probability`` is that of the track being real, as known when it was written; null or no key where
that is not known. ``false_tracks`` says how many of the tracks are expected to be false
(``tracking/false_alarms.py``), where the detector is the network. ``detector`` is "network", the
name of a classical detector, or "file", with the name of the given detections in
``detections_file``; the last two have no weights (null). Frames count from 0, boxes are continuous
pixels of the original frame (``boxes.py``). ``is_complete`` is true where the run came to its end
and all that it was asked to read was read. A file that broke off is still valid JSON, with
``is_complete`` false. ``is_smoothed`` is true where tracks were smoothed after the last frame
(`--smooth`). ``warnings``, a list of sentences, stands before ``num_missing`` where in some frames
nothing could be seen. ``track_summaries`` has a row for each track (``track_summary.py``).
``camera_motion`` says where the background of the entry before lies in the frame, or why that is
not known (``camera_motion.py``). In files without the key the camera is taken as resting. Of a
live source the header has ``is_live`` true, and ``source`` is its address. Each frame has
``captured_at`` (UTC, ISO 8601), ``age_s`` (seconds from then until its tracks were written) and
``num_dropped`` (frames that came since the entry before and were left out because a newer one was
there). The footer has ``num_dropped`` of the whole run, ``age_s`` (median, 95 %, 99 %) and
``events`` (``event``: lost, reconnected, ended, or confidence where the operating point was
changed; ``at``; ``text``). ``has_video``, before ``num_missing``, is true where the run wrote an
annotated video of these frames, ``<stem>.mp4`` beside the JSON. The header of a video also has
``stream``, counted from 0, and ``num_streams``. ``frame_index`` follows time: frame i is shown i /
``fps`` seconds after frame 0. ``num_missing`` indices between the first and the last have no
entry, since the source has no picture then (dropped or repeated frames) or it could not be read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from stdet.errors import DataError, reason_of, shown
from stdet.files.atomic_file import AtomicFile
from stdet.files.regular_file import require_regular_file
from stdet.files.text_file import read_json
from stdet.formats.camera_motion import motion_entry, parse_motion
from stdet.formats.image_labels import coordinates
from stdet.formats.mot_rows import LARGEST_NUMBER, MAX_FRAMES
from stdet.formats.track_summary import TrackRow, parse_summary
from stdet.io.live.capture import Capture
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.types import BoolArray, Detections, FloatArray, Tracks

FORMAT = "stdet.tracks/1"

_EXTENT = re.compile(rb'"num_frames": (\d{1,12}), "is_complete": (true|false)\}\s*\Z')
_TAIL = 128
"""Bytes at the end of a file that hold its extent."""


class TrackJsonWriter:
    """Write frames as they come; memory does not grow.

    The file is valid JSON after every ``write``, with ``is_complete`` false until the end, so that
    what a killed run leaves can be read too. A block that ends by an error leaves nothing, unless
    ``finish`` and ``commit`` were called.

    Args:
        path: Final name; written beside and renamed (``AtomicFile``).
        header: Values of the first keys.

    Attributes:
        is_complete: What the file says at its end; set it before the block ends.
        footer: Values of further keys, known at the end only; they follow the frames.
        num_frames: Frames written.

    Raises:
        DataError: If the file cannot be written or the disk is full.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Remember what to write; nothing is opened yet."""
        self._file = AtomicFile(path)
        self._header = json.dumps({"format": FORMAT, **header})[:-1] + ', "frames": ['
        self.num_frames = 0
        self._num_missing = 0
        self._last_index: int | None = None
        self.is_complete = False
        self.footer: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Open the file."""
        self._file.__enter__()
        return self

    def write(
        self,
        detections: Detections,
        tracks: Tracks,
        motion: FrameMotion,
        capture: Capture | None = None,
    ) -> None:
        """Append one frame.

        Args:
            detections: Of the frame.
            tracks: Of the frame.
            motion: Of the background since the frame appended before.
            capture: When the frame was taken, None where the source is not live.
        """
        entry = {
            "frame_index": detections.frame_index,
            **({} if capture is None else capture.entry()),
            "camera_motion": motion_entry(motion),
            "detections": [
                {"box_xyxy": _rounded(box), "score": round(float(score), 4)}
                for box, score in zip(detections.boxes_xyxy, detections.scores, strict=True)
            ],
            "tracks": track_entries(tracks),
        }
        before = ",\n" if self.num_frames else self._header + "\n"
        num_missing = self._num_missing
        if self._last_index is not None:
            num_missing += detections.frame_index - self._last_index - 1
        ending = _ending({"num_missing": num_missing}, self.num_frames + 1, is_complete=False)
        self._file.write(before + json.dumps(entry), ending=ending)
        # Only now: a write that failed may be tried again.
        self._num_missing, self._last_index = num_missing, detections.frame_index
        self.num_frames += 1

    def finish(self) -> None:
        """Close the list for good, with ``is_complete`` and ``footer`` as they are now."""
        if self.is_complete or self.footer or not self.num_frames:
            missing = {"num_missing": self._num_missing}
            footer = {**self.footer, **missing}
            ending = _ending(footer, self.num_frames, is_complete=self.is_complete)
            try:
                self._file.write("" if self.num_frames else self._header, ending=ending)
            except DataError:
                if not self.num_frames:
                    raise
                if self.is_complete:  # Else what is there ends as it should.
                    # A full disk has room for no footer, but for an ending like the one there.
                    ending = _ending(missing, self.num_frames, is_complete=True)
                    self._file.write("", ending=ending)

    def commit(self, path: Path | None = None) -> None:
        """Give the file its name, or another; call ``finish`` before."""
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
        """Close the list and the file, or drop it after an error."""
        try:
            if error is None:
                self.finish()
                self.commit()
        finally:
            self.discard()


def track_entries(tracks: Tracks) -> list[dict[str, Any]]:
    """Return what files say of the tracks on a frame."""
    return [
        {
            "track_id": int(tracks.track_ids[row]),
            "box_xyxy": _rounded(tracks.boxes_xyxy[row]),
            "score": round(float(tracks.scores[row]), 4),
            "probability": _probability_entry(tracks.probabilities[row]),
            "is_coasted": bool(tracks.detection_indices[row] < 0),
        }
        for row in range(len(tracks))
    ]


def _probability_entry(probability: np.float32) -> float | None:
    return None if np.isnan(probability) else round(float(probability), 4)


def _ending(footer: Mapping[str, Any], num_frames: int, *, is_complete: bool) -> str:
    """Return what closes the list of frames; ``read_extent`` relies on its last two keys."""
    last = {**footer, "num_frames": num_frames, "is_complete": is_complete}
    return "\n], " + json.dumps(last)[1:] + "\n"


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much a track JSON holds.

    Attributes:
        num_frames: Frames that were tracked.
        is_complete: Whether the run came to its end and all input was read.
    """

    num_frames: int
    is_complete: bool


def read_extent(path: Path) -> Extent | None:
    """Read from its last bytes how much a file holds; None if it is no file of ours."""
    try:
        require_regular_file(path)
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            found = _EXTENT.search(file.read(_TAIL))
    except (OSError, DataError):
        return None
    if found is None:
        return None
    return Extent(num_frames=int(found[1]), is_complete=found[2] == b"true")


_MAX_FPS = 1e6


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackFile:
    """A track JSON in memory.

    Attributes:
        name: Stem of the file.
        image_hw: Size of the frames.
        fps: Frames per second, None where unknown.
        confidence: Operating point of the run.
        stream: Video stream that was tracked, counted from 0; None where the source is no video.
        has_video: Whether the run wrote an annotated video beside the file.
        num_frames: Up to the last frame that was read.
        detections: By frame; frames without any are left out.
        tracks: All of them.
        is_coasted: Rows of the tracks without a detection, bool (M,).
        motions: Of the background before each frame that was read, by frame.
        summaries: A row for each track; none in files that have no ``track_summaries``.
    """

    name: str
    image_hw: tuple[int, int]
    fps: float | None
    confidence: float
    stream: int | None
    has_video: bool
    num_frames: int
    detections: Mapping[int, Detections]
    tracks: Tracks
    is_coasted: BoolArray
    motions: Mapping[int, FrameMotion]
    summaries: tuple[TrackRow, ...]

    def chosen(self, track_ids: Collection[int]) -> TrackFile:
        """Return the file with some of its tracks; frames and detections stay."""
        is_chosen = np.isin(self.tracks.track_ids, np.array(sorted(track_ids), np.int64))
        return replace(
            self,
            tracks=self.tracks[is_chosen],
            is_coasted=self.is_coasted[is_chosen],
            summaries=tuple(row for row in self.summaries if row.track_id in track_ids),
        )


def read_track_json(path: Path) -> TrackFile:
    """Read a file of ``TrackJsonWriter``.

    Raises:
        DataError: If it is missing, no JSON, or of another format.
    """
    content = read_json(path, advice="use a JSON of `stdet track`")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: expected a JSON of `stdet track` with format {FORMAT!r}.")
    try:
        return _parse(path.stem, content)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: a frame is malformed ({type(error).__name__}: {reason_of(error)}). Write "
            "the file anew."
        ) from error


def _parse(name: str, content: dict[str, Any]) -> TrackFile:
    """Build the arrays."""
    image_hw = (int(content["image_hw"][0]), int(content["image_hw"][1]))
    fps, confidence = content["fps"], float(content["confidence"])
    if not 1 <= min(image_hw) <= max(image_hw) <= LARGEST_NUMBER or not 0 <= confidence <= 1:
        raise ValueError(f"image_hw {image_hw}, confidence {confidence}")
    if fps is not None and not 0 < fps < _MAX_FPS:
        raise ValueError(f"fps {fps}")
    stream = content.get("stream")
    if stream is not None and (type(stream) is not int or stream < 0):
        raise ValueError(f"stream {shown(stream)}")
    entries = {_frame_index(entry): entry for entry in content["frames"]}
    if len(entries) < len(content["frames"]):
        raise ValueError("a frame_index occurs twice")
    detections = {
        index: Detections.from_unsorted(
            _boxes(entry["detections"]),
            _scores(entry["detections"]),
            frame_index=index,
            image_hw=image_hw,
        )
        for index, entry in sorted(entries.items())
        if entry["detections"]
    }
    rows = [(index, row) for index in sorted(entries) for row in entries[index]["tracks"]]
    tracks = Tracks(
        frame_indices=np.array([index for index, _ in rows], np.int64),
        track_ids=np.array([row["track_id"] for _, row in rows], np.int64),
        boxes_xyxy=_boxes([row for _, row in rows]),
        scores=_scores([row for _, row in rows]),
        probabilities=np.array([_probability(row) for _, row in rows], np.float32),
        class_ids=np.zeros(len(rows), np.int64),
        detection_indices=np.full(len(rows), -1, np.int64),
    )
    return TrackFile(
        name=name,
        image_hw=image_hw,
        fps=fps,
        confidence=confidence,
        stream=stream,
        has_video=content.get("has_video") is True,
        num_frames=max(entries, default=-1) + 1,
        detections=detections,
        tracks=tracks,
        is_coasted=np.array([bool(row.get("is_coasted")) for _, row in rows], np.bool_),
        summaries=tuple(map(parse_summary, content.get("track_summaries", ()))),
        motions={index: _motion(entry) for index, entry in sorted(entries.items())},
    )


def _motion(entry: Mapping[str, Any]) -> FrameMotion:
    """Return the motion that a frame's entry states."""
    stated = entry.get("camera_motion")
    return NOT_REGISTERED if stated is None else parse_motion(stated)


def _boxes(rows: Sequence[Mapping[str, Any]]) -> FloatArray:
    """Return the boxes of some rows, float32 (M, 4)."""
    return coordinates([row["box_xyxy"] for row in rows]).astype(np.float32)


def _scores(rows: Sequence[Mapping[str, Any]]) -> FloatArray:
    """Return the scores of some rows, float32 (M,)."""
    scores = np.array([row["score"] for row in rows], np.float64)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a score is not in [0, 1]")
    return scores.astype(np.float32)


def _probability(row: Mapping[str, Any]) -> float:
    """Return a track's probability of being real, NaN where the file does not say."""
    stated = row.get("probability")
    if stated is None:
        return np.nan
    probability = float(stated)
    if not 0 <= probability <= 1:
        raise ValueError("a probability is not in [0, 1]")
    return probability


def _frame_index(entry: dict[str, Any]) -> int:
    """Return the frame of an entry."""
    index = entry["frame_index"]
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MAX_FRAMES:
        raise ValueError(f"frame_index {shown(index)}; expected 0 to {MAX_FRAMES:,}")
    return index


def _rounded(box: np.ndarray[Any, Any]) -> list[float]:
    """Round to 1/1000 px, far below any detector's accuracy."""
    return [round(float(value), 3) for value in box]
