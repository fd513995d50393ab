"""Find the label files of a data set, and tell their format.

A path given by the user is

- a label file: ``*.json`` is COCO or boxes of videos, ``*.txt`` a text list, ``*.csv`` centroids;
  image paths are relative to its folder, or to the folder above where it lies in one called
  ``annotations``;
- a MOTChallenge sequence folder, or a folder of those;
- a folder of videos with a text file of boxes beside each;
- a folder: the label files are those directly in it and in its subfolder ``annotations``, and its
  subfolders of MOTChallenge sequences; image paths are relative to the folder. Other files of
  these suffixes are left out, and the user is told: a JSON file without ``"images"`` and
  ``"annotations"``, a text whose first line does not start with the path of an image.

Every label file or folder is a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stdet.config import LabelFormat
from stdet.errors import DataError
from stdet.files.text_file import read_text
from stdet.formats.centroid_list import is_centroid_header
from stdet.formats.generated_mark import SUMMARY_NAME
from stdet.formats.image_labels import ImageLabels, ReadOptions
from stdet.formats.mot_folder import find_mot_folders
from stdet.formats.read_labels import read_labels
from stdet.formats.text_list import starts_with_image
from stdet.formats.video_boxes import VIDEO_BOXES_KEY, labelled_videos
from stdet.io.frame_area import MAX_MEGAPIXELS

ANNOTATIONS_FOLDER = "annotations"
_SUFFIXES = (".json", ".txt", ".csv")
_COCO_KEYS = ('"images"', '"annotations"')
_EXPECTED = (
    "COCO files or boxes of videos (*.json), text lists (*.txt), centroids (*.csv), MOTChallenge "
    "folders or videos with *.txt beside them"
)


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """A label file, or a folder that is labelled as a whole.

    Attributes:
        split: Name that no other label file of the call has: the stem of the file, preceded by
            as many folders as it takes.
        path: The file or folder.
        root: Folder that image paths are relative to.
        format: What its content is.
    """

    split: str
    path: Path
    root: Path
    format: LabelFormat

    def read(self, *, max_megapixels: float = MAX_MEGAPIXELS) -> Sequence[ImageLabels]:
        """Read all images and boxes, bad boxes included; images need not exist.

        Args:
            max_megapixels: Largest area of a frame of a video, 10^6 pixels.

        Raises:
            DataError: If the file is malformed, or a video or a folder of centroids is missing.
        """
        options = ReadOptions(bad_boxes="keep", needs_images=False, max_megapixels=max_megapixels)
        return read_labels(self.format, self.path, self.root, options)


@dataclass(frozen=True, kw_only=True)
class LabelFiles:
    """What was found.

    Attributes:
        files: At least one label file.
        left_out: Files of the right suffix that hold something else.
    """

    files: tuple[LabelFile, ...]
    left_out: tuple[Path, ...]


def find_label_files(places: Sequence[Path]) -> LabelFiles:
    """Find the label files that some files and folders name.

    Args:
        places: Label files and folders; what is named twice counts once.

    Raises:
        DataError: If a path does not exist, a file has another suffix or content, or a folder
            holds no label file.
    """
    found: dict[Path, tuple[Path, Path, LabelFormat]] = {}
    left_out: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            labelled, others = _in_folder(place)
            if not labelled:
                raise DataError(
                    f"{place}: holds no label file; expected {_EXPECTED} in it or in "
                    f"{place / ANNOTATIONS_FOLDER}. Name the label file."
                )
            left_out.update(dict.fromkeys(others))
        else:
            labelled = {place: _format_of_named(place)}
        for path, layout in labelled.items():
            root = place if place.is_dir() else _root_of(place)
            found.setdefault(path.resolve(), (path, root, layout))
    chosen = list(found.values())
    names = _split_names([path for path, _, _ in chosen])
    files = tuple(
        LabelFile(split=name, path=path, root=root, format=layout)
        for name, (path, root, layout) in zip(names, chosen, strict=True)
    )
    return LabelFiles(files=files, left_out=tuple(left_out))


def _in_folder(folder: Path) -> tuple[dict[Path, LabelFormat], list[Path]]:
    """Return what is labelled in a folder, with its format, and files that only look like it."""
    labelled: dict[Path, LabelFormat] = {}
    left_out = []
    videos = labelled_videos(folder)
    beside_videos = {video.with_suffix(".txt") for video in videos}
    for place in (folder / ANNOTATIONS_FOLDER, folder):
        for path in sorted(place.glob("[!.]*")):
            is_candidate = path.suffix.lower() in _SUFFIXES and path not in beside_videos
            if not is_candidate or path.name == SUMMARY_NAME or not path.is_file():
                continue
            layout = _format_of(path)
            if layout is None:
                left_out.append(path)
            else:
                labelled[path] = layout
    if videos:
        labelled[folder] = "videos"
    if find_mot_folders(folder):
        labelled[folder] = "mot"
    else:
        parts = sorted(part for part in folder.glob("[!.]*") if part.is_dir())
        labelled.update((part, "mot") for part in parts if find_mot_folders(part))
    return labelled, left_out


def _format_of_named(path: Path) -> LabelFormat:
    """Return the format of a file that the user names; its content is checked by its reader."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; expected a label file or a data set folder.")
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(f"{path}: is neither a folder nor a label file; expected {_EXPECTED}.")
    by_suffix: dict[str, LabelFormat] = {".json": "coco", ".txt": "text", ".csv": "centroids"}
    return _format_of(path) or by_suffix[path.suffix.lower()]


def _format_of(path: Path) -> LabelFormat | None:
    """Tell label files from other JSON and text, such as a README, without parsing them."""
    try:
        text = read_text(path, advice="name the label file")
    except DataError:  # Not text; the caller names what was left out.
        return None
    if path.suffix.lower() == ".json":
        if all(key in text for key in _COCO_KEYS):
            return "coco"
        return "videos" if VIDEO_BOXES_KEY in text else None
    first = next((line for line in text.splitlines() if line.strip()), "")
    if path.suffix.lower() == ".csv":
        return "centroids" if is_centroid_header(first) else None
    return "text" if starts_with_image(first) else None


def _root_of(path: Path) -> Path:
    """Return the folder that the images of a label file are relative to."""
    parent = path.parent if path.parent.name else path.parent.absolute()
    return parent.parent if parent.name == ANNOTATIONS_FOLDER else path.parent


def _split_names(paths: list[Path]) -> list[str]:
    """Return the stem of each path, preceded by the folders that tell it from the others."""
    parts = [(*path.absolute().parent.parts, path.stem) for path in paths]
    names = []
    for row, own in enumerate(parts):
        others = parts[:row] + parts[row + 1 :]
        length = next(
            (k for k in range(1, len(own)) if all(other[-k:] != own[-k:] for other in others)), 0
        )
        names.append("/".join(own[-length:]) if length else paths[row].name)
    return names
