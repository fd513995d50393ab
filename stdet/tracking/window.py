"""The newest frames of all tracks, from which the oldest one is put out in hindsight.

A track is confirmed some frames after its first detection, and a target that is missed is seen
again. Rows wait for ``lookahead`` frames, so that they begin with the first detection, a gap is
bridged where the track was found again and not shown where it was not, it is known better whether
the track is real, and places are smoothed by what came later (Rauch, Tung and Striebel): with
G = P F' P_1^-1 for the covariance P of a frame and P_1 that predicted from it,

    smoothed = filtered + G (smoothed one frame later - predicted for then)

The scene hardly turns or grows from one frame to the next, so G is not carried with it.

Source:
    Bar-Shalom, Li, Kirubarajan 2001, section 8.6, on mean and covariance over the modes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import boxes_about
from stdet.tracking.motion import PointStates
from stdet.tracking.track_records import UNCONFIRMED
from stdet.types import BoolArray, FloatArray, IntArray, Tracks

MIN_SIZE_PX = 0.1
"""Smallest side of a track's box: a detection clipped to a line still needs x1 < x2 in files."""

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """How the tracks of a frame came from the frame before.

    Attributes:
        predicted: States predicted from the frame before, float64 (N, 4).
        gains: G from the frame before to this one, by rows, float64 (N, 4).
        came_from: Row in the frame before, int64 (N,), -1 for none.
    """

    predicted: Float64Array
    gains: Float64Array
    came_from: IntArray

    def __getitem__(self, rows: BoolArray) -> Steps:
        """Return the chosen tracks."""
        return Steps(
            predicted=self.predicted[rows], gains=self.gains[rows], came_from=self.came_from[rows]
        )

    def extended(self, num: int) -> Steps:
        """Return so many tracks, those that are new from nowhere."""
        unknown = np.zeros((num - len(self.came_from), 4))
        return Steps(
            predicted=np.concatenate([self.predicted, unknown]),
            gains=np.concatenate([self.gains, unknown]),
            came_from=np.concatenate([self.came_from, np.full(len(unknown), -1)]),
        )

    def take_over(self, row: int, other: int) -> None:
        """Put the step of one track in the place of another's."""
        self.predicted[row], self.gains[row] = self.predicted[other], self.gains[other]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameRows:
    """The tracks of one frame, as one row per track; the window writes into the arrays.

    Attributes:
        uids: int64 (N,), increasing.
        track_ids: int64 (N,).
        means: Filtered states, float64 (N, 4).
        steps: From the frame before.
        sizes_wh: float64 (N, 2), pixels.
        scores: float32 (N,).
        probabilities: float32 (N,).
        class_ids: int64 (N,).
        detection_indices: int64 (N,), -1 for none.
        is_credible: Whether a row may be shown, bool (N,).
        is_coasting: Whether a row is shown without a detection even if none follows, bool (N,).
    """

    uids: IntArray
    track_ids: IntArray
    means: Float64Array
    steps: Steps
    sizes_wh: Float64Array
    scores: FloatArray
    probabilities: FloatArray
    class_ids: IntArray
    detection_indices: IntArray
    is_credible: BoolArray
    is_coasting: BoolArray

    def row_of(self, uid: int) -> int:
        """Return the row of a track, -1 for none."""
        row = int(np.searchsorted(self.uids, uid))
        return row if row < len(self.uids) and self.uids[row] == uid else -1

    def take_over(self, row: int, other: int) -> None:
        """Put what a track did in this frame in the place of what another one did."""
        for field in fields(self):
            if field.name not in ("uids", "track_ids", "steps"):
                column: Any = getattr(self, field.name)
                column[row] = column[other]
        self.is_credible[other] = False
        self.steps.take_over(row, other)


def smoothing_gains(
    filtered: PointStates, predicted: PointStates, num_frames: int
) -> Float64Array:
    """Return G of each track by rows, float64 (N, 4).

    Args:
        filtered: N states.
        predicted: The same, so many frames later.
        num_frames: Between the two.
    """
    p, c, u = filtered.covariances.T
    p1, c1, u1 = predicted.covariances.T
    determinants = p1 * u1 - c1 * c1
    upper, lower = p + num_frames * c, c + num_frames * u
    gains = (upper * u1 - c * c1, c * p1 - upper * c1, lower * u1 - u * c1, u * p1 - lower * c1)
    by_rows: Float64Array = np.stack(gains, axis=1) / determinants[:, None]
    return by_rows


