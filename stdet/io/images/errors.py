"""The boundary between Pillow and our errors."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from stdet.errors import DataError, foreign_errors

ADVICE = "export it again as PNG, BMP, TIFF or JPEG of 8 to 32 bits per level"


class UnreadableImageError(DataError):
    """An image file is damaged or of a kind that is not read."""


@contextlib.contextmanager
def unreadable(label: object) -> Iterator[None]:
    """Turn what Pillow raises on a damaged file into ``UnreadableImageError``.

    Its warnings are left out: of a file that can be read, they help nobody.
    """
    boundary = foreign_errors(str(label), advice=ADVICE, kind=UnreadableImageError)
    with boundary, warnings.catch_warnings(action="ignore"):
        yield
