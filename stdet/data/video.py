"""Video files as frame sources.

Two readers give the same frames. decord 0.6 is quick on short 8-bit clips, but it knows nothing
deeper, fails on cut files, has no wheels for some platforms and decodes ahead of its caller
without bound (``docs/decisions/0004-video-decoders.md``). So PyAV inspects every file first, and
reads whatever is deep, damaged or long.

Frames are numbered by presentation time (``video_times.py``). At the time of a dropped frame, of
one that repeats the one before, or of a damaged one, there is a hole in the indices, and none
after it shifts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from stdet.data.frame_area import MAX_MEGAPIXELS
from stdet.data.frame_source import (
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
from stdet.data.video_decoding import decode_pictures, fitting
from stdet.data.video_info import VideoInfo, inspect_video, to_url
from stdet.data.video_writer import VideoWriter, write_grey
from stdet.errors import DataError, IncompleteInputError

__all__ = [
    "DecordVideo",
    "PyAvVideo",
    "VideoInfo",
    "VideoWriter",
    "inspect_video",
    "open_video",
    "write_grey",
]

_LOGGER = logging.getLogger(__name__)

_MAX_DECODED_BYTES = 128 << 20
"""Decoded RGB that decord may come to hold for one file."""


def open_video(
    path: Path, *, stream: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> PyAvVideo:
    """Inspect a video file and choose its reader.

    Args:
        path: An existing file.
        stream: Which of its video streams, counted from 0, cover pictures left out; ``None`` for
            the first that the file marks as default, or the first where it marks none.
        max_megapixels: Largest area of a frame, 10^6 pixels.

    Returns:
        ``DecordVideo`` for whole, short 8-bit files where decord is installed, else ``PyAvVideo``.

    Raises:
        DataError: If the file holds no video that can be decoded.
    """
    info = inspect_video(path, stream=stream, max_megapixels=max_megapixels)
    if info.stream.num_streams > 1:
        _LOGGER.info(
            "%s: read video stream %d of %d, counted from 0; --stream chooses.",
            path,
            info.stream.number,
            info.stream.num_streams,
        )
    if not len(info.times):
        _LOGGER.info("%s: frames are counted, since its times cannot be trusted.", path)
    if info.num_holes:
        _LOGGER.info(
            "%s: %d of %d frame times have no picture, the first at frame %d; tracks are "
            "predicted over them.",
            path,
            info.num_holes,
            info.num_frames - info.num_cut,
            info.first_hole,
        )
    reason = _reason_against_decord(info)
    if reason is None:
        return DecordVideo(info)
    _LOGGER.info("%s: read with PyAV, because %s.", path, reason)
    return PyAvVideo(info)


def _reason_against_decord(info: VideoInfo) -> str | None:
    """Say why decord cannot or should not read a file, ``None`` where it can."""
    if info.bits > 8:
        return f"it has {info.bits} bits per pixel"
    if info.stream.num_streams > 1:
        # decord chooses by itself, and not always the same.
        return "it has several video streams"
    if info.is_cut:
        return "it is cut"
    if not info.is_counted or not len(info.times):
        # Of transport streams, decord loses the first frames and says nothing.
        return "its container does not count frames"
    if not info.states_rate:
        return "it states no frame rate"
    if info.num_holes or info.is_blank.any():
        return "it has holes in time"
    if info.num_pictures * info.hw[0] * info.hw[1] * 3 > _MAX_DECODED_BYTES:
        return "it is long"
    if not _is_utf8(info.path):
        return "its name is not UTF-8"
    if find_spec("decord") is None:
        return "decord is not installed"
    return None


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class PyAvVideo(ClosesOnExit):
    """Any video that FFmpeg decodes; grey uint16 for pixel formats of more than 8 bits."""

    gaps: frozenset[int] = frozenset()

    def __init__(self, info: VideoInfo) -> None:
        """Keep what ``inspect_video`` found; nothing is opened yet."""
        self.info = info
        self.path = info.path
        self.name = info.path.stem
        self.hw = info.hw
        self.fps = info.fps
        self.num_declared = info.num_frames if info.is_counted else None
        self._cursor: PerProcess[_Cursor] = PerProcess()

    @property
    def bit_depth(self) -> int:
        """8, or the bits declared (10, 12, 14), or those that the sampled maximum needs."""
        return self._intensity.bit_depth

    @property
    def scale(self) -> IntensityScale:
        """See ``measure_intensity``."""
        return self._intensity.scale

    @property
    def notes(self) -> dict[str, object]:
        """Which of the file's video streams this is."""
        return {"stream": self.info.stream.number, "num_streams": self.info.stream.num_streams}

    @cached_property
    def _intensity(self) -> Intensity:
        try:
            return measure_intensity(
                self.read,
                self.info.num_frames - self.info.num_cut,
                container_bits=self.info.bits,
            )
        finally:
            self.close()

    def read(self, index: int) -> RawImage:
        """Return one raw frame, uint8 or uint16 (H, W); in a hole the one before, as players do.

        Raises:
            DataError: If the file has no such frame or it is damaged.
        """
        num_present = self.info.num_frames - self.info.num_cut
        if not 0 <= index < num_present:
            raise DataError(f"{self.path}: has no frame {index}; it holds {num_present}.")
        return self._read_picture(self.info.shown_at(index))

    def _read_picture(self, position: int) -> RawImage:
        cursor = self._cursor.get()
        if cursor is None or not cursor.is_on_the_way_to(position):
            self.close()
            cursor = _Cursor(self.info, position)
            self._cursor.set(cursor)
        try:
            return cursor.advance_to(position)
        except DataError:
            self.close()
            raise

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order; see ``FrameSource.frames``."""
        wanted = frame_range(self.info.num_frames, start, stop)
        yield from self._frames_with_pyav(wanted, num_read=0)

    def _frames_with_pyav(self, wanted: range, *, num_read: int) -> Iterator[Frame]:
        """Stream what is left of a range of which the first ``num_read`` pictures are read."""
        first, end = np.searchsorted(self.info.indices, [wanted.start, wanted.stop]).tolist()
        is_read = self.info.is_blank[first:end].copy()  # Nothing is missed where those are none.
        is_read[:num_read] = True
        fault: DataError | None = None
        try:
            start = first + num_read
            for position, pixels in decode_pictures(self.info, start) if start < end else ():
                if position >= end:
                    break
                is_read[position - first] = True
                num_read += 1
                yield Frame(index=int(self.info.indices[position]), pixels=pixels)
        except DataError as error:
            if not num_read:
                raise
            fault = error
        self._report_missing(wanted, num_read, num_damaged=int((~is_read).sum()), fault=fault)

    def _report_missing(
        self, wanted: range, num_read: int, *, num_damaged: int, fault: DataError | None
    ) -> None:
        """Raise an error where pictures of a range are missing or damaged."""
        info = self.info
        reaches_end = wanted.stop >= info.num_frames
        num_cut = min(max(wanted.stop - (info.num_frames - info.num_cut), 0), len(wanted))
        num_expected = num_read + num_damaged + num_cut
        if num_expected and not num_read and wanted.start == 0:
            raise DataError(f"{self.path}: no frame can be decoded; export the video again.")
        read = f"{self.path}: read {num_read} of {num_expected} frames"
        if fault is not None:
            reason = str(fault).removeprefix(f"{self.path}: ")
            raise IncompleteInputError(f"{read}, because {reason}") from fault
        if num_expected > num_read:
            raise IncompleteInputError(
                f"{read}; {num_cut} are cut off at the end and {num_damaged} are damaged. Copy or "
                "export the video again."
            )
        if info.is_cut and not info.num_cut and reaches_end:
            raise IncompleteInputError(
                f"{self.path}: breaks off after {num_read} frames and does not say how many it "
                "had. Copy or export the video again."
            )

    def close(self) -> None:
        """Close the file if ``read`` left it open."""
        cursor = self._cursor.get()
        if cursor is not None:
            cursor.close()
            self._cursor.set(None)


class DecordVideo(PyAvVideo):
    """Whole, short 8-bit videos through decord; turns to PyAV, and says so, where it fails."""

    def __init__(self, info: VideoInfo) -> None:
        """Keep what ``inspect_video`` found; nothing is opened yet."""
        super().__init__(info)
        self._reader: PerProcess[Any] = PerProcess()
        self._has_given_up = False

    def read(self, index: int) -> RawImage:
        """Return one raw frame, uint8 (H, W); see ``PyAvVideo.read``."""
        if 0 <= index < self.info.num_pictures:
            pixels = self._read_with_decord(index)
            if pixels is not None:
                return pixels
        return super().read(index)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order; see ``FrameSource.frames``."""
        try:
            wanted = frame_range(self.info.num_pictures, start, stop)
            for num_read, index in enumerate(wanted):
                pixels = self._read_with_decord(index)
                if pixels is None:
                    yield from self._frames_with_pyav(wanted, num_read=num_read)
                    return
                yield Frame(index=index, pixels=pixels)
        finally:
            self._reader.set(None)

    def close(self) -> None:
        """Release both decoders."""
        super().close()
        self._reader.set(None)

    def _read_with_decord(self, index: int) -> RawImage | None:
        """Return one frame, ``None`` once decord has failed on this file."""
        if self._has_given_up:
            return None
        try:
            reader = self._reader.get()
            if reader is None:
                reader = self._open_reader()
                self._reader.set(reader)
            return fitting(luma(reader[index].asnumpy()), self.info, index)
        except (ImportError, OSError, RuntimeError, IndexError, _decord_error()) as error:
            self._has_given_up = True
            self._reader.set(None)
            _LOGGER.info(
                "%s: read with PyAV, because decord failed at frame %d (%s).",
                self.path,
                index,
                _first_line(error),
            )
            return None

    def _open_reader(self) -> Any:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        reader = decord.VideoReader(to_url(self.path), ctx=decord.cpu(0))
        if len(reader) != self.info.num_pictures:
            raise RuntimeError(f"it counts {len(reader)} frames, not {self.info.num_pictures}")
        return reader


