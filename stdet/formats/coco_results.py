"""COCO results: the JSON list in which detectors of any kind hand over what they found.

Each entry holds ``image_id``, ``category_id``, ``bbox`` (x, y, width, height; continuous pixels)
and ``score``, and perhaps ``track_id``. Ids are those of the truth file, which alone says what
images there are: one without an entry is a frame on which nothing was found. Boxes may reach or
lie outside the frame; there they are false alarms like any other.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stdet.boxes import xywh_to_xyxy
from stdet.errors import DataError, shown
from stdet.files.atomic_file import write_whole
from stdet.files.text_file import read_json
from stdet.formats.coco_entries import read_coco_entries
from stdet.formats.mot_rows import LARGEST_NUMBER
from stdet.types import UNKNOWN_TRACK_ID, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class CocoResults:
    """Rows of a results file, in its order.

    Attributes:
        image_rows: int64 (M,), place of each row's image in the truth file.
        boxes_xyxy: float32 (M, 4).
        scores: float32 (M,) in [0, 1].
        class_ids: int64 (M,), counted from 0 as ``read_coco`` counts them.
        track_ids: int64 (M,), at least 1, or ``UNKNOWN_TRACK_ID`` in every row.
    """

    image_rows: IntArray
    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: IntArray
    track_ids: IntArray


def read_coco_results(path: Path, truth: Path) -> CocoResults:
    """Read a results file.

    Args:
        path: JSON list; an empty one says that nothing was found.
        truth: The COCO file that its ids refer to, one that ``read_coco`` accepts.

    Returns:
        The rows.

    Raises:
        DataError: Naming the entry, if the file cannot be read, an image or category is not in
            the truth, a box has no area or is not finite, a score is not in [0, 1], an entry
            occurs twice, or some entries have a ``track_id`` and others none.
    """
    entries = read_result_entries(path)
    coco = read_coco_entries(truth)
    images, classes = coco.image_rows, coco.class_ids
    for number, entry in enumerate(entries):
        _check(f"{path}: entry {number}", entry, images, classes, truth)
    _refuse_repeats(path, entries)
    boxes = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    return CocoResults(
        image_rows=np.array([images[entry["image_id"]] for entry in entries], np.int64),
        boxes_xyxy=xywh_to_xyxy(boxes),
        scores=np.array([entry["score"] for entry in entries], np.float32),
        class_ids=np.array([classes[entry["category_id"]] for entry in entries], np.int64),
        track_ids=np.array(
            [entry.get("track_id", UNKNOWN_TRACK_ID) for entry in entries], np.int64
        ),
    )


def read_result_entries(path: Path) -> list[Any]:
    """Read the list of a results file, whatever its entries are.

    Raises:
        DataError: If the file cannot be read, or is no JSON list.
    """
    entries = read_json(path, advice="expected a list of COCO results")
    if not isinstance(entries, list):
        raise DataError(
            f"{path}: holds a {type(entries).__name__}; expected a list of COCO results."
        )
    return entries


def write_coco_results(path: Path, results: CocoResults) -> None:
    """Write a results file that ``read_coco_results`` reads back unchanged.

    Args:
        path: JSON file; replaced where it exists.
        results: Rows; image row 0 becomes image 1 and class 0 category 1, as ``write_coco`` has
            them.

    Raises:
        DataError: If the file cannot be written.
    """
    # float64, where the difference of two float32 coordinates is exact.
    boxes = results.boxes_xyxy.astype(np.float64)
    entries: list[dict[str, Any]] = [
        {
            "image_id": image_row + 1,
            "category_id": class_id + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image_row, class_id, (x1, y1, x2, y2), score in zip(
            results.image_rows.tolist(),
            results.class_ids.tolist(),
            boxes.tolist(),
            results.scores.tolist(),
            strict=True,
        )
    ]
    for entry, track_id in zip(entries, results.track_ids.tolist(), strict=True):
        if track_id != UNKNOWN_TRACK_ID:
            entry["track_id"] = track_id
    write_whole(path, json.dumps(entries).encode())


def _check(
    where: str,
    entry: Any,
    images: Mapping[Hashable, int],
    classes: Mapping[Hashable, int],
    truth: Path,
) -> None:
    """Refuse one entry that cannot be scored."""
    check_box_and_score(where, entry)
    for key, known in (("image_id", images), ("category_id", classes)):
        value = entry[key]
        if isinstance(value, bool | list | dict) or value not in known:
            raise DataError(
                f"{where} has {key} {shown(value)}, which {truth} does not define; score it "
                "against its own truth."
            )
    track_id = entry.get("track_id", 1)
    if not isinstance(track_id, int) or not _is_finite(track_id) or track_id < 1:
        raise DataError(
            f"{where} has track_id {shown(track_id)}; expected a whole number of at least 1."
        )


def check_box_and_score(where: str, entry: Any) -> None:
    """Refuse one entry that says of no image what was found where.

    Args:
        where: File and number of the entry, for messages.
        entry: Of the list.

    Raises:
        DataError: If it is no object, lacks a key, its box has no area or is not finite, or its
            score is not in [0, 1].
    """
    keys = ("image_id", "category_id", "bbox", "score")
    if not isinstance(entry, dict):
        raise DataError(f"{where} is {shown(entry)}; expected an object with {', '.join(keys)}.")
    lacking = [key for key in keys if key not in entry]
    if lacking:
        raise DataError(f"{where} lacks {', '.join(lacking)}; add them.")
    bbox, score = entry["bbox"], entry["score"]
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_finite, bbox)):
        raise DataError(f"{where} has bbox {shown(bbox)}; expected four finite numbers.")
    if bbox[2] <= 0 or bbox[3] <= 0:
        raise DataError(f"{where} has bbox {shown(bbox)} without area; expected positive sides.")
    if not _is_finite(score) or not 0 <= score <= 1:
        raise DataError(f"{where} has score {shown(score)}; expected 0 to 1. Rescale the scores.")


def _refuse_repeats(path: Path, entries: list[dict[str, Any]]) -> None:
    """Refuse entries or ids that occur twice, and a file where only some entries have an id."""
    with_id = sum("track_id" in entry for entry in entries)
    if 0 < with_id < len(entries):
        raise DataError(
            f"{path}: {with_id} of {len(entries)} entries have a track_id; expected all or none."
        )
    seen: dict[tuple[Any, ...], int] = {}
    for number, entry in enumerate(entries):
        if with_id:
            key: tuple[Any, ...] = (entry["image_id"], entry["track_id"])
        else:
            key = (entry["image_id"], entry["category_id"], *entry["bbox"], entry["score"])
        if key in seen:
            what = f"track_id {entry['track_id']}" if with_id else "the same box and score"
            raise DataError(
                f"{path}: entry {number} repeats {what} of image {shown(entry['image_id'])} from "
                f"entry {seen[key]}; expected it once."
            )
        seen[key] = number


def _is_finite(value: Any) -> bool:
    """Say whether a JSON value is a number that float32 and int64 hold with ease."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= LARGEST_NUMBER
