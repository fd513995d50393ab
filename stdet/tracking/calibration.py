"""How likely a track is real: a logistic function of its scores and of the footage's clutter.

The tracker's evidence compares a track with false alarms that come independently of each other.
Clutter that stands and waves, and burnt-in text, comes again and again, and has such evidence,
too. Two facts tell tracks of it from targets on footage that the network was not trained on: the
mean score of a track's detections, and how many detections of middling scores the footage has in
each frame, anywhere:

    log-odds = bias + per_score * (mean log-odds of the scores) - per_clutter * log(1 + clutter)

Source:
    Platt 1999, for a logistic function of a score. Weights and how they were fitted:
    docs/experiments/0031-how-often-it-is-wrong.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stdet.tracking.log_odds import log_odds
from stdet.types import FloatArray

CLUTTER_SCORES = (0.05, 0.2)
"""Scores of clutter: below are too many to mean anything, above are targets, too."""
_LARGEST = 6.0
"""Mean log-odds of scores, either way, beyond which a track is not more certain."""
_MEMORY_SECONDS = 60.0
"""For which clutter is remembered."""


@dataclass(kw_only=True)
class TrackFacts:
    """The scores of a track's detections so far.

    Attributes:
        num_detections: How many.
        log_odds_sum: Of their track-before-detect scores.
    """

    num_detections: int = 0
    log_odds_sum: float = 0.0

    def add(self, score: float) -> None:
        """Take a detection's score, in [0, 1]."""
        self.num_detections += 1
        self.log_odds_sum += log_odds(score)

    @property
    def level(self) -> float:
        """Mean log-odds of the scores; the least there is before the first one."""
        if not self.num_detections:
            return -_LARGEST
        return min(max(self.log_odds_sum / self.num_detections, -_LARGEST), _LARGEST)


class FootageClutter:
    """Detections of middling scores in each frame, the mean over the last minute or so.

    Args:
        fps: Frames per second.

    Attributes:
        per_frame: So many.
    """

    def __init__(self, fps: float) -> None:
        """Start before the first frame."""
        self.per_frame = 0.0
        self._num_frames = 0
        self._most_frames = max(round(_MEMORY_SECONDS * fps), 1)

    def add(self, scores: FloatArray) -> None:
        """Take the scores of all detections of a frame."""
        low, high = CLUTTER_SCORES
        num = np.count_nonzero((scores >= low) & (scores < high))
        self._num_frames = min(self._num_frames + 1, self._most_frames)
        self.per_frame += (num - self.per_frame) / self._num_frames


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Weights of the logistic function.

    Attributes:
        bias: Log-odds of a track of mean log-odds 0 in footage without clutter.
        per_score: Log-odds for each of the mean log-odds of the scores.
        per_clutter: Log-odds less for each of log(1 + clutter per frame).
        first_per_hour: False tracks an hour that reach a probability of 0.5, as believed of new
            footage.
    """

    bias: float
    per_score: float
    per_clutter: float
    first_per_hour: float

    def probability(self, facts: TrackFacts, clutter_per_frame: float) -> float:
        """Return the probability that a track is real.

        Args:
            facts: Its scores.
            clutter_per_frame: Of ``FootageClutter``.

        Example:
            >>> track = TrackFacts()
            >>> track.add(0.9)
            >>> quiet, cluttered = (CALIBRATION.probability(track, n) for n in (0.1, 10.0))
            >>> quiet > 0.9, cluttered < quiet
            (True, True)
        """
        clutter = math.log1p(clutter_per_frame)
        odds = self.bias + self.per_score * facts.level - self.per_clutter * clutter
        return 1 / (1 + math.exp(-odds))


CALIBRATION = Calibration(bias=1.1, per_score=1.2, per_clutter=1.2, first_per_hour=500.0)
"""Fitted on tracks of footage that the weights of the time had left out."""
