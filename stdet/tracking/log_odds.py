"""Scores as log-odds, which add up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stdet.types import FloatArray

_EDGE = 1e-6
"""Scores are kept this far from 0 and 1, where log-odds end."""


def log_odds(probability: float) -> float:
    """Return log(p / (1 - p)), finite."""
    clipped = min(max(probability, _EDGE), 1 - _EDGE)
    return math.log(clipped / (1 - clipped))


def log_odds_of(scores: FloatArray) -> NDArray[np.float64]:
    """Return the same of each score, float64."""
    clipped = np.minimum(np.maximum(scores.astype(np.float64), _EDGE), 1 - _EDGE)
    odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds
