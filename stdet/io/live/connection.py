"""What the reader of a live source needs of one: connections, which give pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from stdet.errors import StdetError
from stdet.io.frame_source import RawImage
from stdet.io.live.stream_clock import Instant

OPEN_S = 10.0
"""Seconds in which a source must answer and give its first frame."""
STALL_S = 4.0
"""Seconds without a frame after which a camera or stream counts as lost."""


class LostError(StdetError):
    """A connection has ended.

    Args:
        reason: Why.
        is_torn: Whether it ended within a frame.
    """

    def __init__(self, reason: str, *, is_torn: bool = False) -> None:
        """Say why."""
        super().__init__(reason)
        self.is_torn = is_torn


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame as it came, not yet converted.

    Attributes:
        instant: When it came.
        hw: Height and width, pixels.
        bits: Bits per pixel, at least 8.
        grey: Returns its grey levels, uint8 or uint16 (H, W).
    """

    instant: Instant
    hw: tuple[int, int]
    bits: int
    grey: Callable[[], RawImage]


class Connection(Protocol):
    """An open camera, stream or pipe."""

    @property
    def declared_fps(self) -> float | None:
        """Frames per second that it states, None where it states none."""

    def pictures(self) -> Iterator[Picture]:
        """Yield what comes, as soon as it comes.

        Raises:
            LostError: When nothing comes any more.
        """


class Feed(Protocol):
    """A live source that can be opened, and mostly opened again.

    Attributes:
        can_reconnect: Whether it can be opened again.
    """

    can_reconnect: bool

    def connect(self, is_stopped: Callable[[], bool]) -> AbstractContextManager[Connection]:
        """Open it.

        Args:
            is_stopped: Says that nobody waits for frames any more.

        Raises:
            LostError: If that is not possible, with the reason.
        """
