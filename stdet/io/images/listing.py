"""The images of a folder, in natural order, where they can be the frames of one sequence.

A folder that also holds masks, copies or the same pictures in another format would give them as
frames, and the tracks would jump between both. So a folder is refused, and the odd images named,
where

- two images have the same name but for the suffix (``0001.png``, ``0001.jpg``);
- the name of one is that of another with a mark before or behind it (``0001_mask``, ``0001 (1)``,
  ``0001 - Copy``, ``Copy of 0001``): a mark holds a letter or a bracket, so that time stamps of
  different precision (``12.5``, ``12.51``) have none;
- some names, but not all, hold a word for what is no frame (``mask``, ``gt``, ``copy``, ...);
- a name holds no number, but more than half of the others do: it has no place in their order.

Several sequences in one folder (``seqA_0001``, ``seqB_0001``) are fine; see
``images/frame_numbers.py``.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from stdet.errors import DataError, printable, reason_of
from stdet.files.regular_file import file_mode, require_regular_file
from stdet.io.frame_source import IMAGE_SUFFIXES
from stdet.io.images.frame_numbers import image_suffix, natural_key

_NO_FRAME = frozenset(
    {
        "annotation",
        "annotations",
        "copia",
        "copie",
        "copy",
        "groundtruth",
        "gt",
        "kopie",
        "label",
        "labels",
        "mask",
        "masks",
        "overlay",
        "pred",
        "prediction",
        "predictions",
        "preview",
        "seg",
        "segmentation",
        "thumb",
        "thumbnail",
    }
)
_MARK = re.compile(r"[^0-9A-Za-z]*(?:[A-Za-z][^0-9]*|\()")
_NUM_NAMED = 3


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order.

    Names that start with a dot, subfolders and other suffixes are left out. A link to nothing is
    listed: it is a frame that cannot be read.

    Raises:
        DataError: If the folder cannot be listed, holds no image, something that is no regular
            file under the name of one, or images that are no frames of one sequence.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({reason_of(error)}).") from error
    modes = {entry: file_mode(entry) for entry in entries}
    is_folder = {entry: mode is not None and stat.S_ISDIR(mode) for entry, mode in modes.items()}
    images = [entry for entry in entries if image_suffix(entry.name) and not is_folder[entry]]
    if not images:
        hint = (
            "pass one of its subfolders"
            if any(is_folder.values())
            else "pass a video file or a folder of frames"
        )
        raise DataError(
            f"{folder}: holds no images; expected files ending in {', '.join(IMAGE_SUFFIXES)}; "
            f"{hint}."
        )
    for image in images:
        if modes[image] is not None:
            require_regular_file(image, advice="move it out of the folder of frames")
    images.sort(key=lambda file: natural_key(file.name))
    _reject_mixed(folder, [image.name for image in images])
    return images


def _reject_mixed(folder: Path, names: Sequence[str]) -> None:
    """Refuse images that cannot be frames of one sequence."""
    stems = {name: name[: -len(image_suffix(name))].lower() for name in names}
    for problem, odd in (
        ("the same names as others but for the suffix", _same_stems(stems)),
        ("the names of others with a mark", _marked(stems)),
        ("names of what is no frame", _named_otherwise(stems)),
        ("no number, unlike the others", _unnumbered(stems)),
    ):
        if odd:
            named = ", ".join(printable(name) for name in odd[:_NUM_NAMED])
            more = f" and {len(odd) - _NUM_NAMED} more" if len(odd) > _NUM_NAMED else ""
            raise DataError(
                f"{folder}: {len(odd)} of {len(names)} images have {problem} ({named}{more}); "
                "expected the frames of one sequence. Move them out of the folder."
            )


def _same_stems(stems: dict[str, str]) -> list[str]:
    """Return the names whose stem an earlier one has."""
    first: dict[str, str] = {}
    for name, stem in stems.items():
        first.setdefault(stem, name)
    return [name for name, stem in stems.items() if first[stem] != name]


def _marked(stems: dict[str, str]) -> list[str]:
    """Return the names that are another one with a mark before or behind it."""
    known = set(stems.values())
    return [
        name
        for name, stem in stems.items()
        if any(part in known and _MARK.match(mark) for part, mark in _divisions(stem))
    ]


def _divisions(stem: str) -> Iterable[tuple[str, str]]:
    """Yield every way to divide a stem at a separator: what may be a name, and the mark."""
    for match in re.finditer(r"[^0-9A-Za-z]+", stem):
        yield stem[: match.start()], stem[match.start() :]
        yield stem[match.end() :], stem[: match.end()]


def _named_otherwise(stems: dict[str, str]) -> list[str]:
    """Return the names that hold a word for what is no frame, where not all do."""
    odd = [name for name, stem in stems.items() if _NO_FRAME & set(re.findall(r"[a-z]+", stem))]
    return odd if len(odd) < len(stems) else []


def _unnumbered(stems: dict[str, str]) -> list[str]:
    """Return the names without a digit, where they are fewer than half."""
    odd = [name for name, stem in stems.items() if not re.search(r"[0-9]", stem)]
    return odd if 2 * len(odd) < len(stems) else []
