"""Find stretches in which two targets follow the same path, at any offset in time.

Two label files that describe the same recording hold the same trajectories, whatever their images
are called and wherever they were cut. Two kinds of agreement count:

- near: centres within 1 px for at least 30 frames, along a path that covers 8 px. Still targets
  agree with every other still target that is near, so motion is required.
- exact: equal centres for at least 30 frames, in which the target moves at least 10 times, however
  little, between at least 6 positions. This finds slow targets whose labels were copied.

Either way a run that could as well be a straight line at constant speed must be twice as long: two
targets may cross the same place at the same speed. ``windows.py`` proposes pairs of trajectories
and offsets; here all their frames are compared. At the offset of a run that was kept, neighbouring
shorter runs and those of still targets say how far the stretch goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.dataset_check.windows import (
    ANCHOR_STEP,
    SHORT_WINDOW,
    Trajectory,
    WindowSearch,
    find_candidates,
    num_positions,
)
from stdet.types import BoolArray

_ROUNDING_PX = 1e-3
"""Added to tolerances, since boxes are float32."""

_SEED_FRACTION = 0.5
"""A window needs this part of the motion of a run, since it covers only a part of it."""

_MIN_FILLING_FRAMES = 5
"""Shortest run that extends a stretch found already, frames."""


@dataclass(frozen=True, kw_only=True)
class AgreementRules:
    """When two trajectories count as the same.

    Attributes:
        tolerance_px: Largest difference in x and in y of two centres that agree, pixels,
            inclusive. By axis, since labels of whole pixels differ by 1 in both when rounded anew.
        min_frames: Shortest run of agreeing frames, at least 30.
        min_motion_px: Smallest extent of the path in x or y during a run, pixels.
        straight_px: A run that departs from uniform motion by no more than this, pixels, says
            little and must be twice as long.
        min_exact_moves: Steps between frames in which the target moves, during a run of equal
            centres that covers less than ``min_motion_px``.
        min_exact_positions: Different positions in such a run.
    """

    tolerance_px: float = 1.0
    min_frames: int = 30
    min_motion_px: float = 8.0
    straight_px: float = 2.0
    min_exact_moves: int = 10
    min_exact_positions: int = 6

    def __post_init__(self) -> None:
        """Check that windows fit into the shortest run."""
        shortest = SHORT_WINDOW + ANCHOR_STEP
        if self.min_frames < shortest:
            raise ValueError(f"min_frames is {self.min_frames}; expected at least {shortest}.")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A stretch that two sequences share; ``first`` is the sequence of the smaller number.

    Attributes:
        first: Number of a sequence.
        second: Number of the other, or the same one where it repeats itself.
        first_start: Frame of ``first`` where the stretch starts.
        second_start: Frame of ``second`` that equals it.
        num_frames: Length of the stretch.
        num_agreeing: Frames of it in which a target agrees.
        mean_distance_px: Mean distance of the centres that agree, pixels.
    """

    first: int
    second: int
    first_start: int
    second_start: int
    num_frames: int
    num_agreeing: int
    mean_distance_px: float

    @property
    def offset(self) -> int:
        """Frames by which ``second`` is ahead."""
        return self.second_start - self.first_start


__all__ = ["Agreement", "AgreementRules", "Trajectory", "find_agreements", "true_runs"]


