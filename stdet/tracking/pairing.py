"""Which tracks a frame's detections belong to, by how much likelier that makes the frame.

With p the density of a track's centre, s the ratio of a detection's score between targets and
clutter, c the density of clutter, and d the probability that the track is there and detected, a
pair is worth

    log (p s / c) + log (d / (1 - d))

beyond a track that is missed and a detection that is a false alarm. How far a track reaches
follows from it: far where false alarms are rare, little where they are many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from stdet.tracking.association import Assignment, ValuedPairs, assign
from stdet.tracking.found import Found
from stdet.tracking.motion import SwitchingMotion
from stdet.tracking.neighbours import pairs_within
from stdet.tracking.states import MotionStates, StateArray
from stdet.types import BoolArray, IntArray

NUM_STD = 6.0
"""Largest distance of a detection from the place expected of a track, standard deviations."""
MOVED_PX = 1.0
"""Where the scene moved by less, a track that did not move with it is where it is expected."""
STAY_LOG_ODDS = float(np.log(0.02))
"""That a target did not move with the scene."""
LEFT_OVER_SHARE = 1e-3
"""Of the value of a pair whose track is hardly real: it gets a detection that no other needs."""


@dataclass(kw_only=True, eq=False)
class Hits:
    """Tracks and their detections in a frame.

    Attributes:
        pairs: The detections count over those of ``Found``.
        evidence: Log of how much likelier each detection is with its track than as a false alarm,
            float64 (K,).
    """

    pairs: Assignment
    evidence: StateArray

    @classmethod
    def concatenate(cls, *parts: Hits) -> Hits:
        """Return the hits of all parts; they must not share a track or a detection."""
        return cls(
            pairs=Assignment.concatenate(*(part.pairs for part in parts)),
            evidence=np.concatenate([part.evidence for part in parts]),
        )


class Pairing:
    """Pairs tracks and detections.

    Args:
        motion: Says where detections of a track may lie.
        gate_px: Largest distance from where it is expected, pixels.
    """

    def __init__(self, motion: SwitchingMotion, *, gate_px: float) -> None:
        """Store the limits."""
        self._motion = motion
        self._gate_px = gate_px

    def in_reach(
        self, states: MotionStates, expected_xy: StateArray, found_xy: StateArray
    ) -> tuple[IntArray, IntArray]:
        """Return pairs of tracks and detections in their reach: rows, and rows.

        Args:
            states: N predicted states.
            expected_xy: Where they are over all modes (N, 2), pixels.
            found_xy: Centres of detections (D, 2), pixels.
        """
        reaches = np.minimum(self._motion.reaches_px(states, NUM_STD), self._gate_px)
        near = pairs_within(expected_xy, found_xy, reaches)
        return near.rows, near.columns

    def pair(
        self,
        states: MotionStates,
        expected_xy: StateArray,
        found: Found,
        *,
        shares: StateArray,
        existence: StateArray,
    ) -> Hits:
        """Choose the pairs that explain a frame best.

        Args:
            states: N predicted states.
            expected_xy: Where they are over all modes (N, 2), pixels.
            found: The detections.
            shares: Share of frames in which each track is detected (N,).
            existence: Probability that each track is real (N,).
        """
        rows, columns = self.in_reach(states, expected_xy, found.xy)
        evidence = self._evidence(states, found, rows, columns)
        alone = evidence + logit(shares).take(rows)
        values = evidence + logit(shares * existence).take(rows)
        # A track that is hardly real may have what is left: it takes evidence to become real.
        values = np.maximum(values, LEFT_OVER_SHARE * alone)
        pairs = ValuedPairs(track_rows=rows, detection_rows=columns, values=values)
        return _hits(pairs, evidence, alone > 0)

    def pair_unmoved(
        self,
        states: MotionStates,
        unmoved: MotionStates,
        found: Found,
        hits: Assignment,
        *,
        shares: StateArray,
        is_sought: BoolArray,
    ) -> Hits:
        """Find tracks that did not move with the scene.

        Args:
            states: N predicted states.
            unmoved: The same, before they were carried with the scene.
            found: The detections.
            hits: Pairs of those that moved with it.
            shares: Share of frames in which each track is detected (N,).
            is_sought: Which tracks are looked for where they have no detection, bool (N,).
        """
        is_free = is_sought.copy()
        is_free[hits.track_rows] = False
        is_free &= states.distances_px(unmoved) > MOVED_PX
        if not is_free.any():
            return Hits(pairs=Assignment.concatenate(), evidence=np.zeros(0))
        is_left = np.ones(len(found), np.bool_)
        is_left[hits.detection_rows] = False
        expected_xy = unmoved.combined().xy
        rows, columns = self.in_reach(unmoved, expected_xy, found.xy)
        is_possible = is_free[rows] & is_left[columns]
        rows, columns = rows[is_possible], columns[is_possible]
        evidence = self._evidence(unmoved, found, rows, columns) + STAY_LOG_ODDS
        values = evidence + logit(shares).take(rows)
        pairs = ValuedPairs(track_rows=rows, detection_rows=columns, values=values)
        return _hits(pairs, evidence, values > 0)

    def _evidence(
        self, states: MotionStates, found: Found, rows: IntArray, columns: IntArray
    ) -> StateArray:
        """Return the log of how much likelier detections are with a track than as false ones."""
        found_xy = found.xy.take(columns, axis=0)
        evidence = self._motion.log_likelihoods(states, rows, found_xy)
        worth = found.worth.score_log_ratios - found.worth.log_densities
        evidence += worth.take(columns)
        return evidence


def _hits(pairs: ValuedPairs, evidence: StateArray, is_possible: BoolArray) -> Hits:
    """Return the best of the pairs that are possible, and their evidence."""
    if np.count_nonzero(is_possible) < len(pairs):
        pairs, evidence = pairs[is_possible], evidence[is_possible]
    chosen = assign(pairs)
    if chosen.track_rows is pairs.track_rows:
        return Hits(pairs=chosen, evidence=evidence)
    # The numbers of pairs do not repeat, whatever their order.
    num_columns = int(pairs.detection_rows.max(initial=0)) + 1
    numbers = pairs.track_rows * num_columns + pairs.detection_rows
    order = numbers.argsort()
    wanted = chosen.track_rows * num_columns + chosen.detection_rows
    return Hits(pairs=chosen, evidence=evidence[order[numbers[order].searchsorted(wanted)]])
