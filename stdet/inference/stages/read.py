"""From raw frames to those that a detector looks at: blank ones left out, levels in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stdet.inference.stages.frames import StreamFrame
from stdet.inference.stages.stage import Stage
from stdet.io.frame_source import Frame, IntensityScale
from stdet.io.intensity.blank_frames import BlankFrames
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.io.intensity.spoilt_pixels import SpoiltPixels


class LeaveOutBlank(Stage[Frame, Frame]):
    """Leave out frames that show nothing; see ``blank_frames.py``.

    Args:
        left_out: Called with the index of each of them.
        ignored: Pixels that do not count; None for none.
    """

    name = "blank"

    def __init__(
        self, left_out: Callable[[int], None], ignored: SpoiltPixels | None = None
    ) -> None:
        """Start before the first frame."""
        self._blank = BlankFrames(left_out, ignored)

    def push(self, frame: Frame, /) -> Iterator[Frame]:
        """Take the next frame; those at the start wait for one that shows a scene."""
        yield from self._blank.push(frame)

    def flush(self) -> Iterator[Frame]:
        """Return the frames that wait: the stream shows nothing else."""
        yield from self._blank.flush()


class Scale(Stage[Frame, StreamFrame]):
    """Map grey levels to [0, 1], and remember where nothing can be seen.

    Args:
        scale: Of the source.
        fps: Frames per second, None where unknown.
        watch: Looks at every frame.
        ignored: Pixels that are filled from those around them: beside text a target is hard to
            find, and its edges look like targets. None for none.
    """

    name = "scale"

    def __init__(
        self,
        scale: IntensityScale,
        *,
        fps: float | None,
        watch: SceneWatch,
        ignored: SpoiltPixels | None = None,
    ) -> None:
        """Keep the scale."""
        self._scale = scale
        self._fps = fps
        self._watch = watch
        self._ignored = ignored

    def push(self, frame: Frame, /) -> Iterator[StreamFrame]:
        """Scale a frame."""
        scaled = self._scale.apply(frame.pixels)
        if self._ignored is not None:
            self._ignored.fill(scaled)
        self._watch.add(frame.index, frame.pixels, scaled)
        time = None if self._fps is None else frame.index / self._fps
        yield StreamFrame(
            index=frame.index,
            time=time,
            image=frame.pixels,
            scaled=scaled,
            is_ignored=None if self._ignored is None else self._ignored.is_spoilt,
            capture=frame.capture,
        )
