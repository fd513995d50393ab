"""What became of each track, as one row: in the track JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

MotionClass = Literal["hovering", "straight", "turning"]


@dataclass(frozen=True, kw_only=True)
class TrackRow:
    """One track; NaN stands for what is not known.

    Attributes:
        track_id: Its id.
        first_frame: Of its first row, counted from 0.
        last_frame: Of its last row.
        first_time: Seconds from frame 0.
        last_time: Seconds from frame 0.
        num_frames: Rows.
        num_detections: Rows with a detection; the others are predicted or filled.
        length_px: Of its path in the scene, pixels.
        speed_px_per_frame: Mean along that path.
        speed_px_per_s: The same by the clock.
        mean_snr: Mean over its rows of the local signal-to-clutter ratio
            (``metrics/detection/contrast.py``).
        score: The highest.
        probability: That it is real, as known with its last row.
        motion: By its path in the scene.
    """

    track_id: int
    first_frame: int
    last_frame: int
    first_time: float
    last_time: float
    num_frames: int
    num_detections: int
    length_px: float
    speed_px_per_frame: float
    speed_px_per_s: float
    mean_snr: float
    score: float
    probability: float
    motion: MotionClass


_DIGITS = 4


def summary_entry(row: TrackRow) -> dict[str, Any]:
    """Return a row as it stands in the JSON; NaN becomes None."""
    return {field.name: _plain(getattr(row, field.name)) for field in fields(row)}


def parse_summary(entry: Mapping[str, Any]) -> TrackRow:
    """Read what ``summary_entry`` returned.

    Raises:
        KeyError, TypeError, ValueError: If it is no such entry.
    """
    motion = entry["motion"]
    if motion not in get_args(MotionClass):
        raise ValueError(f"motion {motion!r}")
    whole = ("track_id", "first_frame", "last_frame", "num_frames", "num_detections")
    numbers: dict[str, Any] = {
        field.name: math.nan if entry[field.name] is None else float(entry[field.name])
        for field in fields(TrackRow)
        if field.name not in (*whole, "motion")
    }
    return TrackRow(**{name: int(entry[name]) for name in whole}, **numbers, motion=motion)


def summary_csv(rows: Sequence[TrackRow]) -> str:
    """Return a line per track under a header; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(TrackRow)])
    writer.writerows(summary_entry(row).values() for row in rows)
    return out.getvalue()


def _plain(value: float | str) -> float | str | None:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, _DIGITS)
