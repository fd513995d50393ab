"""What the packets of a video stream tell without being decoded, and how they are decoded.

A packet is not always a picture: VP8 and VP9 store reference frames that are never shown, MPEG-4
and AVI store frames that repeat the last, and interlaced H.264 may store each field by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from stdet.errors import DataError, foreign_errors
from stdet.types import IntArray

_MAX_REORDER = 16
"""H.264 and HEVC hold back at most 16 frames for reordering."""
_FIELD_PAIR = 1.6
"""Times between pictures over those between packets from which packets are fields."""
_MIN_PICTURES = 8
_MPEG4_HEADER_BITS = 51
"""Of a coded P picture, at least: start code 32, type, times, markers 8, quantiser, vectors 11.

ISO/IEC 14496-2, 6.2.5; each macroblock follows with at least one bit.
"""


class PictureReader:
    """Read the packets of a stream and decode them, past what is damaged.

    A packet that cannot be decoded is passed over, and a container that cannot be read on is taken
    to end there. Both leave holes, and are remembered.

    Args:
        container: An open file.
        stream: The stream to read.
        path: For messages.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path) -> None:
        """Start at the container's position."""
        self._stream = stream
        self._path = path
        self._packets = container.demux(stream)
        self.breaks_off = False
        """The container could not be read to its end."""

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """Yield the packets up to the end, or to the first that cannot be read."""
        while True:
            try:
                with foreign_errors(self._path, advice="copy it again"):
                    packet = next(self._packets, None)
            except DataError:
                self.breaks_off = True
                return
            if packet is None:
                return
            if packet.size:
                yield packet

    def decoded(self, packet: av.Packet[VideoStream] | None) -> list[av.VideoFrame]:
        """Return the pictures that a packet (``None`` for the end) brings forth."""
        if packet is not None and packet.is_corrupt:
            return []
        try:
            with foreign_errors(self._path, advice="copy it again"):
                frames = self._stream.codec_context.decode(packet)
        except DataError:
            return []
        return [frame for frame in frames if not frame.is_corrupt]

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Yield every picture that can be decoded, in order of presentation."""
        for packet in self.packets():
            yield from self.decoded(packet)
        yield from self.decoded(None)


class PacketNotes:
    """Notes on the packets of a stream that hold, or seem to hold, a picture.

    Args:
        codec: FFmpeg's name of the codec.
        num_pixels: Of a frame, 0 where unknown.
    """

    def __init__(self, codec: str, num_pixels: int) -> None:
        """Start without a packet."""
        self._codec = codec
        self._num_blocks = num_pixels // 256
        self._pts: list[int | None] = []
        self._dts: list[int | None] = []
        self._is_blank: list[bool] = []
        self._keyframe_pts: list[int] = []
        self._last_keyframe = 0
        self._starts_anew = False
        self.end_is_corrupt = False
        """The container itself calls the last packet damaged."""
        self.num_discarded = 0
        """Packets before the start of an edit list, decoded but not shown."""

    def __len__(self) -> int:
        """Return the number of packets that hold a picture, the discarded left out."""
        return len(self._pts)

    def add(self, packet: av.Packet[VideoStream]) -> None:
        """Note one packet."""
        if packet.is_discard:
            self.num_discarded += 1
            return
        if self._is_hidden(packet):
            return
        self._pts.append(packet.pts)
        self._dts.append(packet.dts)
        least_bits = _MPEG4_HEADER_BITS + self._num_blocks
        self._is_blank.append(self._codec == "mpeg4" and 8 * packet.size < least_bits)
        self.end_is_corrupt = packet.is_corrupt
        if packet.is_keyframe and packet.pts is not None and not packet.is_corrupt:
            self._add_keyframe(packet.pts)

    def _add_keyframe(self, pts: int) -> None:
        """Note a key frame; its clock starts anew where key frames are not in order of time."""
        is_second_field = len(self) - self._last_keyframe == 1
        if self._keyframe_pts and pts <= self._keyframe_pts[-1] and not is_second_field:
            self._starts_anew = True
        self._keyframe_pts.append(pts)
        self._last_keyframe = len(self)

    def keyframe_times(self) -> IntArray:
        """Return the presentation times of key frames, increasing."""
        return np.unique(np.array(self._keyframe_pts, np.int64))

    def first_keyframe(self) -> int | None:
        """Return the presentation time of the first key frame in order of decoding."""
        return self._keyframe_pts[0] if self._keyframe_pts else None

    def presentation_times(self) -> IntArray:
        """Return the times in order, or nothing where some are unknown or a clock starts anew.

        Packets that share a time share a picture.
        """
        times = [pts for pts in self._pts if pts is not None]
        if len(times) < len(self._pts) or self._starts_anew:
            return np.zeros(0, np.int64)
        return np.unique(np.array(times, np.int64))

    def decoding_times(self) -> IntArray:
        """Return the times of decoding in order, or nothing where some are unknown or shared."""
        times = np.unique(np.array([dts for dts in self._dts if dts is not None], np.int64))
        return times if len(times) == len(self._dts) else np.zeros(0, np.int64)

    def drop_corrupt_end(self) -> None:
        """Forget the last packet, where the file is cut in the midst of it."""
        if self.end_is_corrupt:
            for notes in (self._pts, self._dts, self._is_blank):
                notes.pop()

    def blank_times(self) -> IntArray:
        """Return the presentation times of packets that repeat the frame before them.

        Such a packet has fewer bits than a header and one for each macroblock. Whether it brings
        forth a picture is up to the decoder; where it does not, nothing is damaged.
        """
        pairs = zip(self._pts, self._is_blank, strict=True)
        return np.array([pts for pts, blank in pairs if blank and pts is not None], np.int64)

    def _is_hidden(self, packet: av.Packet[VideoStream]) -> bool:
        """Whether a packet holds a reference frame that is never shown."""
        if self._codec not in ("vp8", "vp9"):
            return False
        content = memoryview(packet)
        first, last = content[0], content[-1]
        if self._codec == "vp8":
            return not first & 0x10
        if first >> 6 != 2 or last & 0xE0 == 0xC0:  # No VP9, or several frames in one packet.
            return False
        bits = first << 1 if first & 0x30 == 0x30 else first  # Profile 3 has a bit more.
        return not bits & 0x08 and not bits & 0x02


def without_second_fields(times: IntArray, pictures: IntArray) -> IntArray:
    """Leave out the times of packets that hold the second field of a picture.

    Args:
        times: Of all packets, increasing, ticks.
        pictures: Of the first pictures decoded, increasing, ticks.

    Returns:
        The times of pictures, increasing.

    Example:
        >>> without_second_fields(np.arange(40), np.arange(0, 20, 2)).tolist()[:4]
        [0, 2, 4, 6]
    """
    if len(pictures) < _MIN_PICTURES:
        return times
    packets = times[(times >= pictures[0]) & (times <= pictures[-1])]
    step = float(np.median(np.diff(pictures)))
    if step < _FIELD_PAIR * np.median(np.diff(packets)):
        return times
    kept = [int(pictures[0])]
    for time in times[times > pictures[0]].tolist():
        if time - kept[-1] > 0.75 * step:
            kept.append(time)
    return np.array(kept, np.int64)


def before_hole(times: IntArray) -> IntArray:
    """Return the times of a cut file without those stored before the frames that they follow.

    A file keeps a frame before those that are shown before it but predicted from it. Where a cut
    took the latter, the former is alone.
    """
    steps = np.diff(times)
    if not len(steps):
        return times
    holes = np.flatnonzero(steps > 1.5 * np.median(steps))
    holes = holes[holes >= len(steps) - _MAX_REORDER]
    return times[: holes[0] + 1] if len(holes) else times
