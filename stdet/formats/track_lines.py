"""Tracks as lines of JSON, one a frame, for programs that read along.

    {"type": "start", "format": "stdet.lines/1", "source": ..., "fps": ..., "image_hw": [H, W]}
    {"type": "frame", "frame_index": 41, "captured_at": "2026-01-31T12:00:00.123Z", "age_s": 0.31,
     "num_dropped": 0, "tracks": [{"track_id": 1, "box_xyxy": [...], "score": ..., ...}]}
    {"type": "event", "event": "lost", "at": "2026-01-31T12:00:05.500Z", "text": "..."}
    {"type": "end", "num_frames": ..., ...}

Keys and units are those of ``track_json.py``. ``captured_at``, ``age_s`` and ``num_dropped`` are
there for live sources. The start has the other keys of the JSON's header, the end those of its
footer. Events may come between any two lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stdet.formats.track_json import track_entries
from stdet.io.live.capture import Capture, LiveEvent
from stdet.types import Tracks

FORMAT = "stdet.lines/1"


def start_line(header: Mapping[str, Any]) -> str:
    """Return the first line; the header is that of the JSON."""
    return json.dumps({"type": "start", "format": FORMAT, **header})


def frame_line(index: int, tracks: Tracks, capture: Capture | None) -> str:
    """Return the line of a frame."""
    live = {} if capture is None else capture.entry()
    entry = {"type": "frame", "frame_index": index, **live, "tracks": track_entries(tracks)}
    return json.dumps(entry)


def event_line(event: LiveEvent) -> str:
    """Return the line of an event."""
    return json.dumps({"type": "event", **event.entry()})


def end_line(footer: Mapping[str, Any]) -> str:
    """Return the last line."""
    return json.dumps({"type": "end", **footer})
