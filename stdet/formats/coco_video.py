"""COCO JSON of video frames, as published for DAUB, ITSDT-15K and IRDST.

``images`` holds ``id``, ``file_name`` (relative to the data root), ``height`` and ``width``;
``annotations`` holds ``id``, ``image_id``, ``category_id`` and ``bbox``; ``categories`` holds
``id``. ``bbox`` is (x, y, width, height) in continuous pixels with a top-left corner, as the COCO
data format defines it, so x2 = x + width without + 1. Labels are kept as floats. How categories
become classes is said in ``coco_entries.py``, what may state the video and the time of an image in
``coco_stated.py``. Optional keys of an annotation are honoured: ``track_id`` (at least 1; either
every annotation has one or none has), and ``iscrowd`` or ``ignore`` (1, "1" or true count neither
as hit nor as miss).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stdet.boxes import xywh_to_xyxy
from stdet.errors import DataError, shown
from stdet.files.atomic_file import write_whole
from stdet.formats.coco_entries import (
    is_flagged,
    is_whole_number,
    number_distinct,
    read_coco_entries,
)
from stdet.formats.coco_stated import stated_frames, stated_videos
from stdet.formats.image_labels import (
    BadBoxes,
    ImageLabels,
    coordinates,
    image_path,
    keep_usable,
    require_files,
)
from stdet.formats.mot_rows import LARGEST_NUMBER
from stdet.types import UNKNOWN_TRACK_ID, IntArray

_IGNORED = ("iscrowd", "ignore")
"""Flags of boxes that count neither as hit nor as miss."""


def read_coco(
    path: Path, root: Path, *, bad_boxes: BadBoxes = "refuse", check_images: bool = True
) -> ImageLabels:
    """Read a COCO file whose images are video frames.

    Args:
        path: JSON file.
        root: Folder that ``file_name`` is relative to.
        bad_boxes: What becomes of boxes that are NaN, empty or outside the frame.
        check_images: Check that every image exists; false reads labels that come without images.

    Returns:
        All images, those without boxes included.

    Raises:
        DataError: If the file is missing or not such a file, ids repeat or point nowhere, an image
            does not exist, or a box is unusable.
    """
    labels, annotations = _parse(path, root)
    if check_images:
        require_files(str(path), labels.paths)
    return _keep_usable(labels, annotations, bad_boxes=bad_boxes)


def write_coco(path: Path, labels: ImageLabels, root: Path, *, num_classes: int = 1) -> None:
    """Write a COCO file that ``read_coco`` reads back unchanged.

    Args:
        path: JSON file; replaced where it exists.
        labels: Images and boxes; class 0 becomes category 1, and so on.
        root: Folder that ``file_name`` will be relative to.
        num_classes: Categories, where boxes have fewer classes.

    Raises:
        DataError: If the file cannot be written.
    """
    images = [
        {
            "id": row + 1,
            "file_name": Path(os.path.relpath(image, root)).as_posix(),
            "height": int(size[0]),
            "width": int(size[1]),
        }
        for row, (image, size) in enumerate(zip(labels.paths, labels.sizes_hw, strict=True))
    ]
    annotations = []
    # float64, where the difference of two float32 coordinates is exact.
    boxes = labels.boxes_xyxy.astype(np.float64)
    for row, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        annotation: dict[str, Any] = {
            "id": row + 1,
            "image_id": int(labels.image_rows[row]) + 1,
            "category_id": int(labels.class_ids[row]) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": int(labels.is_ignored[row]),
        }
        if labels.track_ids[row] != UNKNOWN_TRACK_ID:
            annotation["track_id"] = int(labels.track_ids[row])
        annotations.append(annotation)
    num_classes = max(num_classes, int(labels.class_ids.max(initial=0)) + 1)
    categories = [{"id": row + 1, "name": f"target{row + 1}"} for row in range(num_classes)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_whole(path, json.dumps(content).encode())


def _parse(path: Path, root: Path) -> tuple[ImageLabels, list[dict[str, Any]]]:
    """Return all images and boxes, and the annotations that the boxes come from, row by row."""
    coco = read_coco_entries(path)
    images, annotations = coco.images, coco.annotations
    paths = [image_path(str(path), entry["file_name"], root) for entry in images]
    number_distinct(path, "image file_name", list(map(str, paths)))
    labels = ImageLabels(
        where=str(path),
        paths=tuple(paths),
        sizes_hw=_integers((entry["height"], entry["width"]) for entry in images).reshape(-1, 2),
        image_rows=_integers(coco.image_rows[entry["image_id"]] for entry in annotations),
        boxes_xyxy=xywh_to_xyxy(_bboxes(path, annotations)),
        class_ids=_integers(coco.class_ids[entry["category_id"]] for entry in annotations),
        track_ids=_track_ids(path, annotations),
        is_ignored=np.array(
            [is_flagged(path, entry, _IGNORED) for entry in annotations], np.bool_
        ),
        videos=stated_videos(coco),
        videos_by="video_id",
        frame_ids=stated_frames(coco),
        unused_categories=coco.unused_categories,
        group_categories=coco.group_categories,
    )
    return labels, annotations


def _bboxes(
    path: Path, annotations: list[dict[str, Any]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the boxes as float64 (M, 4), x, y, width, height."""
    for entry in annotations:
        bbox = entry["bbox"]
        # Infinity and NaN are dealt with later; no array holds whole numbers of any size.
        is_numeric = all(
            isinstance(v, float)
            or (isinstance(v, int) and not isinstance(v, bool) and abs(v) <= LARGEST_NUMBER)
            for v in bbox
        )
        if len(bbox) != 4 or not is_numeric:
            raise DataError(
                f"{path}: annotation {entry['id']} has bbox {shown(bbox)}; expected four numbers "
                "x, y, width, height. Mend the file."
            )
    return coordinates([entry["bbox"] for entry in annotations])


