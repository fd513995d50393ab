"""MOTChallenge sequence folders: ``gt/gt.txt``, ``seqinfo.ini`` and a folder of images.

``seqinfo.ini`` holds, in a section ``[Sequence]`` and in any case, ``name``, ``imDir``,
``frameRate``, ``seqLength``, ``imWidth``, ``imHeight`` and ``imExt``. Exports of other tools leave
some of it or the file out. What then counts:

- images: in ``imDir``, else in the first of ``img1``, ``img`` and ``images`` that is there;
- length and size: those of the images;
- name: that of the folder.

Where images are there, they must be as many as ``seqLength``.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stdet.errors import DataError, foreign_errors, shown
from stdet.files.text_file import read_text
from stdet.formats.image_labels import ImageLabels, image_path
from stdet.formats.image_labels import image_hw as image_size
from stdet.formats.mot import read_annotation
from stdet.formats.mot_rows import LARGEST_NUMBER
from stdet.io.frame_source import IMAGE_SUFFIXES
from stdet.io.images.frame_numbers import natural_key
from stdet.types import SequenceAnnotation

IMAGE_FOLDERS = ("img1", "img", "images")
"""Where images lie unless ``imDir`` says it."""

_TRUTH = Path("gt") / "gt.txt"
_INFO = "seqinfo.ini"


@dataclass(frozen=True, kw_only=True, eq=False)
class MotFolder:
    """A sequence folder.

    Attributes:
        annotation: The truth.
        image_folder: Where the images are, or should be.
        images: In natural order, one per frame; empty where none is there.
        is_length_known: Whether ``seqLength`` or the images say how long the sequence is; else
            the annotation ends with the last target.
    """

    annotation: SequenceAnnotation
    image_folder: Path
    images: tuple[Path, ...]
    is_length_known: bool


def is_mot_folder(folder: Path) -> bool:
    """Say whether a folder is one sequence."""
    return (folder / "gt").is_dir() or (folder / _INFO).is_file()


def find_mot_folders(path: Path) -> list[Path]:
    """Return a folder that is one sequence, or else those in it, sorted."""
    if is_mot_folder(path):
        return [path]
    return sorted(folder for folder in path.glob("[!.]*") if is_mot_folder(folder))


def read_mot_folder(folder: Path, *, image_hw: tuple[int, int] | None = None) -> MotFolder:
    """Read a MOTChallenge sequence folder.

    Args:
        folder: The sequence folder.
        image_hw: Height and width of the frames, pixels, where neither ``seqinfo.ini`` nor an
            image says it.

    Raises:
        DataError: If a file is missing, a value or row in it is wrong, the images are not as many
            as ``seqLength``, or their size is not known.
    """
    path = folder / _INFO
    info = _read_info(path)
    image_folder = _image_folder(path, info)
    images = _list_images(image_folder, info.get("imext", ""))
    length = _number(path, info, "seqLength")
    num_frames = int(length) if length is not None else len(images) or None
    if images and len(images) != num_frames:
        raise DataError(
            f"{image_folder}: holds {len(images)} images; {path.name} says seqLength "
            f"{num_frames}. Correct seqLength, imDir or imExt, or complete the folder."
        )
    return MotFolder(
        annotation=read_annotation(
            folder / _TRUTH,
            name=info.get("name") or folder.resolve().name,
            image_hw=_size(path, info, images) or _given(path, image_folder, image_hw),
            num_frames=num_frames,
            fps=_number(path, info, "frameRate"),
        ),
        image_folder=image_folder,
        images=images,
        is_length_known=num_frames is not None,
    )


def read_mot_labels(path: Path, *, check_images: bool = True) -> list[ImageLabels]:
    """Read a MOTChallenge sequence folder, or all those in a folder.

    Args:
        path: Folder of a sequence, or of sequences.
        check_images: Check that there is an image for each frame. False reads labels that come
            without images, and then names those that would be there.

    Returns:
        One per sequence, each named by its folder.

    Raises:
        DataError: As ``read_mot_folder``, or if a folder holds no images.
    """
    return [_labels_of(folder, check_images=check_images) for folder in find_mot_folders(path)]


def _labels_of(folder: Path, *, check_images: bool) -> ImageLabels:
    """Return the images of a sequence folder with their boxes."""
    found = read_mot_folder(folder)
    annotation, images = found.annotation, found.images
    if not images:
        if check_images:
            raise DataError(
                f"{found.image_folder}: holds no images; expected one for each of "
                f"{annotation.num_frames} frames. Complete the folder, or name another as imDir "
                "in seqinfo.ini."
            )
        names = [f"{number:06d}.jpg" for number in range(1, annotation.num_frames + 1)]
        images = tuple(found.image_folder / name for name in names)
    return ImageLabels(
        where=str(folder),
        paths=images,
        sizes_hw=np.tile(np.array(annotation.image_hw, np.int64), (len(images), 1)),
        image_rows=annotation.frame_indices,
        boxes_xyxy=annotation.boxes_xyxy,
        class_ids=annotation.class_ids,
        track_ids=annotation.track_ids,
        is_ignored=annotation.is_ignored,
        videos=(folder.resolve().name,) * len(images),
        fps=annotation.fps,
    )


def _read_info(path: Path) -> Mapping[str, str]:
    """Return the values of ``seqinfo.ini`` by lower-case key; nothing where it is missing."""
    if not path.exists():
        return {}
    text = read_text(path, advice="expected the seqinfo.ini of a MOTChallenge folder")
    parser = configparser.ConfigParser(interpolation=None)
    with foreign_errors(path, advice="mend the file", problem="is not an ini file"):
        parser.read_string(text)
    sections = [name for name in parser.sections() if name.lower() == "sequence"]
    if len(sections) != 1:
        raise DataError(f"{path}: has {len(sections)} sections [Sequence]; expected one.")
    return dict(parser[sections[0]])


def _image_folder(path: Path, info: Mapping[str, str]) -> Path:
    """Return where the images are."""
    folder = path.parent
    if info.get("imdir"):
        return image_path(str(path), info["imdir"], folder)
    there = [folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()]
    return there[0] if there else folder / IMAGE_FOLDERS[0]


def _list_images(folder: Path, suffix: str) -> tuple[Path, ...]:
    """Return the images of a folder in natural order, those of the stated suffix if there are."""
    if not folder.is_dir():
        return ()
    images = [image for image in folder.glob("[!.]*") if image.suffix.lower() in IMAGE_SUFFIXES]
    chosen = [image for image in images if image.suffix.lower() == suffix.lower()]
    return tuple(sorted(chosen or images, key=lambda image: natural_key(image.name)))


def _size(path: Path, info: Mapping[str, str], images: tuple[Path, ...]) -> tuple[int, int] | None:
    """Return height and width as the file states them, else of the first image, else None."""
    stated = [_number(path, info, key) for key in ("imHeight", "imWidth")]
    if stated[0] is not None and stated[1] is not None:
        return int(stated[0]), int(stated[1])
    return image_size(images[0]) if images else None


def _given(path: Path, image_folder: Path, image_hw: tuple[int, int] | None) -> tuple[int, int]:
    """Return the size that the user gives, where no file does."""
    if image_hw is None:
        raise DataError(
            f"{path}: does not say imWidth and imHeight, and {image_folder} holds no images; add "
            "one of them, or pass --size HxW to `stdet evaluate`."
        )
    return image_hw


def _number(path: Path, info: Mapping[str, str], key: str) -> float | None:
    """Return a positive number, a whole one unless it is the frame rate; None where missing."""
    text = info.get(key.lower())
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= LARGEST_NUMBER or (key != "frameRate" and not value.is_integer()):
        kind = "a positive number" if key == "frameRate" else "a positive whole number"
        raise DataError(f"{path}: {key} is {shown(text)}; expected {kind}.")
    return value
