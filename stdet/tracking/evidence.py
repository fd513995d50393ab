"""What is believed of tracks: how likely each is to be real, and how its scores stand.

A track adds up the log of how much likelier its detections are with it than as false alarms. In a
frame without a detection that is log (1 - d), with d the share of frames in which it is detected.
Beside it runs the level of its scores, an average in which the newest weighs most.
"""

from __future__ import annotations

import math

import numpy as np

from stdet.tracking.found import Found
from stdet.tracking.log_odds import log_odds
from stdet.tracking.motion import MotionStates, StateArray
from stdet.tracking.pairing import Pairing
from stdet.tracking.track_records import TrackRecords
from stdet.types import BoolArray, IntArray

NEW_PER_FRAME = 1 / 500
"""Targets that appear, per frame."""
SHARE_GAIN = 0.08
"""Weight of the newest frame in a track's share of frames with a detection."""
LEAST_SHARE, LARGEST_SHARE = 0.3, 0.95
LEVEL_GAIN = 0.12
"""Least weight of the newest score in a track's level of scores, at first their plain mean."""
FIRST_LEVEL, MISSED_LEVEL = -1.0, -0.5
"""Log-odds relative to the operating point: of a track before its first score, and of a frame in
which nothing is found."""
FIRST_FRAMES = 2.0
"""Scores that the level before the first score is worth."""
LARGEST_LOG_RATIO = 40.0
"""Evidence beyond it does not count: no track is certain for ever."""
MAX_JUDGED_MISSES = 4
"""Misses in a row that count: a target that is hidden for long is not detected less often
afterwards."""


def existence(records: TrackRecords, false_alarms_per_frame: float) -> StateArray:
    """Return the probability that each track is real, float64 (N,)."""
    rate = max(false_alarms_per_frame, NEW_PER_FRAME)
    odds = records.log_ratios + np.log(NEW_PER_FRAME / rate)
    alone = 1 / (1 + np.exp(-odds))
    probabilities: StateArray = np.maximum(alone, 0.5 * records.is_confirmed)
    return probabilities


def add_evidence(records: TrackRecords, rows: IntArray, evidence: StateArray) -> None:
    """Add to the tracks what a frame says.

    Args:
        records: N tracks, which are changed.
        rows: Of the tracks that have a detection, int64 (K,).
        evidence: Of their detections, log-likelihood ratios, float64 (K,).
    """
    shares, log_ratios = records.detection_shares, records.log_ratios
    change = np.log(1 - shares)
    change[rows] = evidence + np.log(shares[rows])
    np.minimum(log_ratios + change, LARGEST_LOG_RATIO, out=log_ratios)
    is_hit = np.zeros(len(records), np.bool_)
    is_hit[rows] = True
    is_judged = is_hit | (records.num_misses < MAX_JUDGED_MISSES)
    shares += SHARE_GAIN * (is_hit - shares) * is_judged
    np.minimum(np.maximum(shares, LEAST_SHARE), LARGEST_SHARE, out=shares)


def level_gain(ages: IntArray) -> StateArray:
    """Return the weight of the newest score in the level of tracks that are so many frames old."""
    gain: StateArray = np.maximum(LEVEL_GAIN, 1 / (ages + 1 + FIRST_FRAMES))
    return gain


def missed_levels(
    records: TrackRecords,
    missed: IntArray,
    states: MotionStates,
    expected_xy: StateArray,
    found: Found,
    pairing: Pairing,
) -> StateArray:
    """Return the log-odds that a frame without a detection counts as, float64 (N,).

    A weak detection where a track is expected says what the detector thinks of it. No miss makes a
    track more credible.

    Args:
        records: N tracks.
        missed: Rows of those without a detection, int64 (K,).
        states: N predicted states.
        expected_xy: Where they are over all modes (N, 2), pixels.
        found: The detections.
        pairing: Says how far a track reaches.
    """
    levels: StateArray = np.full(len(records), MISSED_LEVEL)
    if len(missed) and len(found.weak_xy):
        rows, columns = pairing.in_reach(states[missed], expected_xy[missed], found.weak_xy)
        weak = np.full(len(missed), -np.inf)
        np.maximum.at(weak, rows, found.weak_log_odds[columns])
        is_dim = records.faint_log_ratios[missed] > 0
        levels[missed] = np.where(np.isfinite(weak) & ~is_dim, weak, MISSED_LEVEL)
    np.minimum(levels, records.score_levels, out=levels)
    return levels


def first_levels(scores: StateArray) -> StateArray:
    """Return the levels of new tracks by their scores' log-odds from the operating point (N,)."""
    gain = max(LEVEL_GAIN, 1 / (1 + FIRST_FRAMES))
    return FIRST_LEVEL + gain * (scores - FIRST_LEVEL)


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
    least = log_odds(continue_share * confidence) - log_odds(confidence) + needed
    credible: BoolArray = records.score_levels >= least
    return credible
