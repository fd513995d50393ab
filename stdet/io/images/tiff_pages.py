"""The directories of a TIFF file, followed without reading their entries."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stdet.io.images.errors import UnreadableImageError, unreadable

_MIN_PAGE_BYTES = 64
"""Less than the directory of any picture takes, unless directories overlap."""


@dataclass(frozen=True, kw_only=True)
class PageCount:
    """The pages of a TIFF file.

    Attributes:
        num: Pages that can be reached, at least 1.
        is_broken: The last of them names another one that cannot, or one that came before.
    """

    num: int
    is_broken: bool


def count_pages(path: Path) -> PageCount:
    """Follow the directories of a TIFF file, without reading their entries.

    Raises:
        UnreadableImageError: If there are more than the file has room for.
    """
    most = 1 + path.stat().st_size // _MIN_PAGE_BYTES
    seen: set[int] = set()
    with unreadable(path), path.open("rb") as file:
        for offset in directories(file):
            if offset is None or offset in seen:
                return PageCount(num=max(len(seen), 1), is_broken=True)
            seen.add(offset)
            if len(seen) > most:
                break
        else:
            return PageCount(num=max(len(seen), 1), is_broken=False)
    raise UnreadableImageError(
        f"{path}: names more than {most} pages, more than it has room for; export it again."
    )


def directories(file: BinaryIO) -> Iterator[int | None]:
    """Yield the offset of each directory, None where one cannot be read."""
    start = file.read(8)
    order = "<" if start[:2] == b"II" else ">"
    is_big = start[2:4] in (b"+\0", b"\0+")
    count_kind, entry_bytes, offset_kind = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    file.seek(8 if is_big else 4)
    offset = _number(file, order + offset_kind)
    while offset != 0:
        num_entries = None
        if offset is not None and offset < 1 << 62:
            file.seek(offset)
            num_entries = _number(file, order + count_kind)
        if not num_entries or num_entries > 1 << 16:
            yield None
            return
        file.seek(num_entries * entry_bytes, 1)
        following = _number(file, order + offset_kind)
        if following is None:
            yield None
            return
        yield offset
        offset = following


def _number(file: BinaryIO, kind: str) -> int | None:
    """Read a number, None where the file ends."""
    data = file.read(struct.calcsize(kind))
    return int(struct.unpack(kind, data)[0]) if len(data) == struct.calcsize(kind) else None
