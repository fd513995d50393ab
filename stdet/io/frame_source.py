"""Where frames come from: one protocol over videos, image folders and TIFF stacks.

A source hands out raw grey frames and never changes their levels; ``IntensityScale`` maps them to
[0, 1]. The map is fixed per sequence: a stretch of each frame by itself would turn the noise of an
empty frame into false alarms.

This module imports no decoder; ``open_source.py`` chooses one.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.io.intensity.scene_levels import SceneLevels, measure_scene
from stdet.io.intensity.spoilt_pixels import SpoiltPixels
from stdet.io.live.capture import Capture
from stdet.types import FloatArray

RawImage = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
WideImage = NDArray[np.int32] | NDArray[np.uint32] | NDArray[np.float32]
"""Levels that fit no 16 bits, as image files may hold them; see ``wide_levels.py``."""

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
"""Accepted image files, compared in lower case."""

_FRAME_DTYPES = (np.uint8, np.uint16, np.float32)
_NUM_SAMPLED_FRAMES = 16
_MIN_HEADROOM, _MAX_HEADROOM = 0.25, 2.0  # In units of the span between the percentiles.
_DEEP_BITS = (10, 12, 14, 16)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One raw frame.

    Attributes:
        index: counted from 0; jumps where a frame of the source could not be read.
        pixels: grey levels as stored, uint8 or uint16 (H, W); float32 in [0, 1] where arrays of it
            are the source.
        capture: when it was taken, None where the source is not live.
    """

    index: int
    pixels: RawImage
    capture: Capture | None = None

    def __post_init__(self) -> None:
        """Check shape and type."""
        if self.pixels.ndim != 2 or self.pixels.dtype not in _FRAME_DTYPES:
            raise ValueError(
                f"Frame.pixels is {self.pixels.dtype} {self.pixels.shape}; "
                "expected uint8, uint16 or float32 (H, W)."
            )


@dataclass(frozen=True)
class IntensityScale:
    """The map from raw grey levels to [0, 1], the same for every frame of a sequence.

    Attributes:
        low: raw level that becomes 0.
        high: raw level that becomes 1.
        spoilt: pixels that show no scene, filled from those around them; None where there are
            none, as in 8-bit footage.
    """

    low: float
    high: float
    spoilt: SpoiltPixels | None = None

    def __post_init__(self) -> None:
        """Check the order."""
        if not self.low < self.high:
            raise ValueError(f"IntensityScale needs low < high, got {self.low} and {self.high}.")

    def apply(self, raw: RawImage) -> FloatArray:
        """Map raw levels to [0, 1]; levels outside [low, high] are clipped, spoilt pixels filled.

        Args:
            raw: uint8 or uint16 (H, W), a whole frame where there are spoilt pixels.

        Returns:
            float32 (H, W).

        Example:
            >>> IntensityScale(0.0, 255.0).apply(np.array([[0, 51, 255]], np.uint8))
            array([[0. , 0.2, 1. ]], dtype=float32)
        """
        scaled = np.subtract(raw, np.float32(self.low), dtype=np.float32)
        scaled /= np.float32(self.high - self.low)
        np.clip(scaled, 0, 1, out=scaled)
        if self.spoilt is not None:
            self.spoilt.fill(scaled)
        return scaled

    def to_uint8(self, raw: RawImage) -> NDArray[np.uint8]:
        """Map raw levels to 0-255 for display; 8-bit frames come back unchanged.

        Args:
            raw: uint8 or uint16 (H, W).

        Returns:
            uint8 (H, W).
        """
        return np.rint(self.apply(raw) * 255).astype(np.uint8)


EIGHT_BIT_SCALE = IntensityScale(0.0, 255.0)
"""8-bit levels are divided by 255 whatever the scene holds."""


class FrameSource(Protocol):
    """Frames of one sequence, streamed or picked by index.

    A source may be pickled or carried through a fork: every process opens its own decoder on first
    use. One source serves one thread at a time.
    """

    @property
    def name(self) -> str:
        """File stem or folder name."""

    @property
    def path(self) -> Path:
        """The file or folder that was opened."""

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of every frame, pixels."""

    @property
    def fps(self) -> float | None:
        """Frames per second, ``None`` where unknown."""

    @property
    def bit_depth(self) -> int:
        """8, or for deeper input the bits declared or needed by the sampled maximum."""

    @property
    def num_declared(self) -> int | None:
        """How many frames the container or folder promises, ``None`` where it does not say."""

    @property
    def gaps(self) -> frozenset[int]:
        """Indices of frames that follow a hole in the numbering; a clip must not span one."""

    @property
    def scale(self) -> IntensityScale:
        """The map of this sequence's levels to [0, 1]."""

    @property
    def notes(self) -> dict[str, object]:
        """What the header of a track JSON says of the source besides."""

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order, holding one at a time.

        Args:
            start: First frame index.
            stop: Frame index to stop before, ``None`` for the end.

        Yields:
            Every readable frame; the index of an unreadable one is left out.

        Raises:
            IncompleteInputError: After the last readable frame, if any in the range was missing.
            DataError: If no frame can be used, or frames differ in size or depth.
        """

    def read(self, index: int) -> RawImage:
        """Return one raw frame, uint8 or uint16 (H, W).

        Raises:
            DataError: If the source has no such frame or it is damaged.
        """

    def close(self) -> None:
        """Release the decoder of this process; a later call opens it again."""

    def __enter__(self) -> Self:
        """Return the source."""

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the source."""


