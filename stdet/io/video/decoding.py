"""Pictures of a video decoded with PyAV."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stdet.errors import DataError, foreign_errors
from stdet.io.frame_source import RawImage, luma
from stdet.io.video.container import opened_container, video_stream
from stdet.io.video.info import VideoInfo
from stdet.io.video.packets import PictureReader

_DIRECT_LUMA = re.compile(r"(gray|yuvj?[0-9]{3}p|yuva[0-9]{3}p)(9|10|12|14|16)le")
"""Pixel formats whose first plane holds raw little-endian grey levels."""


def decode_pictures(
    info: VideoInfo, start: int
) -> Generator[tuple[int, av.VideoFrame], None, None]:
    """Yield the pictures of a video that can be decoded, in order.

    Args:
        info: The video.
        start: The first picture wanted.

    Yields:
        (position, picture); the position counts the pictures that are present.

    Raises:
        DataError: If the file cannot be opened.
    """
    is_timed = len(info.times) > 0
    last = -1
    with opened_container(info.path) as container:
        stream = video_stream(
            container,
            info.path,
            info.stream.container_index,
            max_megapixels=info.max_megapixels,
        )
        is_landing = is_timed and start > 0 and _jump(container, stream, info, start)
        pictures = PictureReader(container, stream, info.path).pictures()
        for counted, frame in enumerate(pictures):
            position = info.position_of(frame.pts) if is_timed else counted
            if position is None or not last < position < info.num_pictures:
                continue
            if is_landing and position > start:
                break
            is_landing = False
            last = position
            if position >= start:
                yield position, frame
    if is_landing:
        # The jump went too far, as it may where the container's index is damaged.
        yield from (item for item in decode_pictures(info, 0) if item[0] >= start)


def _jump(container: InputContainer, stream: VideoStream, info: VideoInfo, start: int) -> bool:
    """Go to the key frame of a picture; return whether that was possible."""
    try:
        with foreign_errors(info.path, advice="copy it again"):
            container.seek(info.keyframe_at_or_before(start), stream=stream)
    except DataError:
        return False
    return True


class GreyPictures:
    """Turns pictures into grey levels, as they are stored.

    It keeps FFmpeg's converter from picture to picture, on one thread: a frame is too small for
    more to pay. It belongs to one process.

    Args:
        label: Of the source, for messages.
        bits: Bits per component of the pixel format, at least 8.
    """

    def __init__(self, label: Path | str, bits: int) -> None:
        """Start without a picture."""
        self._label = label
        self._bits = bits
        self._reformatter = VideoReformatter()

    def grey(self, picture: av.VideoFrame) -> RawImage:
        """Return grey levels, uint8 or uint16 (H, W).

        Raises:
            DataError: If the picture cannot be converted.
        """
        if self._bits <= 8:
            return luma(self._reformatted(picture, "rgb24").astype(np.uint8, copy=False))
        if _DIRECT_LUMA.fullmatch(picture.format.name):
            plane = picture.planes[0]
            rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
            return rows[: picture.height, : picture.width].astype(np.uint16)
        return self._reformatted(picture, "gray16le").astype(np.uint16, copy=False)

    def _reformatted(self, picture: av.VideoFrame, pixel_format: str) -> NDArray[Any]:
        """Return a picture in another pixel format."""
        problem = "has a frame that cannot be read"
        with foreign_errors(self._label, problem=problem, advice="export it"):
            return self._reformatter.reformat(picture, format=pixel_format, threads=1).to_ndarray()


class GreyConverter:
    """Turns the pictures of one video file into grey levels; it belongs to one process.

    Args:
        info: The video.
    """

    def __init__(self, info: VideoInfo) -> None:
        """Start without a picture."""
        self._info = info
        self._pictures = GreyPictures(info.path, info.bits)

    def convert(self, picture: av.VideoFrame, position: int) -> RawImage:
        """Return a picture's grey levels, uint8 or uint16 (H, W), turned as the file says.

        Args:
            picture: As ``decode_pictures`` yields it.
            position: For messages.

        Raises:
            DataError: If it cannot be converted, or is of another size than the first.
        """
        info = self._info
        raw = self._pictures.grey(picture)
        if info.rotation:
            raw = np.rot90(raw, info.rotation // 90).copy()
        if raw.shape != info.hw:
            raise DataError(
                f"{info.path}: frame {info.indices[position]} is {raw.shape[1]}x{raw.shape[0]}; "
                f"expected {info.hw[1]}x{info.hw[0]} like the first. Split the video where its "
                "size changes."
            )
        return raw
