"""CLEAR's frame-by-frame matching, written down as motmetrics' events.

motmetrics turns events into scores quickly, but making them frame by frame takes it most of the
time of an evaluation, several times that of this module. Its rule is kept, and the tests hold both
to the same events: a target stays with the track of its last match for as long as that is within
the gate; what remains is matched by most pairs, then least distance; a match to another track than
the last one is a switch.

Source:
    Bernardin and Stiefelhagen 2008, as motmetrics 1.4 implements it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import motmetrics
import numpy as np
from numpy.typing import NDArray

from stdet.metrics.detection.matching import match_points
from stdet.types import IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackingFrame:
    """One frame of tracking: who is there, and how far apart.

    Attributes:
        gt_ids: int64 (N,), identities numbered from 0 without gaps over the sequence.
        pred_ids: int64 (M,), likewise.
        distances: float64 (N, M), pixels or 1 - IoU.
    """

    gt_ids: IntArray
    pred_ids: IntArray
    distances: NDArray[np.float64]


@dataclass
class _Events:
    """Rows of motmetrics' event table."""

    frames: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    gt_ids: list[float] = field(default_factory=list)
    pred_ids: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)

    def add(
        self,
        frame: int,
        kind: str,
        gt_ids: Sequence[float],
        pred_ids: Sequence[float],
        distances: Sequence[float],
    ) -> None:
        """Append rows of one kind."""
        self.frames += [frame] * len(gt_ids)
        self.kinds += [kind] * len(gt_ids)
        self.gt_ids += gt_ids
        self.pred_ids += pred_ids
        self.distances += distances


def clear_events(frames: Sequence[TrackingFrame], gate: float) -> Any:
    """Match every frame and return motmetrics' event table.

    Args:
        frames: All frames of a sequence, in order.
        gate: Largest distance of a match, inclusive.

    Returns:
        A pandas DataFrame as ``motmetrics.MOTAccumulator.events`` gives it, without the events
        of kinds that no score here needs (ASCEND, MIGRATE, TRANSFER).
    """
    events = _Events()
    last_track: dict[int, int] = {}
    for index, frame in enumerate(frames):
        is_possible = frame.distances <= gate
        _add_raw(events, index, frame, is_possible)
        _match(events, index, frame, is_possible, gate, last_track)
    # motmetrics numbers the events of a frame.
    numbers = np.arange(len(events.frames))
    starts = np.searchsorted(events.frames, np.arange(len(frames)))
    return motmetrics.MOTAccumulator.new_event_dataframe_with_data(
        {"FrameId": events.frames, "Event": (numbers - starts[events.frames]).tolist()}
        if events.frames
        else {"FrameId": [], "Event": []},
        {
            "Type": events.kinds,
            "OId": events.gt_ids,
            "HId": events.pred_ids,
            "D": events.distances,
        },
    )


def _add_raw(
    events: _Events, index: int, frame: TrackingFrame, is_possible: NDArray[np.bool_]
) -> None:
    """Record every possible pair, and whoever has none."""
    nan = float("nan")
    events.add(index, "RAW", [nan], [nan], [nan])  # The frame counts even when it is empty.
    rows, columns = np.nonzero(is_possible)
    events.add(
        index,
        "RAW",
        frame.gt_ids[rows].tolist(),
        frame.pred_ids[columns].tolist(),
        frame.distances[rows, columns].tolist(),
    )
    alone = frame.gt_ids[~is_possible.any(axis=1)].tolist()
    events.add(index, "RAW", alone, [nan] * len(alone), [nan] * len(alone))
    alone = frame.pred_ids[~is_possible.any(axis=0)].tolist()
    events.add(index, "RAW", [nan] * len(alone), alone, [nan] * len(alone))


def _match(
    events: _Events,
    index: int,
    frame: TrackingFrame,
    is_possible: NDArray[np.bool_],
    gate: float,
    last_track: dict[int, int],
) -> None:
    """Match one frame; ``last_track`` remembers the track of each target's last match."""
    gt_ids, pred_ids = frame.gt_ids.tolist(), frame.pred_ids.tolist()
    column_of = {pred: column for column, pred in enumerate(pred_ids)}
    free_rows, free_columns = dict.fromkeys(range(len(gt_ids))), dict.fromkeys(column_of.values())
    nan = float("nan")
    for row, gt in enumerate(gt_ids):
        column = column_of.get(last_track.get(gt, -1))
        if column in free_columns and is_possible[row, column]:
            del free_rows[row], free_columns[column]
            distance = float(frame.distances[row, column])
            events.add(index, "MATCH", [gt], [pred_ids[column]], [distance])
    if free_rows and free_columns:
        rows, columns = list(free_rows), list(free_columns)
        rest = frame.distances[np.ix_(rows, columns)]
        found = match_points(rest, radius_px=float(np.nextafter(gate, np.inf)))
        for i, j in zip(found.pred_indices.tolist(), found.gt_indices.tolist(), strict=True):
            gt, pred = gt_ids[rows[i]], pred_ids[columns[j]]
            kind = "SWITCH" if last_track.get(gt, pred) != pred else "MATCH"
            events.add(index, kind, [gt], [pred], [float(rest[i, j])])
            last_track[gt] = pred
            del free_rows[rows[i]], free_columns[columns[j]]
    missed = [gt_ids[row] for row in free_rows]
    events.add(index, "MISS", missed, [nan] * len(missed), [nan] * len(missed))
    false = [pred_ids[column] for column in free_columns]
    events.add(index, "FP", [nan] * len(false), false, [nan] * len(false))
