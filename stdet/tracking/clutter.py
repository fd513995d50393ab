"""What detections are worth: false alarms per pixel, and which scores targets and clutter have.

Both are learnt from the stream itself, from the detections that tracks take or leave, so that a
detector with other scores, or with none, needs no settings.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from stdet.registration.transform import Transform
from stdet.tracking.neighbours import squared_distances
from stdet.types import BoolArray, IntArray

Float64Array = NDArray[np.float64]

EDGES = np.array([-1.4, -0.6, 0.0, 0.6, 1.4])
"""Log-odds between the bins of scores, relative to the operating point."""
_TARGET_SHARES = np.array([0.03, 0.05, 0.07, 0.15, 0.40, 0.30])
_CLUTTER_SHARES = np.array([0.45, 0.20, 0.12, 0.10, 0.08, 0.05])
"""Of the scores of targets and clutter in each bin, as believed at first: those of `stdet_n` on
footage that it was not trained on, rounded."""
_FIRST_TARGETS, _MOST_TARGETS = 20.0, 400.0
"""Detections of targets that the first belief is worth, and to which the past is worth at most."""
_FIRST_FRAMES = 10.0
"""Frames that the first belief of one false alarm in each is worth."""
_KEEP = 0.98
"""Share of a frame's weight that is left a frame later."""
_LEAST_PER_FRAME = 1e-3
"""Least rate of false alarms in a bin."""
_NEAR_PX, _NEAR_FRAMES = 28.0, 25
"""Radius, and number of frames, in which clutter about a detection is counted."""
_NEAR_AREA_PX = math.pi * _NEAR_PX**2
_MOST_NEAR = 2000
"""Places of clutter that are remembered at most; of more, evenly spread ones."""
_MAX_DENSE_PAIRS = 10_000
"""Up to so many pairs it is faster to look at each of them than to build a tree."""


@dataclass(kw_only=True, eq=False)
class Worth:
    """What the detections of a frame are worth.

    Attributes:
        bins: Of their scores, int64 (N,).
        score_log_ratios: Log of how much likelier a target has such a score than clutter (N,).
        log_densities: Log of the false alarms per square pixel about each, of any score (N,).
    """

    bins: IntArray
    score_log_ratios: Float64Array
    log_densities: Float64Array


class ClutterModel:
    """Rates of false alarms and shares of scores in one stream.

    Attributes:
        per_frame: Mean number of false alarms.
    """

    per_frame: float

    def __init__(self) -> None:
        """Start with the first belief."""
        self._targets = _TARGET_SHARES * _FIRST_TARGETS
        self._clutter = _CLUTTER_SHARES * _FIRST_FRAMES
        self._num_frames = _FIRST_FRAMES
        self._places = np.zeros((0, 2))
        self._num_places: deque[int] = deque(maxlen=_NEAR_FRAMES)
        self._reckon_rates()

    def advance(self, num_frames: int, transform: Transform | None) -> None:
        """Forget a little of the past, and move what is remembered with the scene."""
        # Rates stay: both of what they are made of become less.
        kept = _KEEP**num_frames
        self._num_frames *= kept
        self._clutter *= kept
        if transform is not None and len(self._places):
            self._places = transform.apply(self._places)

    def judge(
        self, centres_xy: Float64Array, log_odds: Float64Array, image_hw: tuple[int, int]
    ) -> Worth:
        """Say what the detections of a frame are worth.

        Args:
            centres_xy: (N, 2), pixels.
            log_odds: Of their scores, relative to the operating point (N,).
            image_hw: Size of the frame.
        """
        bins = EDGES.searchsorted(log_odds, side="right")
        ratios = self._targets / self._rates
        ratios *= self.per_frame / np.add.reduce(self._targets)
        density = self.per_frame / (image_hw[0] * image_hw[1])
        return Worth(
            bins=bins,
            score_log_ratios=np.log(ratios).take(bins),
            log_densities=np.log(np.maximum(self._densities_near(centres_xy), density)),
        )

    def _reckon_rates(self) -> None:
        """Work out false alarms per frame in each bin, and in all."""
        self._rates = np.maximum(self._clutter / self._num_frames, _LEAST_PER_FRAME)
        self.per_frame = float(np.add.reduce(self._rates))

    def _densities_near(self, centres_xy: Float64Array) -> Float64Array:
        """Return the false alarms per frame and square pixel near each place (N,).

        One is taken off, since one alone may be anywhere; what is left may be negative.
        """
        places, share = self._places, 1.0
        if len(places) > _MOST_NEAR:
            share = len(places) / _MOST_NEAR
            places = places[np.linspace(0, len(places) - 1, _MOST_NEAR).astype(np.int64)]
        if len(places) * len(centres_xy) <= _MAX_DENSE_PAIRS:
            is_near = squared_distances(centres_xy, places) <= _NEAR_PX**2
            counts = np.add.reduce(is_near, axis=1, dtype=np.float64)
        else:
            counts = cKDTree(places).query_ball_point(centres_xy, _NEAR_PX, return_length=True)
        num_others: Float64Array = counts - 1.0
        num_others *= share / (max(len(self._num_places), 1) * _NEAR_AREA_PX)
        return num_others

    def learn(
        self,
        centres_xy: Float64Array,
        bins: IntArray,
        *,
        false_shares: Float64Array,
        is_target: BoolArray,
    ) -> None:
        """Take in what the detections of a frame turned out to be.

        Args:
            centres_xy: (N, 2), pixels.
            bins: Of their scores, int64 (N,).
            false_shares: Probability that each is a false alarm (N,).
            is_target: Whether a confirmed track took it, bool (N,).
        """
        num_bins = len(_CLUTTER_SHARES)
        self._num_frames += 1
        self._clutter += np.bincount(bins, false_shares, num_bins)
        self._targets += np.bincount(bins, is_target, num_bins)
        num_targets = float(np.add.reduce(self._targets))
        if num_targets > _MOST_TARGETS:
            self._targets *= _MOST_TARGETS / num_targets
        places = centres_xy.compress(false_shares > 0.5, axis=0)
        num_forgotten = self._num_places[0] if len(self._num_places) == _NEAR_FRAMES else 0
        self._num_places.append(len(places))
        self._places = np.concatenate([self._places[num_forgotten:], places])
        self._reckon_rates()
