"""Cameras that shift and roll, as transforms."""

import itertools
from collections.abc import Sequence

import numpy as np

from stdet.registration.transform import Transform


def moving_cameras(count: int, rng: np.random.Generator, *, step_px: float) -> list[Transform]:
    """Return the map from the scene to the picture of each frame."""
    cameras, offset = [], np.zeros(2)
    for _ in range(count):
        angle, direction = rng.normal(0, 0.1), rng.uniform(0, 2 * np.pi)
        offset = offset + step_px * np.array([np.cos(direction), np.sin(direction)])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        cameras.append(Transform.affine(turn, offset))
    return cameras


def steps_of(cameras: Sequence[Transform]) -> list[Transform]:
    """Return the transforms from each frame to the next."""
    return [after @ before.inverse() for before, after in itertools.pairwise(cameras)]
