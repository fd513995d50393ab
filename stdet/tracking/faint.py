"""What the pixels of a frame say of a track: track before detect along paths that are known.

Where a target is too dim for the detector, it may still be the strongest thing where its track
expects it. For a peak of strength v at z let p(z) be the density of the track's centre and c(v)
the clutter peaks per square pixel that are at least as strong, in this frame. Clutter alone gives
c(v) / p(z) peaks, on average, that are as strong for their distance as this one. So

    q = 1 - exp(-c(v) / p(z)),    e = K q^(K - 1)

where q is the probability that clutter does as well, and e is evidence for the target: clutter
gives 1 on average. A frame without a peak gives K. A track adds up log e, within ``MOST`` either
way, so that what it saw long ago counts no more, and clutter cannot keep it alive.

Source:
    The calibrator K q^(K - 1): Vovk and Wang 2021 (Annals of Statistics 49), section 2. The sum
    with limits is that of Page 1954 (Biometrika 41).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.registration.contrast_peaks import Peaks
from stdet.tracking.association import Assignment, ValuedPairs, assign
from stdet.tracking.found import Found
from stdet.tracking.motion import SwitchingMotion
from stdet.tracking.neighbours import near_pairs
from stdet.tracking.pairing import Pairing
from stdet.tracking.states import MotionStates, StateArray
from stdet.tracking.track_records import TrackRecords
from stdet.types import BoolArray, IntArray

MOST = 4.0
"""Largest log of the evidence of a track's newest frames, and least, negative."""
_K = 0.25
_MOST_OF_FRAME = 3.0
"""Largest log e of one frame: what passes by the track must not make up for many frames."""
_NEAR_PX = 40.0
"""Clutter is also counted so far about a peak: it may be denser there than in the frame."""
_OWN_PX = 4.0
"""A peak so near to the detection of a track is the peak of that track."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Detections that tracks have in a frame.

    Attributes:
        xy: Centres, float64 (D, 2), pixels.
        rows: Row of the track, int64 (D,), -1 for one that is not looked for.
    """

    xy: StateArray
    rows: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Faint:
    """What the pixels show of N tracks.

    Attributes:
        log_evidence: log e, float64 (N,).
        xy: Centre of the peak, float64 (N, 2), pixels; without meaning where there is none.
    """

    log_evidence: StateArray
    xy: StateArray


def follow(
    records: TrackRecords,
    states: MotionStates,
    hits: Assignment,
    found: Found,
    peaks: Peaks,
    image_hw: tuple[int, int],
    *,
    motion: SwitchingMotion,
    pairing: Pairing,
) -> IntArray:
    """Let confirmed tracks go on along peaks where no detection is theirs.

    Args:
        records: N tracks; their evidence of the pixels is changed.
        states: Where they are expected; corrected where a track is followed.
        hits: Which detections are theirs.
        found: The detections.
        peaks: Of the frame.
        image_hw: Its size.
        motion: Says how likely a place is.
        pairing: Says how far a track reaches.

    Returns:
        Rows of the tracks that are followed.
    """
    sought = np.flatnonzero(records.is_confirmed)
    row_of = np.full(len(records), -1)
    row_of[sought] = np.arange(len(sought))
    owners = np.full(len(found), -1)
    owners[hits.detection_rows] = row_of[hits.track_rows]
    taken = Taken(xy=found.xy, rows=owners)
    faint = look_for(states[sought], peaks, image_hw, taken, motion=motion, pairing=pairing)
    ratios = np.clip(records.faint_log_ratios[sought] + faint.log_evidence, -MOST, MOST)
    records.faint_log_ratios[sought] = ratios
    is_missed = ~np.isin(sought, hits.track_rows)
    is_followed = is_missed & (ratios > 0) & (faint.log_evidence > 0)
    followed: IntArray = sought[is_followed]
    states.put(followed, motion.update(states[followed], faint.xy[is_followed]))
    return followed


def look_for(
    states: MotionStates,
    peaks: Peaks,
    image_hw: tuple[int, int],
    taken: Taken,
    *,
    motion: SwitchingMotion,
    pairing: Pairing,
) -> Faint:
    """Look for tracks in the pixels where they are expected; no peak is that of two.

    Args:
        states: N predicted states.
        peaks: Of the frame.
        image_hw: Its size.
        taken: Detections; a peak at one of them is no other track's.
        motion: Says how likely a place is.
        pairing: Says how far a track reaches.
    """
    rows, columns = pairing.in_reach(states, states.combined().xy, peaks.xy)
    is_free = _may_have(rows, columns, peaks, taken)
    rows, columns = rows[is_free], columns[is_free]
    log_ratios = motion.log_likelihoods(states, rows, peaks.xy[columns])
    log_ratios -= _log_densities(peaks, columns, image_hw)
    best = assign(
        # Every pair is worth something: the track has this peak or none.
        ValuedPairs(
            track_rows=rows,
            detection_rows=columns,
            values=log_ratios - log_ratios.min(initial=0.0) + 1.0,
        )
    )
    found = np.full((len(states), len(peaks)), -np.inf)
    found[rows, columns] = log_ratios
    chosen = found[best.track_rows, best.detection_rows]
    shares = -np.expm1(-np.exp(-chosen))
    log_evidence = np.full(len(states), np.log(_K))
    log_evidence[best.track_rows] += (_K - 1) * np.log(np.maximum(shares, 1e-9))
    xy = np.zeros((len(states), 2))
    xy[best.track_rows] = peaks.xy[best.detection_rows]
    return Faint(log_evidence=np.minimum(log_evidence, _MOST_OF_FRAME), xy=xy)


def _may_have(rows: IntArray, columns: IntArray, peaks: Peaks, taken: Taken) -> BoolArray:
    """Return which pairs of track and peak are possible, bool (P,)."""
    owners = np.full(len(peaks), -2)  # Free.
    near = near_pairs(peaks.xy, taken.xy, _OWN_PX)
    owners[near.rows] = taken.rows[near.columns]
    has_detection = np.isin(rows, taken.rows)
    is_possible: BoolArray = owners[columns] == np.where(has_detection, rows, -2)
    return is_possible


def _log_densities(peaks: Peaks, columns: IntArray, image_hw: tuple[int, int]) -> StateArray:
    """Return the log of how many peaks per square pixel are as strong as each of some, (P,)."""
    strengths = peaks.strengths[columns]
    num_weaker = np.searchsorted(np.sort(peaks.strengths), strengths)
    density = (len(peaks) - num_weaker) / (image_hw[0] * image_hw[1])
    near = near_pairs(peaks.xy[columns], peaks.xy, _NEAR_PX)
    is_as_strong = peaks.strengths[near.columns] >= strengths[near.rows]
    num_others = np.bincount(near.rows[is_as_strong], minlength=len(columns)) - 1.0
    logs: StateArray = np.log(np.maximum(density, num_others / (np.pi * _NEAR_PX**2)))
    return logs
