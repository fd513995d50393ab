"""The newest tracks of a live run, each with a piece of the picture."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.page.crops import crop_around
from stdet.page.picture import Picture
from stdet.types import Tracks

MAX_TRACKS = 24
"""So many are kept; of more, those that have not been seen for longest are left out."""
CROP_S = 1.0
"""Seconds after which the piece of a track is taken anew."""


@dataclass(kw_only=True)
class _Recent:
    """A track so far."""

    track_id: int
    first_time: float
    last_time: float = 0.0
    score: float = 0.0
    probability: float = math.nan
    is_present: bool = True
    crop: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((1, 1), np.uint8))
    num_crops: int = 0


class RecentTracks:
    """Which tracks there were lately; memory is bounded."""

    def __init__(self) -> None:
        """Start with none."""
        self._tracks: dict[int, _Recent] = {}
        self._cropped_at = -math.inf

    def update(self, rows: Tracks, picture: Picture) -> None:
        """Take in the tracks of the next frame, and its picture."""
        now = time.monotonic()
        is_due = now - self._cropped_at >= CROP_S
        if is_due:
            self._cropped_at = now
        for one in self._tracks.values():
            one.is_present = False
        for row, track_id in enumerate(rows.track_ids.tolist()):
            known = self._tracks.pop(track_id, None)
            one = _Recent(track_id=track_id, first_time=now) if known is None else known
            if is_due or known is None:
                one.crop = crop_around(picture.pixels, rows.boxes_xyxy[row])
                one.num_crops += 1
            self._tracks[track_id] = one  # The newest stand at the end.
            one.is_present, one.last_time = True, now
            one.score = max(one.score, float(rows.scores[row]))
            one.probability = float(rows.probabilities[row])
        while len(self._tracks) > MAX_TRACKS:
            del self._tracks[next(iter(self._tracks))]

    def entries(self) -> list[dict[str, Any]]:
        """Return what the page shows of them, the newest track first."""
        now = time.monotonic()
        return [
            {
                "track_id": one.track_id,
                "is_present": one.is_present,
                "seen_s": round(one.last_time - one.first_time, 1),
                "ago_s": round(now - one.last_time, 1),
                "score": round(one.score, 3),
                "probability": None if math.isnan(one.probability) else round(one.probability, 3),
                "crop": one.num_crops,
            }
            for one in sorted(self._tracks.values(), key=lambda one: -one.track_id)
        ]

    def crop(self, track_id: int) -> NDArray[np.uint8] | None:
        """Return the newest piece of a track, None where it is not kept."""
        one = self._tracks.get(track_id)
        return None if one is None else one.crop
