"""What is believed of tracks: how likely each is to be real, and how its scores stand."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import expit

from stdet.tracking.log_odds import log_odds
from stdet.tracking.states import StateArray
from stdet.tracking.track_records import TrackRecords
from stdet.types import BoolArray

NEW_PER_FRAME = 1 / 500
"""Targets that appear, per frame."""


def existence(records: TrackRecords, false_alarms_per_frame: float) -> StateArray:
    """Return the probability that each track is real, float64 (N,)."""
    rate = max(false_alarms_per_frame, NEW_PER_FRAME)
    alone = expit(records.log_ratios + math.log(NEW_PER_FRAME / rate))
    probabilities: StateArray = np.maximum(alone, 0.5 * records.is_confirmed)
    return probabilities


def needed_level(levels: StateArray, before: float) -> float:
    """Return the level of scores that a proven path needs, at most 0: that of the operating point.

    Clutter that stands, waves or is burnt in has proven paths, too, and only its scores tell it
    from targets. At the operating point both are taken to be equally likely where there are as
    many of one as of the other. Where the stream has more targets, a path is a target's at lower
    scores: the log of the ratio is taken off. One path of clutter is reckoned with unseen, so
    that a single target says nothing about others.

    Args:
        levels: Of all tracks with proven paths, float64 (N,).
        before: What was needed in the frame before; those that reach it count as targets.

    Example:
        >>> alone, among_others = np.array([1.0]), np.array([1.0, 0.5, 0.2, -2.0])
        >>> needed_level(alone, 0.0), round(needed_level(among_others, 0.0), 3)  # log(2 / 3)
        (0.0, -0.405)
    """
    num_targets = int(np.count_nonzero(levels >= before))
    num_clutter = len(levels) - num_targets
    return min(0.0, math.log((1 + num_clutter) / max(num_targets, 1)))


def is_credible(
    records: TrackRecords, continue_share: float, confidence: float, needed: float
) -> BoolArray:
    """Return which tracks have scores near enough to what is needed, bool (N,)."""
    if confidence <= 0:
        return np.ones(len(records), np.bool_)
    least = _level_of_share(continue_share, confidence) + needed
    credible: BoolArray = records.score_levels >= least
    return credible


@lru_cache(maxsize=16)
def _level_of_share(share: float, confidence: float) -> float:
    """Return the level of a share of the operating point."""
    return log_odds(share * confidence) - log_odds(confidence)
