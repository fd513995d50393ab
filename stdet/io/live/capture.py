"""When a live frame was taken, and what has happened to a live source."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

EventKind = Literal["lost", "reconnected", "ended", "confidence"]


def utc_text(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC, with milliseconds.

    Args:
        seconds: Since 1970, UTC.

    Example:
        >>> utc_text(0.25)
        '1970-01-01T00:00:00.250Z'
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Capture:
    """When a live frame was taken.

    That is when it reached this machine; ``stream_clock.py`` takes out what it was late by.

    Attributes:
        utc: Seconds since 1970.
        monotonic: The same on the clock of ``time.monotonic``, which nothing sets.
        num_dropped: Frames of the stream that came and were left out between the frame before and
            this one, since a newer one was there.
    """

    utc: float
    monotonic: float
    num_dropped: int = 0

    @property
    def age_s(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self.monotonic

    def entry(self) -> dict[str, str | float | int]:
        """Return what files say of it now."""
        return {
            "captured_at": utc_text(self.utc),
            "age_s": round(self.age_s, 3),
            "num_dropped": self.num_dropped,
        }


class Pause:
    """Among the frames of a stream: none has come for a while, so wait for none."""


@dataclass(frozen=True, kw_only=True)
class LiveEvent:
    """What has happened to a live source, or to the run over it.

    Attributes:
        kind: ``lost``, ``reconnected``, or ``ended`` where there is nothing to connect to again;
            ``confidence`` where somebody has changed the operating point.
        utc: Seconds since 1970.
        text: What has happened, in a sentence.
    """

    kind: EventKind
    utc: float
    text: str

    def entry(self) -> dict[str, str]:
        """Return what files say of it."""
        return {"event": self.kind, "at": utc_text(self.utc), "text": self.text}
