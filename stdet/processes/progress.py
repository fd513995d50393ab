"""Progress on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stdet.errors import printable

Item = TypeVar("Item")

LOG_INTERVAL_S = 20.0
"""Seconds between lines where stderr is no terminal."""


class ProgressBar:
    """A counted task.

    Args:
        title: What is being done; shown as it is, but for what could steer a terminal.
        total: How many steps, None where unknown.
        is_quiet: Show nothing, for processes other than the first.
    """

    def __init__(self, title: str, total: int | None, *, is_quiet: bool = False) -> None:
        """Prepare; nothing is shown before ``__enter__``."""
        self.title = printable(title)
        self.total = total
        self.done = 0
        self.is_terminal = sys.stderr.isatty() and not is_quiet
        self.is_quiet = is_quiet
        self._started = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            disable=not self.is_terminal,
        )
        self._task = self._bar.add_task(self.title, total=total, note="")

    def __enter__(self) -> ProgressBar:
        """Show the bar."""
        self._started = self._last_line = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar down."""
        self._bar.stop()

    def count(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the same items, each of them one step."""
        for item in items:
            yield item
            self.advance()

    def advance(self, note: str = "") -> None:
        """Count one step; ``note`` is shown behind the bar."""
        self.done += 1
        self._bar.update(self._task, advance=1, note=note)
        now = time.monotonic()
        if self.is_terminal or self.is_quiet or now - self._last_line < LOG_INTERVAL_S:
            return
        self._last_line = now
        elapsed = now - self._started
        left = ""
        if self.total:
            left = f", {elapsed / self.done * (self.total - self.done):.0f} s left"
        of_total = f"/{self.total}" if self.total else ""
        print(
            f"{self.title}: {self.done}{of_total}, {elapsed:.0f} s{left} {note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )
