"""Who looks at a live run while it goes on."""

from __future__ import annotations

from typing import Protocol

from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.frames import TrackedFrame
from stdet.io.live.source import LiveSource


class RunWatcher(Protocol):
    """Sees the frames of a live run; returns at once, so that it never holds the run up."""

    def start(self, source: LiveSource, tracker: StreamingTracker) -> None:
        """Take what frames come from, before the first one.

        Args:
            source: Their levels and events.
            tracker: Its operating point, which may be changed at any time.
        """

    def frame(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
