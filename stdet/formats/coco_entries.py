"""The entries of a COCO file, checked: what every reader of one relies on.

Categories are numbered from 0 in ascending order of their ids. One that only names a group of
others (it is the ``supercategory`` of another) and that no box uses is no class: Roboflow writes
such a category 0 into every export, where a detector of one class would have to know two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from stdet.errors import DataError, shown
from stdet.files.text_file import read_json
from stdet.formats.mot_rows import LARGEST_NUMBER

_IMAGE_KEYS = {"id": int, "file_name": str, "height": int, "width": int}
_ANNOTATION_KEYS = {"id": int, "image_id": int, "category_id": int, "bbox": list}
_CATEGORY_KEYS = {"id": int}

_FLAGS: Mapping[Hashable, bool] = {
    0: False,
    1: True,  # Also true and 1.0, which equal it.
    "0": False,
    "1": True,
    "false": False,
    "true": True,
    None: False,
}
"""What tools write where COCO has 0 and 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CocoEntries:
    """A COCO file in memory.

    Attributes:
        path: The file.
        images: With ``id``, ``file_name``, ``height`` and ``width``.
        annotations: With ``id``, ``image_id``, ``category_id`` and ``bbox``, a list.
        videos: With ``id``; empty where the file lists none.
        image_rows: Place of each image id in ``images``.
        class_ids: Class of each category id, from 0.
        unused_categories: Names of classes that no box uses, though a later class is used.
        group_categories: Names of the categories that are no classes.
    """

    path: Path
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    videos: list[dict[str, Any]]
    image_rows: Mapping[Hashable, int]
    class_ids: Mapping[Hashable, int]
    unused_categories: tuple[str, ...]
    group_categories: tuple[str, ...]


def read_coco_entries(path: Path) -> CocoEntries:
    """Read and check the entries of a COCO file; boxes may be of any kind.

    Raises:
        DataError: If the file is missing or not such a file, or ids repeat or point nowhere.
    """
    content = read_json(
        path, advice="expected a COCO file; check data.root and the name of the annotation file"
    )
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}; expected a COCO object.")
    missing = [name for name in ("images", "annotations", "categories") if name not in content]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}. Expected a COCO file.")
    images = _entries(path, content, "images", _IMAGE_KEYS)
    annotations = _entries(path, content, "annotations", _ANNOTATION_KEYS)
    categories = _entries(path, content, "categories", _CATEGORY_KEYS)
    for entry in images:
        if not (0 < entry["height"] <= LARGEST_NUMBER and 0 < entry["width"] <= LARGEST_NUMBER):
            raise DataError(
                f"{path}: image {shown(entry['id'])} has height {shown(entry['height'])} and "
                f"width {shown(entry['width'])}; expected positive pixels. Mend the file."
            )
    image_rows = number_distinct(path, "image id", [entry["id"] for entry in images])
    number_distinct(path, "annotation id", [entry["id"] for entry in annotations])
    number_distinct(path, "category id", [entry["id"] for entry in categories])
    _require_known(path, annotations, "image_id", image_rows)
    _require_known(path, annotations, "category_id", {entry["id"]: 0 for entry in categories})
    used = {entry["category_id"] for entry in annotations}
    groups = [entry for entry in categories if _is_group(entry, categories, used)]
    classes = [entry for entry in categories if entry not in groups]
    classes.sort(key=lambda entry: int(entry["id"]))
    last_used = max(used, default=0)
    return CocoEntries(
        path=path,
        images=images,
        annotations=annotations,
        videos=_entries(path, content, "videos", {}) if "videos" in content else [],
        image_rows=image_rows,
        class_ids={entry["id"]: row for row, entry in enumerate(classes)},
        unused_categories=tuple(
            _category_name(entry)
            for entry in classes
            if entry["id"] not in used and entry["id"] < last_used
        ),
        group_categories=tuple(map(_category_name, groups)),
    )


def is_flagged(path: Path, entry: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    """Say whether one of some optional flags of an annotation is set.

    Args:
        path: The file, for the message.
        entry: The annotation.
        keys: Names of flags of one meaning.

    Raises:
        DataError: If a flag is neither 0 or 1 nor another way to write them.
    """
    is_set = False
    for key in keys:
        value = entry.get(key, 0)
        word = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(word, Hashable) or word not in _FLAGS:
            raise DataError(
                f"{path}: annotation {shown(entry['id'])} has {key} {shown(value)}; expected 0 or "
                "1. Mend the file."
            )
        is_set |= _FLAGS[word]
    return is_set


def is_whole_number(value: object) -> TypeGuard[int]:
    """Say whether JSON holds a whole number here; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def number_distinct(path: Path, what: str, values: list[Any]) -> dict[Hashable, int]:
    """Number distinct values in their order, refusing repeats.

    Raises:
        DataError: Naming the value that occurs most often.
    """
    rows = {value: row for row, value in enumerate(values)}
    if len(rows) < len(values):
        value, count = Counter(values).most_common(1)[0]
        raise DataError(
            f"{path}: {what} {shown(value)} occurs {count} times; expected once. Mend the file."
        )
    return rows


def _entries(
    path: Path, content: dict[str, Any], section: str, keys: Mapping[str, type]
) -> list[dict[str, Any]]:
    """Return one section after checking that its entries have the keys they need."""
    entries = content[section]
    if not isinstance(entries, list):
        raise DataError(f"{path}: {section} is a {type(entries).__name__}; expected a list.")
    for row, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: {section}[{row}] is {shown(entry)}; expected an object.")
        lacking = [key for key in keys if key not in entry]
        if lacking:
            raise DataError(f"{path}: {section}[{row}] lacks {', '.join(lacking)}. Add them.")
        for key, kind in keys.items():
            if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
                raise DataError(
                    f"{path}: {section}[{row}] has {key} {shown(entry[key])}; expected "
                    f"{kind.__name__}. Mend the file."
                )
    return entries


def _require_known(
    path: Path, annotations: list[dict[str, Any]], key: str, known: Mapping[Hashable, int]
) -> None:
    """Check that every annotation points to something that the file defines."""
    for entry in annotations:
        if entry[key] not in known:
            raise DataError(
                f"{path}: annotation {shown(entry['id'])} has {key} {shown(entry[key])}, which "
                "the file does not define. Mend the file."
            )


def _category_name(category: dict[str, Any]) -> str:
    return f"{shown(category['id'])} ({shown(category.get('name', ''))})"


def _is_group(
    category: dict[str, Any], categories: list[dict[str, Any]], used: set[Hashable]
) -> bool:
    """Say whether a category only names a group of others."""
    name = category.get("name")
    return (
        category["id"] not in used
        and isinstance(name, str)
        and any(
            other.get("supercategory") == name for other in categories if other is not category
        )
    )
