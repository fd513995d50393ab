"""Which tracks lie on proven paths, which go on, and which may be shown."""

from __future__ import annotations

import math

import numpy as np

from stdet.config import TrackerConfig
from stdet.tracking.states import StateArray
from stdet.tracking.track_records import UNCONFIRMED, TrackRecords
from stdet.types import BoolArray

FRAMES_PER_HOUR = 25 * 3600
"""Of the video for which ``false_tracks_per_hour`` is meant."""
LEAST_RATE = 0.05
"""False alarms per frame that are reckoned with at least."""
MOST_FOLLOWED = 60
"""Frames for which a track goes on along peaks of the residual without any detection."""
LOST_LOG_RATIO = -4.0
"""An unconfirmed track is dropped when its log ratio falls below."""
MAX_UNCONFIRMED_MISSES = 4
"""Frames in a row without a detection after which an unconfirmed track is dropped."""
OUTSIDE_PX, MAX_OUTSIDE_MISSES = 8.0, 5
"""A track so far outside of the image ends after so many frames without a detection."""


def have_proven_paths(
    records: TrackRecords, false_alarms_per_frame: float, *, false_tracks_per_hour: float
) -> BoolArray:
    """Return which tracks lie on paths that false alarms would hardly form, bool (N,).

    Clutter that comes independently from frame to frame must give such paths far less often than
    the false tracks that are allowed. Those of confirmed tracks stay proven.
    """
    begun_per_hour = max(false_alarms_per_frame, LEAST_RATE) * FRAMES_PER_HOUR
    wanted = math.log(begun_per_hour / false_tracks_per_hour)
    is_proven: BoolArray = (records.log_ratios >= wanted) & (records.num_hits > 1)
    is_proven |= records.is_confirmed
    return is_proven


def go_on(
    records: TrackRecords,
    centres_xy: StateArray,
    image_hw: tuple[int, int],
    config: TrackerConfig,
    lookahead: int,
) -> BoolArray:
    """Return which tracks go on, bool (N,).

    Args:
        records: N tracks.
        centres_xy: Where they are, (N, 2), pixels.
        image_hw: Size of the frame.
        config: Life times.
        lookahead: Frames that rows wait for; a track lives at least as long.
    """
    max_lost, num_misses = max(config.max_lost, lookahead), records.num_misses
    is_alive: BoolArray = records.num_unseen <= max_lost
    is_alive &= num_misses <= max(MOST_FOLLOWED, max_lost)
    is_young = num_misses <= MAX_UNCONFIRMED_MISSES
    is_young &= records.log_ratios >= LOST_LOG_RATIO
    np.copyto(is_alive, is_young, where=records.track_ids == UNCONFIRMED)
    height, width = image_hw
    x, y = centres_xy.T
    is_far = (x < -OUTSIDE_PX) | (y < -OUTSIDE_PX)
    is_far |= x > width + OUTSIDE_PX
    is_far |= y > height + OUTSIDE_PX
    if np.count_nonzero(is_far):
        is_alive &= ~is_far | (num_misses <= max(MAX_OUTSIDE_MISSES, lookahead))
    return is_alive


def visibility(
    records: TrackRecords, is_credible: BoolArray, *, max_coast: int
) -> tuple[BoolArray, BoolArray]:
    """Return which tracks may be shown, and which also if they are not detected again, bool (N,).

    Args:
        records: N tracks; what they have left of rows for peaks alone is changed.
        is_credible: By their scores, bool (N,).
        max_coast: Frames without a detection for which a track is shown.
    """
    is_coasting: BoolArray = records.num_misses <= max_coast
    # At most as many rows by peaks as by detections: a track of clutter is no longer for them.
    is_detected, credits = records.detection_indices >= 0, records.faint_credits
    is_detected &= is_credible
    is_faint = records.faint_log_ratios > 0
    if np.count_nonzero(is_faint):
        is_faint &= credits > 0
        credits -= is_faint & ~is_detected
        is_credible = is_credible | is_faint
        is_coasting |= is_faint
    credits += is_detected
    return is_credible, is_coasting


def longest_gap(config: TrackerConfig) -> int:
    """Return the most frames from one row of a track to its next."""
    return max(MOST_FOLLOWED, config.max_lost, config.frames_ahead or 0) + 1
