"""Scores as log-odds, which add up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from stdet.types import FloatArray

_EDGE = 1e-6
"""Scores are kept this far from 0 and 1, where log-odds end."""


def log_odds(probability: float) -> float:
    """Return log(p / (1 - p)), finite."""
    clipped = min(max(probability, _EDGE), 1 - _EDGE)
    return math.log(clipped / (1 - clipped))


def log_odds_of(scores: FloatArray) -> NDArray[np.float64]:
    """Return the same of each score, float64."""
    clipped = np.maximum(scores, _EDGE, dtype=np.float64)
    np.minimum(clipped, 1 - _EDGE, out=clipped)
    odds: NDArray[np.float64] = logit(clipped)
    return odds
