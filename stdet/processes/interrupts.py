"""Signals as an orderly end: the first is an exception, a second ends the process at once.

The command line installs ``orderly_end`` around every command, so that `docker stop`, Slurm,
systemd, a closed terminal and Ctrl-C all end a run in the same way: writers keep what is whole,
locks are released, and the exit code is 128 + the signal's number. ``uninterrupted`` holds the
exception back while a file is written or gets its name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from stdet.errors import StdetError, WorkerError

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_SAME_ORDER_S = 0.5
"""Signals this soon after the first are part of it: `timeout` and systemd send two at once."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    Attributes:
        exit_code: 128 + the number of the signal, as shells have it.
    """

    def __init__(self, number: int) -> None:
        """Name the signal."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class _Handler:
    """Handler of the signals, which remembers the first."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal."""
        self._came_at = 0.0
        self.num_holding = 0
        """How many ``uninterrupted`` blocks are open."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise, or end the process if the first signal came a while ago."""
        now = time.monotonic()
        if self.number is None:
            self.number, self._came_at = number, now
            self.raise_pending()
        elif now - self._came_at > _SAME_ORDER_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def raise_pending(self) -> None:
        """Raise what came, unless it is held back or its exception is on its way already.

        It may have been swallowed on the way, by an import or a finalizer that catches everything.
        """
        if self.number is not None and not self.num_holding and not _is_ending():
            raise Interrupted(self.number)


def _is_ending() -> bool:
    """Say whether an ``Interrupted`` is being handled."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, Interrupted):
            return True
        error = error.__context__
    return False


@contextlib.contextmanager
def orderly_end() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into ``Interrupted`` within the block.

    A signal that the process was told to ignore (`nohup`, a job in the background) stays ignored.
    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler()
    before = {number: signal.getsignal(number) for number in _numbers()}
    for number, earlier in before.items():
        if earlier is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    except Exception as error:
        # What a signal breaks on its way: an import cut short, workers that got it as well.
        if handler.number is None:
            raise
        interrupted = Interrupted(handler.number)
        # That a worker was killed says nothing: the same signal ended it.
        is_told = isinstance(error, StdetError) and not isinstance(error, WorkerError)
        for note in (*([str(error)] if is_told else []), *_notes(error)):
            interrupted.add_note(note)
        raise interrupted from error
    finally:
        for number, earlier in before.items():
            # None stands for a handler that was not set from Python, and cannot be set again.
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold ``Interrupted`` back until the block ends; then raise it, unless an error ends it."""
    handler = _installed()
    if handler is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler.num_holding += 1
    try:
        yield
    finally:
        handler.num_holding -= 1
    handler.raise_pending()


def is_interrupted() -> bool:
    """Say whether a signal has asked this process to end, also where it is held back."""
    handler = _installed()
    return handler is not None and handler.number is not None


def _notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])


def _installed() -> _Handler | None:
    """Return the handler of ``orderly_end``, None outside it."""
    for number in _numbers():
        handler = signal.getsignal(number)
        if isinstance(handler, _Handler):
            return handler
    return None


def _numbers() -> list[int]:
    """Return those of the signals that this system has."""
    return [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
