"""What a run over a live source leaves to be said."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from stdet.io.live.capture import Capture, LiveEvent
from stdet.io.live.source import LiveSource

_MAX_AGES = 100_000
"""Newest frames whose ages are summed up: an hour at 25 frames/s, in 1 MB."""


@dataclass(frozen=True, kw_only=True)
class LiveSummary:
    """How old and how complete the outputs of a live run were.

    Attributes:
        num_dropped: Frames that came and were left out because a newer one was there.
        median_age_s: Age of a frame when its tracks came out, seconds.
        percentile_95_age_s: Age that 95 % of the frames did not exceed.
        percentile_99_age_s: The same of 99 %.
        events: What happened to the source.
    """

    num_dropped: int
    median_age_s: float
    percentile_95_age_s: float
    percentile_99_age_s: float
    events: tuple[LiveEvent, ...]

    def __str__(self) -> str:
        """Say it in a sentence."""
        return (
            f"Tracks came out {self.median_age_s:.2f} s after their frame in the median, "
            f"{self.percentile_95_age_s:.2f} s in 95 % of the frames; {self.num_dropped} frames "
            "were left out because a newer one was there."
        )

    def footer(self) -> dict[str, Any]:
        """Return the last keys of the JSON."""
        return {
            "num_dropped": self.num_dropped,
            "age_s": {
                "median": round(self.median_age_s, 4),
                "percentile_95": round(self.percentile_95_age_s, 4),
                "percentile_99": round(self.percentile_99_age_s, 4),
            },
            "events": [event.entry() for event in self.events],
        }


class Ages:
    """Ages of the newest frames of a live run."""

    def __init__(self) -> None:
        """Start with none."""
        self._ages: deque[float] = deque(maxlen=_MAX_AGES)
        self._num_dropped = 0

    def add(self, capture: Capture) -> float:
        """Note the age of a frame whose tracks are known now, and return it, seconds."""
        self._num_dropped += capture.num_dropped
        self._ages.append(capture.age_s)
        return self._ages[-1]

    def summary(self, source: LiveSource) -> LiveSummary | None:
        """Sum up, None where no frame came."""
        if not self._ages:
            return None
        median, most, nearly_all = np.quantile(self._ages, (0.5, 0.95, 0.99)).tolist()
        return LiveSummary(
            num_dropped=self._num_dropped,
            median_age_s=median,
            percentile_95_age_s=most,
            percentile_99_age_s=nearly_all,
            events=tuple(source.events()),
        )
