"""What each stage of a stream takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from stdet.inference.stages.stage import In, Out, Stage

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """What one stage took.

    Attributes:
        name: Of the stage.
        num_frames: Frames that came out of it.
        median_ms: Milliseconds of CPU time per frame.
        percentile_95_ms: Milliseconds of it that 95 % of the frames do not exceed.
        num_frames_late: Frames that the stage waits for, once the stream has gone on for a while.
    """

    name: str
    num_frames: int
    median_ms: float
    percentile_95_ms: float
    num_frames_late: int


class StageClock:
    """CPU time that one stage takes in its thread, frame by frame.

    The time of a frame is what the stage takes from the frame before it to this one, so that all
    frames together give the time of the stage. A number is kept for every frame.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.seconds: list[float] = []
        self._since_frame = 0.0

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the same items, and note what it takes to get each of them."""
        iterator = iter(items)
        while True:
            started = time.thread_time()
            item = next(iterator, _END)
            self._since_frame += time.thread_time() - started
            if item is _END:
                return
            self.seconds.append(self._since_frame)
            self._since_frame = 0.0
            yield item  # type: ignore[misc]

    @contextlib.contextmanager
    def once(self) -> Iterator[None]:
        """Note what the block takes as the time of one frame."""
        started = time.thread_time()
        yield
        self.seconds.append(time.thread_time() - started)


_END = object()


class StageTimes:
    """Clocks of the stages of a stream."""

    def __init__(self) -> None:
        """Start with no stage."""
        self._clocks: dict[str, StageClock] = {}
        self._delays: dict[str, int] = {}

    def clock(self, name: str) -> StageClock:
        """Return the clock of that name, a new one at first."""
        return self._clocks.setdefault(name, StageClock())

    def of(self, stage: Stage[In, Out]) -> Stage[In, Out]:
        """Return the same stage, timed."""
        self._delays[stage.name] = stage.delay
        return _Timed(stage, self.clock(stage.name))

    def rows(self) -> list[StageTime]:
        """Return what each stage took, in the order in which the clocks were made."""
        return [
            StageTime(
                name=name,
                num_frames=len(clock.seconds),
                median_ms=1e3 * float(np.median(clock.seconds)),
                percentile_95_ms=1e3 * float(np.quantile(clock.seconds, 0.95)),
                num_frames_late=self._delays.get(name, 0),
            )
            for name, clock in self._clocks.items()
            if clock.seconds
        ]


def timed(stage: Stage[In, Out], times: StageTimes | None) -> Stage[In, Out]:
    """Return a stage, timed where there are times to be kept."""
    return stage if times is None else times.of(stage)


class _Timed(Stage[In, Out], Generic[In, Out]):
    """A stage whose time is measured."""

    def __init__(self, stage: Stage[In, Out], clock: StageClock) -> None:
        self._stage = stage
        self._clock = clock
        self.delay = stage.delay

    def push(self, item: In, /) -> Iterator[Out]:
        return self._clock.watch(self._stage.push(item))

    def flush(self) -> Iterator[Out]:
        return self._clock.watch(self._stage.flush())
