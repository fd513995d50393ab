"""The newest frames of all tracks, from which the oldest one is put out in hindsight.

A track is confirmed some frames after its first detection, and a target that is missed is seen
again. Rows wait for ``lookahead`` frames, so that they begin with the first detection, a gap is
bridged where the track was found again and not shown where it was not, it is known better whether
the track is real, and places are smoothed by what came later (``hindsight.py``). The scene hardly
turns or grows from one frame to the next, so gains are not carried with it.

Source:
    Bar-Shalom, Li, Kirubarajan 2001, section 8.6, on mean and covariance over the modes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import boxes_about
from stdet.tracking.hindsight import gained
from stdet.tracking.track_records import MIN_SIZE_PX, UNCONFIRMED, TrackRecords
from stdet.types import BoolArray, IntArray, Tracks

Float64Array = NDArray[np.float64]

_PROBABILITY, _LAST_FRAME = 4, 5
"""Columns of what changes in hindsight; the first four are the state."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """How K tracks of a frame came from the frame before.

    Attributes:
        rows: In this frame, int64 (K,).
        came_from: Rows in the frame before, int64 (K,).
        predicted: States predicted from the frame before, float64 (K, 4).
        gains: G from the frame before to this one, float64 (K, 2, 2).
    """

    rows: IntArray
    came_from: IntArray
    predicted: Float64Array
    gains: Float64Array

    def of_alive(self, is_alive: BoolArray) -> Steps:
        """Return the steps of the tracks that go on, as rows among these.

        Args:
            is_alive: Of all tracks of the frame, bool (N,).
        """
        if is_alive.all():
            return self
        chosen = self._chosen(is_alive[self.rows])
        return replace(chosen, rows=(np.cumsum(is_alive) - 1)[chosen.rows])

    def without(self, row: int) -> Steps:
        """Return the steps of the other tracks."""
        return self._chosen(self.rows != row)

    def take_over(self, row: int, other: int) -> None:
        """Put the step of one track in the place of another's, where both have one."""
        at, from_ = self.rows == row, self.rows == other
        if at.any() and from_.any():
            self.predicted[at], self.gains[at] = self.predicted[from_], self.gains[from_]

    def _chosen(self, is_chosen: BoolArray) -> Steps:
        return Steps(
            rows=self.rows.compress(is_chosen),
            came_from=self.came_from.compress(is_chosen),
            predicted=self.predicted.compress(is_chosen, axis=0),
            gains=self.gains.compress(is_chosen, axis=0),
        )


@dataclass(kw_only=True, eq=False)
class FrameRows:
    """The tracks of one frame, as one row per track; the window writes into it.

    Attributes:
        frame_index: Of the frame.
        image_hw: Its size.
        records: Of N tracks, as they were in this frame.
        known: Filtered states, the probability of each track, and the frame of its last
            detection, float64 (N, 6).
        steps: From the frame before.
        is_credible: Whether a row may be shown, bool (N,).
        is_coasting: Whether a row is shown without a detection even if none follows, bool (N,).
    """

    frame_index: int
    image_hw: tuple[int, int]
    records: TrackRecords
    known: Float64Array
    steps: Steps
    is_credible: BoolArray
    is_coasting: BoolArray

    def row_of(self, uid: int) -> int:
        """Return the row of a track, -1 for none."""
        uids = self.records.uids
        row = int(np.searchsorted(uids, uid))
        return row if row < len(uids) and uids[row] == uid else -1

    def take_over(self, row: int, other: int) -> None:
        """Put what a track did in this frame in the place of what another one did."""
        self.records.take_over(row, other)
        for column in (self.known, self.is_credible, self.is_coasting):
            column[row] = column[other]
        self.is_credible[other] = False
        self.steps.take_over(row, other)


def known_of(
    means: Float64Array, probabilities: Float64Array, records: TrackRecords
) -> Float64Array:
    """Return what ``FrameRows`` keeps as known."""
    known = np.empty((len(means), 6))
    known[:, :4] = means
    known[:, _PROBABILITY] = probabilities
    known[:, _LAST_FRAME] = records.last_frames
    return known


