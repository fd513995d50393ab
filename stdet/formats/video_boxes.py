"""A folder of videos with labels.

Two layouts have at most one target per frame, both with (x, y, width, height) in continuous pixels
counted from 0 with a top-left corner, x2 = x + width without + 1, and one entry per frame from the
first frame on:

- JSON, ``{stem: {"boxes_xywh": [[x, y, w, h] or null, ...]}, ...}``, null where the target is
  absent. The video ``<stem>.mp4`` (or another video suffix) lies anywhere below the folder of the
  JSON file.
- A folder of videos, each with a ``<stem>.txt`` beside it of lines ``x,y,w,h``; an empty line or
  ``0,0,0,0`` where the target is absent.

The box of a frame is the same target throughout the video, so its track id is 1. Frames of the
video after the last entry are not part of the sequence: nothing is known about them. An entry is
of a frame index, which follows time: where the video dropped a frame, its index has one, too.

In the third layout the ``<stem>.txt`` holds MOTChallenge truth (``mot.py``): any number of targets
per frame, and all frames of the video are labelled. A file whose first row has seven numbers or
more is one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stdet.boxes import xywh_to_xyxy
from stdet.errors import DataError, printable, shown
from stdet.files.text_file import read_json, read_text_lines
from stdet.formats.image_labels import BadBoxes, ImageLabels, coordinates, keep_usable
from stdet.formats.mot import read_annotation
from stdet.formats.mot_rows import LARGEST_NUMBER, MIN_COLUMNS
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource
from stdet.io.open_source import open_source
from stdet.io.video.source import VideoFile

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})
VIDEO_BOXES_KEY = '"boxes_xywh"'
"""As it is written in every JSON file of boxes."""
_ABSENT = (0.0, 0.0, 0.0, 0.0)

Box = tuple[float, ...]


def read_video_boxes(
    path: Path,
    *,
    bad_boxes: BadBoxes = "refuse",
    max_megapixels: float = MAX_MEGAPIXELS,
    skipped: Collection[str] = (),
) -> list[ImageLabels]:
    """Read the boxes of a folder of videos.

    Args:
        path: JSON file, or folder of videos with a text file beside each.
        bad_boxes: What becomes of boxes that are NaN, empty or outside the frame.
        max_megapixels: Largest area of a frame, 10^6 pixels.
        skipped: Stems of videos to leave out. Neither they nor their boxes are read.

    Returns:
        One per video, with ``video`` set, in the order of the JSON file or of the file names. The
        video may hold more frames than are labelled.

    Raises:
        DataError: If a file is missing, malformed or labels no frame, a video is missing or
            shorter than its labels, or a box is unusable.
    """
    entries = _sidecar_entries(path, skipped) if path.is_dir() else _json_entries(path, skipped)
    found = []
    for video, where, boxes in entries:
        if boxes is not None and not boxes:
            raise DataError(
                f"{where}: labels no frame; expected an entry per frame (of a video without "
                "targets an empty one each), or list the video in excluded_sequences."
            )
        source = open_source(video, max_megapixels=max_megapixels)
        if boxes is None:
            found.append(_label_by_mot(source, Path(where), bad_boxes=bad_boxes))
        else:
            found.append(_label(source, where, boxes, bad_boxes=bad_boxes))
    return found


def video_stems(path: Path) -> list[str]:
    """Return the stems of the videos that ``read_video_boxes`` would read, without reading them.

    Raises:
        DataError: If the JSON file is missing or malformed, or the folder holds no videos.
    """
    if path.is_dir():
        return [video.stem for video in _videos_of(path)]
    return list(_json_content(path))


def labelled_videos(folder: Path) -> list[Path]:
    """Return the videos of a folder if a text file lies beside each, else nothing."""
    videos = _videos(folder.glob("[!.]*"))
    return videos if all(video.with_suffix(".txt").is_file() for video in videos) else []


def _label(
    source: FrameSource, where: str, boxes: list[Box], *, bad_boxes: BadBoxes
) -> ImageLabels:
    """Join a video with its boxes, one per frame."""
    if source.num_declared is not None and len(boxes) > source.num_declared:
        raise DataError(
            f"{where}: has {len(boxes)} entries, but {source.path} has {source.num_declared} "
            "frames; expected at most one entry per frame. Use the labels that belong to this "
            "video."
        )
    _check_time(source, where, len(boxes))
    frames = np.array([index for index, box in enumerate(boxes) if box != _ABSENT], np.int64)
    labels = ImageLabels(
        where=where,
        paths=(source.path,) * len(boxes),
        sizes_hw=np.tile(np.array(source.hw, np.int64), (len(boxes), 1)),
        image_rows=frames,
        boxes_xyxy=xywh_to_xyxy(coordinates([boxes[index] for index in frames])),
        class_ids=np.zeros(len(frames), np.int64),
        track_ids=np.ones(len(frames), np.int64),
        is_ignored=np.zeros(len(frames), np.bool_),
        fps=source.fps,
        video=source,
    )
    return keep_usable(
        labels,
        describe=lambda row: f"frame {frames[row]} (x, y, width, height {boxes[frames[row]]})",
        bad_boxes=bad_boxes,
    )


def _label_by_mot(source: FrameSource, path: Path, *, bad_boxes: BadBoxes) -> ImageLabels:
    """Join a video with the MOT truth of all its frames."""
    truth = read_annotation(
        path, name=path.stem, image_hw=source.hw, num_frames=source.num_declared, fps=source.fps
    )
    labels = ImageLabels(
        where=str(path),
        paths=(source.path,) * truth.num_frames,
        sizes_hw=np.tile(np.array(source.hw, np.int64), (truth.num_frames, 1)),
        image_rows=truth.frame_indices,
        boxes_xyxy=truth.boxes_xyxy,
        class_ids=truth.class_ids,
        track_ids=truth.track_ids,
        is_ignored=truth.is_ignored,
        fps=source.fps,
        video=source,
    )
    return keep_usable(
        labels,
        describe=lambda row: f"frame {truth.frame_indices[row] + 1}, id {truth.track_ids[row]}",
        bad_boxes=bad_boxes,
    )


def _check_time(source: FrameSource, where: str, num_entries: int) -> None:
    """Refuse labels that count the pictures of a video in which frames are missing."""
    if not isinstance(source, VideoFile) or not source.info.num_holes:
        return
    info = source.info
    if num_entries == info.num_pictures:
        raise DataError(
            f"{where}: has {num_entries} entries, one per picture of {source.path}, but those lie "
            f"at {info.num_frames} frame times (the first without one is frame "
            f"{info.first_hole}); expected an entry per frame time. Put null where there is no "
            "picture, or export the video at a constant frame rate."
        )


def _videos_of(folder: Path) -> list[Path]:
    """Return the videos of a folder, sorted; at least one."""
    videos = _videos(folder.iterdir())
    if not videos:
        raise DataError(f"{folder}: holds no videos; expected <name>.mp4 beside <name>.txt.")
    return videos


def _sidecar_entries(
    folder: Path, skipped: Collection[str]
) -> Iterator[tuple[Path, str, list[Box] | None]]:
    """Yield the videos of a folder with the boxes of the text file beside each.

    None stands for a MOT file.
    """
    for video in _videos_of(folder):
        if video.stem in skipped:
            continue
        path = video.with_suffix(".txt")
        lines = read_text_lines(
            path,
            advice="every video of the folder needs a text file of its name with x,y,w,h lines",
        )
        rows = [_numbers(line) for line in lines]
        if len(rows) == 1 and _are_attributes(rows[0]):
            raise DataError(
                f"{path}: holds {len(rows[0])} attributes of the whole video (0 or 1), no boxes; "
                "expected a line x,y,w,h per frame. Put the file of boxes of this name in its "
                "place, move the video out of the folder, or list it in excluded_sequences."
            )
        if _are_of_mot(rows):
            yield video, str(path), None
            continue
        boxes = [_parse(f"{path}:{number}", row) for number, row in enumerate(rows, start=1)]
        yield video, str(path), boxes


def _json_content(path: Path) -> dict[str, Any]:
    """Return the entries of a JSON file by the stems of their videos."""
    content = read_json(path, advice="expected boxes of videos; check data.root and the name")
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}; expected an object of videos.")
    return content


def _json_entries(
    path: Path, skipped: Collection[str]
) -> Iterator[tuple[Path, str, list[Box] | None]]:
    """Yield the videos that a JSON file names with their boxes."""
    content = {stem: entry for stem, entry in _json_content(path).items() if stem not in skipped}
    videos: dict[str, list[Path]] = {}
    for video in _videos(path.parent.rglob("*")):
        videos.setdefault(video.stem, []).append(video)
    missing = [stem for stem in content if stem not in videos]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(content)} videos do not exist below {path.parent}; "
            f"the first is {shown(missing[0])}. Put the videos there."
        )
    for stem, entry in content.items():
        where = f"{path}: {printable(stem)}"
        if len(videos[stem]) > 1:
            raise DataError(
                f"{where} fits {videos[stem][0]} and {videos[stem][1]}; expected one video. "
                "Remove or rename the other."
            )
        rows = entry.get("boxes_xywh") if isinstance(entry, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"{where} lacks boxes_xywh; expected a list, one entry per frame.")
        boxes = [_parse(f"{where} frame {index}", row) for index, row in enumerate(rows)]
        yield videos[stem][0], where, boxes


def _videos(paths: Iterator[Path]) -> list[Path]:
    """Return the videos among some files, sorted."""
    return sorted(path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES)


def _numbers(line: str) -> Any:
    """Return the numbers of a line, ``None`` for an empty one, the text where it is malformed."""
    if not line.strip():
        return None
    try:
        return [float(value) for value in line.split(",")]
    except ValueError:
        return line


def _are_attributes(row: Any) -> bool:
    """Say whether a line holds more flags than a box has numbers.

    Anti-UAV410 has a file of ten per video in ``annos/*/att``, of the name of that of the boxes.
    """
    return isinstance(row, list) and len(row) > 4 and set(row) <= {0.0, 1.0}


def _are_of_mot(rows: list[Any]) -> bool:
    """Say whether the first line that holds something holds a row of a MOT file."""
    first = next((row for row in rows if row is not None), None)
    return isinstance(first, list) and len(first) >= MIN_COLUMNS and not _are_attributes(first)


def _parse(where: str, value: Any) -> Box:
    """Return one box, all zeros where the target is absent."""
    if value is None:
        return _ABSENT
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise DataError(
            f"{where}: box {shown(value)}; expected four numbers x, y, width, height, or nothing "
            "where the target is absent. Mend the entry."
        )
    return tuple(float(v) for v in value)


def _is_number(value: Any) -> bool:
    """Say whether a value is a number that float32 holds, or NaN or infinite."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= LARGEST_NUMBER
    return isinstance(value, float)
