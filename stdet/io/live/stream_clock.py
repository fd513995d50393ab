"""Indices and times of the frames of a live stream.

A frame's index counts frame intervals, as the index of a file's frame does: where the stream's own
times say that frames are missing, the index jumps. A frame that is merely late shifts nothing.

A frame was taken when it would have come had it not been late. With a its time of arrival and p
its time in the stream, that is p + min(a - p), the minimum over the last minute: the clocks of
camera and machine drift apart, and a stream that has lost its delay is believed at once. A burst
after a stall is told from frames that are new in this way. What every frame is late by (exposure,
encoder, network) cannot be seen from here and is not part of the age.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

_WINDOW_S = 60
_MAX_STEP_S = 10.0
"""A larger step in the times of a stream is an error of them."""


@dataclass(frozen=True, kw_only=True)
class Instant:
    """When a frame of a connection came.

    Attributes:
        arrival: Seconds on the clock of ``time.monotonic``.
        stream: The stream's own time of the frame, seconds from anywhere; None where unknown.
    """

    arrival: float
    stream: float | None


def frame_interval(instants: list[Instant], declared_fps: float | None) -> float | None:
    """Return the seconds from a frame to the next, None where unknown.

    The declared rate counts where the times agree within 5 %, or say nothing; cameras and
    containers declare a rate that they do not keep.

    Args:
        instants: Of the first frames.
        declared_fps: Frames per second.
    """
    times = [instant.stream for instant in instants if instant.stream is not None]
    steps = np.diff(times)
    declared = None if declared_fps is None else 1 / declared_fps
    steps = steps[(steps > 0) & (steps < _MAX_STEP_S)]
    if not len(steps):
        return declared
    measured = float(np.median(steps))
    if declared is not None and abs(measured - declared) <= 0.05 * declared:
        return declared
    return measured


class StreamClock:
    """Gives the frames of a live stream their indices and times of capture.

    Args:
        interval: Seconds from a frame to the next; None where unknown: frames are counted then.
    """

    def __init__(self, interval: float | None) -> None:
        """Start before the first frame."""
        self._interval = interval
        self._last: Instant | None = None
        self._is_new = False
        self._index = -1
        self._delays: deque[tuple[int, float]] = deque()

    def reconnect(self) -> None:
        """Begin another connection, whose times have another origin."""
        self._delays.clear()
        self._is_new = True

    def index(self, instant: Instant) -> int:
        """Return the index of the next frame."""
        self._index += self._num_steps(instant)
        self._last, self._is_new = instant, False
        return self._index

    def captured(self, instant: Instant) -> float:
        """Return when a frame was taken, seconds on the clock of ``time.monotonic``.

        Call it for every frame of the stream, in order.
        """
        if instant.stream is None:
            return instant.arrival
        second, delay = int(instant.arrival), instant.arrival - instant.stream
        if self._delays and self._delays[-1][0] == second:
            delay = min(delay, self._delays.pop()[1])
        self._delays.append((second, delay))
        while self._delays[0][0] < second - _WINDOW_S:
            self._delays.popleft()
        return min(instant.stream + min(known for _, known in self._delays), instant.arrival)

    def _num_steps(self, instant: Instant) -> int:
        """Return how many intervals lie between the frame before and this one, at least 1."""
        if self._last is None or self._interval is None:
            return 1
        waited = instant.arrival - self._last.arrival
        if self._is_new:
            step = waited
        elif instant.stream is None or self._last.stream is None:
            return 1
        else:
            step = instant.stream - self._last.stream
        if not 0 < step < _MAX_STEP_S:
            step = waited
        return max(round(step / self._interval), 1)
