"""What a COCO file of videos states of its frames: the video and the time of each image.

CocoVID, as MMTracking and ByteTrack write it: an image holds ``video_id`` and ``frame_id`` (TAO:
``frame_index``), and the file perhaps a list ``videos`` with ``id`` and ``name``. Any of them may
be missing, but then in every image.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import PurePosixPath
from typing import Any

from stdet.errors import DataError, shown
from stdet.formats.coco_entries import CocoEntries, number_distinct

_FRAME_KEYS = ("frame_id", "frame_index")
_LAST_FRAME = 10**19
"""Nanoseconds since 1970 are fewer."""
_SUFFIX = re.compile(r"\.(avi|m4v|mkv|mov|mp4|mpe?g|ts|webm)$", re.IGNORECASE)


def stated_videos(coco: CocoEntries) -> tuple[str, ...]:
    """Return the name of the video of every image, empty where the file states none.

    A video is named as the list ``videos`` says, where all names are there and distinct, without
    the suffix of a video and with ``_`` between folders; else ``video<id>``.

    Raises:
        DataError: If only some images have a ``video_id``, or one is not listed.
    """
    ids = _of_every_image(coco, "video_id")
    if not ids:
        return ()
    for entry, video_id in zip(coco.images, ids, strict=True):
        if not isinstance(video_id, int | str):
            raise DataError(
                f"{coco.path}: image {shown(entry['id'])} has video_id {shown(video_id)}; "
                "expected a number or a name. Mend the file."
            )
    names = {video_id: f"video{video_id}" for video_id in ids}
    if coco.videos:
        names |= _listed_names(coco, names)
    return tuple(names[video_id] for video_id in ids)


def stated_frames(coco: CocoEntries) -> tuple[int, ...]:
    """Return the frame number of every image, empty where the file states none.

    Raises:
        DataError: If only some images have one, or one is not a whole number.
    """
    for key in _FRAME_KEYS:
        values = _of_every_image(coco, key)
        for entry, value in zip(coco.images, values, strict=False):
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LAST_FRAME:
                raise DataError(
                    f"{coco.path}: image {shown(entry['id'])} has {key} {shown(value)}; expected "
                    "a whole number. Mend the file."
                )
        if values:
            return tuple(values)
    return ()


def _of_every_image(coco: CocoEntries, key: str) -> list[Any]:
    """Return the values of an optional key that all images have or none; null counts as none."""
    values = [entry.get(key) for entry in coco.images]
    num_stated = sum(value is not None for value in values)
    if 0 < num_stated < len(values):
        without = coco.images[values.index(None)]
        raise DataError(
            f"{coco.path}: {num_stated} of {len(values)} images have a {key}, "
            f"{shown(without['file_name'])} has none; expected all or none. Add it or remove all."
        )
    return values if num_stated else []


def _listed_names(coco: CocoEntries, known: dict[Hashable, str]) -> dict[Hashable, str]:
    """Return the names that the list of videos gives to ids, none where they would repeat."""
    ids = [entry.get("id") for entry in coco.videos]
    if not all(isinstance(video_id, int | str) for video_id in ids):
        raise DataError(f"{coco.path}: an entry of videos has no id; add it.")
    listed = number_distinct(coco.path, "video id", ids)
    unknown = [video_id for video_id in known if video_id not in listed]
    if unknown:
        raise DataError(
            f"{coco.path}: an image has video_id {shown(unknown[0])}, which the list videos does "
            "not define. Mend the file."
        )
    names: dict[Hashable, str] = {}
    for video_id, entry in zip(ids, coco.videos, strict=True):
        name = entry.get("name", entry.get("file_name"))
        if isinstance(name, str) and name:
            parts = PurePosixPath(_SUFFIX.sub("", name.replace("\\", "/"))).parts
            names[video_id] = "_".join(part for part in parts if part != "/")
    return names if len(set(names.values())) == len(names) == len(ids) else {}
