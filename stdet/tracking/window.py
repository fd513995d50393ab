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
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stdet.tracking.hindsight import gain
from stdet.tracking.track_records import MIN_SIZE_PX, TrackRecords
from stdet.types import BoolArray, IntArray, Tracks

Float64Array = NDArray[np.float64]

PROBABILITY, LAST_FRAME, _NUM_KNOWN = 4, 5, 6
"""Rows of what changes in hindsight; the first four are the state."""


@dataclass(kw_only=True, eq=False)
class Steps:
    """How the first K tracks of a frame, the oldest ones, came from the frame before.

    Attributes:
        came_from: Rows in the frame before, int64 (K,); -1 where this frame says nothing of it.
        expected: As in ``FrameRows.known``, but predicted from the frame before, float64 (6, K).
        gains: G from the frame before to this one, float64 (2, 2, 1, K).
    """

    came_from: IntArray
    expected: Float64Array
    gains: Float64Array

    def __len__(self) -> int:
        """Return the number of tracks that were there before."""
        return len(self.came_from)

    def of_alive(self, rows: IntArray) -> Steps:
        """Return the steps of the tracks that go on.

        Args:
            rows: Of those tracks in this frame, int64, increasing.
        """
        old = rows[: rows.searchsorted(len(self))]
        return Steps(
            came_from=self.came_from.take(old),
            expected=self.expected.take(old, axis=1),
            gains=self.gains.take(old, axis=3),
        )

    def cut(self, row: int) -> None:
        """Let this frame say nothing of where a track was before."""
        if row < len(self):
            self.came_from[row] = -1

    def take_over(self, row: int, other: int) -> None:
        """Put the step of one track in the place of another's, where both have one."""
        if row < len(self) and other < len(self):
            for numbers in (self.expected, self.gains):
                numbers[..., row] = numbers[..., other]


@dataclass(kw_only=True, eq=False)
class FrameRows:
    """The tracks of one frame, as one row per track; the window writes into it.

    Attributes:
        frame_index: Of the frame.
        image_hw: Its size.
        records: Of N tracks, as they were in this frame.
        known: Filtered states, the probability of each track, and the frame of its last
            detection, float64 (6, N).
        steps: From the frame before.
        is_credible: Whether a row may be shown, bool (N,).
        is_coasting: Whether a row is shown without a detection even if none follows, bool (N,).
        news: What is known of the first K tracks beyond what was expected, float64 (6, K).
    """

    frame_index: int
    image_hw: tuple[int, int]
    records: TrackRecords
    known: Float64Array
    steps: Steps
    is_credible: BoolArray
    is_coasting: BoolArray
    news: Float64Array = field(init=False)

    def __post_init__(self) -> None:
        """Compare with what was expected."""
        self.news = self.known[:, : len(self.steps)] - self.steps.expected

    def row_of(self, uid: int) -> int:
        """Return the row of a track, -1 for none."""
        uids = self.records.uids
        row = int(np.searchsorted(uids, uid))
        return row if row < len(uids) and uids[row] == uid else -1

    def take_over(self, row: int, other: int) -> None:
        """Put what a track did in this frame in the place of what another one did."""
        self.records.take_over(row, other)
        for numbers in (self.known, self.is_credible, self.is_coasting):
            numbers[..., row] = numbers[..., other]
        self.is_credible[other] = False
        self.steps.take_over(row, other)
        self.__post_init__()


def known_of(
    means: Float64Array, probabilities: Float64Array, last_frames: Float64Array | IntArray
) -> Float64Array:
    """Return what ``FrameRows`` keeps as known.

    Args:
        means: (N, 4).
        probabilities: (N,).
        last_frames: (N,).
    """
    known = np.empty((_NUM_KNOWN, len(means)))
    known[:4] = means.T
    known[PROBABILITY] = probabilities
    known[LAST_FRAME] = last_frames
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
                    rows.steps.cut(row)
                is_first = False
        return not is_first

    def _pop(self) -> Tracks:
        """Smooth the oldest frame, and let it go."""
        frames = list(self._frames)
        later: Float64Array | None = None
        for before, after in zip(frames[-2::-1], frames[:0:-1], strict=True):
            steps, change = after.steps, after.news
            change = change.copy() if later is None else change + later[:, : change.shape[1]]
            gain(steps.gains, change[:4])
            # The last column is of the tracks of which nothing is said.
            later = np.zeros((_NUM_KNOWN, before.known.shape[1] + 1))
            later[:, steps.came_from] = change
        oldest = self._frames.popleft()
        known = oldest.known if later is None else oldest.known + later[:, :-1]
        return _shown(oldest, known)


def _shown(rows: FrameRows, known: Float64Array) -> Tracks:
    """Return the rows of a frame that are shown as tracks, in the order of their ids.

    Args:
        rows: Of the frame.
        known: As in ``FrameRows``, in hindsight.
    """
    records, xy = rows.records, known[:2]
    is_outside = xy <= 0
    is_outside |= xy >= _corner(rows.image_hw)
    is_shown = known[LAST_FRAME] >= rows.frame_index
    is_shown |= rows.is_coasting
    is_shown &= ~(is_outside[0] | is_outside[1])
    is_shown |= records.detection_indices >= 0
    is_shown &= rows.is_credible
    is_shown &= records.is_confirmed
    shown = is_shown.nonzero()[0]
    shown = shown.take(records.track_ids.take(shown).argsort())
    known, records = known.take(shown, axis=1), records[shown]
    xy, half = known[:2].T, np.maximum(records.sizes_wh, MIN_SIZE_PX)
    half *= 0.5
    boxes = np.empty((len(shown), 4), np.float32)
    np.subtract(xy, half, out=boxes[:, :2], casting="same_kind")
    np.add(xy, half, out=boxes[:, 2:], casting="same_kind")
    frame_indices = np.empty(len(shown), np.int64)
    frame_indices.fill(rows.frame_index)
    return Tracks(
        frame_indices=frame_indices,
        track_ids=records.track_ids,
        boxes_xyxy=boxes,
        scores=records.scores.astype(np.float32),
        probabilities=known[PROBABILITY].astype(np.float32),
        class_ids=records.class_ids,
        detection_indices=records.detection_indices,
    )


@lru_cache(maxsize=16)
def _corner(image_hw: tuple[int, int]) -> IntArray:
    """Return width and height, int64 (2, 1)."""
    return np.array([[image_hw[1]], [image_hw[0]]])
