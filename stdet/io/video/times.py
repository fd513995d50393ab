"""From presentation times to frame indices.

Index is time: frame ``i`` is shown ``i`` frame periods after the first. Where a frame was dropped
its index is a hole, and no later one shifts. But time stamps are rounded (33, 33, 34 ms) and
jitter, as those of phones and web cameras do, and neither is a hole. So a hole is where the frames
after it are late and stay late; a frame that comes late alone has been delayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stdet.types import IntArray

_TOLERANCE = 0.1
"""Periods by which a regular step may miss a whole number of periods."""
_REGULAR_SHARE = 0.95
_MIN_TICKS = 5.0
"""In coarser clocks every step is a whole number of ticks, which says nothing."""
_CANDIDATE_PERCENTILES = (5, 25)
_MAX_DROPPED = 4
"""Periods in the median step at most, where no header states the rate; a shorter step is a burst
of frames that were delayed."""
_AGREEMENT = 0.01
"""Relative difference up to which a rate in a header is that of the time stamps."""
_EXACT_AGREEMENT = 0.001
_MAX_PLAUSIBLE_RATE = 400.0
"""Frames/s of the fastest infrared cameras; more is a clock (1000 in WebM), not a rate."""
_CATCH_UP_FRAMES = 8
"""Frames within which a delayed frame's successors are in time again."""
_MAX_SECONDS = 3600.0
"""A longer jump is one of the clock, not a hole."""
_MAX_INDEX = 10_000_000


def frame_period(times: IntArray, header_periods: Sequence[float]) -> float | None:
    """Find the time from one frame to the next, also where many frames are dropped.

    The first of the candidates of which nearly all steps are whole multiples: the periods that the
    header states, then short steps that are common. Where none fits, the time stamps are irregular
    and the median step is taken. Each is refined to the mean of the steps like it.

    Args:
        times: int64 (N,), increasing, ticks.
        header_periods: What the container states, ticks.

    Returns:
        Ticks, ``None`` for fewer than two frames.

    Example:
        >>> frame_period(np.array([0, 33, 67, 100, 200, 233]), [])
        33.25
    """
    steps = np.diff(times).astype(np.float64)
    if not len(steps):
        return None
    median = float(np.median(steps))
    least = max(_MIN_TICKS, median / _MAX_DROPPED)
    candidates = [(period, True) for period in header_periods]
    shortest = np.percentile(steps, _CANDIDATE_PERCENTILES)
    candidates += [(float(step), False) for step in shortest if step >= least]
    for candidate, is_stated in candidates:
        period = _refined(steps, candidate)
        if period is None or (is_stated and abs(period / candidate - 1) > _AGREEMENT):
            continue
        ratios = steps / period
        misses = np.abs(ratios - np.maximum(np.rint(ratios), 1))
        if np.mean(misses <= max(_TOLERANCE, 1 / period)) >= _REGULAR_SHARE:
            return period
    return _refined(steps, median)


def _refined(steps: NDArray[np.float64], candidate: float) -> float | None:
    """Return the mean of the steps within half a candidate of it, ``None`` where those are few."""
    like = steps[np.abs(steps / candidate - 1) < 0.5]
    if not len(like) or len(like) < len(steps) * _CANDIDATE_PERCENTILES[0] / 100:
        return None
    return float(like.mean())


def plausible_rates(rates: Sequence[float | None]) -> list[float]:
    """Return those of the rates in a header that a camera may have, frames/s."""
    return [rate for rate in rates if rate is not None and 0 < rate <= _MAX_PLAUSIBLE_RATE]


def frame_rate(seconds_per_frame: float | None, header_rates: Sequence[float]) -> float | None:
    """Choose the frame rate: the header's where the time stamps have it, else theirs.

    Args:
        seconds_per_frame: Of the time stamps, ``None`` where there are none.
        header_rates: Plausible rates, the preferred one first.

    Returns:
        Frames per second, ``None`` where unknown.

    Example:
        >>> frame_rate(0.0333, [30000 / 1001, 1.0])
        29.97002997002997
    """
    if seconds_per_frame is None:
        return header_rates[0] if header_rates else None
    measured = 1 / seconds_per_frame
    differences = [abs(rate / measured - 1) for rate in header_rates]
    for rate, difference in zip(header_rates, differences, strict=True):
        if difference <= _EXACT_AGREEMENT:
            return rate
    best = int(np.argmin(differences)) if differences else 0
    return header_rates[best] if differences and differences[best] <= _AGREEMENT else measured


def frame_indices(times: IntArray, period: float | None) -> IntArray:
    """Number frames by their presentation times; the first is 0.

    Args:
        times: int64 (N,), increasing, ticks.
        period: Ticks from one frame to the next, ``None`` for fewer than two frames.

    Returns:
        int64 (N,), increasing.

    Example:
        >>> frame_indices(np.array([0, 33, 67, 100, 200, 233]), 33.25)
        array([0, 1, 2, 3, 6, 7])
    """
    counted = np.arange(len(times), dtype=np.int64)
    if period is None:
        return counted
    lateness = (times - times[0]) / period - counted
    padding = np.full(_CATCH_UP_FRAMES, np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([lateness, padding]), _CATCH_UP_FRAMES + 1
    )
    lasting = windows.min(axis=1)
    dropped = np.maximum(np.rint(np.diff(lasting)), 0).astype(np.int64)
    indices: IntArray = counted + np.concatenate([[0], np.cumsum(dropped)])
    return indices


def is_one_clock(times: IntArray, indices: IntArray, seconds_per_tick: float) -> bool:
    """Whether times are those of one recording: no jump of an hour, no absurd length."""
    if not len(times):
        return False
    longest = float(np.diff(times).max(initial=0)) * seconds_per_tick
    return longest <= _MAX_SECONDS and int(indices[-1]) <= _MAX_INDEX
