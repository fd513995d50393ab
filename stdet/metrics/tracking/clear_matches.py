"""CLEAR's frame-by-frame matching, and the counts of CLEAR and of identities.

A target stays with the track of its last match for as long as that is within the gate. What
remains is matched by most pairs, then least distance. A match to another track than the last one
is a switch. The tests hold every count to motmetrics and TrackEval.

Source:
    Bernardin and Stiefelhagen 2008 (CLEAR), with the matching of motmetrics 1.4; Ristani et al.
    2016 (identities).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stdet.metrics.detection.matching import match_points
from stdet.metrics.tracking.frames import TrackingFrame
from stdet.types import BoolArray, IntArray

_MOSTLY_TRACKED, _MOSTLY_LOST = 0.8, 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class ClearMatches:
    """The matched pairs of a sequence, frame after frame.

    Attributes:
        frames: int64 (P,), number of the frame, increasing.
        gt_ids: int64 (P,).
        distances: float64 (P,).
        is_switch: bool (P,), true where the target was last matched to another track.
    """

    frames: IntArray
    gt_ids: IntArray
    distances: NDArray[np.float64]
    is_switch: BoolArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.frames)


@dataclass(frozen=True, kw_only=True)
class TargetCounts:
    """What became of the targets of a sequence.

    Attributes:
        fragmentations: Times a target was lost and found again.
        mostly_tracked: Targets matched in at least 80 % of their frames.
        mostly_lost: Targets matched in less than 20 % of their frames.
    """

    fragmentations: int
    mostly_tracked: int
    mostly_lost: int


def match_frames(frames: Sequence[TrackingFrame], gate: float) -> ClearMatches:
    """Match targets and tracks in every frame.

    Args:
        frames: All frames of a sequence, in order.
        gate: Largest distance of a match, inclusive.
    """
    found: list[tuple[int, int, float, bool]] = []
    last_track: dict[int, int] = {}
    for number, frame in enumerate(frames):
        found += [(number, *pair) for pair in _match(frame, gate, last_track)]
    numbers, gt_ids, distances, is_switch = zip(*found, strict=True) if found else ((),) * 4
    return ClearMatches(
        frames=np.array(numbers, np.int64),
        gt_ids=np.array(gt_ids, np.int64),
        distances=np.array(distances, np.float64),
        is_switch=np.array(is_switch, np.bool_),
    )


def count_targets(frames: Sequence[TrackingFrame], matches: ClearMatches) -> TargetCounts:
    """Count fragmentations and how many targets were mostly tracked or lost.

    Args:
        frames: All frames of a sequence, in order.
        matches: Of these frames.
    """
    pairs = list(zip(matches.frames.tolist(), matches.gt_ids.tolist(), strict=True))
    is_matched = set(pairs)
    history: dict[int, list[bool]] = {}
    for number, frame in enumerate(frames):
        for gt in frame.gt_ids.tolist():
            history.setdefault(gt, []).append((number, gt) in is_matched)
    shares = np.array([np.mean(seen) for seen in history.values()])
    return TargetCounts(
        fragmentations=sum(_fragmentations(np.array(seen)) for seen in history.values()),
        mostly_tracked=int((shares >= _MOSTLY_TRACKED).sum()),
        mostly_lost=int((shares < _MOSTLY_LOST).sum()),
    )


def count_id_true_positives(frames: Sequence[TrackingFrame], gate: float) -> int:
    """Count the pairs within the gate under the best one-to-one assignment of identities.

    Args:
        frames: All frames of a sequence.
        gate: Largest distance of a pair, inclusive.
    """
    num_gt, num_pred = (
        1 + max((int(ids.max(initial=-1)) for ids in all_ids), default=-1)
        for all_ids in ([f.gt_ids for f in frames], [f.pred_ids for f in frames])
    )
    together = np.zeros((num_gt, num_pred), np.int64)
    for frame in frames:
        rows, columns = np.nonzero(frame.distances <= gate)
        together[frame.gt_ids[rows], frame.pred_ids[columns]] += 1
    return int(together[linear_sum_assignment(together, maximize=True)].sum())


def _fragmentations(seen: BoolArray) -> int:
    """Count how often a target (T,) is lost after a match and matched again later."""
    matched = np.flatnonzero(seen)
    return int((np.diff(matched) > 1).sum())


def _match(
    frame: TrackingFrame, gate: float, last_track: dict[int, int]
) -> list[tuple[int, float, bool]]:
    """Match one frame; ``last_track`` remembers the track of each target's last match.

    Returns:
        Target, distance and whether it is a switch, of each pair.
    """
    gt_ids, pred_ids = frame.gt_ids.tolist(), frame.pred_ids.tolist()
    is_possible = frame.distances <= gate
    column_of = {pred: column for column, pred in enumerate(pred_ids)}
    free_rows, free_columns = dict.fromkeys(range(len(gt_ids))), dict.fromkeys(column_of.values())
    pairs = []
    for row, gt in enumerate(gt_ids):
        column = column_of.get(last_track.get(gt, -1))
        if column in free_columns and is_possible[row, column]:
            del free_rows[row], free_columns[column]
            pairs.append((gt, float(frame.distances[row, column]), False))
    if free_rows and free_columns:
        rows, columns = list(free_rows), list(free_columns)
        rest = frame.distances[np.ix_(rows, columns)]
        found = match_points(rest, limit=float(np.nextafter(gate, np.inf)))
        for i, j in zip(found.pred_indices.tolist(), found.gt_indices.tolist(), strict=True):
            gt, pred = gt_ids[rows[i]], pred_ids[columns[j]]
            pairs.append((gt, float(rest[i, j]), last_track.get(gt, pred) != pred))
            last_track[gt] = pred
    return pairs
