"""What a video file holds and promises, found in one pass over its packets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS, check_area
from stdet.io.video.container import (
    StreamChoice,
    choose_stream,
    is_cut_short,
    opened_container,
    video_stream,
)
from stdet.io.video.packets import PacketNotes, PictureReader
from stdet.io.video.timeline import VideoHeader, build_timeline
from stdet.types import BoolArray, IntArray

_NUM_PROBED = 24
"""Pictures decoded to learn how packets and pictures go together; reordering spans 16."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoInfo:
    """What one pass over a file's packets tells, with a few frames decoded.

    Attributes:
        path: the file.
        stream: which of the file's video streams holds the frames.
        hw: height and width in pixels, after rotation.
        fps: frames per second of the frame indices, ``None`` where unknown.
        bits: bits per component of the pixel format, at least 8.
        rotation: degrees counter-clockwise by which frames are to be turned, a multiple of 90.
        times: int64 (N,), presentation times of the pictures present, increasing, in stream ticks;
            empty where the container has no usable times and pictures come in order.
        indices: int64 (N,), frame index of each picture present, decodable or not, increasing.
        is_blank: bool (N,), whether a picture may be none but a repetition of the one before.
        keyframe_times: int64 (K,), increasing, ticks.
        num_frames: length on the grid of indices, holes and what is cut off counted.
        num_cut: frames that are cut off the end; 0 also where their number is not stated.
        is_cut: whether the file breaks off before its last frame.
        is_counted: whether the container states its length.
        max_megapixels: largest area of a frame, 10^6 pixels.
    """

    path: Path
    stream: StreamChoice
    hw: tuple[int, int]
    fps: float | None
    bits: int
    rotation: int
    times: IntArray
    indices: IntArray
    is_blank: BoolArray
    keyframe_times: IntArray
    num_frames: int
    num_cut: int
    is_cut: bool
    is_counted: bool
    max_megapixels: float = MAX_MEGAPIXELS

    @property
    def num_pictures(self) -> int:
        """Pictures that are present, decodable or not."""
        return len(self.indices)

    @property
    def num_holes(self) -> int:
        """Frames at whose time there is no picture, those cut off not counted."""
        return self.num_frames - self.num_cut - self.num_pictures

    @property
    def first_hole(self) -> int:
        """The first frame without a picture, before the end."""
        steps = np.flatnonzero(self.indices != np.arange(len(self.indices)))
        return int(steps[0]) if len(steps) else len(self.indices)

    def position_of(self, pts: int | None) -> int | None:
        """Return which picture a presentation time is of, ``None`` where that is not known."""
        if pts is None or pts < self.times[0]:
            return None
        return int(np.searchsorted(self.times, pts, side="right")) - 1

    def shown_at(self, index: int) -> int:
        """Return which picture is shown at a frame index: in a hole the one before it."""
        return max(int(np.searchsorted(self.indices, index, side="right")) - 1, 0)

    def keyframe_at_or_before(self, position: int) -> int:
        """Return the presentation time from which decoding reaches a picture."""
        time = self.times[position]
        before = int(np.searchsorted(self.keyframe_times, time, side="right")) - 1
        return int(self.keyframe_times[before] if before >= 0 else self.times[0])


def inspect_video(
    path: Path, *, stream: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> VideoInfo:
    """Read a file's packets and its first frames.

    Args:
        path: The file.
        stream: Which video stream, counted from 0; ``None`` for the file's default.
        max_megapixels: Largest area of a frame, 10^6 pixels.

    Raises:
        DataError: If the file holds no video that can be decoded.
    """
    with opened_container(path) as container:
        choice = choose_stream(container, path, stream)
        chosen = video_stream(
            container, path, choice.container_index, max_megapixels=max_megapixels
        )
        probe = _read_packets(container, chosen, path)
        header = VideoHeader.of(container, chosen, path)
    first = probe.pictures[0]
    check_area((first.height, first.width), path, max_megapixels=max_megapixels)
    is_cut = probe.breaks_off or (header.counts_frames and is_cut_short(path))
    timeline = build_timeline(
        probe.notes,
        [frame.pts for frame in probe.pictures],
        header,
        delay=probe.delay,
        is_cut=is_cut,
    )
    rotation = first.rotation % 360
    is_turned = rotation in (90, 270)
    return VideoInfo(
        path=path,
        stream=choice,
        hw=(first.width, first.height) if is_turned else (first.height, first.width),
        fps=timeline.fps,
        bits=max(8, *(component.bits for component in first.format.components)),
        rotation=rotation,
        times=timeline.times,
        indices=timeline.indices,
        is_blank=timeline.is_blank,
        keyframe_times=probe.notes.keyframe_times(),
        num_frames=timeline.num_frames,
        num_cut=timeline.num_cut,
        is_cut=timeline.is_cut,
        is_counted=header.counts_frames,
        max_megapixels=max_megapixels,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Probe:
    """What the packets and the first pictures say; ``delay`` in packets to the first picture."""

    notes: PacketNotes
    pictures: tuple[av.VideoFrame, ...]
    delay: int
    breaks_off: bool


def _read_packets(container: InputContainer, stream: VideoStream, path: Path) -> _Probe:
    """Note all packets, and decode until enough pictures are there."""
    reader = PictureReader(container, stream, path)
    codec = stream.codec_context
    notes = PacketNotes(codec.name, codec.width * codec.height)
    pictures: list[av.VideoFrame] = []
    delay = 0
    for packet in reader.packets():
        notes.add(packet)
        if len(pictures) < _NUM_PROBED:
            pictures += reader.decoded(packet)
        if not pictures:
            delay = len(notes)
    if len(pictures) < _NUM_PROBED:
        pictures += reader.decoded(None)
    if not pictures:
        raise DataError(f"{path}: no frame can be decoded; copy or export the video again.")
    return _Probe(notes=notes, pictures=tuple(pictures), delay=delay, breaks_off=reader.breaks_off)
