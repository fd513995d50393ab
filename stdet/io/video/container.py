"""Video files as FFmpeg opens them: which formats, which stream, and where the file ends.

FFmpeg reads far more than videos, and some of it names other files (playlists, scripts of the
``concat`` demuxer, patterns of image names). So only the formats listed here are opened, from a
file that Python has opened, and no protocol is allowed by which FFmpeg could open another.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stdet.errors import DataError, foreign_errors
from stdet.files.regular_file import require_regular_file
from stdet.io.frame_area import MAX_MEGAPIXELS, check_area

DEMUXERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mxf", "asf", "flv", "ogg", "nut", "ivf", "dv"),
    *("gif", "yuv4mpegpipe", "mjpeg", "mpegvideo", "m4v", "h264", "hevc", "av1", "obu"),
)
"""FFmpeg's names of the formats that are read; mov stands for mp4, matroska for webm."""

_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"<?xml", b"<ASX", b"[playlist]", b"v=0")
_NO_PICTURE_OF_THE_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_ADVICE = (
    "expected for example mp4, mkv or avi; if its recording was interrupted, repair or export it "
    "again"
)
_BOXES = frozenset(
    b"ftyp moov mdat moof mfra sidx ssix styp free skip wide uuid udta meta pnot emsg".split()
)
"""Top-level parts of mp4 and mov."""
_SLACK_BYTES = 16
"""Some writers count a header too much."""


@dataclass(frozen=True, kw_only=True)
class StreamChoice:
    """Which of a file's video streams is read.

    Attributes:
        number: counted from 0 among the video streams, cover pictures left out.
        num_streams: how many there are.
        container_index: its index among all streams of the file.
    """

    number: int
    num_streams: int
    container_index: int


class _SeekableFile(io.FileIO):
    """A file in which a seek to where a damaged container points fails without an exception.

    PyAV prints the traceback of an exception in a seek and goes on.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Return the new position, -1 where there is none."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


@contextlib.contextmanager
def opened_container(path: Path) -> Iterator[InputContainer]:
    """Open a video file with the formats above and no others.

    Raises:
        DataError: If it is no regular file, or no video in one of these formats.
    """
    require_regular_file(path, advice="pass a video file or a folder of images")
    with contextlib.ExitStack() as stack:
        with foreign_errors(path, problem="is no video that can be read", advice=_ADVICE):
            file = stack.enter_context(_SeekableFile(path, "rb"))
            head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
            file.seek(0)
        if head.startswith(_PLAYLISTS):
            raise DataError(
                f"{path}: is no video that can be read: it is a playlist or text that names other "
                "files, and those are not followed; pass the video itself."
            )
        with foreign_errors(path, problem="is no video that can be read", advice=_ADVICE):
            container = av.open(
                file,
                "r",
                metadata_errors="replace",
                options={
                    "format_whitelist": ",".join(DEMUXERS),
                    "protocol_whitelist": "none",
                    "enable_drefs": "0",
                },
            )
            stack.enter_context(container)
        yield container


def choose_stream(container: InputContainer, path: Path | str, number: int | None) -> StreamChoice:
    """Choose the video stream: the first that the file marks as default, else the first.

    Args:
        container: An open file.
        path: For messages.
        number: The one to take instead, counted from 0 among the video streams.

    Raises:
        DataError: If the file has no such stream.
    """
    with foreign_errors(path, problem="its streams cannot be read", advice=_ADVICE):
        videos = [
            (stream.index, bool(stream.disposition & Disposition.default))
            for stream in container.streams.video
            if not stream.disposition & _NO_PICTURE_OF_THE_VIDEO
        ]
        kinds = sorted({stream.type for stream in container.streams})
    if not videos:
        raise DataError(
            f"{path}: holds no video (streams: {', '.join(kinds) or 'none'}); pass a video file "
            "or a folder of frames."
        )
    if number is None:
        number = next((at for at, (_, is_default) in enumerate(videos) if is_default), 0)
    if not 0 <= number < len(videos):
        raise DataError(
            f"{path}: has no video stream {number}; it has {len(videos)}, counted from 0."
        )
    return StreamChoice(number=number, num_streams=len(videos), container_index=videos[number][0])


def video_stream(
    container: InputContainer,
    path: Path | str,
    container_index: int,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> VideoStream:
    """Return a stream that is ready to be decoded, its frames bounded in size.

    Raises:
        DataError: If it is gone, its codec is unknown or its frames are too large.
    """
    with foreign_errors(path, problem="its video stream cannot be read", advice=_ADVICE):
        stream = container.streams[container_index]
        has_codec = isinstance(stream, VideoStream) and stream.codec_context is not None
    if not isinstance(stream, VideoStream) or not has_codec:
        raise DataError(
            f"{path}: its video stream is of a codec that FFmpeg does not know; export it again "
            "as H.264 or FFV1."
        )
    with foreign_errors(path, problem="its video stream cannot be read", advice=_ADVICE):
        hw = (stream.codec_context.height, stream.codec_context.width)
    if any(hw):  # Else the header does not say.
        check_area(hw, path, max_megapixels=max_megapixels)
    with foreign_errors(path, problem="its video stream cannot be read", advice=_ADVICE):
        # The frames may be of another size than the header has it.
        max_pixels = str(int(max_megapixels * 1e6) + 1)
        stream.codec_context.options = {**stream.codec_context.options, "max_pixels": max_pixels}
    return stream


def is_cut_short(path: Path) -> bool:
    """Whether an mp4, avi or Matroska file ends before its own structure says.

    Its boxes, RIFF chunks or elements state their sizes. Durations and counts in a header are no
    such evidence: editors leave them as they were.

    Raises:
        DataError: If the file cannot be read.
    """
    with foreign_errors(path, advice="check the file and its rights"):
        size = path.stat().st_size
        with path.open("rb") as file:
            end = 0
            # A file of video holds few top-level parts; a fragmented one a part per second.
            while end < size:
                file.seek(end)
                head = file.read(32)
                part_end = _end_of_part(head, end, size)
                if part_end is None:
                    return False
                end = part_end
    return end > size + _SLACK_BYTES


def _end_of_part(head: bytes, start: int, file_size: int) -> int | None:
    """Return where a top-level part ends, ``None`` where that is not known."""
    if head[:4] in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):  # EBML header and Segment.
        return _end_of_ebml(head, start)
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return start + 8 + size + size % 2 if 0 < size < 0xFFFFFFFF else None
    if head[4:8] not in _BOXES:
        return None
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return start + size if size >= 8 else None  # 0: up to the end of the file.


def _end_of_ebml(head: bytes, start: int) -> int | None:
    """Return where a Matroska element ends, ``None`` where its size is left open."""
    length = 9 - head[4].bit_length() if len(head) > 4 and head[4] else 9
    if length > 8:
        return None
    value = int.from_bytes(head[4 : 4 + length], "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else start + 4 + length + value
