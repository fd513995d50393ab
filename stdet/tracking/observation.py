"""What a frame says of tracks, with detections and without, and what they say of clutter.

A track adds up the log of how much likelier its detections are with it than as false alarms. In a
frame without a detection that is log (1 - d), with d the share of frames in which it is detected.
Beside it runs the level of its scores, an average in which the newest weighs most.
"""

from __future__ import annotations

import numpy as np

from stdet.tracking.association import Assignment
from stdet.tracking.clutter import ClutterModel
from stdet.tracking.evidence import existence
from stdet.tracking.found import Found
from stdet.tracking.pairing import Hits, Pairing
from stdet.tracking.states import MotionStates, StateArray
from stdet.tracking.track_records import MIN_SIZE_PX, TrackRecords
from stdet.types import BoolArray, Detections, IntArray

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


def observe(
    records: TrackRecords,
    hits: Hits,
    found: Found,
    detections: Detections,
    *,
    levels: StateArray,
    size_smoothing: float,
) -> None:
    """Give each paired track its detection, and the others a miss.

    Args:
        records: N tracks, which are changed.
        hits: Which detections are theirs.
        found: The detections.
        detections: From which they were found.
        levels: Of those that are not paired, of ``missed_levels``, float64 (N,); is changed.
        size_smoothing: Weight of a detection's size in that of its track.
    """
    rows, columns = hits.pairs.track_rows, hits.pairs.detection_rows
    is_hit = np.zeros(len(records), np.bool_)
    is_hit[rows] = True
    _add_evidence(records, rows, is_hit, hits.evidence)
    levels[rows] = found.log_odds.take(columns)
    score_levels = records.score_levels
    levels -= score_levels
    levels *= _level_gains(detections.frame_index - records.first_frames)
    score_levels += levels
    num_hits, frames_without = records.num_hits, records.frames_without
    num_hits += is_hit
    frames_without += 1
    frames_without[:, rows] = 0
    sizes = records.sizes_wh.T
    own = sizes.take(rows, axis=1)
    seen: StateArray = found.sizes_wh.take(columns, axis=0).T
    sizes[:, rows] = own + size_smoothing * (seen - own)
    taken = found.rows.take(columns)
    indices = records.detection_indices
    indices.fill(-1)
    indices[rows] = taken
    records.last_frames[rows] = detections.frame_index
    records.scores[rows] = detections.scores.take(taken)
    records.class_ids[rows] = detections.class_ids.take(taken)


def grow(records: TrackRecords, growths: StateArray) -> None:
    """Make the boxes of N tracks larger by factors (N,)."""
    sizes = records.sizes_wh.T
    np.maximum(sizes * growths, MIN_SIZE_PX, out=sizes)


def missed_levels(
    records: TrackRecords,
    paired: IntArray,
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
        paired: Rows of those that have a detection, int64 (K,), for which nothing is looked up.
        states: N predicted states.
        expected_xy: Where they are over all modes (N, 2), pixels.
        found: The detections.
        pairing: Says how far a track reaches.
    """
    levels: StateArray
    if not len(found.weak_xy):
        levels = np.minimum(records.score_levels, MISSED_LEVEL)
        return levels
    levels = np.full(len(records), MISSED_LEVEL)
    is_missed = np.ones(len(records), np.bool_)
    is_missed[paired] = False
    missed = is_missed.nonzero()[0]
    if len(missed):
        rows, columns = pairing.in_reach(states[missed], expected_xy[missed], found.weak_xy)
        weak = np.full(len(missed), -np.inf)
        np.maximum.at(weak, rows, found.weak_log_odds[columns])
        is_dim = records.faint_log_ratios[missed] > 0
        levels[missed] = np.where(np.isfinite(weak) & ~is_dim, weak, MISSED_LEVEL)
    np.minimum(levels, records.score_levels, out=levels)
    return levels


def learn(clutter: ClutterModel, records: TrackRecords, hits: Assignment, found: Found) -> None:
    """Learn from what the detections turned out to be.

    Args:
        clutter: Learns.
        records: N tracks.
        hits: Which detections are theirs.
        found: The detections.
    """
    rows, columns = hits.track_rows, hits.detection_rows
    is_confirmed = records.is_confirmed.take(rows)
    are_real = existence(records, clutter.per_frame).take(rows)
    false_shares = np.empty(len(found))
    false_shares.fill(1.0)
    false_shares[columns] = (1 - are_real) * ~is_confirmed
    is_target = np.zeros(len(found), np.bool_)
    is_target[columns] = is_confirmed
    clutter.learn(found.xy, found.worth.bins, false_shares=false_shares, is_target=is_target)


def with_begun(
    records: TrackRecords,
    columns: IntArray,
    found: Found,
    detections: Detections,
    *,
    first_uid: int,
) -> TrackRecords:
    """Return the tracks, and an unconfirmed one for each of some detections.

    Args:
        records: N tracks.
        columns: Of those detections, int64 (K,).
        found: The detections.
        detections: From which they were found.
        first_uid: Number of the first new track.
    """
    rows = found.rows.take(columns)
    return records.and_begun(
        first_uid=first_uid,
        frame_index=detections.frame_index,
        log_ratios=found.worth.score_log_ratios.take(columns),
        score_levels=_first_levels(found.log_odds.take(columns)),
        sizes_wh=found.sizes_wh.take(columns, axis=0),
        scores=detections.scores.take(rows),
        class_ids=detections.class_ids.take(rows),
        detection_indices=rows,
    )


def _first_levels(scores: StateArray) -> StateArray:
    """Return the levels of new tracks by their scores' log-odds from the operating point (N,)."""
    gain = max(LEVEL_GAIN, 1 / (1 + FIRST_FRAMES))
    return (1 - gain) * FIRST_LEVEL + gain * scores


def _add_evidence(
    records: TrackRecords, rows: IntArray, is_hit: BoolArray, evidence: StateArray
) -> None:
    """Add to N tracks the evidence (K,) of the detections that some of them have."""
    shares, log_ratios = records.detection_shares, records.log_ratios
    change = np.log(1 - shares)
    change[rows] = np.log(shares.take(rows)) + evidence
    change += log_ratios
    np.minimum(change, LARGEST_LOG_RATIO, out=log_ratios)
    is_judged = records.num_misses < MAX_JUDGED_MISSES
    is_judged |= is_hit
    changed = is_hit - shares
    changed *= SHARE_GAIN
    changed *= is_judged
    changed += shares
    np.maximum(changed, LEAST_SHARE, out=changed)
    np.minimum(changed, LARGEST_SHARE, out=shares)


def _level_gains(ages: IntArray) -> StateArray:
    """Return the weight of the newest score in the level of tracks that are so many frames old."""
    gains: StateArray = np.maximum(1 / (ages + (1 + FIRST_FRAMES)), LEVEL_GAIN)
    return gains
