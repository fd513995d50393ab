"""A thread that reads a live source and keeps the newest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from stdet.errors import DataError, IncompleteInputError
from stdet.io.live.capture import Capture, EventKind, LiveEvent
from stdet.io.live.connection import OPEN_S, STALL_S, Feed, LostError, Picture
from stdet.io.live.stream_clock import StreamClock, frame_interval

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
"""Seconds from the loss of a source to the first try to open it again, and between later tries."""


@dataclass(frozen=True, kw_only=True)
class LivePicture:
    """A frame of a live stream.

    Attributes:
        index: Counts frame intervals from the first frame of the stream.
        capture: When it was taken.
        picture: The frame.
    """

    index: int
    capture: Capture
    picture: Picture


class NewestFrame:
    """Reads a live source in a thread of its own until it is closed.

    Args:
        feed: The source.
        label: Of the source, for messages.
        num_first: Frames that are kept until ``start``.

    Attributes:
        interval: Seconds from a frame to the next, None where unknown; known after ``first``.
    """

    def __init__(self, feed: Feed, label: str, *, num_first: int) -> None:
        """Begin to read."""
        self._feed = feed
        self._label = label
        self._num_first = num_first
        self._change = threading.Condition()
        self._stop = threading.Event()
        # All that follows belongs to the condition.
        self._first: list[Picture] = []
        self._declared_fps: float | None = None
        self._clock: StreamClock | None = None
        self._newest: tuple[int, Capture, Picture] | None = None
        self._num_dropped = 0
        self._is_over = False
        self._error: BaseException | None = None
        self._on_event: Callable[[LiveEvent], None] = lambda _: None
        self.interval: float | None = None
        # A daemon: nothing waits for a camera that does not answer when the process ends.
        self._thread = threading.Thread(target=self._run, name=f"read {label}", daemon=True)
        self._thread.start()

    def first(self) -> list[Picture]:
        """Wait for the first frames, which are to be looked at and are not tracked.

        Returns:
            ``num_first`` frames, or fewer where the stream ends or stops before, at least one.

        Raises:
            DataError: If there is none.
        """
        until = time.monotonic() + OPEN_S
        with self._change:
            while len(self._first) < self._num_first and not self._is_over:
                if not self._change.wait(max(until - time.monotonic(), 0)):
                    break
            if self._error is not None:
                raise self._error
            if not self._first:
                raise DataError(
                    f"{self._label}: nothing comes within {OPEN_S:g} s; check the address and "
                    "that the source sends."
                )
            self.interval = frame_interval(
                [picture.instant for picture in self._first], self._declared_fps
            )
            return list(self._first)

    def start(self, on_event: Callable[[LiveEvent], None]) -> None:
        """Begin to count: the newest frame has index 0.

        Args:
            on_event: Called in the thread of the reader.
        """
        with self._change:
            self._on_event = on_event
            self._clock = StreamClock(self.interval)
            self._num_dropped = 0
            del self._first[:-1]
            self._keep(self._first[-1])

    def take(self, wait_s: float) -> LivePicture | None:
        """Return the newest frame that has not been taken yet.

        Args:
            wait_s: How long to wait for it.

        Returns:
            The frame, None where none has come.

        Raises:
            EOFError: If none will come any more.
            IncompleteInputError: The same, where the stream has broken off.
        """
        with self._change:
            if self._newest is None and not self._is_over:
                self._change.wait(wait_s)
            if self._newest is None:
                if self._error is not None:
                    raise self._error
                if self._is_over:
                    raise EOFError
                return None
            index, capture, picture = self._newest
            self._newest = None
            num_dropped, self._num_dropped = self._num_dropped, 0
        capture = Capture(utc=capture.utc, monotonic=capture.monotonic, num_dropped=num_dropped)
        return LivePicture(index=index, capture=capture, picture=picture)

    def close(self) -> None:
        """End the thread; a camera that hangs is waited for as long as it may stall."""
        self._stop.set()
        self._thread.join(STALL_S + 1)

    def _run(self) -> None:
        """Read, and connect again, until there is nothing more."""
        error: BaseException | None = None
        try:
            self._read()
        except BaseException as problem:  # It is raised where frames are taken.
            error = problem
        with self._change:
            self._is_over, self._error = True, error
            self._change.notify_all()

    def _read(self) -> None:
        wait_s, lost_at = _FIRST_WAIT_S, None
        while not self._stop.is_set():
            try:
                with self._feed.connect(self._stop.is_set) as connection:
                    self._declared_fps = connection.declared_fps
                    for picture in connection.pictures():
                        if lost_at is not None:
                            self._reconnected(time.monotonic() - lost_at)
                            wait_s, lost_at = _FIRST_WAIT_S, None
                        self._put(picture)
                        if self._stop.is_set():
                            return
            except LostError as lost:
                if not self._first:
                    raise DataError(
                        f"{self._label}: cannot be opened ({lost}); check the address and that "
                        "the source sends."
                    ) from lost
                if not self._feed.can_reconnect:
                    self._event("ended", f"{lost}")
                    if lost.is_torn:
                        raise IncompleteInputError(f"{self._label}: {lost}.") from lost
                    return
                if lost_at is None:
                    self._event("lost", f"{lost}")
                    lost_at = time.monotonic()
            self._stop.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _put(self, picture: Picture) -> None:
        """Keep a frame as the newest."""
        with self._change:
            if self._first:
                _require_same(picture, self._first[0], self._label)
            if self._clock is None:
                self._first = [*self._first, picture][-self._num_first :]
            else:
                self._num_dropped += self._newest is not None
                self._keep(picture)
            self._change.notify_all()

    def _keep(self, picture: Picture) -> None:
        """Number a frame and note when it was taken."""
        assert self._clock is not None
        monotonic = self._clock.captured(picture.instant)
        utc = time.time() - (time.monotonic() - monotonic)
        index = self._clock.index(picture.instant)
        self._newest = (index, Capture(utc=utc, monotonic=monotonic), picture)

    def _reconnected(self, seconds: float) -> None:
        with self._change:
            if self._clock is not None:
                self._clock.reconnect()
        self._event("reconnected", f"frames come again after {seconds:.1f} s")

    def _event(self, kind: EventKind, text: str) -> None:
        self._on_event(LiveEvent(kind=kind, utc=time.time(), text=text))


def _require_same(picture: Picture, first: Picture, label: str) -> None:
    """Raise an error where a stream has changed its size or depth."""
    if (picture.hw, picture.bits) == (first.hw, first.bits):
        return
    was, now = (f"{one.hw[1]}x{one.hw[0]} of {one.bits} bits" for one in (first, picture))
    raise IncompleteInputError(
        f"{label}: its frames have changed from {was} to {now}; start again to track these."
    )
