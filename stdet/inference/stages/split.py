"""Start a detector anew where frames are missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Generic

from stdet.inference.stages.frames import StreamFrame
from stdet.inference.stages.stage import Out, Stage
from stdet.inference.stages.threads import StageThreads
from stdet.io.live.capture import Pause

MAX_BRIDGED = 4
"""Frames that may be missing without a new start of the detector (``docs/decisions/0019``)."""

MAX_BRIDGED_LIVE_S = 2.0
"""The same for live streams, seconds: a new start costs all outputs of about a second."""


class SplitAtGaps(Stage[StreamFrame, Out], Generic[Out]):
    """Run the stages of one sequence, and new ones from each gap on.

    A gap is a hole of unknown length in the numbering of the frames; its first frame is marked
    with ``follows_gap``. More than ``MAX_BRIDGED`` missing frames in a row start the stages anew,
    too; over fewer the stages go on with the frames that they have. So they do where a live
    stream came faster than it could be tracked: such frames are left out evenly.

    After ``flush`` it goes on with new stages.

    Args:
        start: Returns fresh stages of a sequence.
        gaps: Indices of frames that follow a hole in the numbering.
        max_bridged: Frames that may be missing without a new start.
    """

    def __init__(
        self,
        start: Callable[[], Stage[StreamFrame, Out]],
        *,
        gaps: frozenset[int],
        max_bridged: int = MAX_BRIDGED,
    ) -> None:
        """Begin the first sequence."""
        self._start = start
        self._max_bridged = max_bridged
        self._gaps = gaps
        self._stages = start()
        self._previous: int | None = None
        self.delay = self._stages.delay

    def push(self, frame: StreamFrame, /) -> Iterator[Out]:
        """Take the next frame; at a gap all that waits comes out before it."""
        for item in self._marked(frame):
            yield from self.flush() if isinstance(item, Pause) else self._stages.push(item)

    def flush(self) -> Iterator[Out]:
        """End the sequence."""
        stages, self._stages = self._stages, self._start()
        yield from stages.flush()

    def _through_threads(
        self, items: Iterable[StreamFrame | Pause], threads: StageThreads
    ) -> Iterator[Out]:
        """Run one sequence after the other; its pauses are gaps and those of the stream."""
        marked = itertools.chain.from_iterable(
            [item] if isinstance(item, Pause) else self._marked(item) for item in items
        )
        for first in marked:
            if not isinstance(first, Pause):
                sequence = itertools.chain([first], _until_pause(marked))
                yield from self._start().run_in_threads(sequence, threads)

    def _marked(self, frame: StreamFrame) -> Iterator[StreamFrame | Pause]:
        """Return the next frame, after a pause where the stages start anew."""
        if self._previous is not None:
            passed = range(self._previous + 1, frame.index + 1)
            follows_gap = not self._gaps.isdisjoint(passed)
            num_dropped = 0 if frame.capture is None else frame.capture.num_dropped
            if follows_gap or len(passed) - 1 - num_dropped > self._max_bridged:
                yield Pause()
            frame = replace(frame, follows_gap=follows_gap)
        self._previous = frame.index
        yield frame


def _until_pause(items: Iterator[StreamFrame | Pause]) -> Iterator[StreamFrame]:
    for item in items:
        if isinstance(item, Pause):
            return
        yield item
