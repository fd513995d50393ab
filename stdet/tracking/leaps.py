"""Tracks that go on elsewhere: a target leaps when frames are missing, or the camera jerks.

Where the motion of the camera is not known, or frames are missing from a recording, a target is
found again far from where it was expected. A new track begins there. Once it is confirmed, it is
compared with the tracks that were lost just before it began: a target that leapt flies on as
before, while a new one may fly anywhere.
"""

from __future__ import annotations

import numpy as np

from stdet.tracking.association import ValuedPairs
from stdet.tracking.states import PointStates, StateArray
from stdet.types import IntArray

LEAP_STD_PX = 18.0
"""Standard deviation of a leap along each axis, pixels."""
DRIFT_STD_PX = 3.0
"""By which a lost track's place becomes less certain, pixels per square root of a frame."""
LEAP_SHARE = 0.02
"""Probability that a lost target has leapt."""
TURN_STD_PX = 0.3
"""Standard deviation of the change of velocity over a leap, pixels per frame."""
MAX_OVERLAP = 1
"""Frames that both may have: a false alarm near a target may begin its track too early."""


def continuations(
    lost: PointStates,
    begun: PointStates,
    frames_between: IntArray,
    *,
    new_per_pixel: float,
    speed_std_px: float,
) -> ValuedPairs:
    """Compare lost tracks with new ones.

    Args:
        lost: Where N lost tracks are expected now.
        begun: Where M new tracks are now.
        frames_between: From the last detection of a lost track to the first one of a new track,
            int64 (N, M). Where they overlap by more than ``MAX_OVERLAP`` frames they are two.
        new_per_pixel: New targets per frame and square pixel.
        speed_std_px: Standard deviation of a new target's velocity, pixels per frame.

    Returns:
        The pairs that are likelier one target than two.
    """
    apart = begun.means[None] - lost.means[:, None]
    place_variances = LEAP_STD_PX**2 + DRIFT_STD_PX**2 * np.maximum(frames_between - 1, 0)
    velocity_variances = (
        lost.covariances[:, None, 2] + begun.covariances[None, :, 2] + TURN_STD_PX**2
    )
    values = (
        np.log(LEAP_SHARE / new_per_pixel)
        + _log_density(apart[..., :2], place_variances)
        + _log_density(apart[..., 2:], velocity_variances)
        - _log_density(begun.means[:, 2:], np.array(speed_std_px**2))
    )
    rows, columns = np.nonzero((values > 0) & (frames_between >= -MAX_OVERLAP))
    return ValuedPairs(track_rows=rows, detection_rows=columns, values=values[rows, columns])


def _log_density(offsets: StateArray, variances: StateArray) -> StateArray:
    """Return the log density of a Gaussian in the plane at offsets (..., 2)."""
    density: StateArray = -np.square(offsets).sum(axis=-1) / (2 * variances) - np.log(
        2 * np.pi * variances
    )
    return density
