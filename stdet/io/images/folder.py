"""Folders of images as frame sources."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import RawImage, WideImage
from stdet.io.images.frame_numbers import frame_runs
from stdet.io.images.listing import list_images
from stdet.io.images.reader import (
    ImageHeader,
    open_image,
    read_header,
    read_levels,
    read_picture,
)
from stdet.io.images.source import ImageSource
from stdet.io.images.tiff_stack import num_pictures
from stdet.io.intensity.wide_levels import to_raw

_LOG = logging.getLogger(__name__)


def read_image(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> RawImage:
    """Read one image by itself as raw grey levels.

    Args:
        path: PNG, BMP, TIFF or JPEG file; of several pages the first is read.
        max_megapixels: Largest area, 10^6 pixels; see ``frame_area.py``.

    Returns:
        uint8 or uint16 (H, W); wide levels by a map of their own (``wide_levels.py``).

    Raises:
        DataError: If the file is missing, damaged or of a kind that is not read.
    """
    return to_raw(read_picture(path, max_megapixels=max_megapixels)[1], path)


class ImageFolder(ImageSource):
    """PNG, BMP, TIFF or JPEG files in natural order of their names; grey or colour.

    ``images/listing.py`` says which files are frames, ``images/reader.py`` what becomes of their
    levels. A frame's index is its position in the list, damaged files included.
    """

    def __init__(
        self,
        path: Path,
        files: Sequence[Path] | None = None,
        *,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        """List the folder.

        Args:
            path: The folder.
            files: The frames in order where an annotation lists them, ``None`` for all images.
            max_megapixels: Largest area of a frame, 10^6 pixels.

        Raises:
            DataError: If the folder cannot be listed, holds no image, or none can be read.
        """
        self._files = tuple(list_images(path) if files is None else files)
        if not self._files:
            raise DataError(f"{path}: no frames were listed; expected at least one.")
        super().__init__(path, path.resolve().name, len(self._files))
        self._max_megapixels = max_megapixels
        if files is None:  # Listed frames follow one another: whoever lists them has cut them.
            self._order()
        _ = self._first

    @property
    def files(self) -> tuple[Path, ...]:
        """The frames in the order of time."""
        return self._files

    def _order(self) -> None:
        """Put the frames in the order of time, and find where tracks must end."""
        found = frame_runs([file.name for file in self._files])
        self._files = tuple(self._files[row] for run in found.runs for row in run.rows)
        starts = itertools.accumulate(len(run.rows) for run in found.runs)
        self.gaps = frozenset(starts) - {len(self._files)}
        if found.said:
            ends = "; tracks end there" if self.gaps else ""
            _LOG.info("%s: %s%s.", self.path, found.said, ends)

    def _label(self, index: int) -> str:
        return str(self._files[index])

    def _header(self, index: int) -> ImageHeader:
        file = self._files[index]
        with open_image(file, max_megapixels=self._max_megapixels) as image:
            num = num_pictures(image, file)
            if num > 1:  # Of which a folder would use the first only.
                raise DataError(
                    f"{file}: holds {num} pages; pass the file itself, not its folder."
                )
            return read_header(image, file)

    def _levels(self, index: int) -> RawImage | WideImage:
        file = self._files[index]
        with open_image(file, max_megapixels=self._max_megapixels) as image:
            return read_levels(image, file)