class Window:
    """The frames that wait.

    Args:
        lookahead: How many later frames a frame waits for.
    """

    def __init__(self, lookahead: int) -> None:
        """Start empty."""
        self._lookahead = lookahead
        self._frames: deque[tuple[int, tuple[int, int], FrameRows]] = deque()

    def push(self, frame_index: int, image_hw: tuple[int, int], rows: FrameRows) -> Tracks:
        """Take the next frame, and return the oldest one if it need not wait any more."""
        self._frames.append((frame_index, image_hw, rows))
        return self._pop() if len(self._frames) > self._lookahead else Tracks.empty()

    def flush(self) -> list[Tracks]:
        """Return the frames that still wait, the oldest first."""
        return [self._pop() for _ in range(len(self._frames))]

    def name(self, uids: IntArray, track_ids: IntArray) -> None:
        """Give tracks their ids in all frames that wait."""
        for _, _, rows in self._frames:
            at = np.searchsorted(rows.uids, uids)
            is_there = at < len(rows.uids)
            is_there[is_there] = rows.uids[at[is_there]] == uids[is_there]
            rows.track_ids[at[is_there]] = track_ids[is_there]

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
        for _, _, rows in newest:
            row, at = rows.row_of(uid), rows.row_of(other)
            if row >= 0 and at >= 0:
                rows.take_over(row, at)
                if is_first:
                    rows.steps.came_from[row] = -1
                is_first = False
        return not is_first

    def _pop(self) -> Tracks:
        """Smooth the oldest frame, and let it go."""
        *earlier, (_, _, later) = self._frames
        means, is_found = later.means, later.detection_indices >= 0
        probabilities = later.probabilities
        for _, _, rows in reversed(earlier):
            goes_on = np.flatnonzero(later.steps.came_from >= 0)
            source = later.steps.came_from[goes_on]
            change = (means - later.steps.predicted)[goes_on]
            is_found_later, probabilities_later = is_found[goes_on], probabilities[goes_on]
            means, is_found = rows.means.copy(), rows.detection_indices >= 0
            means[source] += _gained(later.steps.gains[goes_on], change)
            is_found[source] |= is_found_later
            probabilities = rows.probabilities.copy()
            probabilities[source] = probabilities_later
            later = rows
        frame_index, image_hw, rows = self._frames.popleft()
        is_inside = np.all((means[:, :2] > 0) & (means[:, :2] < image_hw[::-1]), axis=1)
        is_shown = (rows.detection_indices >= 0) | ((is_found | rows.is_coasting) & is_inside)
        is_shown &= rows.is_credible & (rows.track_ids != UNCONFIRMED)
        rows = replace(rows, means=means, probabilities=probabilities)
        return _tracks_of(frame_index, rows, np.flatnonzero(is_shown))


def _gained(gains: Float64Array, change: Float64Array) -> Float64Array:
    """Return G times a change of state, along both axes, (K, 4)."""
    place, velocity = change[:, :2], change[:, 2:]
    gained = np.empty_like(change)
    gained[:, :2] = gains[:, :1] * place + gains[:, 1:2] * velocity
    gained[:, 2:] = gains[:, 2:3] * place + gains[:, 3:] * velocity
    return gained


def _tracks_of(frame_index: int, rows: FrameRows, shown: IntArray) -> Tracks:
    """Return some rows of a frame as tracks, in the order of their ids."""
    shown = shown[np.argsort(rows.track_ids[shown])]
    sides_wh = np.maximum(rows.sizes_wh[shown], MIN_SIZE_PX)
    return Tracks(
        frame_indices=np.full(len(shown), frame_index, np.int64),
        track_ids=rows.track_ids[shown],
        boxes_xyxy=boxes_about(rows.means[shown, :2], sides_wh),
        scores=rows.scores[shown],
        probabilities=rows.probabilities[shown],
        class_ids=rows.class_ids[shown],
        detection_indices=rows.detection_indices[shown],
    )
