"""Where the pictures of a video lie on the grid of frame indices, and what is missing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from stdet.errors import foreign_errors
from stdet.io.video.packets import PacketNotes, before_hole, without_second_fields
from stdet.io.video.times import (
    frame_indices,
    frame_period,
    frame_rate,
    is_one_clock,
    plausible_rates,
)
from stdet.types import BoolArray, IntArray

_BYTES_PER_NULL_FRAME = 8
"""What a frame that repeats the one before takes in an avi file."""


@dataclass(frozen=True, kw_only=True)
class VideoHeader:
    """What a container states.

    Attributes:
        kind: FFmpeg's first name of the format.
        num_bytes: size of the file.
        num_frames: stated number of frames; 0 where it does not say.
        seconds: stated length; ``None`` where it does not say.
        seconds_per_tick: of the stream's time stamps; ``None`` where unknown.
        rates: stated frame rates that a camera may have, the preferred one first.
    """

    kind: str
    num_bytes: int
    num_frames: int
    seconds: float | None
    seconds_per_tick: float | None
    rates: tuple[float, ...]

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, path: Path) -> VideoHeader:
        """Read what an open file states.

        Raises:
            DataError: If it states what cannot be read.
        """
        with foreign_errors(path, problem="its header cannot be read", advice="export it again"):
            kind = container.format.name.split(",")[0]
            num_bytes = path.stat().st_size
            num_frames = int(stream.frames)
            duration = container.duration
            tag = stream.metadata.get("DURATION", "")
            time_base = stream.time_base
            stated = (stream.average_rate, stream.base_rate, stream.guessed_rate)
            rates = [float(rate) if rate else None for rate in stated]
        # Sound may outlast the pictures; a tag tells their own length, but may be an old one.
        lengths = [_seconds_of(tag), None if duration is None else duration / av.time_base]
        known = [seconds for seconds in lengths if seconds is not None]
        return cls(
            kind=kind,
            num_bytes=num_bytes,
            num_frames=num_frames,
            seconds=min(known) if duration is not None else None,
            seconds_per_tick=float(time_base) if time_base else None,
            rates=tuple(plausible_rates(rates)),
        )

    @property
    def counts_frames(self) -> bool:
        """Whether the format states what a cut would contradict."""
        return self.kind in ("mov", "avi", "matroska")


def _seconds_of(tag: str) -> float | None:
    """Return the length in a DURATION tag of Matroska, hours:minutes:seconds."""
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """The pictures of a video on the grid of frame indices; attributes as in ``VideoInfo``."""

    times: IntArray
    indices: IntArray
    is_blank: BoolArray
    fps: float | None
    num_frames: int
    num_cut: int
    is_cut: bool


def build_timeline(
    notes: PacketNotes,
    pictures: Sequence[int | None],
    header: VideoHeader,
    *,
    delay: int,
    is_cut: bool,
) -> Timeline:
    """Number the pictures of a video by time, or by order where no time can be trusted.

    Args:
        notes: Of all its packets; the last is dropped if a cut went through it.
        pictures: Presentation times of the first pictures decoded, ticks.
        header: What the container states.
        delay: Packets by which a picture comes out of the decoder later than its turn.
        is_cut: Whether the file breaks off.

    Returns:
        The timeline.
    """
    if is_cut:
        notes.drop_corrupt_end()
    times = _picture_times(notes, pictures)
    clock = times if len(times) else notes.decoding_times()
    if is_cut:
        clock = before_hole(clock)
    tick = header.seconds_per_tick
    period: float | None = None
    indices = np.arange(len(clock) or len(notes), dtype=np.int64)
    if tick is not None and len(clock):
        period = frame_period(clock, [1 / (rate * tick) for rate in header.rates])
        by_time = frame_indices(clock, period)
        if is_one_clock(clock, by_time, tick):
            if not len(times):
                by_time = _after_delay(by_time, delay)
            indices = by_time + _first_index(notes, header, period)
        else:
            period, times, indices = None, times[:0], np.arange(len(notes), dtype=np.int64)
    times = times[: len(indices)]
    num_later, is_cut = _count_later(notes, header, clock, indices, period, is_cut=is_cut)
    return Timeline(
        times=times,
        indices=indices,
        is_blank=np.isin(times, notes.blank_times())
        if len(times)
        else np.zeros(len(indices), np.bool_),
        fps=frame_rate(None if period is None or tick is None else period * tick, header.rates),
        num_frames=int(indices[-1]) + 1 + num_later,
        num_cut=num_later if is_cut else 0,
        is_cut=is_cut,
    )


def _picture_times(notes: PacketNotes, pictures: Sequence[int | None]) -> IntArray:
    """Return the presentation times of pictures, nothing where they cannot be trusted.

    Decoders give pictures in order of presentation. Where their times do not increase, as those of
    H.264 with B-frames in avi, the container has none and FFmpeg has guessed.
    """
    times = notes.presentation_times()
    known = np.array([pts for pts in pictures if pts is not None], np.int64)
    if not len(times) or len(known) < len(pictures) or np.any(np.diff(known) <= 0):
        return np.zeros(0, np.int64)
    # What a cut-out recording shows before its first key frame lacks the frames it refers to.
    keyframe = notes.first_keyframe()
    start = int(known[0]) if keyframe is None else min(int(known[0]), keyframe)
    return without_second_fields(times[times >= start], known)


def _after_delay(indices: IntArray, delay: int) -> IntArray:
    """Return the indices of pictures, given those of packets in order of decoding.

    Example:
        >>> _after_delay(np.array([0, 1, 2, 3, 7, 8]), 2).tolist()
        [0, 1, 5, 6, 7, 8]
    """
    if not 0 < delay < len(indices):
        return indices
    shown = indices[delay:] - delay
    later: IntArray = shown[-1] + 1 + np.arange(delay, dtype=np.int64)
    return np.concatenate([shown, later])


def _first_index(notes: PacketNotes, header: VideoHeader, period: float | None) -> int:
    """Return the index of the first picture: avi counts from 0, others from the first."""
    if header.kind != "avi" or period is None:
        return 0
    start = notes.decoding_times()[:1]
    return max(round(float(start[0]) / period), 0) if len(start) else 0


def _count_later(
    notes: PacketNotes,
    header: VideoHeader,
    clock: IntArray,
    indices: IntArray,
    period: float | None,
    *,
    is_cut: bool,
) -> tuple[int, bool]:
    """Return how many frames follow the last picture, and whether they are cut off.

    They are not where an avi file ends in frames that repeat the last. Where a cut file does not
    say how much is missing, the number is 0.
    """
    num_counted = int(indices[-1]) + 1
    if header.kind == "avi" and header.num_frames <= header.num_bytes // _BYTES_PER_NULL_FRAME:
        num_later = max(header.num_frames - num_counted, 0)
        return num_later, is_cut and (num_later > 0 or not header.num_frames)
    if not is_cut:
        return 0, False
    if header.kind == "mov" and header.num_frames:
        num_later = max(header.num_frames - notes.num_discarded - len(indices), 0)
        return num_later, num_later > 0
    tick = header.seconds_per_tick
    if header.kind == "matroska" and header.seconds and tick and period and len(clock):
        missing = header.seconds / tick / period - (float(clock[-1]) / period + 1)
        return max(round(missing), 0), round(missing) > 0
    return 0, True
