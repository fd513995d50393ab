"""Wall and CPU time of stages, frame by frame."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a stage takes per frame, milliseconds.

    Attributes:
        median_ms: Wall time.
        percentile_95_ms: Wall time.
        percentile_99_ms: Wall time.
        cpu_ms: Median CPU time, of all threads.
    """

    median_ms: float
    percentile_95_ms: float
    percentile_99_ms: float
    cpu_ms: float


class Stopwatch:
    """Time stages; one that runs several times in a frame has their sum."""

    def __init__(self) -> None:
        """Start with no stage."""
        self._frames: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._spent: dict[str, tuple[float, float]] = {}

    @property
    def stages(self) -> list[str]:
        """Names, in the order in which they were first timed."""
        return list(self._frames)

    @contextlib.contextmanager
    def watch(self, stage: str) -> Iterator[None]:
        """Add what the block takes to a stage of this frame."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        before = self._spent.get(stage, (0.0, 0.0))
        self._spent[stage] = (
            before[0] + time.perf_counter() - wall,
            before[1] + time.process_time() - cpu,
        )

    def end_frame(self, *, is_counted: bool) -> None:
        """Keep the times of this frame, or forget them: of the first ones, which wait."""
        if is_counted:
            for stage, spent in self._spent.items():
                self._frames[stage].append(spent)
        self._spent.clear()

    def seconds(self, stages: Iterable[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Return wall and CPU seconds of some stages together, (frames, 2)."""
        each = [np.asarray(self._frames[stage]) for stage in stages]
        total: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.sum(each, axis=0)
        return total

    def cost(self, *stages: str) -> Cost:
        """Return what some stages take together."""
        return cost_of(self.seconds(stages))


def cost_of(seconds: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Cost:
    """Return the cost of frames that took so many wall and CPU seconds, (frames, 2)."""
    median, high, highest = 1e3 * np.percentile(seconds[:, 0], (50, 95, 99))
    return Cost(
        median_ms=round(float(median), 3),
        percentile_95_ms=round(float(high), 3),
        percentile_99_ms=round(float(highest), 3),
        cpu_ms=round(1e3 * float(np.median(seconds[:, 1])), 3),
    )
