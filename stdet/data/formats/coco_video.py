"""COCO JSON of video frames, as published for DAUB, ITSDT-15K and IRDST.

``images`` holds ``id``, ``file_name`` (relative to the data root), ``height`` and ``width``;
``annotations`` holds ``id``, ``image_id``, ``category_id`` and ``bbox``; ``categories`` holds
``id``. ``bbox`` is (x, y, width, height) in continuous pixels with a top-left corner, as the COCO
data format defines it, so x2 = x + width without + 1. Labels are kept as floats. Category ids are
numbered from 0 in ascending order. Two optional keys of an annotation are honoured: ``track_id``
(at least 1; either every annotation has one or none has) and ``iscrowd`` (1 counts neither as hit
nor as miss).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stdet.boxes import xywh_to_xyxy
from stdet.data.formats.image_labels import ImageLabels, require_files, usable_boxes
from stdet.data.formats.mot_rows import LARGEST_NUMBER
from stdet.errors import DataError
from stdet.types import UNKNOWN_TRACK_ID, IntArray

_IMAGE_KEYS = {"id": int, "file_name": str, "height": int, "width": int}
_ANNOTATION_KEYS = {"id": int, "image_id": int, "category_id": int, "bbox": list}
_CATEGORY_KEYS = {"id": int}


def read_coco(
    path: Path, root: Path, *, drop_invalid_boxes: bool = False, check_images: bool = True
) -> ImageLabels:
    """Read a COCO file whose images are video frames.

    Args:
        path: JSON file.
        root: Folder that ``file_name`` is relative to.
        drop_invalid_boxes: Leave out boxes that are NaN, empty or outside the frame and log how
            many, instead of raising.
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
    return _keep_usable(labels, annotations, drop_invalid_boxes=drop_invalid_boxes)


def read_coco_unchecked(path: Path, root: Path) -> ImageLabels:
    """Read a COCO file with all its boxes, also those that are NaN, empty or outside the frame.

    For the data check, which reports bad boxes; nothing else may read labels this way.

    Args:
        path: JSON file.
        root: Folder that ``file_name`` is relative to; the images need not exist.

    Raises:
        DataError: If the file is missing or not such a file, or ids repeat or point nowhere.
    """
    return _parse(path, root)[0]


