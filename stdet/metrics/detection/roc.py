"""Pd against false alarms over all score thresholds: what an IRST receiver is bought by.

The curve is the staircase of ``score_curve``: at each distinct score, the hits and false alarms of
all detections with at least that score. Between its points Pd is that of the last point reached,
never interpolated, since no threshold gives what lies between.
"""

from __future__ import annotations

import numpy as np

from stdet.metrics.detection.pd_fa import ScoreCurve


def pd_at(curve: ScoreCurve, *, false_alarms: float) -> float:
    """Return the highest Pd with at most so many false alarms in all frames together.

    Args:
        curve: Hits and false alarms by threshold.
        false_alarms: Budget; multiply a rate by ``curve.num_frames`` or ``curve.num_pixels``.

    Returns:
        Pd in [0, 1]; 0 where even the strongest detection exceeds the budget; NaN without targets.
    """
    if not curve.num_targets:
        return float("nan")
    last = int(np.searchsorted(curve.num_false_alarms, false_alarms * (1 + 1e-12), side="right"))
    return float(curve.num_hits[last - 1]) / curve.num_targets if last else 0.0


def score_at(curve: ScoreCurve, *, false_alarms: float) -> float:
    """Return the lowest score with at most so many false alarms in all frames together.

    Args:
        curve: Hits and false alarms by threshold.
        false_alarms: Budget, as for ``pd_at``.

    Returns:
        An operating point in [0, 1]; 1 where even the strongest detection exceeds the budget.
    """
    last = int(np.searchsorted(curve.num_false_alarms, false_alarms * (1 + 1e-12), side="right"))
    return float(curve.scores[last - 1]) if last else 1.0


def partial_area(curve: ScoreCurve, *, max_false_alarms_per_frame: float) -> float:
    """Return the mean Pd over false-alarm rates from 0 to a largest one.

    This is the area under the ROC up to that rate, divided by the rate, so that 1 is perfect.

    Args:
        curve: Hits and false alarms by threshold.
        max_false_alarms_per_frame: Where the area ends, above 0.

    Returns:
        In [0, 1]; NaN without targets.
    """
    if not curve.num_targets:
        return float("nan")
    limit = max_false_alarms_per_frame * curve.num_frames
    # At equal false alarms only the last point, with most hits, has any width.
    edges = np.append(np.minimum(np.append(0, curve.num_false_alarms), limit), limit)
    pd = np.append(0, curve.num_hits) / curve.num_targets
    return float((np.diff(edges) * pd).sum() / limit)
