"""A track JSON as the files that other tools read.

| format | file | for |
| --- | --- | --- |
| `mot-zip` | `<stem>.mot.zip`: `gt/gt.txt`, `gt/labels.txt` | CVAT, "MOT 1.1" |
| `coco-vid` | `<stem>.coco_vid.json` | COCO with `videos`, `video_id`, `frame_id`, `track_id` |
| `csv` | `<stem>.csv`, a line per row | spreadsheets, pandas; `stdet track --detections` |
| `summary` | `<stem>.summary.csv`, a line per track | the same |

CVAT takes left and top as continuous pixels from 0, unlike MOTChallenge (``mot.py``); frames count
from 1 in both. Its rows are frame, id, left, top, width, height, 1 (not ignored), class 1, and
visibility: 1, or 0 where the track coasted, which CVAT shows as occluded.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stdet.errors import DataError
from stdet.files.atomic_file import write_whole
from stdet.formats.track_json import TrackFile
from stdet.formats.track_summary import summary_csv

ExportFormat = Literal["mot-zip", "coco-vid", "csv", "summary"]

LABEL = "target"
"""Of every track; the JSON has no classes."""
_DIGITS = 3
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp in archives, the earliest that they know: equal tracks give equal files."""
_CSV_HEADER = (
    "frame",
    "time",
    "track_id",
    "x",
    "y",
    "w",
    "h",
    "score",
    "probability",
    "is_coasted",
)


def export_path(folder: Path, stem: str, form: ExportFormat) -> Path:
    """Return the name of the file of a format."""
    return folder / f"{stem}{_ENDINGS[form]}"


def write_export(path: Path, tracks: TrackFile, form: ExportFormat) -> None:
    """Write tracks in a format; the file appears complete or not at all.

    Args:
        path: Replaced where it exists.
        tracks: From ``read_track_json``.
        form: Which format.

    Raises:
        DataError: If the file cannot be written, or the JSON has no summaries to write.
    """
    write_whole(path, export_bytes(tracks, form))


def export_bytes(tracks: TrackFile, form: ExportFormat) -> bytes:
    """Return the content of the file of a format.

    Raises:
        DataError: If the JSON has no summaries to write.
    """
    return _WRITERS[form](tracks)


def _mot_zip(tracks: TrackFile) -> bytes:
    lines = [
        f"{row['frame'] + 1},{row['track_id']},{row['x']},{row['y']},{row['w']},{row['h']},1,1,"
        f"{int(not row['is_coasted'])}\n"
        for row in _rows(tracks)
    ]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("gt/gt.txt", "".join(lines)), ("gt/labels.txt", f"{LABEL}\n")):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return content.getvalue()


def _coco_vid(tracks: TrackFile) -> bytes:
    height, width = tracks.image_hw
    frames = sorted(tracks.motions)
    image_of = {frame: number for number, frame in enumerate(frames, start=1)}
    annotations = [
        {
            "id": number,
            "image_id": image_of[row["frame"]],
            "video_id": 1,
            "category_id": 1,
            "track_id": row["track_id"],
            "instance_id": row["track_id"],
            "bbox": [row["x"], row["y"], row["w"], row["h"]],
            "area": row["w"] * row["h"],
            "iscrowd": 0,
            "score": row["score"],
        }
        for number, row in enumerate(_rows(tracks), start=1)
    ]
    content = {
        "videos": [{"id": 1, "name": tracks.name, "width": width, "height": height}],
        "images": [
            {
                "id": image_of[frame],
                "video_id": 1,
                "frame_id": frame,
                "file_name": f"{tracks.name}/{frame:06}.png",
                "width": width,
                "height": height,
            }
            for frame in frames
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": LABEL}],
    }
    return json.dumps(content).encode()


def _csv(tracks: TrackFile) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV_HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(tracks))
    return out.getvalue().encode()


def _summary(tracks: TrackFile) -> bytes:
    if len(tracks.tracks) and not tracks.summaries:
        raise DataError(
            f"{tracks.name}.json: has no track_summaries; track the source again with this "
            "version, or leave out the format summary."
        )
    return summary_csv(tracks.summaries).encode()


def _rows(tracks: TrackFile) -> Iterator[dict[str, Any]]:
    """Yield every row of the tracks as plain values; empty text where one is not known."""
    rows = tracks.tracks
    boxes = rows.boxes_xyxy.astype(np.float64)
    values = zip(
        rows.frame_indices.tolist(),
        rows.track_ids.tolist(),
        np.round(boxes, _DIGITS).tolist(),
        rows.scores.tolist(),
        rows.probabilities.tolist(),
        tracks.is_coasted.tolist(),
        strict=True,
    )
    for frame, track_id, (x1, y1, x2, y2), score, probability, is_coasted in values:
        yield {
            "frame": frame,
            "time": "" if tracks.fps is None else round(frame / tracks.fps, 6),
            "track_id": track_id,
            "x": x1,
            "y": y1,
            "w": round(x2 - x1, _DIGITS),
            "h": round(y2 - y1, _DIGITS),
            "score": round(score, 6),
            "probability": "" if np.isnan(probability) else round(probability, 6),
            "is_coasted": int(is_coasted),
        }


_ENDINGS: Mapping[ExportFormat, str] = {
    "mot-zip": ".mot.zip",
    "coco-vid": ".coco_vid.json",
    "csv": ".csv",
    "summary": ".summary.csv",
}
_WRITERS: Mapping[ExportFormat, Callable[[TrackFile], bytes]] = {
    "mot-zip": _mot_zip,
    "coco-vid": _coco_vid,
    "csv": _csv,
    "summary": _summary,
}
