"""Cameras and network streams, opened with PyAV."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stdet.errors import DataError, reason_of
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.live.address import LiveAddress
from stdet.io.live.connection import OPEN_S, STALL_S, Connection, LostError, Picture
from stdet.io.live.stream_clock import Instant
from stdet.io.video.container import DEMUXERS, choose_stream, video_stream
from stdet.io.video.decoding import GreyPictures

_DEMUXERS = (*DEMUXERS, "rtsp", "sdp", "rtp", "mpjpeg", "jpeg_pipe")
_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"
"""No protocol of files: a stream cannot name one of this machine."""
_MAX_FPS = 1000
_MAX_WAITING = 64
"""Packets whose pictures have not come out of the decoder yet."""
_OPTIONS = {
    "rtsp_flags": "prefer_tcp",  # Over UDP lost packets are smeared over the picture.
    "overrun_nonfatal": "1",
    "format_whitelist": ",".join(_DEMUXERS),
    "protocol_whitelist": _PROTOCOLS,
}
_CAMERA_OPTIONS: tuple[dict[str, str], ...] = ({"input_format": "gray16le"}, {})
"""Y16, where the camera has it; else what it gives by itself."""


class AvFeed:
    """A camera or a stream in the network.

    Args:
        address: Where it is.
        stream: Which of its video streams, counted from 0; None for its default.
        max_megapixels: Largest area of a frame, 10^6 pixels.
    """

    can_reconnect = True

    def __init__(
        self,
        address: LiveAddress,
        *,
        stream: int | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        """Keep the address; nothing is opened yet."""
        self._address = address
        self._stream = stream
        self._max_megapixels = max_megapixels
        self._open_s = OPEN_S

    @contextlib.contextmanager
    def connect(self, is_stopped: Callable[[], bool]) -> Iterator[Connection]:
        """Open it; see ``Feed.connect``."""
        label = self._address.label
        with _opened(self._address, self._open_s) as container:
            self._open_s = STALL_S  # A try to open it again holds up the end of a run no longer.
            try:
                choice = choose_stream(container, label, self._stream)
                stream = video_stream(
                    container, label, choice.container_index, max_megapixels=self._max_megapixels
                )
            except DataError as error:
                raise LostError(str(error).removeprefix(f"{label}: ").rstrip(".")) from error
            # Threads over frames would hold back as many frames; others work on this machine.
            stream.codec_context.thread_type = "SLICE"
            stream.codec_context.thread_count = 1
            yield _AvConnection(container, stream, label)


def _opened(address: LiveAddress, open_s: float) -> InputContainer:
    """Open a camera or a URL, which must answer within so many seconds."""
    timeout = (open_s, STALL_S)
    if address.kind == "network":
        attempts = [partial(av.open, address.target, options=_OPTIONS, timeout=timeout)]
    else:
        attempts = [
            partial(av.open, address.target, format="v4l2", options=options, timeout=timeout)
            for options in _CAMERA_OPTIONS
        ]
    for number, attempt in enumerate(attempts, start=1):
        try:
            return attempt()
        except Exception as error:  # What a library says of a stream is of every kind.
            if number == len(attempts) or isinstance(error, FileNotFoundError | PermissionError):
                raise LostError(_reason(error, address)) from error
    raise AssertionError("unreachable")


def _reason(error: Exception, address: LiveAddress) -> str:
    """Say why a source cannot be opened or read any more."""
    if isinstance(error, av.ExitError | TimeoutError):
        return "nothing comes"
    reason = reason_of(error)
    if isinstance(error, av.FFmpegError) and reason == "Input/output error":
        reason = "no such host, or it does not answer"
    return reason.replace(address.target, address.label)


class _AvConnection:
    """An open container."""

    def __init__(self, container: InputContainer, stream: VideoStream, label: str) -> None:
        self._container = container
        self._stream = stream
        self._label = label
        self._greys: dict[int, GreyPictures] = {}
        rate = stream.average_rate or stream.guessed_rate
        self.declared_fps = float(rate) if rate and 0 < rate < _MAX_FPS else None

    def pictures(self) -> Iterator[Picture]:
        """Decode packets; those that are damaged are left out."""
        arrivals: OrderedDict[int | None, float] = OrderedDict()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                raise LostError("the stream has ended") from None
            except Exception as error:
                raise LostError(_lost(error)) from error
            if packet.dts is None and packet.size == 0:  # The flush at the end.
                continue
            arrivals[packet.pts] = now = time.monotonic()
            while len(arrivals) > _MAX_WAITING:
                arrivals.popitem(last=False)
            try:
                decoded = self._stream.decode(packet)
            except Exception:
                continue
            for frame in decoded:
                if frame.is_corrupt:
                    continue
                yield self._picture(frame, arrivals.get(frame.pts, now))

    def _picture(self, frame: av.VideoFrame, arrival: float) -> Picture:
        base: Fraction | None = frame.time_base
        is_timed = frame.pts is not None and base is not None
        bits = max(8, *(component.bits for component in frame.format.components))
        pictures = self._greys.setdefault(bits, GreyPictures(self._label, bits))
        return Picture(
            instant=Instant(arrival=arrival, stream=frame.time if is_timed else None),
            hw=(frame.height, frame.width),
            bits=bits,
            grey=partial(pictures.grey, frame),
        )


def _lost(error: Exception) -> str:
    if isinstance(error, av.ExitError | TimeoutError):
        return f"no frame for {STALL_S:g} s"
    return reason_of(error)
