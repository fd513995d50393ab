"""How many false tracks are expected, and from which probability on tracks keep a limit.

Probabilities of being real add up: of tracks with the probabilities p, the sum of 1 - p is
expected to be false. So the footage itself says how often the tool is wrong in it. For a limit in
false tracks an hour, the tracks so far are looked at as if those that ever reached some
probability had come out. The lowest one that keeps the limit is the threshold. While little has
been seen, the false tracks of other footage (``Calibration.first_per_hour``) count, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_LOG_ODDS = np.arange(-3.0, 7.01, 0.25)
THRESHOLDS = 1 / (1 + np.exp(-_LOG_ODDS))
"""Probabilities that are looked at."""
FIRST_HOURS = 0.02
"""Hours of footage that the first belief is worth."""
_FALL = 1.25
"""How the log of the false tracks that reach a threshold falls with its log-odds; as measured on
the footage of the calibration."""
NO_THRESHOLD = math.inf
"""Where no probability keeps the limit: nothing comes out."""
_HOURS_TO_SHOW = 3.0
"""Hours without a false track that show a rate below one an hour with 95 % (exp(-3) = .05)."""


@dataclass(frozen=True, kw_only=True)
class FalseTracks:
    """How many false tracks are expected among those that came out of a run.

    Attributes:
        num_tracks: That came out.
        expected: False ones among them: the sum of 1 - probability.
        hours: Of footage.
        fps: Frames per second that the hours are reckoned with.
        is_fps_known: Whether the source states them.
        limit_per_hour: That was asked for; None where none was.
        threshold: Probability from which tracks come out at the end; ``NO_THRESHOLD`` where none
            keeps the limit, None without a limit.
    """

    num_tracks: int
    expected: float
    hours: float
    fps: float
    is_fps_known: bool
    limit_per_hour: float | None
    threshold: float | None

    @property
    def hours_to_show(self) -> float | None:
        """Hours without a false track that would show that the limit is kept; None without one."""
        return None if self.limit_per_hour is None else _HOURS_TO_SHOW / self.limit_per_hour

    @property
    def is_shown(self) -> bool | None:
        """Whether the footage is long enough to show it."""
        return None if self.hours_to_show is None else self.hours >= self.hours_to_show

    def __str__(self) -> str:
        """Say it in a line."""
        text = f"expected false tracks: {self.expected:.2g} in {self.hours:.2g} h"
        if self.hours > 0:
            text += f" ({self.expected / self.hours:.2g} an hour)"
        if not self.is_fps_known:
            text += f", at {self.fps:g} frames/s, since the source states no rate"
        return text

    def limit_text(self) -> str | None:
        """Say how the limit was kept; None without one."""
        if self.limit_per_hour is None or self.threshold is None:
            return None
        asked = f"{self.limit_per_hour:g} false alarms an hour"
        if self.threshold == NO_THRESHOLD:
            return f"{asked}: no track is certain enough; none comes out at the end"
        text = f"{asked}: tracks come out from probability {self.threshold:.2f} on"
        if not self.is_shown:
            text += (
                f"; {self.hours:.2g} h of footage cannot show that this keeps the limit "
                f"({self.hours_to_show:.2g} h can)"
            )
        return text

    def entry(self) -> dict[str, Any]:
        """Return the values for the JSON."""
        entry: dict[str, Any] = {
            "num_tracks": self.num_tracks,
            "expected": round(self.expected, 4),
            "hours": round(self.hours, 6),
            "fps": self.fps,
            "is_fps_known": self.is_fps_known,
        }
        if self.limit_per_hour is not None:
            is_any = self.threshold is not None and self.threshold < NO_THRESHOLD
            entry["limit_per_hour"] = self.limit_per_hour
            entry["threshold"] = self.threshold if is_any else None
            entry["is_shown"] = self.is_shown
        return entry


def threshold_for(
    limit_per_hour: float, expected: Float64Array, hours: float, *, first_per_hour: float
) -> float:
    """Return the lowest of ``THRESHOLDS`` that keeps a limit.

    Args:
        limit_per_hour: False tracks in an hour.
        expected: False ones among the tracks so far that reached each threshold, not increasing.
        hours: Of footage so far.
        first_per_hour: Of ``Calibration``.

    Example:
        >>> nothing_false = np.zeros(len(THRESHOLDS))
        >>> threshold_for(1e-9, 1 + nothing_false, 1.0, first_per_hour=500.0)
        inf
    """
    first = first_per_hour * np.exp(-_FALL * _LOG_ODDS)
    rates = (expected + first * FIRST_HOURS) / (hours + FIRST_HOURS)
    keeps = np.flatnonzero(rates <= limit_per_hour)
    return float(THRESHOLDS[keeps[0]]) if len(keeps) else NO_THRESHOLD
