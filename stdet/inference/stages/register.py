"""Register each frame with frames of other times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from stdet.inference.stages.frames import FrameWithReferences, StreamFrame
from stdet.inference.stages.stage import Stage
from stdet.registration.registered_stream import RegisteredStream


class Register(Stage[StreamFrame, FrameWithReferences]):
    """Give each frame its reference frames; see ``registered_stream.py``.

    The first frames of a sequence wait for later ones, up to ``lags[-1]`` of them; later frames
    come out as they come in.

    Args:
        lags: Frames from a frame back to its reference frames, increasing.
    """

    name = "register"

    def __init__(self, lags: Sequence[int]) -> None:
        """Start without a frame."""
        self._stream = RegisteredStream(lags)
        self._waiting: deque[StreamFrame] = deque()

    def push(self, frame: StreamFrame, /) -> Iterator[FrameWithReferences]:
        """Take the next frame."""
        self._waiting.append(frame)
        for registered in self._stream.push(frame.scaled):
            yield FrameWithReferences.of(self._waiting.popleft(), registered)

    def flush(self) -> Iterator[FrameWithReferences]:
        """Register the frames that wait with those that there are."""
        for registered in self._stream.flush():
            yield FrameWithReferences.of(self._waiting.popleft(), registered)
