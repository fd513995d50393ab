"""Image files of kinds that Pillow cannot write, made byte by byte."""

import struct
import zlib
from pathlib import Path

import numpy as np

_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
_CODES = {2: "B", 3: "H", 4: "I"}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG of 8 or 16 bits with 1 to 4 channels (grey, grey + alpha, RGB, RGBA)."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = 8 * pixels.dtype.itemsize
    stored = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in stored)
    header = struct.pack(">IIBBBBB", width, height, bits, _PNG_COLOURS[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def write_bomb(path: Path, width: int, height: int) -> None:
    """Write a small PNG of one grey level that declares any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", data)
        + _chunk(b"IEND", b"")
    )


def write_tiff(
    path: Path,
    pages: list[np.ndarray],
    *,
    order: str = "<",
    photometric: int | None = None,
    orientation: int = 1,
    description: bytes = b"",
    behind: list[np.ndarray] | None = None,
    next_page: int | None = None,
) -> None:
    """Write an uncompressed TIFF.

    Args:
        path: The file.
        pages: (H, W) or (H, W, C) of one type, each behind a directory of its own.
        order: "<" or ">".
        photometric: 0 white is zero, 1 black is zero, 2 RGB; by channels where None.
        orientation: 1 to 8.
        description: Of the first page.
        behind: Pictures without a directory, right behind the first page's pixels.
        next_page: Offset of the directory that the last page names; -1 its own.
    """
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    link = 4
    for number, page in enumerate(pages):
        height, width = page.shape[:2]
        channels = 1 if page.ndim == 2 else page.shape[2]
        kind = {"u": 1, "i": 2, "f": 3}[page.dtype.kind]
        offset = len(out)
        for picture in [page, *((behind or []) if number == 0 else [])]:
            out += picture.astype(picture.dtype.newbyteorder(order)).tobytes()
        out += b"\0" * (len(out) % 2)
        entries = [
            (256, 4, [width]),
            (257, 4, [height]),
            (258, 3, [8 * page.dtype.itemsize] * channels),
            (259, 3, [1]),
            (262, 3, [(1 if channels < 3 else 2) if photometric is None else photometric]),
            (273, 4, [offset]),
            (274, 3, [orientation]),
            (277, 3, [channels]),
            (278, 4, [height]),
            (279, 4, [page.nbytes]),
            (339, 3, [kind] * channels),
        ]
        if channels in (2, 4):
            entries.insert(10, (338, 3, [2]))
        if description and number == 0:
            entries.insert(5, (270, 2, [*description, 0]))
        encoded = b""
        for tag, code, values in entries:
            data = struct.pack(f"{order}{len(values)}{_CODES[code]}", *values)
            if len(data) > 4:
                position = len(out)
                out += data + b"\0" * (len(data) % 2)
                data = struct.pack(order + "I", position)
            encoded += struct.pack(order + "HHI", tag, code, len(values)) + data.ljust(4, b"\0")
        out[link : link + 4] = struct.pack(order + "I", len(out))
        here = len(out)
        out += struct.pack(order + "H", len(entries)) + encoded
        link = len(out)
        out += struct.pack(order + "I", 0)
        if next_page is not None and number == len(pages) - 1:
            out[link:] = struct.pack(order + "I", here if next_page < 0 else next_page)
    path.write_bytes(bytes(out))
