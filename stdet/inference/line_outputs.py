"""The lines of JSON that a run sends while it goes on; see ``formats/track_lines.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from stdet.formats.track_lines import end_line, event_line, frame_line, start_line
from stdet.inference.stages.frames import TrackedFrame
from stdet.io.live.capture import LiveEvent
from stdet.io.sinks.line_sink import LineSink, SinkCount
from stdet.io.sinks.targets import open_sink


class LineOutputs:
    """Sends every line to all targets, within a ``with`` block.

    Args:
        targets: As ``open_sink`` takes them.
        may_drop: Whether a slow target loses lines; else the run waits for it.

    Attributes:
        counts: What was sent, after the block.

    Raises:
        ConfigError: On entering, if a target is none.
        DataError: On entering, if a target cannot be reached.
    """

    def __init__(self, targets: Sequence[str], *, may_drop: bool) -> None:
        """Keep the targets; nothing is opened yet."""
        self._targets = targets
        self._may_drop = may_drop
        self._sinks: list[LineSink] = []
        self.counts: tuple[SinkCount, ...] = ()

    def __enter__(self) -> Self:
        """Open all targets, or none."""
        try:
            for target in self._targets:
                self._sinks.append(open_sink(target, may_drop=self._may_drop))
        except BaseException:
            self.close()
            raise
        return self

    def start(self, header: Mapping[str, Any]) -> None:
        """Send the first line."""
        self._send(start_line(header))

    def frame(self, frame: TrackedFrame) -> None:
        """Send the tracks of a frame."""
        if self._sinks:
            self._send(frame_line(frame.index, frame.tracks, frame.capture))

    def event(self, event: LiveEvent) -> None:
        """Send what has happened to the source; from any thread."""
        self._send(event_line(event))

    def end(self, footer: Mapping[str, Any]) -> None:
        """Send the last line."""
        self._send(end_line(footer))

    def close(self) -> None:
        """Hand on what waits, and close all targets."""
        sinks, self._sinks = self._sinks, []
        self.counts += tuple(sink.close() for sink in sinks)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all targets."""
        self.close()

    def _send(self, line: str) -> None:
        for sink in self._sinks:
            sink.send(line)