class ClosesOnExit:
    """The context manager half of ``FrameSource``, and notes where there are none."""

    @property
    def notes(self) -> dict[str, object]:
        """See ``FrameSource.notes``."""
        return {}

    def close(self) -> None:
        """Release what is held open; nothing here."""

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the source."""
        self.close()


def frame_range(num_frames: int, start: int, stop: int | None) -> range:
    """Return the indices asked for, or raise ``ValueError`` for a negative one."""
    if start < 0 or (stop is not None and stop < 0):
        raise ValueError(f"frames {start} to {stop} were asked for; expected at least 0.")
    return range(num_frames)[start:stop]


_LUMA = np.array([[77 / 256, 150 / 256, 29 / 256, 1 / 1024]], np.float32)
"""Weights of red, green and blue, and what lets halves be rounded up; all sums are exact."""


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn RGB into grey: 0.299 R + 0.587 G + 0.114 B in 1/256 steps, rounded.

    The one definition for videos and images, whichever decoder delivered the RGB. Grey input
    (R = G = B) comes back exactly.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        uint8 (H, W).

    Source:
        ITU-R BT.601 luma weights; 77 + 150 + 29 = 256 gives grey input back.

    Example:
        >>> luma(np.array([[[7, 7, 7], [255, 0, 0]]], np.uint8))
        array([[ 7, 77]], dtype=uint8)
    """
    return np.asarray(cv2.transform(np.ascontiguousarray(rgb), _LUMA), np.uint8)


def luma16(rgb: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Turn RGB of 16 bits into grey, as ``luma`` does, uint16 (H, W)."""
    weights = np.array([77, 150, 29], np.uint32)
    return ((rgb @ weights + np.uint32(128)) >> 8).astype(np.uint16)


@dataclass(frozen=True)
class Intensity:
    """What the levels of a sequence need.

    Attributes:
        bit_depth: bits that hold every sampled level.
        scale: the map to [0, 1].
    """

    bit_depth: int
    scale: IntensityScale


class HasMeasuredIntensity(ClosesOnExit, ABC):
    """The half of ``FrameSource`` that follows from the levels that were measured."""

    @property
    @abstractmethod
    def _intensity(self) -> Intensity:
        """As ``measure_intensity`` finds it."""

    @property
    def bit_depth(self) -> int:
        """8, or the bits declared (10, 12, 14), or those that the sampled maximum needs."""
        return self._intensity.bit_depth

    @property
    def scale(self) -> IntensityScale:
        """See ``measure_intensity``."""
        return self._intensity.scale


def measure_intensity(
    read: Callable[[int], RawImage], num_frames: int, *, container_bits: int
) -> Intensity:
    """Fix the scale of a sequence from at most 16 evenly spaced frames.

    8-bit input is never stretched. For deeper input the levels of the scene, of which 0.1 % lie
    below and above, span it; ``scene_levels.py`` says what does not count. They alone would clip
    the target, which covers far less than 0.1 % of the pixels, so the top is raised to the
    brightest sampled level, by at least a quarter of the span (the target may be brighter between
    the samples) and by at most two (a stuck pixel at full scale must not squash the scene). The
    bottom is lowered by a quarter.

    Args:
        read: Returns the raw frame of an index; a ``DataError`` skips that frame.
        num_frames: Frames to choose from.
        container_bits: Bits per pixel that the container declares; 16 is taken as "up to 16".

    Returns:
        Depth and scale.

    Raises:
        DataError: If none of the sampled frames can be read.
    """
    if container_bits <= 8:
        return Intensity(8, EIGHT_BIT_SCALE)
    scene = measure_scene(read, sampled_frames(num_frames))
    bit_depth = container_bits
    if container_bits not in _DEEP_BITS[:-1]:
        bit_depth = next(bits for bits in _DEEP_BITS if scene.brightest < 1 << bits)
    return Intensity(bit_depth, scale_of(scene))


def sampled_frames(num_frames: int) -> list[int]:
    """Return at most 16 evenly spaced frames, the first and the last among them."""
    indices = np.linspace(0, num_frames - 1, min(num_frames, _NUM_SAMPLED_FRAMES))
    return sorted({round(index) for index in indices.tolist()})


def scale_of(scene: SceneLevels) -> IntensityScale:
    """Return the scale with room below and above a scene; see ``measure_intensity``."""
    span = max(scene.high - scene.low, 1.0)  # One level: a constant sequence still gets a scale.
    headroom = min(max(scene.peak - scene.high, _MIN_HEADROOM * span), _MAX_HEADROOM * span)
    return IntensityScale(scene.low - _MIN_HEADROOM * span, scene.high + headroom, scene.spoilt)


_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """Holds a decoder for the process that opened it, and only for that one.

    A decoder's threads and file offset do not survive a fork, and destroying it in the child waits
    for threads that are not there. So a value that came through a fork is neither used nor
    destroyed, and pickling leaves it out.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._pid = -1
        self._value: _T | None = None

    def get(self) -> _T | None:
        """Return the value this process has set, or ``None``."""
        if self._value is not None and self._pid != os.getpid():
            _NEVER_DESTROYED.append(self._value)
            self._value = None
        return self._value

    def set(self, value: _T | None) -> None:
        """Replace the value."""
        self.get()
        self._pid, self._value = os.getpid(), value

    def __reduce__(self) -> tuple[type[PerProcess[_T]], tuple[()]]:
        """Pickle as an empty holder."""
        return type(self), ()

    def __del__(self) -> None:
        """Keep a value that came through a fork from being destroyed here."""
        self.get()


_NEVER_DESTROYED: list[object] = []
