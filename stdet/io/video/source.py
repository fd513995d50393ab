"""Video files as frame sources, decoded with PyAV.

Frames are numbered by presentation time (``video/times.py``). At the time of a dropped frame, of
one that repeats the one before, or of a damaged one, there is a hole in the indices, and none
after it shifts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from stdet.errors import DataError, IncompleteInputError
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import (
    Frame,
    HasMeasuredIntensity,
    Intensity,
    PerProcess,
    RawImage,
    frame_range,
    measure_intensity,
)
from stdet.io.video.decoding import GreyConverter, decode_pictures
from stdet.io.video.info import VideoInfo, inspect_video
from stdet.io.video.writer import VideoWriter, write_grey

__all__ = [
    "VideoFile",
    "VideoInfo",
    "VideoWriter",
    "inspect_video",
    "open_video",
    "write_grey",
]

_LOGGER = logging.getLogger(__name__)


def open_video(
    path: Path, *, stream: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> VideoFile:
    """Inspect a video file and return its reader.

    Args:
        path: An existing file.
        stream: Which of its video streams, counted from 0, cover pictures left out; ``None`` for
            the first that the file marks as default, or the first where it marks none.
        max_megapixels: Largest area of a frame, 10^6 pixels.

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
    return VideoFile(info)


class VideoFile(HasMeasuredIntensity):
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
        first, end = np.searchsorted(self.info.indices, [wanted.start, wanted.stop]).tolist()
        is_read = self.info.is_blank[first:end].copy()  # Nothing is missed where those are none.
        num_read = 0
        fault: DataError | None = None
        try:
            converter = GreyConverter(self.info)
            for position, picture in decode_pictures(self.info, first) if first < end else ():
                if position >= end:
                    break
                pixels = converter.convert(picture, position)
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


class _Cursor:
    """A decoder at some position of a file; each process has its own."""

    def __init__(self, info: VideoInfo, position: int) -> None:
        self._info = info
        self._pictures = decode_pictures(info, position)
        self._converter = GreyConverter(info)
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
        for found, picture in self._pictures:
            self._next = found + 1
            if found == position:
                return self._converter.convert(picture, position)
            if found > position:
                break
        raise DataError(
            f"{self._info.path}: frame {self._info.indices[position]} is damaged or cut off; copy "
            "or export it again."
        )

    def close(self) -> None:
        """Close the file."""
        self._pictures.close()
