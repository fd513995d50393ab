"""Trackers of points: what they are given, what they return, and rows of tracks made of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import boxes_about, centres_xy
from stdet.metrics.sequence_result import SequenceResult
from stdet.registration.frame_motion import NOT_REGISTERED
from stdet.registration.transform import Transform
from stdet.types import FloatArray, IntArray, Tracks

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedPoints:
    """The tracks of one frame, in no order.

    Attributes:
        track_ids: int64 (K,), at least 1.
        xy: Centres, float64 (K, 2), pixels.
        rows: int64 (K,), the detection of each, -1 where it has none.
    """

    track_ids: IntArray
    xy: Float
    rows: IntArray

    @classmethod
    def of(cls, found: list[tuple[int, Float, int]]) -> TrackedPoints:
        """Return tracks of (id, centre, row)."""
        return cls(
            track_ids=np.array([track_id for track_id, _, _ in found], np.int64),
            xy=np.array([xy for _, xy, _ in found], np.float64).reshape(-1, 2),
            rows=np.array([row for _, _, row in found], np.int64),
        )


class PointTracker(Protocol):
    """What tracks the points of one sequence."""

    def step(self, xy: Float, scores: FloatArray) -> TrackedPoints:
        """Take in the next frame.

        Args:
            xy: Detected centres, float64 (N, 2), pixels.
            scores: float32 (N,) in [0, 1].
        """
        ...


def track_points(sequence: SequenceResult, tracker: PointTracker) -> Tracks:
    """Track in the scene where the motion of the camera is known, else in the picture.

    Detections are carried to where they would have been in the first frame, and tracks back, so
    that a tracker that knows of no camera has the benefit of registration.

    Args:
        sequence: With detections; its tracks are not used.
        tracker: Fresh.
    """
    pose = Transform.identity()
    sizes_wh: dict[int, FloatArray] = {}
    parts = []
    motions = sequence.motions or itertools.repeat(NOT_REGISTERED)
    for frame, motion in zip(sequence.detections, motions, strict=False):
        if motion.transform is not None:
            pose = motion.transform @ pose
        boxes = frame.boxes_xyxy
        scene_xy = pose.inverse().apply(centres_xy(boxes).astype(np.float64))
        found = tracker.step(scene_xy, frame.scores)
        for track_id, row in zip(found.track_ids.tolist(), found.rows.tolist(), strict=True):
            if row >= 0:
                sizes_wh[track_id] = boxes[row, 2:] - boxes[row, :2]
        parts.append(_rows_of(found, pose, sizes_wh, frame.frame_index))
    return Tracks.concatenate(parts)


def _rows_of(
    found: TrackedPoints, pose: Transform, sizes_wh: dict[int, FloatArray], frame_index: int
) -> Tracks:
    """Return the tracks of a frame in its own coordinates."""
    order = np.argsort(found.track_ids)
    track_ids = found.track_ids[order]
    xy = pose.apply(found.xy[order])
    wh = np.array([sizes_wh[track_id] for track_id in track_ids.tolist()]).reshape(-1, 2)
    return Tracks(
        frame_indices=np.full(len(order), frame_index, np.int64),
        track_ids=track_ids,
        boxes_xyxy=boxes_about(xy, wh),
        scores=np.ones(len(order), np.float32),
        probabilities=np.full(len(order), np.nan, np.float32),
        class_ids=np.zeros(len(order), np.int64),
        detection_indices=found.rows[order],
    )
