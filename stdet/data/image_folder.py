"""Image folders and multi-page TIFFs as frame sources, read with Pillow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from stdet.data.frame_numbers import image_suffix, natural_key, numbered_gaps
from stdet.data.frame_source import (
    IMAGE_SUFFIXES,
    ClosesOnExit,
    Frame,
    Intensity,
    IntensityScale,
    PerProcess,
    RawImage,
    frame_range,
    luma,
    measure_intensity,
)
from stdet.errors import DataError, IncompleteInputError

_UNREADABLE = (OSError, SyntaxError, TypeError, ValueError, EOFError)
"""What Pillow raises for damaged files, depending on the format."""

_NUM_NAMED = 3


def read_image(path: Path) -> RawImage:
    """Read one image as raw grey levels.

    Args:
        path: PNG, BMP, TIFF or JPEG file; of several pages the first is read.

    Returns:
        uint8 or uint16 (H, W).

    Raises:
        DataError: If the file is missing, damaged or not of integer levels.
    """
    try:
        with Image.open(path) as image:
            return _to_grey(image, str(path))
    except _UNREADABLE as error:
        raise _unreadable(str(path), error) from error


class _ImageSource(ClosesOnExit, ABC):
    """What image folders and TIFF stacks share: a known number of images, each read by itself."""

    fps: float | None = None
    gaps: frozenset[int] = frozenset()

    def __init__(self, path: Path, name: str, num_images: int) -> None:
        self.path = path
        self.name = name
        self.num_declared: int = num_images
        self._are_headers_checked = False

    @abstractmethod
    def _label(self, index: int) -> str:
        """Name an image in messages."""

    @abstractmethod
    def _open(self, index: int) -> Image.Image:
        """Return the image, perhaps not decoded yet; raises one of ``_UNREADABLE``."""

    @cached_property
    def _first(self) -> tuple[tuple[int, int], bool, str]:
        """Size, depth and label of the first readable image, which the others must match."""
        for index in range(self.num_declared):
            header = self._header(index)
            if header:
                return (*header, self._label(index))
        raise DataError(
            f"{self.path}: none of {self.num_declared} images can be read; they are damaged or "
            f"not in their suffix's format ({', '.join(IMAGE_SUFFIXES)})."
        )

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self._first[0]

    @property
    def bit_depth(self) -> int:
        """8, or the bits that the sampled maximum needs (10, 12, 14 or 16)."""
        return self._intensity.bit_depth

    @property
    def scale(self) -> IntensityScale:
        """See ``measure_intensity``."""
        return self._intensity.scale

    @cached_property
    def _intensity(self) -> Intensity:
        bits = 16 if self._first[1] else 8
        return measure_intensity(self.read, self.num_declared, container_bits=bits)

    def _header(self, index: int) -> tuple[tuple[int, int], bool] | None:
        """Return (height, width) and "is deeper than 8 bits", ``None`` where unreadable."""
        try:
            image = self._open(index)
            return (image.height, image.width), _is_deep(image)
        except _UNREADABLE:
            return None

    def _check_like_first(self, index: int, hw: tuple[int, ...], is_deep: bool) -> None:
        first_hw, first_is_deep, first_label = self._first
        if (hw, is_deep) != (first_hw, first_is_deep):
            raise DataError(
                f"{self._label(index)}: is {_describe(hw, is_deep)}; expected "
                f"{_describe(first_hw, first_is_deep)} like {first_label}. All frames of a "
                "sequence must have one size and depth; move it elsewhere."
            )

    def _check_headers(self) -> None:
        """Find the image that does not fit before hours of work, not after."""
        if self._are_headers_checked:
            return
        for index in range(self.num_declared):
            header = self._header(index)
            if header:
                self._check_like_first(index, *header)
        self._are_headers_checked = True

    def _decode(self, index: int) -> RawImage:
        """Return raw levels; raises one of ``_UNREADABLE`` where damaged."""
        return _to_grey(self._open(index), self._label(index))

    def read(self, index: int) -> RawImage:
        """Return one raw frame, uint8 or uint16 (H, W).

        Raises:
            DataError: If there is no such image, it is damaged, or it differs in size or depth.
        """
        if not 0 <= index < self.num_declared:
            raise DataError(f"{self.path}: has no frame {index}; it holds {self.num_declared}.")
        try:
            raw = self._decode(index)
        except _UNREADABLE as error:
            raise _unreadable(self._label(index), error) from error
        self._check_like_first(index, raw.shape, raw.dtype == np.uint16)
        return raw

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order; see ``FrameSource.frames``."""
        wanted = frame_range(self.num_declared, start, stop)
        self._check_headers()
        broken = []
        for index in wanted:
            try:
                raw = self._decode(index)
            except _UNREADABLE:
                broken.append(self._label(index))
                continue
            self._check_like_first(index, raw.shape, raw.dtype == np.uint16)
            yield Frame(index=index, pixels=raw)
        if broken:
            named = ", ".join(broken[:_NUM_NAMED])
            more = f" and {len(broken) - _NUM_NAMED} more" if len(broken) > _NUM_NAMED else ""
            raise IncompleteInputError(
                f"{self.path}: read {len(wanted) - len(broken)} of {len(wanted)} frames; cannot "
                f"read {named}{more}. The other frames keep their indices; export the missing "
                "ones again."
            )