def write_coco(path: Path, labels: ImageLabels, root: Path) -> None:
    """Write a COCO file that ``read_coco`` reads back unchanged.

    Args:
        path: JSON file.
        labels: Images and boxes; class 0 becomes category 1, and so on.
        root: Folder that ``file_name`` will be relative to.
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
    num_classes = int(labels.class_ids.max(initial=0)) + 1
    categories = [{"id": row + 1, "name": f"target{row + 1}"} for row in range(num_classes)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content), encoding="utf-8")


def _parse(path: Path, root: Path) -> tuple[ImageLabels, list[dict[str, Any]]]:
    """Return all images and boxes, and the annotations that the boxes come from, row by row."""
    content = _load_json(path)
    images = _entries(path, content, "images", _IMAGE_KEYS)
    annotations = _entries(path, content, "annotations", _ANNOTATION_KEYS)
    categories = _entries(path, content, "categories", _CATEGORY_KEYS)
    for entry in images:
        if not (0 < entry["height"] <= LARGEST_NUMBER and 0 < entry["width"] <= LARGEST_NUMBER):
            raise DataError(
                f"{path}: image {entry['id']} has height {entry['height']} and width "
                f"{entry['width']}; expected positive pixels. Mend the file."
            )
    image_rows = _number(path, "image id", [entry["id"] for entry in images])
    _number(path, "image file_name", [entry["file_name"] for entry in images])
    _number(path, "annotation id", [entry["id"] for entry in annotations])
    class_ids = _number(path, "category id", sorted(entry["id"] for entry in categories))
    _require_known(path, annotations, "image_id", image_rows)
    _require_known(path, annotations, "category_id", class_ids)
    labels = ImageLabels(
        where=str(path),
        paths=tuple(root / entry["file_name"] for entry in images),
        sizes_hw=_integers((entry["height"], entry["width"]) for entry in images).reshape(-1, 2),
        image_rows=_integers(image_rows[entry["image_id"]] for entry in annotations),
        boxes_xyxy=xywh_to_xyxy(_bboxes(path, annotations)),
        class_ids=_integers(class_ids[entry["category_id"]] for entry in annotations),
        track_ids=_track_ids(path, annotations),
        is_ignored=np.array([entry.get("iscrowd", 0) == 1 for entry in annotations], np.bool_),
    )
    return labels, annotations


def _load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). Check data.root and the name of the "
            "annotation file."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}). Expected a COCO file.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}; expected a COCO object.")
    return content


def _entries(
    path: Path, content: dict[str, Any], section: str, keys: Mapping[str, type]
) -> list[dict[str, Any]]:
    """Return one section after checking that its entries have the keys they need."""
    missing = [name for name in ("images", "annotations", "categories") if name not in content]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}. Expected a COCO file.")
    entries = content[section]
    if not isinstance(entries, list):
        raise DataError(f"{path}: {section} is a {type(entries).__name__}; expected a list.")
    for row, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: {section}[{row}] is {entry!r}; expected an object.")
        lacking = [key for key in keys if key not in entry]
        if lacking:
            raise DataError(f"{path}: {section}[{row}] lacks {', '.join(lacking)}. Add them.")
        for key, kind in keys.items():
            if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
                raise DataError(
                    f"{path}: {section}[{row}] has {key} {entry[key]!r}; expected "
                    f"{kind.__name__}. Mend the file."
                )
    return entries


def _number(path: Path, what: str, values: list[Any]) -> dict[Hashable, int]:
    """Number distinct values in their order, refusing repeats."""
    rows = {value: row for row, value in enumerate(values)}
    if len(rows) < len(values):
        value, count = Counter(values).most_common(1)[0]
        raise DataError(
            f"{path}: {what} {value!r} occurs {count} times; expected once. Mend the file."
        )
    return rows


def _require_known(
    path: Path, annotations: list[dict[str, Any]], key: str, known: dict[Hashable, int]
) -> None:
    """Check that every annotation points to something that the file defines."""
    for entry in annotations:
        if entry[key] not in known:
            raise DataError(
                f"{path}: annotation {entry['id']} has {key} {entry[key]}, which the file does "
                "not define. Mend the file."
            )


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
                f"{path}: annotation {entry['id']} has bbox {bbox!r}; expected four numbers x, y, "
                "width, height. Mend the file."
            )
    return np.array([entry["bbox"] for entry in annotations], np.float64).reshape(-1, 4)


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
        if not isinstance(track_id, int) or isinstance(track_id, bool) or track_id < 1:
            raise DataError(
                f"{path}: annotation {entry['id']} has track_id {track_id!r}; expected an integer "
                "of at least 1. Renumber the tracks."
            )
        if (entry["image_id"], track_id) in seen:
            raise DataError(
                f"{path}: annotation {entry['id']} repeats track_id {track_id} in image "
                f"{entry['image_id']}; expected it once per image. Mend the file."
            )
        seen.add((entry["image_id"], track_id))
    return _integers(entry["track_id"] for entry in with_id)


def _keep_usable(
    labels: ImageLabels, annotations: list[dict[str, Any]], *, drop_invalid_boxes: bool
) -> ImageLabels:
    """Leave out unusable boxes, or raise at the first."""

    def describe(row: int) -> str:
        entry = annotations[row]
        return f"annotation {entry['id']} of image {entry['image_id']} (bbox {entry['bbox']})"

    usable = usable_boxes(
        labels.where,
        labels.boxes_xyxy,
        labels.sizes_hw[labels.image_rows],
        describe=describe,
        drop_invalid_boxes=drop_invalid_boxes,
    )
    return labels.keep_boxes(usable)


def _integers(values: Iterable[Any]) -> IntArray:
    """Return int64 values."""
    return np.array(list(values), np.int64)
