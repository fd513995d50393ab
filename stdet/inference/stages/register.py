"""Register each frame with frames of other times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stdet.inference.stages.frames import FrameWithReferences, StreamFrame
from stdet.inference.stages.stage import Stage
from stdet.registration.registered_stream import RegisteredStream


class Register(Stage[StreamFrame, FrameWithReferences]):
    """Give each frame its reference frames and its motion; see ``registered_stream.py``.

    The first frames of a sequence wait for later ones, up to ``lags[-1]`` of them; later frames
    come out as they come in.

    Args:
        lags: Frames from a frame back to its reference frames, increasing.
    """

    name = "register"

    def __init__(self, lags: Sequence[int]) -> None:
        """Start without a frame."""
        self._stream: RegisteredStream[StreamFrame] = RegisteredStream(lags)

    def push(self, frame: StreamFrame, /) -> Iterator[FrameWithReferences]:
        """Take the next frame."""
        for found in self._stream.push(frame.scaled, frame, is_ignored=frame.is_ignored):
            yield FrameWithReferences.of(found)

    def flush(self) -> Iterator[FrameWithReferences]:
        """Register the frames that wait with those that there are."""
        for found in self._stream.flush():
            yield FrameWithReferences.of(found)
