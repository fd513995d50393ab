"""Threads in which stages of a stream work at the same time.

NumPy, OpenCV, FFmpeg and the engines let other threads run while they compute, so that stages
that spend their time there need no processes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")


class StageThreads:
    """Computes parts of a stream ahead, each in a thread that ends with the ``with`` block.

    Args:
        num_ahead: Items that a thread is ahead of who takes them, the one that it works on
            included.
    """

    def __init__(self, *, num_ahead: int) -> None:
        """Start with no thread."""
        self._num_ahead = num_ahead
        self._threads: list[_Ahead[Any]] = []

    def ahead(self, items: Iterator[Item], *, name: str) -> Iterator[Item]:
        """Return the same items, computed in a thread of their own that starts now.

        Args:
            items: Nobody else takes any before the end.
            name: Of the thread.

        Raises:
            BaseException: After the items before it, whatever ``items`` raises.
        """
        ahead = _Ahead(items, name, self._num_ahead)
        self._threads.append(ahead)
        return self._taken(ahead)

    def _taken(self, ahead: _Ahead[Item]) -> Iterator[Item]:
        yield from ahead
        self._threads.remove(ahead)

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all threads; each finishes the item that it works on."""
        running = tuple(self._threads)  # Whoever takes the last item of one removes it.
        for ahead in running:
            ahead.stop()
        for ahead in running:
            ahead.join()


class _Ahead(Generic[Item]):
    """A thread that computes items, and who takes them."""

    def __init__(self, items: Iterator[Item], name: str, num_ahead: int) -> None:
        self._items = items
        self._free = threading.Semaphore(num_ahead)
        self._ready: SimpleQueue[Item | _End] = SimpleQueue()
        self._is_stopped = False
        # A daemon: nothing waits for a file that does not answer when the process ends.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            while self._free.acquire() and not self._is_stopped:
                self._ready.put(next(self._items))
        except StopIteration:
            pass
        except BaseException as problem:  # It is raised where items are taken.
            error = problem
        self._ready.put(_End(error))

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = self._ready.get()
            if self._is_stopped:
                raise _StoppedError
            if isinstance(item, _End):
                self.join()
                if item.error is not None:
                    raise item.error
                return
            self._free.release()
            yield item

    def stop(self) -> None:
        """Let nothing more be computed, and nobody wait for it."""
        self._is_stopped = True
        self._free.release()
        self._ready.put(_End(None))

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()


class _End:
    """After the last item: what ended them, None for their own end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _StoppedError(BaseException):
    """Ends a thread whose items nobody wants any more; no ``except Exception`` holds it up."""
