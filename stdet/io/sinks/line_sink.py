"""A thread that hands lines on, so that who reads them slowly does not hold up a stream."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from stdet.errors import reason_of

MAX_WAITING = 256
"""Lines that wait for a slow reader; beyond that the oldest are dropped."""
_CLOSE_S = 2.0
"""Seconds that a reader has to take what waits at the end of a live run."""


class Target(Protocol):
    """What takes lines, one after another, and may take its time."""

    def write(self, line: str) -> None:
        """Hand a line on.

        Raises:
            OSError: If that is not possible now.
        """

    def close(self) -> None:
        """Release what is open."""


@dataclass(frozen=True, kw_only=True)
class SinkCount:
    """What a sink has done.

    Attributes:
        target: Where to, without password.
        num_sent: Lines handed on.
        num_dropped: Lines that were not: the reader was too slow or not there.
        problem: Why the last of those was not; None where none was dropped for another reason
            than a slow reader.
    """

    target: str
    num_sent: int
    num_dropped: int
    problem: str | None


class LineSink:
    """Hands lines on in a thread of its own.

    Args:
        label: Where to, without password.
        target: Takes the lines.
        may_drop: Whether ``send`` drops the oldest line where too many wait; else it waits.
    """

    def __init__(self, label: str, target: Target, *, may_drop: bool) -> None:
        """Start the thread."""
        self.label = label
        self._target = target
        self._may_drop = may_drop
        self._change = threading.Condition()
        # All that follows belongs to the condition.
        self._waiting: deque[str] = deque()
        self._num_sent = self._num_dropped = 0
        self._problem: str | None = None
        self._broken_pipe: BrokenPipeError | None = None
        self._is_writing = self._is_closed = False
        # A daemon: a reader that never reads does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"send {label}", daemon=True)
        self._thread.start()

    def send(self, line: str) -> None:
        """Take a line; from any thread.

        Raises:
            BrokenPipeError: If nobody reads standard output any more.
        """
        with self._change:
            while not self._may_drop and len(self._waiting) >= MAX_WAITING:
                if self._broken_pipe is not None:
                    break
                self._change.wait(0.1)
            if self._broken_pipe is not None:
                raise self._broken_pipe
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self._num_dropped += 1
            self._waiting.append(line)
            self._change.notify_all()

    def close(self) -> SinkCount:
        """Hand on what waits, where it is taken, and end the thread."""
        until = time.monotonic() + _CLOSE_S
        with self._change:
            while (self._waiting or self._is_writing) and self._broken_pipe is None:
                left = until - time.monotonic()
                if self._may_drop and left <= 0:
                    break
                self._change.wait(min(left, 0.1) if self._may_drop else 0.1)
            self._num_dropped += len(self._waiting) + self._is_writing
            self._waiting.clear()
            self._is_closed = True
            self._change.notify_all()
        self._thread.join(_CLOSE_S)
        return SinkCount(
            target=self.label,
            num_sent=self._num_sent,
            num_dropped=self._num_dropped,
            problem=self._problem,
        )

    def _run(self) -> None:
        while (line := self._next()) is not None:
            problem: OSError | None = None
            try:
                self._target.write(line)
            except OSError as error:
                problem = error
            with self._change:
                self._is_writing = False
                if problem is None:
                    self._num_sent += 1
                else:
                    self._num_dropped += 1
                    self._problem = reason_of(problem)
                    if isinstance(problem, BrokenPipeError):
                        self._broken_pipe = problem
                self._change.notify_all()
        self._target.close()

    def _next(self) -> str | None:
        """Wait for a line; None at the end."""
        with self._change:
            while not self._waiting and not self._is_closed:
                self._change.wait()
            if not self._waiting:
                return None
            self._is_writing = True
            line = self._waiting.popleft()
            self._change.notify_all()
            return line
