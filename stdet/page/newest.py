"""The newest of a series of values, and who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Numbered(Generic[Value]):
    """A value and its number.

    Attributes:
        number: Counts values from 1.
        value: The value.
    """

    number: int
    value: Value


class Newest(Generic[Value]):
    """Keeps one value; a newer one takes its place, whether somebody has fetched it or not.

    Nothing queues up, so a slow reader costs nothing and holds nothing up: when it asks again it
    gets what is newest then.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        # All that follows belongs to the lock.
        self._newest: Numbered[Value] | None = None
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def num_waiting(self) -> int:
        """How many wait for a value."""
        with self._lock:
            return len(self._waiting)

    def get(self) -> Numbered[Value] | None:
        """Return the newest value, None where there is none."""
        with self._lock:
            return self._newest

    def put(self, value: Value) -> None:
        """Set the value and wake who waits; from any thread."""
        with self._lock:
            number = 1 if self._newest is None else self._newest.number + 1
            self._newest = Numbered(number=number, value=value)
            waiting, self._waiting = self._waiting, {}
        for event, loop in waiting.items():
            with contextlib.suppress(RuntimeError):  # The loop has been closed meanwhile.
                loop.call_soon_threadsafe(event.set)

    async def after(self, number: int, wait_s: float) -> Numbered[Value] | None:
        """Return the newest value; wait for it as long as it has a number up to this one.

        Args:
            number: Of the value that the caller has, 0 for none.
            wait_s: How long to wait, seconds.

        Returns:
            The value, also where it is not newer; None where there is none.
        """
        event = asyncio.Event()
        with self._lock:
            if self._newest is not None and self._newest.number != number:
                return self._newest
            self._waiting[event] = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(event.wait(), wait_s)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting.pop(event, None)
        return self.get()
