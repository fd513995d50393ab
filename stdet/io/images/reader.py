"""Open image files and read their grey levels: the one place that does.

The content decides the format, not the suffix: PNG, BMP, TIFF and JPEG are tried by their first
bytes, and no other decoder of Pillow is ever reached (it would run Ghostscript for an EPS file
named ``0.png``). What is no regular file is refused before it is opened, and a frame that is too
large before it is decoded.

What becomes of the levels:

    stored as                                   read as
    1-bit                                       uint8, 0 and 255
    grey, colour or palette, up to 8 bits       uint8, colour by ``luma``
    grey, 10 to 16 bits without sign            uint16
    colour or grey with alpha, 16 bits          uint16, colour by ``luma16``
    16 bits with sign, 32 bits, float32         int32, uint32 or float32 ("wide")
    12-bit JPEG, float64, 16-bit TIFF + alpha   refused, the file named

Alpha says nothing about heat and is left out. 16-bit TIFF whose photometric interpretation is
"white is zero" is inverted, as Pillow does for 8 bits. EXIF and TIFF orientation is applied, as
the rotation of a video is: sizes and labels are those of the upright picture. (In PNG, where it
stands before the pixels, as it does in practice.)
"""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from stdet.errors import DataError, printable
from stdet.files.regular_file import require_regular_file
from stdet.io.frame_area import MAX_MEGAPIXELS, check_area
from stdet.io.frame_source import RawImage, WideImage, luma, luma16
from stdet.io.images.errors import ADVICE, UnreadableImageError, unreadable
from stdet.io.images.tiff_pages import directories

ImageFormat = Literal["PNG", "BMP", "TIFF", "JPEG"]
Depth = Literal[8, 16, 32]

_SIGNATURES: dict[bytes, tuple[ImageFormat, type[ImageFile]]] = {
    b"\x89PNG\r\n\x1a\n": ("PNG", PngImageFile),
    b"\xff\xd8\xff": ("JPEG", JpegImageFile),
    b"BM": ("BMP", BmpImageFile),
    b"II*\0": ("TIFF", TiffImageFile),
    b"MM\0*": ("TIFF", TiffImageFile),
    b"II+\0": ("TIFF", TiffImageFile),  # BigTIFF.
    b"MM\0+": ("TIFF", TiffImageFile),
}
FORMATS: tuple[ImageFormat, ...] = ("PNG", "BMP", "TIFF", "JPEG")
_LONGEST_SIGNATURE = 8