class Window:
    """The frames that wait.

    Args:
        lookahead: How many later frames a frame waits for.
    """

    def __init__(self, lookahead: int) -> None:
        """Start empty."""
        self._lookahead = lookahead
        self._frames: deque[FrameRows] = deque()

    def push(self, rows: FrameRows) -> Tracks:
        """Take the next frame, and return the oldest one if it need not wait any more."""
        self._frames.append(rows)
        return self._pop() if len(self._frames) > self._lookahead else Tracks.empty()

    def flush(self) -> list[Tracks]:
        """Return the frames that still wait, the oldest first."""
        return [self._pop() for _ in range(len(self._frames))]

    def name(self, uids: IntArray, track_ids: IntArray) -> None:
        """Give tracks their ids in all frames that wait."""
        for rows in self._frames:
            own = rows.records.uids
            at = np.searchsorted(own, uids)
            is_there = at < len(own)
            is_there[is_there] = own[at[is_there]] == uids[is_there]
            rows.records.track_ids[at[is_there]] = track_ids[is_there]

    def join(self, uid: int, other: int, num_frames: int) -> bool:
        """Let a track go on as another one in the newest frames that wait.

        Nothing is smoothed across the first of them.

        Args:
            uid: Of the track that goes on, confirmed before.
            other: Of the track that it goes on as.
            num_frames: Since the last detection of the first track.

        Returns:
            Whether any of them waits, so that the first one is among them.
        """
        newest = list(self._frames)[max(len(self._frames) - num_frames, 0) :]
        is_first = True
        for rows in newest:
            row, at = rows.row_of(uid), rows.row_of(other)
            if row >= 0 and at >= 0:
                rows.take_over(row, at)
                if is_first:
                    rows.steps = rows.steps.without(row)
                is_first = False
        return not is_first

    def _pop(self) -> Tracks:
        """Smooth the oldest frame, and let it go."""
        known = self._frames[-1].known
        for at in range(len(self._frames) - 2, -1, -1):
            steps = self._frames[at + 1].steps
            later, source = known.take(steps.rows, axis=0), steps.came_from
            later[:, :4] -= steps.predicted
            known = self._frames[at].known.copy()
            known[source, :4] += gained(steps.gains, later[:, :4])
            known[source, 4:] = later[:, 4:]
        return _shown(self._frames.popleft(), known)


def _shown(rows: FrameRows, known: Float64Array) -> Tracks:
    """Return the rows of a frame that are shown as tracks, in the order of their ids.

    Args:
        rows: Of the frame.
        known: As in ``FrameRows``, in hindsight.
    """
    records, (height, width) = rows.records, rows.image_hw
    x, y = known[:, 0], known[:, 1]
    is_inside = (x > 0) & (y > 0) & (x < width) & (y < height)
    is_found_later = known[:, _LAST_FRAME] >= rows.frame_index
    is_shown = (is_found_later | rows.is_coasting) & is_inside
    is_shown |= records.detection_indices >= 0
    is_shown &= rows.is_credible & (records.track_ids != UNCONFIRMED)
    shown = is_shown.nonzero()[0]
    shown = shown[records.track_ids[shown].argsort()]
    known, reals, wholes = known[shown], records.reals[:, shown], records.wholes[:, shown]
    records = TrackRecords(reals=reals, wholes=wholes)
    return Tracks(
        frame_indices=np.full(len(shown), rows.frame_index, np.int64),
        track_ids=records.track_ids,
        boxes_xyxy=boxes_about(known[:, :2], np.maximum(records.sizes_wh, MIN_SIZE_PX)),
        scores=records.scores.astype(np.float32),
        probabilities=known[:, _PROBABILITY].astype(np.float32),
        class_ids=records.class_ids,
        detection_indices=records.detection_indices,
    )
