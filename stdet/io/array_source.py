"""Frames from arrays: a stack, a list, or whatever yields one array after another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import (
    EIGHT_BIT_SCALE,
    ClosesOnExit,
    Frame,
    FrameSource,
    IntensityScale,
    RawImage,
    frame_range,
    luma,
    luma16,
    measure_intensity,
)
from stdet.io.open_source import open_named

NUM_FIRST_FRAMES = 16
"""Frames that fix the intensity scale of 16-bit frames that come one by one."""

Array = NDArray[np.generic]

_UNIT_SCALE = IntensityScale(0.0, 1.0)
_LUMA = np.array([77, 150, 29], np.float32) / np.float32(256)
"""Weights of ``luma``."""


def open_frames(
    source: str | Path | Iterable[Array],
    *,
    fps: float | None = None,
    stream: int | None = None,
    raw: str | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> FrameSource:
    """Open a path or a live source with ``open_named``, or arrays with ``ArraySource``.

    Raises:
        ValueError: If a frame rate is given with a path, or a stream or raw format with arrays.
    """
    if isinstance(source, str | Path):
        if fps is not None:
            raise ValueError(f"fps={fps} goes with arrays; {source} says its own, or none.")
        return open_named(str(source), stream=stream, raw=raw, max_megapixels=max_megapixels)
    for name, value in (("stream", stream), ("raw", raw)):
        if value is not None:
            raise ValueError(f"{name}={value} goes with a path; the source is arrays.")
    return ArraySource(source, fps=fps)


class ArraySource(ClosesOnExit):
    """Frames from arrays.

    8-bit levels are divided by 255; float32 levels are in [0, 1] already. The scale of 16-bit
    levels is measured as that of a file: on frames of the whole stack, or on the first
    ``NUM_FIRST_FRAMES`` where frames come one by one.

    Args:
        frames: (H, W), or (H, W, 3) as RGB; uint8, uint16, or float32 in [0, 1]. All of one type.
            An iterator is read once.
        fps: Frames per second, None where unknown.
        name: Of the frames, for messages.

    Raises:
        DataError: If there are no frames.
        ValueError: If one is no such array.
    """

    def __init__(
        self, frames: Iterable[Array], *, fps: float | None = None, name: str = "frames"
    ) -> None:
        """Look at the first frames."""
        self.name = name
        self.path = Path(name)
        self.fps = fps
        self.gaps: frozenset[int] = frozenset()
        self._stack = frames if isinstance(frames, np.ndarray | Sequence) else None
        self._stream = iter(() if self._stack is not None else frames)
        first: Sequence[Array] | Array
        if self._stack is None:
            first = list(itertools.islice(self._stream, NUM_FIRST_FRAMES))
            self._stream = itertools.chain(first, self._stream)
        else:
            first = self._stack
        if not len(first):
            raise DataError(f"{name}: holds no frames; pass at least one array (H, W).")
        self.num_declared = None if self._stack is None else len(self._stack)
        self._arrays = GreyArrays()
        grey = self._arrays.frame(first[0], 0).pixels
        self.hw = (grey.shape[0], grey.shape[1])
        self.bit_depth = 8 * grey.dtype.itemsize
        self.scale = scale_of_arrays(first)

    @property
    def is_one_by_one(self) -> bool:
        """Whether the frames come from an iterator."""
        return self._stack is None

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames start .. stop - 1."""
        if self._stack is not None:
            for index in frame_range(len(self._stack), start, stop):
                yield self._arrays.frame(self._stack[index], index)
            return
        for index, image in enumerate(itertools.islice(self._stream, stop)):
            if index >= start:
                yield self._arrays.frame(image, index)

    def read(self, index: int) -> RawImage:
        """Return one frame of a stack, (H, W).

        Raises:
            ValueError: If the frames come one by one.
        """
        if self._stack is None:
            raise ValueError(f"{self.name}: frames that come one by one have no frame {index}.")
        return self._arrays.frame(self._stack[index], index).pixels


class GreyArrays:
    """Turns the arrays of one stream into frames, all of the type of the first."""

    def __init__(self) -> None:
        """Start before the first array."""
        self._dtype: np.dtype[np.generic] | None = None

    def frame(self, image: Array, index: int) -> Frame:
        """Return an array as a frame; see ``to_grey``.

        Raises:
            ValueError: If it cannot be one, or is of another type than the first.
        """
        grey = to_grey(image, index=index)
        if self._dtype not in (None, grey.dtype):
            raise ValueError(
                f"frame {index} is {grey.dtype}, the first one {self._dtype}; expected one type."
            )
        self._dtype = grey.dtype
        return Frame(index=index, pixels=grey)


def to_grey(image: Array, *, index: int) -> RawImage:
    """Return the grey levels of an array, (H, W).

    Args:
        image: (H, W), or (H, W, 3) as RGB; uint8, uint16, or float32 in [0, 1].
        index: Of the frame, for messages.

    Raises:
        ValueError: If it is something else.
    """
    array: NDArray[Any] = np.asarray(image)
    is_rgb = array.ndim == 3 and array.shape[2] == 3
    if not (array.ndim == 2 or is_rgb) or not array.size:
        raise ValueError(
            f"frame {index} is an array of shape {array.shape}; expected (H, W), or (H, W, 3) as "
            "RGB."
        )
    if array.dtype == np.uint8:
        return luma(array) if is_rgb else array
    if array.dtype == np.uint16:
        return luma16(array) if is_rgb else array
    if array.dtype != np.float32:
        raise ValueError(
            f"frame {index} is {array.dtype}; expected uint8, uint16, or float32 in [0, 1]."
        )
    if not (array.min() >= 0 and array.max() <= 1):  # NaN is neither.
        raise ValueError(
            f"frame {index} is float32 with levels from {array.min():g} to {array.max():g}; "
            "expected 0 to 1. Divide by the full scale, or pass uint16."
        )
    return array @ _LUMA if is_rgb else array


def scale_of_arrays(images: Sequence[Array] | Array) -> IntensityScale:
    """Return the map to [0, 1] of frames of one type; see ``measure_intensity``."""
    first = to_grey(images[0], index=0)
    if first.dtype == np.uint8:
        return EIGHT_BIT_SCALE
    if first.dtype == np.float32:
        return _UNIT_SCALE
    return measure_intensity(
        lambda index: to_grey(images[index], index=index), len(images), container_bits=16
    ).scale
