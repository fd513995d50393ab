"""Find the label files of a data set.

A path given by the user is

- a label file: ``*.json`` is COCO, ``*.txt`` a text list; image paths are relative to its folder,
  or to the folder above where it lies in one called ``annotations``;
- a folder: the label files are the ``*.json`` and ``*.txt`` directly in it and in its subfolder
  ``annotations``; image paths are relative to the folder. Other files of these suffixes are left
  out, and the user is told: a JSON file without ``"images"`` and ``"annotations"``, a text whose
  first line does not start with the path of an image.

Every label file is a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stdet.errors import DataError
from stdet.files.text_file import read_text
from stdet.formats.coco_video import read_coco_unchecked
from stdet.formats.image_labels import ImageLabels
from stdet.formats.text_list import read_text_list_unchecked, starts_with_image

ANNOTATIONS_FOLDER = "annotations"
_COCO_KEYS = ('"images"', '"annotations"')


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """A COCO file or text list.

    Attributes:
        split: Name that no other label file of the call has: the stem of the file, preceded by
            as many folders as it takes.
        path: The file.
        root: Folder that image paths are relative to.
    """

    split: str
    path: Path
    root: Path

    @property
    def gives_sizes(self) -> bool:
        """Whether the file says how large images are; text lists do not."""
        return self.path.suffix.lower() == ".json"

    def read(self) -> ImageLabels:
        """Read all images and boxes, bad boxes included; no image is opened.

        Raises:
            DataError: If the file is not what its suffix says.
        """
        read = read_coco_unchecked if self.gives_sizes else read_text_list_unchecked
        return read(self.path, self.root)


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
        DataError: If a path does not exist, a file has another suffix or a folder holds no label
            file.
    """
    roots: dict[Path, Path] = {}
    left_out: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            found = _in_folder(place)
            labels = [path for path in found if _is_label_file(path)]
            if not labels:
                raise DataError(
                    f"{place}: holds no label file; expected COCO files (*.json) or text lists "
                    f"(*.txt) in it or in {place / ANNOTATIONS_FOLDER}. Name the label file."
                )
            left_out.update(dict.fromkeys(path for path in found if path not in labels))
            roots.update((path, place) for path in labels if path not in roots)
        else:
            roots.setdefault(_checked(place), _root_of(place))
    unique = {path.resolve(): (path, root) for path, root in reversed(roots.items())}
    chosen = list(reversed(unique.values()))
    names = _split_names([path for path, _ in chosen])
    files = tuple(
        LabelFile(split=name, path=path, root=root)
        for name, (path, root) in zip(names, chosen, strict=True)
    )
    return LabelFiles(files=files, left_out=tuple(left_out))


def _in_folder(folder: Path) -> list[Path]:
    """Return the JSON and text files of a folder and of its annotations."""
    return [
        path
        for place in (folder / ANNOTATIONS_FOLDER, folder)
        for path in sorted(place.glob("[!.]*"))
        if path.suffix.lower() in (".json", ".txt") and path.is_file()
    ]


def _checked(path: Path) -> Path:
    """Refuse a file that cannot be a label file."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; expected a label file or a data set folder.")
    if path.suffix.lower() not in (".json", ".txt"):
        raise DataError(
            f"{path}: is neither a folder nor a label file; expected a COCO file (*.json) or a "
            "text list (*.txt)."
        )
    return path


def _root_of(path: Path) -> Path:
    """Return the folder that the images of a label file are relative to."""
    parent = path.parent if path.parent.name else path.parent.absolute()
    return parent.parent if parent.name == ANNOTATIONS_FOLDER else path.parent


def _is_label_file(path: Path) -> bool:
    """Tell a label file from other JSON and text, such as a README, without parsing it."""
    try:
        text = read_text(path, advice="name the label file")
    except DataError:  # Not text; the caller names what was left out.
        return False
    if path.suffix.lower() == ".json":
        return all(key in text for key in _COCO_KEYS)
    return starts_with_image(next((line for line in text.splitlines() if line.strip()), ""))


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
