"""TIFF files of many pictures as frame sources: pages, or pictures behind one directory.

ImageJ (above 4 GB) and tifffile (``truncate=True``) write the directory of the first picture alone
and the pictures one behind the other; the description says how many there are.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS, check_area
from stdet.io.frame_source import PerProcess, RawImage, WideImage
from stdet.io.images.errors import UnreadableImageError, unreadable
from stdet.io.images.reader import (
    ImageHeader,
    load_header,
    open_image,
    read_header,
    read_levels,
    upright,
)
from stdet.io.images.source import ImageSource
from stdet.io.images.tiff_pages import count_pages

_DESCRIPTION, _COMPRESSION, _CHANNELS = 270, 259, 277
_OFFSETS, _LENGTHS = 273, 279
_BITS, _SAMPLE_FORMAT, _PHOTOMETRIC, _ORIENTATION = 258, 339, 262, 274
_STORED_TYPES = {
    (8, 1): "u1",
    (16, 1): "u2",
    (16, 2): "i2",
    (32, 1): "u4",
    (32, 2): "i4",
    (32, 3): "f4",
}
"""By bits and sample format (1 without sign, 2 with sign, 3 floating-point)."""
_READ_AS = {"i2": np.int32}


def open_tiff(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> ImageSource:
    """Open a TIFF file of several pictures.

    Raises:
        DataError: If the file is no readable TIFF or holds a single picture.
    """
    with open_image(path, formats=("TIFF",), max_megapixels=max_megapixels) as image:
        pages = count_pages(path)
        behind = pictures_behind(image, path) if pages.num == 1 else None
    if behind is not None:
        return _ContiguousStack(path, behind)
    if pages.num == 1 and not pages.is_broken:
        raise DataError(f"{path}: is a single image; pass its folder, {path.parent}, instead.")
    return TiffStack(path, pages.num + pages.is_broken, max_megapixels=max_megapixels)


def num_pictures(image: ImageFile, path: Path) -> int:
    """Return how many pictures an opened image file holds that can be reached.

    Raises:
        UnreadableImageError: If its pictures lie behind one directory in a form that is not read.
    """
    if not isinstance(image, TiffImageFile):
        return int(getattr(image, "n_frames", 1)) if image.format == "PNG" else 1
    pages = count_pages(path)
    behind = pictures_behind(image, path) if pages.num == 1 else None
    return pages.num if behind is None else behind.num


class TiffStack(ImageSource):
    """The pages of one TIFF file as frames.

    Args:
        path: The file.
        num_pages: One more than can be reached where the file is cut.
        max_megapixels: Largest area of a frame, 10^6 pixels.
    """

    def __init__(self, path: Path, num_pages: int, *, max_megapixels: float) -> None:
        """Open the file."""
        super().__init__(path, path.stem, num_pages)
        self._max_megapixels = max_megapixels
        self._image: PerProcess[ImageFile] = PerProcess()
        _ = self._first

    def _label(self, index: int) -> str:
        return f"{self.path} page {index + 1}"

    def _page(self, index: int) -> ImageFile:
        """Return the file, open at a page."""
        image = self._image.get()
        if image is None:
            image = load_header(self.path, formats=("TIFF",), max_megapixels=self._max_megapixels)
            self._image.set(image)
        label = self._label(index)
        with unreadable(label):
            image.seek(index)
        check_area((image.height, image.width), label, max_megapixels=self._max_megapixels)
        return image

    def _header(self, index: int) -> ImageHeader:
        return read_header(self._page(index), self._label(index))

    def _levels(self, index: int) -> RawImage | WideImage:
        image = self._page(index)
        levels = read_levels(image, self._label(index))
        if not getattr(image, "is_animated", False):  # Pillow has closed the file.
            self.close()
        return levels

    def close(self) -> None:
        """Close the file."""
        image = self._image.get()
        if image is not None:
            image.close()
            self._image.set(None)


@dataclass(frozen=True, kw_only=True)
class PicturesBehind:
    """Pictures one behind the other, of which the file describes the first.

    Attributes:
        num: As the description says.
        num_whole: Of them the file holds so many.
        hw: Stored height and width.
        stored: Type of a level, byte order included.
        offset: Byte where the first picture begins.
        orientation: 1 to 8.
        is_inverted: White is zero.
    """

    num: int
    num_whole: int
    hw: tuple[int, int]
    stored: str
    offset: int
    orientation: int
    is_inverted: bool


class _ContiguousStack(ImageSource):
    """Pictures behind one directory as frames.

    Args:
        path: The file.
        pictures: What its first directory says.
    """

    def __init__(self, path: Path, pictures: PicturesBehind) -> None:
        """Keep the arguments; nothing is read yet."""
        is_cut = pictures.num_whole < pictures.num
        super().__init__(path, path.stem, min(pictures.num, pictures.num_whole + is_cut))
        self._pictures = pictures
        _ = self._first

    def _label(self, index: int) -> str:
        first, last = index + 1, self._pictures.num
        is_cut = index >= self._pictures.num_whole and first < last
        return (
            f"{self.path} pictures {first} to {last}" if is_cut else f"{self.path} picture {first}"
        )

    def _header(self, index: int) -> ImageHeader:
        if index >= self._pictures.num_whole:
            raise UnreadableImageError(f"{self._label(index)}: cut off; copy the file again.")
        hw = upright(np.empty(self._pictures.hw, np.bool_), self._pictures.orientation).shape
        bits = 8 * _read_as(self._pictures.stored).itemsize
        return ImageHeader(hw=(hw[0], hw[1]), depth=8 if bits == 8 else 16 if bits == 16 else 32)

    def _levels(self, index: int) -> RawImage | WideImage:
        self._header(index)
        pictures = self._pictures
        count = math.prod(pictures.hw)
        stored = np.dtype(pictures.stored)
        with unreadable(self._label(index)):
            levels = np.fromfile(
                self.path, stored, count, offset=pictures.offset + index * count * stored.itemsize
            ).reshape(pictures.hw)
        levels = levels.astype(_read_as(pictures.stored))
        if pictures.is_inverted:
            levels = np.iinfo(levels.dtype).max - levels
        return upright(levels, pictures.orientation)


def pictures_behind(image: ImageFile, path: Path) -> PicturesBehind | None:
    """Find pictures that lie behind the only directory of a TIFF file.

    Args:
        image: The file, opened.
        path: Of the file.

    Returns:
        None where the description names a single picture, or none.

    Raises:
        UnreadableImageError: If they are not stored as plain grey levels one behind the other.
    """
    assert isinstance(image, TiffImageFile)
    tags: Any = image.tag_v2
    num, is_plain = _described(str(tags.get(_DESCRIPTION, "")), (image.height, image.width))
    if num <= 1:
        return None
    with unreadable(path):
        size = path.stat().st_size
        kind = (_only(tags.get(_BITS, 1)), _only(tags.get(_SAMPLE_FORMAT, 1)))
        offsets, lengths = tags.get(_OFFSETS, ()), tags.get(_LENGTHS, ())
        ends = [start + length for start, length in zip(offsets, lengths, strict=True)]
        is_plain &= tags.get(_COMPRESSION, 1) == 1 and tags.get(_CHANNELS, 1) == 1
        is_plain &= bool(offsets) and list(offsets[1:]) == ends[:-1] and kind in _STORED_TYPES
        orientation = int(tags.get(_ORIENTATION, 1))
    if not is_plain:
        raise UnreadableImageError(
            f"{path}: holds {num} pictures behind one directory, in several channels, colour or "
            "compressed, which is not read; save it as an image sequence (ImageJ: File > Save As "
            "> Image Sequence)."
        )
    order = "<" if image.tag_v2.prefix == b"II" else ">"
    stored = order + _STORED_TYPES[kind]
    hw = (image.height, image.width) if orientation < 5 else (image.width, image.height)
    room = (size - int(offsets[0])) // (math.prod(hw) * np.dtype(stored).itemsize)
    return PicturesBehind(
        num=num,
        num_whole=max(min(num, room), 0),
        hw=hw,
        stored=stored,
        offset=int(offsets[0]),
        orientation=orientation,
        is_inverted=tags.get(_PHOTOMETRIC, 1) == 0 and kind[1] == 1,
    )


def _described(text: str, hw: tuple[int, int]) -> tuple[int, bool]:
    """Return how many pictures a description names, and whether each is of one channel."""
    if text.startswith("ImageJ="):
        values = dict(re.findall(r"^(images|channels)=([0-9]{1,15})\s*$", text, re.MULTILINE))
        return int(values.get("images", 1)), int(values.get("channels", 1)) <= 1
    shape = re.match(r'\{"shape": \[([0-9, ]{1,99})\]', text)
    if not shape:
        return 1, True
    sides = json.loads(f"[{shape.group(1)}]") if shape.group(1)[-1].isdigit() else []
    if tuple(sides[-2:]) == hw:
        return math.prod(sides[:-2]), True
    is_colour = tuple(sides[-3:-1]) == hw
    return (math.prod(sides[:-3]) if is_colour else 1), not is_colour


def _only(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def _read_as(stored: str) -> np.dtype[Any]:
    """Return the type, in native byte order, that levels of a stored type are read as."""
    return np.dtype(_READ_AS.get(stored[1:], stored[1:]))
