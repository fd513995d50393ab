"""Propose pairs of trajectories, and offsets in time, that may agree.

Comparing every frame with every other takes too long. A window of some frames is described by the
target's positions at a few of them, a point in ten dimensions or more, and a k-d tree over all
windows finds for every tenth one those that agree at these frames. A run of 30 agreeing frames
always holds a window of 20 that starts at a tenth frame, so none is missed whose target moves
enough within the window; a longer window finds slow targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from stdet.types import IntArray

SHORT_WINDOW = 20
"""Frames of the shortest window."""

ANCHOR_STEP = 10
"""Frames between two windows that are looked up."""

_CHUNK = 200
"""Windows looked up at once, which bounds memory where very many agree."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """Where one target was.

    Attributes:
        sequence: Number of the sequence it lies in.
        start: Frame of the first row within the sequence.
        centres_xy: float64 (F, 2), one row per frame, NaN where the target is absent.
    """

    sequence: int
    start: int
    centres_xy: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WindowSearch:
    """Which windows are compared, and how closely.

    Attributes:
        probes: Frames of a window at which positions are compared, counted from its first.
        radius_px: Largest difference in x and in y, pixels, inclusive.
        min_motion_px: Smallest extent of the probed positions in x or y, pixels; windows in which
            the target moves less are left out.
        min_moves: Likewise, smallest number of steps between probes in which it moves at all.
        min_positions: Likewise, smallest number of different positions, which leaves out labels
            that go to and fro between two pixels.
    """

    probes: tuple[int, ...]
    radius_px: float
    min_motion_px: float = 0.0
    min_moves: int = 0
    min_positions: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class _Windows:
    """Windows of all trajectories: positions, and which trajectory and row each starts at."""

    points: NDArray[np.float64]
    owners: IntArray
    rows: IntArray


def _windows(trajectories: Sequence[Trajectory], search: WindowSearch) -> _Windows:
    """Describe every window in which the target is present at the probes and moves."""
    probes = np.array(search.probes)
    points, owners, rows = [np.zeros((0, 2 * len(probes)))], [], []
    for owner, trajectory in enumerate(trajectories):
        num_windows = len(trajectory.centres_xy) - search.probes[-1]
        if num_windows < 1:
            continue
        at_probes = trajectory.centres_xy[np.arange(num_windows)[:, None] + probes]  # (n, P, 2)
        moves = (np.diff(at_probes, axis=1) != 0).any(axis=2).sum(axis=1) >= search.min_moves
        moves &= num_positions(at_probes) >= search.min_positions
        extents = np.ptp(at_probes, axis=1).max(axis=1)
        chosen = np.flatnonzero(moves & (extents >= search.min_motion_px))  # False where NaN.
        points.append(at_probes[chosen].reshape(-1, 2 * len(probes)))
        owners.append(np.full(len(chosen), owner, np.int64))
        rows.append(chosen.astype(np.int64))
    return _Windows(
        points=np.concatenate(points),
        owners=np.concatenate([np.zeros(0, np.int64), *owners]),
        rows=np.concatenate([np.zeros(0, np.int64), *rows]),
    )


def num_positions(paths_xy: NDArray[np.float64]) -> IntArray:
    """Count the different positions of paths.

    Args:
        paths_xy: (..., F, 2), pixels.

    Returns:
        int64 (...).

    Example:
        >>> num_positions(np.array([[3.0, 4.0], [5.0, 4.0], [3.0, 4.0]]))
        array(2)
    """
    ordered = np.sort(paths_xy[..., 0] + 1j * paths_xy[..., 1], axis=-1)
    return np.asarray(1 + (np.diff(ordered, axis=-1) != 0).sum(axis=-1))


def find_candidates(
    trajectories: Sequence[Trajectory], search: WindowSearch
) -> set[tuple[int, int, int]]:
    """Return (trajectory, trajectory, lag): row r of one may equal row r + lag of the other.

    The first lies in the sequence of the smaller number, or starts earlier in the same one.
    """
    windows = _windows(trajectories, search)
    if not len(windows.points):
        return set()
    found: set[tuple[int, int, int]] = set()
    sequences = np.array([trajectory.sequence for trajectory in trajectories], np.int64)
    starts = np.array([trajectory.start for trajectory in trajectories], np.int64)
    tree = cKDTree(windows.points)
    anchors = np.flatnonzero(windows.rows % ANCHOR_STEP == 0)
    for chunk in np.split(anchors, range(_CHUNK, len(anchors), _CHUNK)):
        if not len(chunk):
            continue
        near = tree.query_ball_point(windows.points[chunk], search.radius_px, p=np.inf)
        one = np.repeat(chunk, [len(indices) for indices in near])
        other = np.concatenate([np.asarray(indices, np.int64) for indices in near])
        found |= _ordered(windows, one, other, sequences, starts)
    return found


def _ordered(
    windows: _Windows,
    one: IntArray,
    other: IntArray,
    sequences: IntArray,
    starts: IntArray,
) -> set[tuple[int, int, int]]:
    """Turn pairs of windows into candidates, the smaller sequence and earlier frame first."""
    places = []
    for index in (one, other):
        owners = windows.owners[index]
        places.append((sequences[owners], starts[owners] + windows.rows[index]))
    (seq_one, frame_one), (seq_other, frame_other) = places
    is_swapped = (seq_one > seq_other) | ((seq_one == seq_other) & (frame_one > frame_other))
    first = np.where(is_swapped, other, one)
    second = np.where(is_swapped, one, other)
    # Nearby frames of one sequence agree because targets are slow.
    is_apart = (seq_one != seq_other) | (np.abs(frame_one - frame_other) > SHORT_WINDOW)
    first, second = first[is_apart], second[is_apart]
    lags = windows.rows[second] - windows.rows[first]
    columns = np.stack([windows.owners[first], windows.owners[second], lags], axis=1)
    return {(a, b, lag) for a, b, lag in np.unique(columns, axis=0).tolist()}
