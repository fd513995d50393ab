"""Video files as frame sources.

Two readers give the same frames. decord 0.6 is quick on short 8-bit clips, but it knows nothing
deeper, fails on cut files, has no wheels for some platforms and decodes ahead of its caller
without bound (``docs/decisions/0004-video-decoders.md``). So PyAV inspects every file first, and
reads whatever is deep, damaged or long.

Frames are numbered by presentation time, so an undecodable frame leaves a hole in the indices and
does not shift those after it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

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
from stdet.data.video_info import (
    VideoInfo,
    describe_error,
    inspect_video,
    surviving_frames,
    to_url,
)
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

_DIRECT_LUMA = re.compile(r"(gray|yuvj?[0-9]{3}p|yuva[0-9]{3}p)(9|10|12|14|16)le")
"""Pixel formats whose first plane holds raw little-endian grey levels."""

_MAX_DECODED_BYTES = 128 << 20
"""Decoded RGB that decord may come to hold for one file."""


def open_video(path: Path) -> PyAvVideo:
    """Inspect a video file and choose its reader.

    Args:
        path: An existing file.

    Returns:
        ``DecordVideo`` for whole, short 8-bit files where decord is installed, else ``PyAvVideo``.

    Raises:
        DataError: If the file holds no video that can be decoded.
    """
    info = inspect_video(path)
    reason = _reason_against_decord(info)
    if reason is None:
        return DecordVideo(info)
    _LOGGER.info("%s: read with PyAV, because %s.", path, reason)
    return PyAvVideo(info)


def _reason_against_decord(info: VideoInfo) -> str | None:
    """Say why decord cannot or should not read a file, ``None`` where it can."""
    if info.bits > 8:
        return f"it has {info.bits} bits per pixel"
    if info.num_packets < info.num_expected:
        return "it is cut"
    if info.num_declared is None or not len(info.pts):
        # Of transport streams, decord loses the first frames and says nothing.
        return "its container does not count frames"
    if info.num_packets * info.hw[0] * info.hw[1] * 3 > _MAX_DECODED_BYTES:
        return "it is long"
    if find_spec("decord") is None:
        return "decord is not installed"
    return None


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
        self.num_declared = info.num_declared
        self._cursor: PerProcess[_Cursor] = PerProcess()

    @property
    def bit_depth(self) -> int:
        """8, or the bits declared (10, 12, 14), or those that the sampled maximum needs."""
        return self._intensity.bit_depth

    @property
    def scale(self) -> IntensityScale:
        """See ``measure_intensity``."""
        return self._intensity.scale

    @cached_property
    def _intensity(self) -> Intensity:
        try:
            return measure_intensity(
                self.read, self.info.num_packets, container_bits=self.info.bits
            )
        finally:
            self.close()

    def read(self, index: int) -> RawImage:
        """Return one raw frame, uint8 or uint16 (H, W).

        Raises:
            DataError: If the file has no such frame or it is damaged.
        """
        if not 0 <= index < self.info.num_packets:
            raise DataError(
                f"{self.path}: has no frame {index}; it holds {self.info.num_packets}."
            )
        cursor = self._cursor.get()
        if cursor is None or not cursor.is_on_the_way_to(index):
            self.close()
            cursor = _Cursor(self.info, index)
            self._cursor.set(cursor)
        try:
            return cursor.advance_to(index)
        except DataError:
            self.close()
            raise

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order; see ``FrameSource.frames``."""
        wanted = frame_range(self.info.num_expected, start, stop)
        yield from self._frames_with_pyav(wanted, num_read=0)

    def _frames_with_pyav(self, wanted: range, *, num_read: int) -> Iterator[Frame]:
        """Stream what is left of a range of which the first ``num_read`` frames are read."""
        first = wanted.start + num_read
        for index, pixels in _decode(self.info, first) if first < wanted.stop else ():
            if index >= wanted.stop:
                break
            num_read += 1
            yield Frame(index=index, pixels=pixels)
        num_missing = len(wanted) - num_read
        if num_missing <= 0:
            return
        if num_read == 0 and wanted.start == 0:
            raise DataError(f"{self.path}: no frame can be decoded; export the video again.")
        num_cut = min(num_missing, max(wanted.stop - self.info.num_packets, 0))
        raise IncompleteInputError(
            f"{self.path}: read {num_read} of {len(wanted)} frames; {num_cut} are cut off at the "
            f"end and {num_missing - num_cut} are damaged. Copy or export the video again."
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
        if 0 <= index < self.info.num_packets:
            pixels = self._read_with_decord(index)
            if pixels is not None:
                return pixels
        return super().read(index)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream frames in order; see ``FrameSource.frames``."""
        try:
            wanted = frame_range(self.info.num_packets, start, stop)
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
            return _fitting(luma(reader[index].asnumpy()), self.info, index)
        except (ImportError, OSError, RuntimeError, IndexError, _decord_error()) as error:
            self._has_given_up = True
            self._reader.set(None)
            _LOGGER.info(
                "%s: read with PyAV, because decord failed at frame %d (%s).",
                self.path,
                index,
                describe_error(error),
            )
            return None

    def _open_reader(self) -> Any:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        reader = decord.VideoReader(to_url(self.path), ctx=decord.cpu(0))
        if len(reader) != self.info.num_packets:
            raise RuntimeError(f"it counts {len(reader)} frames, not {self.info.num_packets}")
        return reader


class _Cursor:
    """A decoder that stands somewhere in a file; one process's own."""

    def __init__(self, info: VideoInfo, index: int) -> None:
        self._info = info
        self._frames = _decode(info, index)
        self._next = index

    def is_on_the_way_to(self, index: int) -> bool:
        """Whether decoding on is no longer than a jump to the frame's key frame."""
        if index < self._next:
            return False
        if not len(self._info.pts):
            return True
        keyframe = self._info.index_of(self._info.keyframe_at_or_before(index))
        return keyframe is None or keyframe <= self._next

    def advance_to(self, index: int) -> RawImage:
        """Decode up to a frame; raises ``DataError`` where it is missing."""
        for found, pixels in self._frames:
            self._next = found + 1
            if found == index:
                return pixels
            if found > index:
                break
        raise DataError(
            f"{self._info.path}: frame {index} is damaged or cut off; copy or export it again."
        )

    def close(self) -> None:
        """Close the file."""
        self._frames.close()


def _decode(info: VideoInfo, start: int) -> Generator[tuple[int, RawImage], None, None]:
    """Yield (index, raw frame) from ``start`` on, leaving out what cannot be decoded."""
    is_timed = len(info.pts) > 0
    if is_timed and start >= len(info.pts):
        return
    with av.open(to_url(info.path)) as container:
        stream = container.streams[info.stream_index]
        assert isinstance(stream, VideoStream)
        if is_timed and start:
            container.seek(info.keyframe_at_or_before(start), stream=stream)
        is_landing = is_timed and start > 0
        for position, frame in enumerate(surviving_frames(container, stream)):
            index = info.index_of(frame.pts) if is_timed else position
            if index is None:
                continue
            if is_landing and index > start:
                # The jump went too far, as it may where the container's index is damaged.
                for item in _decode(info, 0):
                    if item[0] >= start:
                        yield item
                return
            is_landing = False
            if index >= start:
                yield index, _fitting(_to_raw(frame, info), info, index)


def _to_raw(frame: av.VideoFrame, info: VideoInfo) -> RawImage:
    """Return the grey levels of a decoded frame, uint8 or uint16 (H, W)."""
    raw: RawImage
    if info.bits <= 8:
        raw = luma(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
    elif _DIRECT_LUMA.fullmatch(frame.format.name):
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
        raw = rows[: frame.height, : frame.width].astype(np.uint16)
    else:
        raw = frame.to_ndarray(format="gray16le").astype(np.uint16, copy=False)
    if not info.rotation:
        return raw
    # decord turns frames by itself.
    turned: RawImage = np.rot90(raw, info.rotation // 90).copy()
    return turned


def _fitting(raw: RawImage, info: VideoInfo, index: int) -> RawImage:
    """Return the frame, or raise ``DataError`` where the video changes its size."""
    if raw.shape != info.hw:
        raise DataError(
            f"{info.path}: frame {index} is {raw.shape[1]}x{raw.shape[0]}; expected "
            f"{info.hw[1]}x{info.hw[0]} like the first. Split the video where its size changes."
        )
    return raw


def _decord_error() -> type[Exception]:
    """Return decord's own exception class; a broken installation has none."""
    try:
        from decord import DECORDError
    except (ImportError, OSError, RuntimeError):
        return RuntimeError
    return DECORDError  # type: ignore[no-any-return]
