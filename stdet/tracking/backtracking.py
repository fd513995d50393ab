"""New tracks, followed back to the frames in which their target was too weak to begin one.

It takes more evidence to begin a track than to go on (``TrackerConfig.continue_share``). Where a
track begins, the weak detections before it are known to be a target's: they lie on its way. The
last frames wait, and a tracker with the same filter, gates and thresholds runs over them in
reverse, from the track's first detection, on what no other track has taken.

Source:
    Ours. What later frames say about earlier states is called retrodiction in tracking (Koch 2000,
    IEEE Trans. AES 36); here it also adds detections. Evidence: docs/decisions/0016.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from stdet.config import TrackerConfig
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, Tracks


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class TrackedDetections:
    """One frame: its detections, all that were given, and its tracks."""

    detections: Detections
    tracks: Tracks


@dataclass(kw_only=True, slots=True)
class _Followed:
    """A track on its way back.

    Attributes:
        earliest: Its earliest row (1) with a detection.
        missed: Frames before that in which it was followed without a detection, by their place
            among those that wait, with its rows (1) there.
    """

    earliest: Tracks
    missed: list[tuple[int, Tracks]] = field(default_factory=list)

    @property
    def track_id(self) -> int:
        return int(self.earliest.track_ids[0])


class BacktrackingTracker:
    """A ``Tracker`` whose tracks reach back; its output comes ``backtrack`` frames late.

    An id that was not shown in the frame before, new or found again, is followed back for
    ``backtrack`` frames, or until it is shown, or until more than ``max_coast`` frames in a row
    have no detection of it, or over a jump in frame indices that leaves its place unknown.
    Between two detections boxes are interpolated, where ``Tracker`` would coast; score and class
    are those of the later one. What lies between the last row of a track that was lost and the
    first detection found on the way back stays empty. All other rows, and the ids, are those of
    ``Tracker``.

    Args:
        config: Settings of the tracker; ``backtrack`` is how far back tracks may reach.

    Example:
        >>> tracker = BacktrackingTracker(TrackerConfig(backtrack=2))
        >>> found = []
        >>> for index, score in enumerate((0.1, 0.4, 0.6)):
        ...     box = np.array([[10 + index, 20, 15 + index, 25]])
        ...     found += tracker.push(Detections.from_unsorted(
        ...         box, np.array([score]), frame_index=index, image_hw=(99, 99)), confidence=0.5)
        >>> [frame.tracks.track_ids.tolist() for frame in found + tracker.flush()]
        [[], [1], [1]]
    """

    def __init__(self, config: TrackerConfig) -> None:
        """Start without tracks."""
        self._config = config
        self._tracker = Tracker(config)
        self._waiting: deque[TrackedDetections] = deque()

    def reset(self) -> None:
        """Forget everything, for a new sequence; ids begin at 1 again."""
        self._tracker.reset()
        self._waiting.clear()

    def push(self, detections: Detections, *, confidence: float) -> list[TrackedDetections]:
        """Take in one frame; arguments and errors as of ``Tracker.update``.

        Returns:
            The frame that is complete now, if any.
        """
        tracks = self._tracker.update(detections, confidence=confidence)
        if self._waiting:
            is_new = ~np.isin(tracks.track_ids, self._waiting[-1].tracks.track_ids)
            if is_new.any():
                self._follow_back(tracks[is_new], detections, confidence)
        self._waiting.append(TrackedDetections(detections=detections, tracks=tracks))
        return [self._waiting.popleft()] if len(self._waiting) > self._config.backtrack else []

    def flush(self) -> list[TrackedDetections]:
        """Return the frames that still wait; later tracks will not reach back beyond here."""
        done = list(self._waiting)
        self._waiting.clear()
        return done

    def end_tracks(self) -> None:
        """End every track, at a cut in the stream; ids and frame indices go on counting.

        Call ``flush`` first: tracks reach back over frames that still wait.
        """
        self._tracker.end_tracks()

    def _follow_back(self, new: Tracks, detections: Detections, confidence: float) -> None:
        """Add rows of tracks that begin in the newest frame to those that wait.

        Args:
            new: Their rows in the newest frame, each with a detection.
            detections: Of the newest frame.
            confidence: Operating point.
        """
        backward = Tracker(replace(self._config, confirm_hits=1, confirm_window=1))
        rows = np.sort(new.detection_indices)
        started = backward.update(replace(detections[rows], frame_index=0))
        followed = {
            int(backward_id): _Followed(earliest=new[new.detection_indices == rows[row]])
            for backward_id, row in zip(started.track_ids, started.detection_indices, strict=True)
        }
        for place in reversed(range(len(self._waiting))):
            frame = self._waiting[place]
            is_shown = set(frame.tracks.track_ids.tolist())
            followed = {
                i: track for i, track in followed.items() if track.track_id not in is_shown
            }
            if not followed:
                return
            # What is no longer followed, or began on the way, must not take others' detections.
            backward.end_tracks(but=followed)
            found = _update_with_free(frame, backward, detections.frame_index, confidence)
            followed = {i: track for i, track in followed.items() if i in found.track_ids}
            for backward_id, track in followed.items():
                row = found[found.track_ids == backward_id]
                self._add(track, place, replace(row, track_ids=track.earliest.track_ids))

    def _add(self, track: _Followed, place: int, row: Tracks) -> None:
        """Put a row with a detection, and those between it and the one before, into the frames."""
        track.missed.append((place, row))
        if row.detection_indices[0] < 0:
            return
        for at, missed in track.missed:
            frame = self._waiting[at]
            between = _between(row, track.earliest, missed)
            self._waiting[at] = replace(frame, tracks=_with_row(frame.tracks, between))
        track.earliest, track.missed = row, []


def _update_with_free(
    frame: TrackedDetections, backward: Tracker, newest_index: int, confidence: float
) -> Tracks:
    """Update a tracker that runs backwards with what no track has of a frame.

    Returns:
        Its tracks, with the frame's index and rows of all its detections.
    """
    taken = frame.tracks.detection_indices
    is_free = np.ones(len(frame.detections), np.bool_)
    is_free[taken[taken >= 0]] = False
    index = frame.detections.frame_index
    free = replace(frame.detections[is_free], frame_index=newest_index - index)
    found = backward.update(free, confidence=confidence)
    # A coasted track's -1 stays.
    rows = np.append(np.flatnonzero(is_free), -1)
    return replace(
        found,
        frame_indices=np.full(len(found), index),
        detection_indices=rows[found.detection_indices],
    )


def _between(earlier: Tracks, later: Tracks, row: Tracks) -> Tracks:
    """Return a row (1) with the box that lies between those of two others by its time."""
    (start,), (end,) = earlier.frame_indices, later.frame_indices
    share = (row.frame_indices[0] - start) / (end - start)
    boxes_xyxy = (1 - share) * earlier.boxes_xyxy + share * later.boxes_xyxy
    return replace(row, boxes_xyxy=boxes_xyxy.astype(np.float32))


def _with_row(tracks: Tracks, row: Tracks) -> Tracks:
    """Return the rows of a frame with one more, in order of ids."""
    at = int(np.searchsorted(tracks.track_ids, row.track_ids[0]))
    return Tracks.concatenate([tracks[:at], row, tracks[at:]])
