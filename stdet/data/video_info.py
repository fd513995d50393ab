"""What a video file holds and promises, found in one pass over its packets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stdet.errors import DataError
from stdet.types import IntArray

_MAX_REORDER = 16
"""H.264 and HEVC hold back at most 16 frames for reordering."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoInfo:
    """What one pass over a file's packets tells, without decoding more than one frame.

    Attributes:
        path: the file.
        stream_index: which of the container's streams holds the frames.
        hw: height and width in pixels, after rotation.
        fps: average frames per second, ``None`` where unknown.
        bits: bits per component of the pixel format, at least 8.
        rotation: degrees counter-clockwise by which frames are to be turned, a multiple of 90.
        pts: int64 (N,), presentation times of the packets present, increasing, in stream ticks;
            empty where the container has no usable times and frames are only counted.
        keyframe_pts: int64 (K,), increasing.
        num_packets: frames that are present, decodable or not.
        num_declared: frames the container promises, ``None`` where it does not say.
    """

    path: Path
    stream_index: int
    hw: tuple[int, int]
    fps: float | None
    bits: int
    rotation: int
    pts: IntArray
    keyframe_pts: IntArray
    num_packets: int
    num_declared: int | None

    @property
    def num_expected(self) -> int:
        """Frames that a whole file would give."""
        return max(self.num_packets, self.num_declared or 0)

    def index_of(self, pts: int | None) -> int | None:
        """Return the frame index of a presentation time, ``None`` where it is not known."""
        if pts is None:
            return None
        index = int(np.searchsorted(self.pts, pts))
        return index if index < len(self.pts) and self.pts[index] == pts else None

    def keyframe_at_or_before(self, index: int) -> int:
        """Return the presentation time from which decoding reaches a frame."""
        position = int(np.searchsorted(self.keyframe_pts, self.pts[index], side="right")) - 1
        return int(self.keyframe_pts[position] if position >= 0 else self.pts[0])


def inspect_video(path: Path) -> VideoInfo:
    """Read a file's packets and its first frame.

    Raises:
        DataError: If the file holds no video that can be decoded.
    """
    try:
        with av.open(to_url(path)) as container:
            return _inspect(container, path)
    except av.FFmpegError as error:
        raise DataError(
            f"{path}: is no video that can be read ({describe_error(error)}); expected for "
            "example mp4, mkv or avi. If its recording was interrupted, repair or export it again."
        ) from error


def surviving_frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield every frame that can be decoded, in order of presentation.

    A packet that cannot be decoded is passed over, and a container that cannot be read on is taken
    to end there; both leave holes for the caller to count.
    """
    for packet in _readable_packets(container, stream):
        yield from _decoded(stream, packet)
    yield from _decoded(stream, None)


def to_url(path: Path) -> str:
    """Return a path as FFmpeg and decord take it; a colon in it would name a protocol."""
    return f"file:{path}"


def describe_error(error: BaseException) -> str:
    """Return the reason of a decoder's or the system's error in one line."""
    lines = (getattr(error, "strerror", None) or str(error)).splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _readable_packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[av.Packet[VideoStream]]:
    """Yield the packets up to the end or the first that cannot be read."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        if packet.size and not packet.is_corrupt:
            yield packet


def _decoded(stream: VideoStream, packet: av.Packet[VideoStream] | None) -> list[av.VideoFrame]:
    """Return the frames that a packet (``None`` for the end) brings forth."""
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        return []
    return [frame for frame in frames if not frame.is_corrupt]


def _inspect(container: InputContainer, path: Path) -> VideoInfo:
    stream = _video_stream(container, path)
    first: av.VideoFrame | None = None
    packets = _Packets()
    for packet in _readable_packets(container, stream):
        packets.add(packet)
        if first is None:
            first = next(iter(_decoded(stream, packet)), None)
    first = first or next(iter(_decoded(stream, None)), None)
    if first is None:
        raise DataError(f"{path}: no frame can be decoded; copy or export the video again.")
    fps = float(stream.average_rate) if stream.average_rate else None
    num_declared = _count_declared(container, stream, packets, fps)
    if num_declared is not None and len(packets.pts) < num_declared:
        packets.drop_after_hole()
        num_declared = _count_declared(container, stream, packets, fps)
    rotation = first.rotation % 360
    is_turned = rotation in (90, 270)
    return VideoInfo(
        path=path,
        stream_index=stream.index,
        hw=(first.width, first.height) if is_turned else (first.height, first.width),
        fps=fps,
        bits=max(8, *(component.bits for component in first.format.components)),
        rotation=rotation,
        pts=packets.presentation_times(),
        keyframe_pts=np.unique(np.array(packets.keyframe_pts, np.int64)),
        num_packets=len(packets.pts),
        num_declared=num_declared,
    )


class _Packets:
    """Notes on the packets of a stream."""

    def __init__(self) -> None:
        self.pts: list[int | None] = []
        self.keyframe_pts: list[int] = []
        self.end = 0
        self.num_discarded = 0

    def add(self, packet: av.Packet[VideoStream]) -> None:
        """Note one packet; those before the start of an edit list are decoded, not shown."""
        if packet.is_discard:
            self.num_discarded += 1
            return
        self.pts.append(packet.pts)
        if packet.pts is None:
            return
        self.end = max(self.end, packet.pts + (packet.duration or 0))
        if packet.is_keyframe:
            self.keyframe_pts.append(packet.pts)

    def presentation_times(self) -> IntArray:
        """Return the times in order, or nothing where some are unknown or shared."""
        times = np.unique(np.array([pts for pts in self.pts if pts is not None], np.int64))
        return times if len(times) == len(self.pts) else np.zeros(0, np.int64)

    def drop_after_hole(self) -> None:
        """Forget the frames of a cut file that were stored before those they follow.

        A file keeps a frame before those that are predicted from it. Where a cut took the latter,
        counting would give the former a wrong index.
        """
        times = self.presentation_times()
        steps = np.diff(times)
        if not len(steps):
            return
        holes = np.flatnonzero(steps > 1.5 * np.median(steps))
        holes = holes[holes >= len(steps) - _MAX_REORDER]
        if len(holes):
            kept = times[: holes[0] + 1]
            self.pts = [int(pts) for pts in kept]
            self.end = int(2 * kept[-1] - kept[-2]) if len(kept) > 1 else int(times[1])


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the first stream of moving pictures."""
    for stream in container.streams.video:
        is_cover = bool(stream.disposition & Disposition.attached_pic)
        # FFmpeg reads a .txt file as a film of a text terminal.
        if not is_cover and container.format.name != "tty":
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise DataError(
        f"{path}: holds no video (streams: {', '.join(kinds) or 'none'}); pass a video file or a "
        "folder of frames."
    )


def _count_declared(
    container: InputContainer, stream: VideoStream, packets: _Packets, fps: float | None
) -> int | None:
    """Return how many frames the container promises.

    mp4 and avi count them. Matroska states a duration: what it has beyond the end of the last
    packet is missing. Other containers state nothing that a cut would contradict.
    """
    if stream.frames:
        return stream.frames - packets.num_discarded
    if "matroska" not in container.format.name or not fps or stream.time_base is None:
        return None
    duration = _stated_seconds(container, stream)
    if duration is None:
        return None
    missing_seconds = duration - float(packets.end * stream.time_base)
    return len(packets.pts) + max(round(missing_seconds * fps), 0)


def _stated_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration in a Matroska header; that of the file counts sound as well."""
    tag = stream.metadata.get("DURATION")
    if tag:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is None or len(container.streams) > 1:
        return None
    return container.duration / av.time_base
