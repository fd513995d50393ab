"""A live source as a source of frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS, check_area
from stdet.io.frame_source import (
    Frame,
    HasMeasuredIntensity,
    Intensity,
    RawImage,
    measure_intensity,
)
from stdet.io.live.address import LiveAddress
from stdet.io.live.capture import LiveEvent, Pause
from stdet.io.live.connection import Feed
from stdet.io.live.raw_connection import RawFeed
from stdet.io.live.reader import LivePicture, NewestFrame
from stdet.processes.interrupts import is_interrupted

PAUSE_S = 2.0
"""Seconds without a frame after which what waits for later frames comes out."""
_NUM_FIRST = 16
"""Frames that fix intensity scale and frame rate."""
_POLL_S = 0.1
_MAX_EVENTS = 1000


class LiveSource(HasMeasuredIntensity):
    """The newest frames of a camera, a network stream or a pipe.

    A thread reads what comes. Who takes a frame gets the newest; older ones are left out and
    counted. Indices jump where frames are left out or did not come. The first ``_NUM_FIRST``
    frames fix the frame rate and, where they have more than 8 bits, the intensity scale.

    Args:
        feed: Opens it.
        address: What it is.
        max_megapixels: Largest area of a frame, 10^6 pixels.

    Attributes:
        on_event: Called with what happens, in the thread in which it does.

    Raises:
        DataError: If it cannot be opened or gives no frame.
    """

    gaps: frozenset[int] = frozenset()
    num_declared: int | None = None

    def __init__(
        self, feed: Feed, address: LiveAddress, *, max_megapixels: float = MAX_MEGAPIXELS
    ) -> None:
        """Open it, and wait for the first frames."""
        self.address = address
        self.name = address.name
        self.path = Path(address.name)
        self.on_event: Callable[[LiveEvent], None] = lambda _: None
        self._events: list[LiveEvent] = []
        self._events_lock = threading.Lock()
        self._is_ending = False
        self._reader = NewestFrame(feed, address.label, num_first=_NUM_FIRST)
        try:
            first = self._reader.first()
            self.hw = first[-1].hw
            check_area(self.hw, address.label, max_megapixels=max_megapixels)
            self._measured = self._measure([picture.grey() for picture in first], first[0].bits)
        except BaseException:
            self.close()
            raise

    @property
    def fps(self) -> float | None:
        """Frames per second, as measured; as declared where that agrees."""
        return None if self._reader.interval is None else round(1 / self._reader.interval, 3)

    @property
    def notes(self) -> dict[str, object]:
        """The address, and that frames may be left out."""
        return {"source": self.address.label, "is_live": True}

    def events(self) -> list[LiveEvent]:
        """Return what has happened, the newest ``_MAX_EVENTS``."""
        with self._events_lock:
            return list(self._events)

    def note(self, event: LiveEvent) -> None:
        """Remember what has happened, and tell ``on_event``; from any thread."""
        with self._events_lock:
            self._events = [*self._events, event][-_MAX_EVENTS:]
        self.on_event(event)

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[Frame | Pause]:
        """Yield the newest frame whenever one is asked for, and a pause where none comes.

        Args:
            start: First frame index.
            stop: Frame index to stop before; None for no end.

        Raises:
            IncompleteInputError: At the end, where the stream breaks off within a frame or
                changes its size.
        """
        self._is_ending = False
        self._reader.start(self.note)
        last, is_paused = time.monotonic(), False
        while not (self._is_ending or is_interrupted()):
            try:
                taken = self._reader.take(_POLL_S)
            except EOFError:
                return
            if taken is None:
                if not is_paused and time.monotonic() - last > PAUSE_S:
                    is_paused = True
                    yield Pause()
                continue
            if stop is not None and taken.index >= stop:
                return
            if taken.index >= start:
                yield _frame(taken)
            last, is_paused = time.monotonic(), False

    def end_stream(self) -> None:
        """Let a stream that goes on in another thread end, also where no frame comes."""
        self._is_ending = True

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the newest frame whenever one is asked for; see ``stream``."""
        for item in self.stream(start, stop):
            if isinstance(item, Frame):
                yield item

    def read(self, index: int) -> RawImage:
        """Raise ``DataError``: frames of a live source come once."""
        raise DataError(f"{self.address.label}: is live; frame {index} cannot be read again.")

    def close(self) -> None:
        """End the thread that reads."""
        self._reader.close()

    @property
    def _intensity(self) -> Intensity:
        """Of the first frames, for good."""
        return self._measured

    def _measure(self, images: list[RawImage], bits: int) -> Intensity:
        return measure_intensity(lambda index: images[index], len(images), container_bits=bits)


def _frame(taken: LivePicture) -> Frame:
    return Frame(index=taken.index, pixels=taken.picture.grey(), capture=taken.capture)


def open_live(
    address: LiveAddress, *, stream: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> LiveSource:
    """Open a live source.

    Args:
        address: What it is.
        stream: Which of its video streams, counted from 0; None for its default.
        max_megapixels: Largest area of a frame, 10^6 pixels.

    Raises:
        DataError: If it cannot be opened or gives no frame.
    """
    feed: Feed
    if address.raw is not None:
        check_area(address.raw.hw, address.label, max_megapixels=max_megapixels)
        feed = RawFeed(address, address.raw)
    else:
        from stdet.io.live.av_connection import AvFeed

        feed = AvFeed(address, stream=stream, max_megapixels=max_megapixels)
    return LiveSource(feed, address, max_megapixels=max_megapixels)