_ORIENTATION, _BITS, _SAMPLE_FORMAT, _PHOTOMETRIC = 274, 258, 339, 262
_TURNS = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}
"""Quarter turns against the clock by orientation, made after the mirroring."""
_MIRRORED = (2, 4, 5, 7)


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What the header of an image says.

    Attributes:
        hw: Height and width of the upright picture.
        depth: 8, 16, or 32 for wide levels.
    """

    hw: tuple[int, int]
    depth: Depth


@contextlib.contextmanager
def open_image(
    path: Path,
    *,
    formats: tuple[ImageFormat, ...] = FORMATS,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[ImageFile]:
    """Open an image file; its header is read, its pixels are not.

    Args:
        path: The file.
        formats: Those that are accepted.
        max_megapixels: The largest area allowed, 10^6 pixels.

    Yields:
        Pillow's image, closed at the end of the block.

    Raises:
        UnreadableImageError: If it is damaged or not in one of the formats.
        DataError: If it is no regular file or its frame too large.
    """
    image = load_header(path, formats=formats, max_megapixels=max_megapixels)
    try:
        yield image
    finally:
        image.close()


def load_header(
    path: Path,
    *,
    formats: tuple[ImageFormat, ...] = FORMATS,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> ImageFile:
    """Return what ``open_image`` yields, for the caller to close."""
    require_regular_file(path, kind=UnreadableImageError)
    with unreadable(path), path.open("rb") as file:
        start = file.read(_LONGEST_SIGNATURE)
    found = next((kind for mark, kind in _SIGNATURES.items() if start.startswith(mark)), None)
    if found is None or found[0] not in formats:
        begin = f"it begins with {printable(start)}" if start else "it is empty"
        raise UnreadableImageError(
            f"{path}: cannot be read as {', '.join(formats)} ({begin}); export it again."
        )
    with unreadable(path):
        image = found[1](path)
    image.filename = ""  # Pillow 13 maps turned TIFF pictures into memory at the wrong size.
    try:
        check_area((image.height, image.width), path, max_megapixels=max_megapixels)
    except DataError:
        image.close()
        raise
    return image


def read_header(image: ImageFile, label: object) -> ImageHeader:
    """Say what an opened image holds, without decoding it.

    Raises:
        UnreadableImageError: If its orientation cannot be read.
    """
    height, width = image.height, image.width
    if _turns_pending(image, label) in (1, 3):
        height, width = width, height
    depth: Depth = 8
    if image.mode == "F" or image.mode == "I":
        depth = 32
    elif image.mode.startswith("I;16") or _is_deep_colour(image):
        depth = 16
    return ImageHeader(hw=(height, width), depth=depth)


def read_levels(image: ImageFile, label: object) -> RawImage | WideImage:
    """Decode an opened image to grey levels; see the table of the module.

    Args:
        image: Opened by this module, at the wanted page.
        label: The file, and the place in it, for messages.

    Returns:
        uint8, uint16, int32, uint32 or float32 (H, W), upright.

    Raises:
        UnreadableImageError: If the picture is damaged or of a kind that is not read.
    """
    orientation = _orientation(image, label)
    if _is_deep_colour(image):
        return upright(_deep_colour(image, label), orientation)
    if image.mode == "L" and _tag(image, _SAMPLE_FORMAT) == 2:
        raise UnreadableImageError(f"{label}: holds 8-bit levels with a sign; {ADVICE}.")
    is_inverted = image.mode == "I;16" and _tag(image, _PHOTOMETRIC) == 0
    is_unsigned = _tag(image, _BITS) == 32 and _tag(image, _SAMPLE_FORMAT) in (None, 1)
    with unreadable(label):
        if image.mode == "P":  # To RGB, Pillow warns where colours are transparent.
            levels = np.asarray(image.convert("RGBA"))[..., :3]
        elif image.mode in ("1", "LA"):
            levels = np.asarray(image.convert("L"))
        elif image.mode in ("L", "RGB", "F", "I") or image.mode.startswith("I;16"):
            levels = np.asarray(image)
        else:
            levels = np.asarray(image.convert("RGB"))
    if image.format != "TIFF":  # Pillow turns TIFF by itself.
        levels = upright(levels, orientation)
    if levels.ndim == 3:
        return luma(levels)
    if image.mode.startswith("I;16"):
        deep = levels.astype(np.uint16)
        return np.uint16(65535) - deep if is_inverted else deep
    if image.mode == "I":
        return levels.view(np.uint32) if is_unsigned else levels
    return levels if image.mode == "F" else np.array(levels, np.uint8)


def read_picture(
    path: Path, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[ImageHeader, RawImage | WideImage]:
    """Read the first picture of a file: its header and its grey levels.

    Raises:
        DataError: As ``open_image`` and ``read_levels``.
    """
    with open_image(path, max_megapixels=max_megapixels) as image:
        header = read_header(image, path)
        return header, read_levels(image, path)


def _is_deep_colour(image: ImageFile) -> bool:
    """Whether Pillow would cut 16-bit colour, or grey with alpha, to 8 bits."""
    if image.mode.startswith("I") or not image.tile:
        return False
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(_BITS)
        return isinstance(bits, tuple) and max(bits) > 8 and image.mode != "F"
    return isinstance(image, PngImageFile) and str(image.tile[0].args).endswith(";16B")


def _deep_colour(image: ImageFile, label: object) -> NDArray[np.uint16]:
    """Decode with FFmpeg, which keeps all 16 bits, uint16 (H, W)."""
    import av  # Slow to load, and seldom needed.

    is_png = isinstance(image, PngImageFile)
    with unreadable(label):
        file = image.fp
        assert file is not None
        file.seek(0)
        data = bytearray(file.read())
    if not is_png and image.tell():  # Make the page the first, which is the one that is read.
        offset = next(itertools.islice(directories(io.BytesIO(data)), image.tell(), None), None)
        struct.pack_into("<I" if data[:2] == b"II" else ">I", data, 4, offset or 0)
    with unreadable(label):
        decoder = av.CodecContext.create("png" if is_png else "tiff", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        frames = [*decoder.decode(av.Packet(bytes(data))), *decoder.decode(None)]
        frame = frames[0]
        plane = frame.planes[0]
        order = "<u2" if frame.format.name.endswith("le") else ">u2"
        rows = np.frombuffer(memoryview(plane), order).reshape(-1, plane.line_size // 2)
        name = frame.format.name[:-2]
        height, width = frame.height, frame.width
    num_channels = {"ya16": 2, "rgb48": 3, "rgba64": 4}.get(name)
    if num_channels is None:
        raise UnreadableImageError(
            f"{label}: holds 16-bit colour in the form {name}, which is not read; {ADVICE}."
        )
    pixels = rows[:height, : num_channels * width].reshape(height, width, num_channels)
    return pixels[..., 0].astype(np.uint16) if num_channels == 2 else luma16(pixels[..., :3])


def _tag(image: ImageFile, number: int) -> object:
    """Return the first value of a TIFF tag, None where there is none."""
    if not isinstance(image, TiffImageFile):
        return None
    value = image.tag_v2.get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _orientation(image: ImageFile, label: object) -> int:
    """Return the EXIF or TIFF orientation, 1 to 8."""
    if isinstance(image, TiffImageFile):
        found = _tag(image, _ORIENTATION)
    elif "exif" not in image.info:  # Pillow would decode a whole PNG to look behind its pixels.
        return 1
    else:
        with unreadable(label):
            found = image.getexif().get(_ORIENTATION)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _turns_pending(image: ImageFile, label: object) -> int:
    """Return the quarter turns that the stated size does not yet know of."""
    if isinstance(image, TiffImageFile):  # Its size is that of the upright picture.
        return 0
    return _TURNS.get(_orientation(image, label), 0)


def upright(levels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror a stored picture, (H, W) or (H, W, C), as its orientation says."""
    if orientation in _MIRRORED:
        levels = levels[:, ::-1]
    return np.ascontiguousarray(np.rot90(levels, _TURNS.get(orientation, 0)))