class ImageFolder(_ImageSource):
    """PNG, BMP, TIFF or JPEG files in natural order of their names; 8 to 16 bits, grey or RGB.

    Files that start with a dot are left out, as are subfolders and other suffixes. A frame's index
    is its position in the list, damaged files included.
    """

    def __init__(self, path: Path, files: Sequence[Path] | None = None) -> None:
        """List the folder.

        Args:
            path: The folder.
            files: The frames in order where an annotation lists them, ``None`` for all images.

        Raises:
            DataError: If the folder cannot be listed, holds no image, or none can be read.
        """
        self._files = tuple(_list_images(path) if files is None else files)
        if not self._files:
            raise DataError(f"{path}: no frames were listed; expected at least one.")
        super().__init__(path, path.resolve().name, len(self._files))
        if files is None:  # Listed frames follow one another: whoever lists them has cut them.
            self.gaps = frozenset(numbered_gaps([file.name for file in self._files]))
        self._reject_stack()

    def _reject_stack(self) -> None:
        """Refuse multi-page files, of which a folder would silently use the first page only."""
        _ = self._first
        try:
            with self._open(0) as image:
                num_pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        except _UNREADABLE:
            return
        if num_pages > 1:
            raise DataError(
                f"{self._files[0]}: holds {num_pages} pages; pass the file itself, not its folder."
            )

    def _label(self, index: int) -> str:
        return str(self._files[index])

    def _open(self, index: int) -> Image.Image:
        return Image.open(self._files[index])

    def _header(self, index: int) -> tuple[tuple[int, int], bool] | None:
        try:
            with self._open(index) as image:
                return (image.height, image.width), _is_deep(image)
        except _UNREADABLE:
            return None

    def _decode(self, index: int) -> RawImage:
        with self._open(index) as image:
            return _to_grey(image, self._label(index))


class TiffStack(_ImageSource):
    """The pages of one TIFF file as frames."""

    def __init__(self, path: Path) -> None:
        """Count the pages.

        Raises:
            DataError: If the file is no TIFF or holds a single page.
        """
        try:
            with Image.open(path) as image:
                num_pages = _count_pages(image)
        except _UNREADABLE as error:
            raise DataError(
                f"{path}: is no readable TIFF ({_one_line(error)}); export it again."
            ) from error
        if num_pages == 1:
            raise DataError(f"{path}: is a single image; pass its folder, {path.parent}, instead.")
        super().__init__(path, path.stem, num_pages)
        self._image: PerProcess[Image.Image] = PerProcess()
        _ = self._first

    def _label(self, index: int) -> str:
        return f"{self.path} page {index + 1}"

    def _open(self, index: int) -> Image.Image:
        image = self._image.get()
        if image is None:
            image = Image.open(self.path)
            self._image.set(image)
        image.seek(index)
        return image

    def close(self) -> None:
        """Close the file."""
        image = self._image.get()
        if image is not None:
            image.close()
            self._image.set(None)


def _count_pages(image: Image.Image) -> int:
    """Count the pages, one more than can be reached where the file is cut."""
    num_pages = 1
    while True:
        try:
            image.seek(num_pages)
        except EOFError:
            return num_pages
        except _UNREADABLE:
            return num_pages + 1
        num_pages += 1


def _list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}).") from error
    images = [entry for entry in entries if image_suffix(entry.name) and entry.is_file()]
    if not images:
        hint = (
            "pass one of its subfolders"
            if any(entry.is_dir() for entry in entries)
            else ("pass a video file or a folder of frames")
        )
        raise DataError(
            f"{folder}: holds no images; expected files ending in {', '.join(IMAGE_SUFFIXES)}; "
            f"{hint}."
        )
    return sorted(images, key=lambda file: natural_key(file.name))


def _is_deep(image: Image.Image) -> bool:
    """Whether Pillow's mode holds more than 8 bits of grey."""
    return image.mode.startswith("I") or image.mode == "F"


def _to_grey(image: Image.Image, label: str) -> RawImage:
    """Decode to raw grey levels, uint8 or uint16 (H, W)."""
    if image.mode == "F":
        raise DataError(f"{label}: holds floating-point levels; expected 8 to 16-bit integers.")
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > np.iinfo(np.uint16).max:
            raise DataError(
                f"{label}: holds levels {levels.min()} to {levels.max()}; expected 0 to 65535."
            )
        return levels.astype(np.uint16)
    if image.mode in ("1", "L", "LA"):
        return np.array(image.convert("L"), np.uint8)
    return luma(np.asarray(image.convert("RGB")))


def _describe(hw: tuple[int, ...], is_deep: bool) -> str:
    return f"{hw[1]}x{hw[0]} {'16' if is_deep else '8'}-bit"


def _unreadable(label: str, error: BaseException) -> DataError:
    return DataError(f"{label}: cannot be read ({_one_line(error)}); export it again.")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
