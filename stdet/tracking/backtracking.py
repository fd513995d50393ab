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
from dataclasses import dataclass, replace

import numpy as np

from stdet.config import TrackerConfig
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, Tracks


@dataclass(kw_only=True, slots=True)
class _Waiting:
    """A frame to which rows may still be added."""

    detections: Detections
    tracks: Tracks


@dataclass(kw_only=True, slots=True)
class _Followed:
    """A track on its way back.

    Attributes:
        latest: Its earliest row (1) that has a detection.
        missed: Frames before that in which none was found, with its rows (1) there.
    """

    latest: Tracks
    missed: list[tuple[_Waiting, Tracks]]

    def fill(self, found: Tracks) -> None:
        """Add its row with a detection and those that lie between."""
        for frame, row in self.missed:
            frame.tracks = _with_row(frame.tracks, _between(found, self.latest, row))
        self.latest, self.missed = found, []


class BacktrackingTracker:
    """A ``Tracker`` whose tracks reach back; its output comes ``backtrack`` frames late.

    An id that was not shown in the frame before is followed back until it is shown, until it has
    no detection for more than ``max_coast`` frames in a row, or for ``backtrack`` frames. Between
    detections rows are interpolated, where ``Tracker`` would coast. All other rows, and the ids,
    are those of ``Tracker``.

    Args:
        config: Settings of the tracker; ``backtrack`` is how far back tracks may reach.

    Example:
        >>> tracker = BacktrackingTracker(TrackerConfig(backtrack=2))
        >>> found = []
        >>> for index, score in enumerate((0.1, 0.4, 0.6)):
        ...     box = np.array([[10 + index, 20, 15 + index, 25]])
        ...     found += tracker.push(Detections.from_unsorted(
        ...         box, np.array([score]), frame_index=index, image_hw=(99, 99)), confidence=0.5)
        >>> [tracks.track_ids.tolist() for _, tracks in found + tracker.flush()]
        [[], [1], [1]]
    """

    def __init__(self, config: TrackerConfig) -> None:
        """Start without tracks."""
        self._config = config
        self._tracker = Tracker(config)
        self._waiting: deque[_Waiting] = deque()

    def reset(self) -> None:
        """Forget everything, for a new sequence; ids begin at 1 again."""
        self._tracker.reset()
        self._waiting.clear()

    def push(
        self, detections: Detections, *, confidence: float
    ) -> list[tuple[Detections, Tracks]]:
        """Take in one frame; arguments and errors as of ``Tracker.update``.

        Returns:
            The frame that is complete now, if any, as a list: its detections and its tracks.
        """
        tracks = self._tracker.update(detections, confidence=confidence)
        if self._waiting:
            is_new = ~np.isin(tracks.track_ids, self._waiting[-1].tracks.track_ids)
            if is_new.any():
                self._follow_back(tracks[is_new], detections, confidence)
        self._waiting.append(_Waiting(detections=detections, tracks=tracks))
        return [self._pop()] if len(self._waiting) > self._config.backtrack else []

    def flush(self) -> list[tuple[Detections, Tracks]]:
        """Return the frames that still wait; later tracks will not reach back beyond here."""
        return [self._pop() for _ in range(len(self._waiting))]

    def end_tracks(self) -> None:
        """End every track, at a cut in the stream; ids and frame indices go on counting.

        Call ``flush`` first: tracks reach back over frames that still wait.
        """
        self._tracker.end_tracks()

    def _pop(self) -> tuple[Detections, Tracks]:
        oldest = self._waiting.popleft()
        return oldest.detections, oldest.tracks

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
            int(backward_id): _Followed(latest=new[new.detection_indices == rows[row]], missed=[])
            for backward_id, row in zip(started.track_ids, started.detection_indices, strict=True)
        }
        for frame in reversed(self._waiting):
            index, tracks = frame.detections.frame_index, frame.tracks
            is_free = np.ones(len(frame.detections), np.bool_)
            is_free[tracks.detection_indices[tracks.detection_indices >= 0]] = False
            free = np.append(np.flatnonzero(is_free), -1)
            elapsed = detections.frame_index - index
            found = backward.update(
                replace(frame.detections[is_free], frame_index=elapsed), confidence=confidence
            )
            for backward_id, track in list(followed.items()):
                row = found[found.track_ids == backward_id]
                if not len(row) or track.latest.track_ids[0] in tracks.track_ids:
                    del followed[backward_id]
                    continue
                row = replace(
                    row,
                    frame_indices=np.array([index]),
                    track_ids=track.latest.track_ids,
                    detection_indices=free[row.detection_indices],
                )
                track.missed.append((frame, row))
                if row.detection_indices[0] >= 0:
                    track.fill(row)
            if not followed:
                return


def _between(earlier: Tracks, later: Tracks, row: Tracks) -> Tracks:
    """Return a row (1) with the box that lies between those of two others by its time."""
    (start,), (end,) = earlier.frame_indices, later.frame_indices
    share = (row.frame_indices[0] - start) / (end - start)
    boxes_xyxy = (1 - share) * earlier.boxes_xyxy + share * later.boxes_xyxy
    return replace(row, boxes_xyxy=boxes_xyxy.astype(np.float32))


def _with_row(tracks: Tracks, row: Tracks) -> Tracks:
    """Return the rows of a frame with one more; the newest ids come last."""
    at = int(np.searchsorted(tracks.track_ids, row.track_ids[0]))
    return Tracks.concatenate([tracks[:at], row, tracks[at:]])