def find_agreements(
    trajectories: Sequence[Trajectory], rules: AgreementRules | None = None
) -> list[Agreement]:
    """Find all stretches that two sequences share, or that one sequence holds twice.

    Args:
        trajectories: Targets of all sequences, in any order.
        rules: When trajectories count as the same.

    Returns:
        Stretches in order of sequence numbers and frames. Where several offsets explain one
        stretch, as with slow targets, the longest is given.

    Example:
        >>> frames = np.arange(60.0)
        >>> path = np.stack([3 * frames, 40 + 20 * np.sin(frames / 9)], axis=1)
        >>> found = find_agreements([
        ...     Trajectory(sequence=0, start=0, centres_xy=path),
        ...     Trajectory(sequence=1, start=100, centres_xy=path[10:] + 0.5),
        ... ])
        >>> [(run.first_start, run.second_start, run.num_frames) for run in found]
        [(10, 100, 50)]
    """
    rules = rules or AgreementRules()
    by_pair: dict[tuple[int, int], list[_Run]] = {}
    for search in _searches(rules):
        for first, second, lag in sorted(find_candidates(trajectories, search)):
            a, b = trajectories[first], trajectories[second]
            by_pair.setdefault((a.sequence, b.sequence), []).extend(
                run
                for run in _runs(a, b, lag, search.radius_px)
                if run.num_frames >= rules.min_frames and _tells(run, rules)
            )
    by_sequence: dict[int, list[Trajectory]] = {}
    for trajectory in trajectories:
        by_sequence.setdefault(trajectory.sequence, []).append(trajectory)
    return [
        agreement
        for (first, second), runs in sorted(by_pair.items())
        for agreement in _stretches(
            (first, second), (by_sequence[first], by_sequence[second]), runs, rules
        )
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """Consecutive frames in which two trajectories agree, in frames of the two sequences."""

    first_start: int
    second_start: int
    path: NDArray[np.float64]
    distances_px: NDArray[np.float64]

    @property
    def num_frames(self) -> int:
        return len(self.path)

    @property
    def stop(self) -> int:
        return self.first_start + self.num_frames

    @property
    def offset(self) -> int:
        return self.second_start - self.first_start


def _runs(a: Trajectory, b: Trajectory, lag: int, tolerance_px: float) -> Iterator[_Run]:
    """Yield the maximal runs in which row r of ``a`` and row r + lag of ``b`` agree."""
    low, high = max(0, -lag), min(len(a.centres_xy), len(b.centres_xy) - lag)
    if high <= low:
        return
    path = a.centres_xy[low:high]
    differences = path - b.centres_xy[low + lag : high + lag]
    agrees = np.asarray((np.abs(differences) <= tolerance_px + _ROUNDING_PX).all(axis=1))
    distances = np.hypot(*differences.T)
    for start, stop in true_runs(agrees):  # NaN agrees with nothing.
        run = _Run(
            first_start=a.start + low + start,
            second_start=b.start + low + lag + start,
            path=path[start:stop],
            distances_px=distances[start:stop],
        )
        if a.sequence != b.sequence or run.offset >= run.num_frames:
            yield run


def true_runs(flags: BoolArray) -> list[tuple[int, int]]:
    """Return (start, stop) of every maximal run of true values.

    Example:
        >>> true_runs(np.array([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _searches(rules: AgreementRules) -> tuple[WindowSearch, ...]:
    """Return what to look for: near and fast, near and slow, equal."""
    radius_px = rules.tolerance_px + _ROUNDING_PX
    min_motion_px = _SEED_FRACTION * rules.min_motion_px
    return (
        WindowSearch(probes=(0, 5, 10, 14, 19), radius_px=radius_px, min_motion_px=min_motion_px),
        WindowSearch(probes=(0, 24, 48, 72, 95), radius_px=radius_px, min_motion_px=min_motion_px),
        WindowSearch(
            probes=tuple(range(SHORT_WINDOW)),
            radius_px=_ROUNDING_PX,
            min_moves=int(_SEED_FRACTION * rules.min_exact_moves),
            min_positions=int(_SEED_FRACTION * rules.min_exact_positions),
        ),
    )


def _tells(run: _Run, rules: AgreementRules) -> bool:
    """Say whether a path is particular enough that agreement with another is no accident."""
    path = run.path
    is_moving = np.ptp(path, axis=0).max() >= rules.min_motion_px
    if not is_moving and not _is_exact_copy(run, rules):
        return False
    if len(path) >= 2 * rules.min_frames:
        return True
    times = np.arange(len(path)) - (len(path) - 1) / 2
    mean = path.mean(axis=0)
    velocity = times @ path / (times @ times)
    departure = np.hypot(*(path - mean - times[:, None] * velocity).T)
    return bool(departure.max() > rules.straight_px)


def _is_exact_copy(run: _Run, rules: AgreementRules) -> bool:
    """Say whether centres are equal, of a target that does not just stand or go to and fro."""
    num_moves = int((np.abs(np.diff(run.path, axis=0)) > _ROUNDING_PX).any(axis=1).sum())
    return (
        run.distances_px.max() <= 2 * _ROUNDING_PX
        and num_moves >= rules.min_exact_moves
        and int(num_positions(run.path)) >= rules.min_exact_positions
    )


def _stretches(
    pair: tuple[int, int],
    trajectories: tuple[list[Trajectory], list[Trajectory]],
    runs: list[_Run],
    rules: AgreementRules,
) -> list[Agreement]:
    """Extend and join telling runs of two sequences; drop offsets explained by longer runs."""
    kept: list[_Run] = []
    for run in sorted(runs, key=lambda run: (-run.num_frames, run.distances_px.sum())):
        if not any(other.offset != run.offset and _is_same_place(run, other) for other in kept):
            kept.append(run)
    found = []
    for offset in sorted({run.offset for run in kept}):
        telling = [run for run in kept if run.offset == offset]
        for group in _neighbours(_runs_at(offset, trajectories, rules), rules.min_frames):
            start, stop = group[0].first_start, max(run.stop for run in group)
            if any(start <= run.first_start and run.stop <= stop for run in telling):
                found.append(_join(pair, group))
    return sorted(found, key=lambda found: (found.first_start, found.second_start))


def _runs_at(
    offset: int, trajectories: tuple[list[Trajectory], list[Trajectory]], rules: AgreementRules
) -> list[_Run]:
    """Return the runs of all targets at one offset, also short ones and those of still targets."""
    runs = [
        run
        for a in trajectories[0]
        for b in trajectories[1]
        for run in _runs(a, b, offset + a.start - b.start, rules.tolerance_px)
        if run.num_frames >= _MIN_FILLING_FRAMES
    ]
    return sorted(runs, key=lambda run: run.first_start)


def _neighbours(runs: list[_Run], max_gap: int) -> list[list[_Run]]:
    """Group runs, sorted by their first frame, that are no more than some frames apart."""
    groups: list[list[_Run]] = []
    stop = 0
    for run in runs:
        if groups and run.first_start <= stop + max_gap:
            groups[-1].append(run)
            stop = max(stop, run.stop)
        else:
            groups.append([run])
            stop = run.stop
    return groups


def _is_same_place(run: _Run, other: _Run) -> bool:
    """Say whether most of a run lies within another, in both sequences."""
    return all(
        min(mine + run.num_frames, theirs + other.num_frames) - max(mine, theirs)
        > run.num_frames / 2
        for mine, theirs in (
            (run.first_start, other.first_start),
            (run.second_start, other.second_start),
        )
    )


def _join(pair: tuple[int, int], runs: list[_Run]) -> Agreement:
    """Make one stretch of runs of one offset, several of which may cover the same frames."""
    start = min(run.first_start for run in runs)
    stop = max(run.stop for run in runs)
    is_agreeing = np.zeros(stop - start, np.bool_)
    for run in runs:
        is_agreeing[run.first_start - start : run.stop - start] = True
    return Agreement(
        first=pair[0],
        second=pair[1],
        first_start=start,
        second_start=start + runs[0].offset,
        num_frames=stop - start,
        num_agreeing=int(is_agreeing.sum()),
        mean_distance_px=float(np.concatenate([run.distances_px for run in runs]).mean()),
    )
