"""Places of the picture where something is found again and again while the scene moves under them.

Pixels of the sensor that compression and sharpening have spread, ends of reticle lines and digits
look like small targets and are found for as long as the camera runs. They are not in the scene: it
moves, and they stay. A target would have to stay in front of one pixel of a moving camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.registration.camera_motion import CameraPose
from stdet.types import BoolArray, FloatArray

_Points = NDArray[np.float64]

NUM_LOOKS = 4
"""Looks at which something was there, each with another part of the scene behind it."""
APART_PX = 3.0
"""Parts of the scene are others when they lie so far from each other."""
RADIUS_PX = 1.5
"""Of a place; the centre of one thing is found to about half a pixel."""
_AROUND_PX = 8.0
_MOST_AROUND = 0.25
"""Share of what is found at a place that may be found around it. A target that the camera follows
wanders, and is found around every place where it was found."""
_LEAST_STEP_PX = 1.5
"""The scene has to move so far before anything is learnt again."""
_MOST_PLACES = 1000
_FORGOTTEN_AFTER = 1000
"""Looks after which a place where nothing was found is forgotten."""


class FixedPlaces:
    """Learn the places of one camera.

    Example:
        >>> FixedPlaces().holds(np.array([[3.0, 4.0]]))
        array([False])
    """

    def __init__(self) -> None:
        """Know no place."""
        self._xy: _Points = np.zeros((0, 2))
        self._num = np.zeros(0, np.int64)
        self._around = np.zeros(0, np.int64)
        self._seen_at = np.zeros(0, np.int64)
        self._is_fixed = np.zeros(0, np.bool_)
        self._behind: list[list[tuple[int, float, float]]] = []
        self._pose: CameraPose | None = None
        self._num_looks = 0

    def holds(self, xy: FloatArray) -> BoolArray:
        """Say of points (N, 2), pixels, whether they lie at a place that is fixed."""
        fixed = self._xy[self._is_fixed]
        return np.asarray((_distances(xy, fixed) <= RADIUS_PX).any(axis=1), np.bool_)

    def learn(self, xy: FloatArray, pose: CameraPose, hw: tuple[int, ...]) -> None:
        """Take what was found in a frame.

        Args:
            xy: Centres (N, 2), pixels.
            pose: Where the frame lies in the scene.
            hw: Its size.
        """
        if not (pose.is_placed and self._has_moved(pose, hw)):
            return
        self._pose = pose
        self._num_looks += 1
        self._forget()
        points = np.asarray(xy, np.float64)
        behind = points + pose.from_start.inverse().displacements(points)
        distances = _distances(points, self._xy)
        self._around += ((distances > RADIUS_PX) & (distances <= _AROUND_PX)).sum(axis=0)
        for point, scene, row in zip(points, behind, distances, strict=True):
            place = int(row.argmin()) if len(row) else 0
            if not len(row) or row[place] > RADIUS_PX:
                place = self._begin(point)
            self._count(place, point, (pose.run, float(scene[0]), float(scene[1])))
        is_seen_enough = np.array([len(each) for each in self._behind]) >= NUM_LOOKS
        self._is_fixed = is_seen_enough & (self._around <= _MOST_AROUND * self._num)

    def _has_moved(self, pose: CameraPose, hw: tuple[int, ...]) -> bool:
        """Return whether the scene has moved since something was learnt."""
        moved = None if self._pose is None else self._pose.to(pose)
        return moved is None or moved.largest_displacement(hw) >= _LEAST_STEP_PX

    def _begin(self, point: _Points) -> int:
        """Add a place, and return its number."""
        self._xy = np.vstack([self._xy, point])
        self._num, self._around, self._seen_at = (
            np.append(each, 0) for each in (self._num, self._around, self._seen_at)
        )
        self._is_fixed = np.append(self._is_fixed, False)
        self._behind.append([])
        return len(self._behind) - 1

    def _count(self, place: int, point: _Points, scene: tuple[int, float, float]) -> None:
        """Take a find at a place, with what part of the scene lies behind it."""
        self._num[place] += 1
        self._seen_at[place] = self._num_looks
        self._xy[place] += (point - self._xy[place]) / min(self._num[place], 20)
        behind = self._behind[place]
        is_other = all(
            run != scene[0] or np.hypot(x - scene[1], y - scene[2]) >= APART_PX
            for run, x, y in behind
        )
        if is_other and len(behind) < NUM_LOOKS:
            behind.append(scene)

    def _forget(self) -> None:
        """Leave out places of long ago, and the oldest of too many."""
        age = self._num_looks - self._seen_at
        is_kept = age <= _FORGOTTEN_AFTER
        if np.count_nonzero(is_kept) > _MOST_PLACES:
            newest = np.sort(age)[_MOST_PLACES // 2]
            is_kept &= self._is_fixed | (age <= newest)
        if is_kept.all():
            return
        self._xy, self._is_fixed = self._xy[is_kept], self._is_fixed[is_kept]
        self._num, self._around, self._seen_at = (
            each[is_kept] for each in (self._num, self._around, self._seen_at)
        )
        self._behind = [each for each, kept in zip(self._behind, is_kept, strict=True) if kept]


def _distances(points: NDArray[np.floating], places: _Points) -> _Points:
    """Return the distances of points (N, 2) from places (P, 2), pixels, (N, P)."""
    found: _Points = np.hypot(
        *(np.subtract.outer(points[:, axis], places[:, axis]) for axis in (0, 1))
    )
    return found