def _track_ids(path: Path, annotations: list[dict[str, Any]]) -> IntArray:
    """Return the identities, or ``UNKNOWN_TRACK_ID`` where the file gives none."""
    with_id = [entry for entry in annotations if "track_id" in entry]
    if not with_id:
        return np.full(len(annotations), UNKNOWN_TRACK_ID, np.int64)
    if len(with_id) < len(annotations):
        raise DataError(
            f"{path}: {len(with_id)} of {len(annotations)} annotations have a track_id; expected "
            "all or none. Mend the file."
        )
    seen: set[tuple[int, int]] = set()
    for entry in with_id:
        track_id = entry["track_id"]
        if not _is_track_id(track_id):
            raise DataError(
                f"{path}: annotation {entry['id']} has track_id {shown(track_id)}; "
                f"expected an integer of at least 1 and at most {LARGEST_NUMBER:.0e}. "
                "Renumber the tracks."
            )
        if (entry["image_id"], track_id) in seen:
            raise DataError(
                f"{path}: annotation {entry['id']} repeats track_id {track_id} in image "
                f"{entry['image_id']}; expected it once per image. Mend the file."
            )
        seen.add((entry["image_id"], track_id))
    return _integers(entry["track_id"] for entry in with_id)


def _is_track_id(value: Any) -> bool:
    return is_whole_number(value) and 1 <= value <= LARGEST_NUMBER


def _keep_usable(
    labels: ImageLabels, annotations: list[dict[str, Any]], *, bad_boxes: BadBoxes
) -> ImageLabels:
    """Leave out unusable boxes, or raise at the first."""

    def describe(row: int) -> str:
        entry = annotations[row]
        return f"annotation {entry['id']} of image {entry['image_id']} (bbox {entry['bbox']})"

    return keep_usable(
        labels,
        describe=describe,
        bad_boxes=bad_boxes,
    )


def _integers(values: Iterable[Any]) -> IntArray:
    """Return int64 values."""
    return np.array(list(values), np.int64)
