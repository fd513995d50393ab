"""One function that reads labels in every format.

A new format is a module that reads it, a line in ``_READERS``, and its name in
``stdet.config.LabelFormat``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stdet.config import LabelFormat
from stdet.formats.centroid_list import read_centroid_list
from stdet.formats.coco_video import read_coco
from stdet.formats.image_labels import ImageLabels, ReadOptions
from stdet.formats.mot_folder import read_mot_labels
from stdet.formats.text_list import read_text_list
from stdet.formats.video_boxes import read_video_boxes

Reader = Callable[[Path, Path, ReadOptions], Sequence[ImageLabels]]
"""Takes the label file or folder, the folder that image paths are relative to, and options."""

_READERS: dict[LabelFormat, Reader] = {
    "coco": lambda path, root, options: [
        read_coco(path, root, bad_boxes=options.bad_boxes, check_images=options.needs_images)
    ],
    "text": lambda path, root, options: [
        read_text_list(path, root, bad_boxes=options.bad_boxes, check_images=options.needs_images)
    ],
    "videos": lambda path, _, options: read_video_boxes(
        path,
        bad_boxes=options.bad_boxes,
        max_megapixels=options.max_megapixels,
        skipped=options.skipped_videos,
    ),
    "mot": lambda path, _, options: read_mot_labels(path, check_images=options.needs_images),
    "centroids": lambda path, _, options: [read_centroid_list(path, bad_boxes=options.bad_boxes)],
}


def read_labels(
    layout: LabelFormat, path: Path, root: Path, options: ReadOptions | None = None
) -> Sequence[ImageLabels]:
    """Read labels.

    Args:
        layout: Their format.
        path: Label file or folder; what it is depends on the format, see its module.
        root: Folder that image paths of the file are relative to.
        options: How strictly; None for the strictest.

    Returns:
        Images with their boxes: one element per label file, or per video or sequence folder where
        the format has those. ``image_runs.cut_into_runs`` makes sequences of each.

    Raises:
        DataError: If a file is missing or malformed, an image is missing, or a box is unusable.
    """
    return _READERS[layout](path, root, options or ReadOptions())
