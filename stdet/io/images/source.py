"""What sources of still pictures share: a known number of them, each read by itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from stdet.errors import DataError, IncompleteInputError
from stdet.io.frame_source import (
    IMAGE_SUFFIXES,
    Frame,
    HasMeasuredIntensity,
    Intensity,
    RawImage,
    WideImage,
    frame_range,
    measure_intensity,
)
from stdet.io.images.errors import UnreadableImageError
from stdet.io.images.reader import ImageHeader
from stdet.io.intensity.wide_levels import WideIntensity, measure_wide

_NUM_NAMED = 3


class ImageSource(HasMeasuredIntensity):
    """Pictures of one size and depth as frames; ``FrameSource`` states the methods.

    Wide levels (float32, 32 bits, signed) are brought to uint16 by one map for the whole
    sequence; see ``wide_levels.py``.

    Args:
        path: What was opened.
        name: Of the sequence.
        num_images: Damaged pictures included.
    """

    fps: float | None = None
    gaps: frozenset[int] = frozenset()

    def __init__(self, path: Path, name: str, num_images: int) -> None:
        """Keep the arguments; nothing is read yet."""
        self.path = path
        self.name = name
        self.num_declared: int = num_images
        self._are_headers_checked = False

    @abstractmethod
    def _label(self, index: int) -> str:
        """Name a picture in messages."""

    @abstractmethod
    def _header(self, index: int) -> ImageHeader:
        """Read a header; raises ``UnreadableImageError`` where it is damaged."""

    @abstractmethod
    def _levels(self, index: int) -> RawImage | WideImage:
        """Decode a picture; raises ``UnreadableImageError`` where it is damaged."""

    @cached_property
    def _first(self) -> tuple[ImageHeader, str]:
        """Header and label of the first readable picture, which the others must match."""
        failure = None
        for index in range(self.num_declared):
            try:
                return self._header(index), self._label(index)
            except UnreadableImageError as error:
                failure = failure or error
        raise DataError(
            f"{self.path}: none of {self.num_declared} images can be read; expected files in the "
            f"format of their suffix ({', '.join(IMAGE_SUFFIXES)}). The first: {failure}"
        )

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self._first[0].hw

    @cached_property
    def _wide(self) -> WideIntensity:
        return measure_wide(self._fitting, self.num_declared)

    @cached_property
    def _intensity(self) -> Intensity:
        depth = self._first[0].depth
        if depth == 32:
            return self._wide.intensity
        return measure_intensity(self.read, self.num_declared, container_bits=depth)

    def _check_like_first(self, index: int, hw: tuple[int, ...], depth: int) -> None:
        first, first_label = self._first
        if (hw, depth) != (first.hw, first.depth):
            raise DataError(
                f"{self._label(index)}: is {_describe(hw, depth)}; expected "
                f"{_describe(first.hw, first.depth)} like {first_label}. All frames of a "
                "sequence must have one size and depth; move it elsewhere."
            )

    def _check_headers(self) -> None:
        """Find the picture that does not fit before hours of work, not after."""
        if self._are_headers_checked:
            return
        for index in range(self.num_declared):
            try:
                header = self._header(index)
            except UnreadableImageError:
                continue
            self._check_like_first(index, header.hw, header.depth)
        self._are_headers_checked = True

    def _fitting(self, index: int) -> RawImage | WideImage:
        """Return the stored levels of a picture that is like the first."""
        levels = self._levels(index)
        self._check_like_first(index, levels.shape, 8 * levels.dtype.itemsize)
        return levels

    def _raw(self, index: int) -> RawImage:
        levels = self._fitting(index)
        if levels.dtype == np.uint8 or levels.dtype == np.uint16:
            return levels  # type: ignore[return-value]
        return self._wide.level_map.apply(levels, self._label(index))  # type: ignore[arg-type]

    def read(self, index: int) -> RawImage:
        """Return one raw frame, uint8 or uint16 (H, W).

        Raises:
            DataError: If there is no such image, it is damaged, or it differs in size or depth.
        """
        if not 0 <= index < self.num_declared:
            raise DataError(f"{self.path}: has no frame {index}; it holds {self.num_declared}.")
        return self._raw(index)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order; see ``FrameSource.frames``."""
        wanted = frame_range(self.num_declared, start, stop)
        self._check_headers()
        broken = []
        for index in wanted:
            try:
                pixels = self._raw(index)
            except UnreadableImageError:
                broken.append(self._label(index))
                continue
            yield Frame(index=index, pixels=pixels)
        if broken:
            named = ", ".join(broken[:_NUM_NAMED])
            more = f" and {len(broken) - _NUM_NAMED} more" if len(broken) > _NUM_NAMED else ""
            raise IncompleteInputError(
                f"{self.path}: read {len(wanted) - len(broken)} of {len(wanted)} frames; cannot "
                f"read {named}{more}. The other frames keep their indices; export the missing "
                "ones again."
            )


def _describe(hw: tuple[int, ...], depth: int) -> str:
    return f"{hw[1]}x{hw[0]} {depth}-bit"