class _Cursor:
    """A decoder that stands somewhere in a file; one process's own."""

    def __init__(self, info: VideoInfo, position: int) -> None:
        self._info = info
        self._pictures = decode_pictures(info, position)
        self._next = position

    def is_on_the_way_to(self, position: int) -> bool:
        """Whether decoding on is no longer than a jump to the picture's key frame."""
        if position < self._next:
            return False
        if not len(self._info.times):
            return True
        keyframe = self._info.position_of(self._info.keyframe_at_or_before(position))
        return keyframe is None or keyframe <= self._next

    def advance_to(self, position: int) -> RawImage:
        """Decode up to a picture; raises ``DataError`` where it is missing."""
        for found, pixels in self._pictures:
            self._next = found + 1
            if found == position:
                return pixels
            if found > position:
                break
        raise DataError(
            f"{self._info.path}: frame {self._info.indices[position]} is damaged or cut off; copy "
            "or export it again."
        )

    def close(self) -> None:
        """Close the file."""
        self._pictures.close()


def _first_line(error: BaseException) -> str:
    """Return the reason of an error of decord, below which its stack may follow."""
    lines = (getattr(error, "strerror", None) or str(error)).splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _decord_error() -> type[Exception]:
    """Return decord's own exception class; a broken installation has none."""
    try:
        from decord import DECORDError
    except (ImportError, OSError, RuntimeError):
        return RuntimeError
    return DECORDError  # type: ignore[no-any-return]
