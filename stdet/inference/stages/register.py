"""Register each frame with frames of other times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stdet.inference.stages.frames import FrameWithReferences, StreamFrame
from stdet.inference.stages.stage import Stage
from stdet.registration.camera_motion import CameraPose
from stdet.registration.frame_motion import NO_FRAME_BEFORE
from stdet.registration.registered_stream import Registered, RegisteredStream


class Register(Stage[StreamFrame, FrameWithReferences]):
    """Give each frame its reference frames and its motion; see ``registered_stream.py``.

    The first frames of a sequence wait for later ones, up to ``lags[-1]`` of them; later frames
    come out as they come in.

    Of live frames that have waited only the newest comes out: to detect on all of them takes so
    long that the scene may have changed when the next one is taken, and all begins again.

    Args:
        lags: Frames from a frame back to its reference frames, increasing.
        has_long_term: See ``RegisteredStream``.
        latency: Frames that a frame may wait; None for no limit.
    """

    name = "register"

    def __init__(
        self, lags: Sequence[int], *, has_long_term: bool = False, latency: int | None = None
    ) -> None:
        """Start without a frame."""
        self._stream: RegisteredStream[StreamFrame] = RegisteredStream(
            lags, has_long_term=has_long_term, latency=latency
        )
        self._last_pose: CameraPose | None = None

    def push(self, frame: StreamFrame, /) -> Iterator[FrameWithReferences]:
        """Take the next frame."""
        found = self._stream.push(frame.scaled, frame, is_ignored=frame.is_ignored)
        if frame.capture is not None and len(found) > 1:
            yield self._newest(found)
        else:
            yield from map(FrameWithReferences.of, found)
        if found:
            self._last_pose = found[-1].pose

    def flush(self) -> Iterator[FrameWithReferences]:
        """Register the frames that wait with those that there are."""
        yield from map(FrameWithReferences.of, self._stream.flush())

    def _newest(self, found: Sequence[Registered[StreamFrame]]) -> FrameWithReferences:
        """Return the last of some frames, with the motion since the one that came out before."""
        num_dropped = len(found) - 1
        for one in found:
            num_dropped += 0 if one.carried.capture is None else one.carried.capture.num_dropped
        newest = FrameWithReferences.of(found[-1])
        assert newest.capture is not None
        pose = found[-1].pose
        return replace(
            newest,
            capture=replace(newest.capture, num_dropped=num_dropped),
            from_previous=(
                NO_FRAME_BEFORE if self._last_pose is None else pose.motion_from(self._last_pose)
            ),
        )
