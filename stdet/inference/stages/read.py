"""From raw frames to those that a detector looks at: blank ones left out, levels in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stdet.inference.stages.frames import StreamFrame
from stdet.inference.stages.stage import Stage
from stdet.io.frame_source import Frame, IntensityScale
from stdet.io.intensity.blank_frames import BlankFrames
from stdet.io.intensity.scene_watch import SceneWatch


class LeaveOutBlank(Stage[Frame, Frame]):
    """Leave out frames that show nothing; see ``blank_frames.py``.

    Args:
        left_out: Called with the index of each of them.
    """

    name = "blank"

    def __init__(self, left_out: Callable[[int], None]) -> None:
        """Start before the first frame."""
        self._blank = BlankFrames(left_out)

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
    """

    name = "scale"

    def __init__(self, scale: IntensityScale, *, fps: float | None, watch: SceneWatch) -> None:
        """Keep the scale."""
        self._scale = scale
        self._fps = fps
        self._watch = watch

    def push(self, frame: Frame, /) -> Iterator[StreamFrame]:
        """Scale a frame."""
        scaled = self._scale.apply(frame.pixels)
        self._watch.add(frame.index, frame.pixels, scaled)
        time = None if self._fps is None else frame.index / self._fps
        yield StreamFrame(index=frame.index, time=time, image=frame.pixels, scaled=scaled)
