"""Pictures of a video decoded with PyAV."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stdet.data.frame_source import RawImage, luma
from stdet.data.video_container import opened_container, video_stream
from stdet.data.video_info import VideoInfo
from stdet.data.video_packets import PictureReader
from stdet.errors import DataError, foreign_errors

_DIRECT_LUMA = re.compile(r"(gray|yuvj?[0-9]{3}p|yuva[0-9]{3}p)(9|10|12|14|16)le")
"""Pixel formats whose first plane holds raw little-endian grey levels."""


def decode_pictures(info: VideoInfo, start: int) -> Generator[tuple[int, RawImage], None, None]:
    """Yield the pictures of a video that can be decoded, in order.

    Args:
        info: The video.
        start: The first picture wanted.

    Yields:
        (position, raw frame); the position counts the pictures that are present.

    Raises:
        DataError: If the file cannot be opened, or the frames change their size.
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
                yield position, fitting(_to_raw(frame, info), info, position)
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


def _to_raw(frame: av.VideoFrame, info: VideoInfo) -> RawImage:
    """Return the grey levels of a decoded frame, uint8 or uint16 (H, W)."""
    raw: RawImage
    if info.bits <= 8:
        raw = luma(_converted(frame, "rgb24", info).astype(np.uint8, copy=False))
    elif _DIRECT_LUMA.fullmatch(frame.format.name):
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
        raw = rows[: frame.height, : frame.width].astype(np.uint16)
    else:
        raw = _converted(frame, "gray16le", info).astype(np.uint16, copy=False)
    if not info.rotation:
        return raw
    # decord turns frames by itself.
    turned: RawImage = np.rot90(raw, info.rotation // 90).copy()
    return turned


def _converted(frame: av.VideoFrame, pixel_format: str, info: VideoInfo) -> NDArray[Any]:
    """Return a frame in another pixel format."""
    with foreign_errors(info.path, problem="has a frame that cannot be read", advice="export it"):
        return frame.to_ndarray(format=pixel_format)


def fitting(raw: RawImage, info: VideoInfo, position: int) -> RawImage:
    """Return the frame of a picture, or raise ``DataError`` where the video changes its size."""
    if raw.shape != info.hw:
        raise DataError(
            f"{info.path}: frame {info.indices[position]} is {raw.shape[1]}x{raw.shape[0]}; "
            f"expected {info.hw[1]}x{info.hw[0]} like the first. Split the video where its size "
            "changes."
        )
    return raw
