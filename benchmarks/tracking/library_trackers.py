"""The library `trackers` (PyPI, Apache-2.0) on points."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking.point_tracker import TrackedPoints
from stdet.types import FloatArray

Float = NDArray[np.float64]
Settings = Mapping[str, Any]

_FRAME_RATE = 30.0
"""At which the library counts ``lost_track_buffer`` in frames."""
_CLASSES = {
    "SORT": "SORTTracker",
    "ByteTrack": "ByteTrackTracker",
    "OC-SORT": "OCSORTTracker",
    "BoT-SORT": "BoTSORTTracker",
    "C-BIoU": "CBIoUTracker",
}
NAMES = tuple(_CLASSES)


class LibraryTracker:
    """A tracker of the library, which is given squares about the points.

    Rows of tracks are detections, and predictions of confirmed tracks for some frames without one.

    Args:
        name: One of ``NAMES``.
        by_centre: Compare centres, 1 - distance / side, instead of the overlap of the squares.
        settings: ``side_px`` of the squares; ``min_score`` below which detections are not used;
            ``coast``, frames without a detection in which a track is still shown; the others are
            arguments of the library's class.
    """

    def __init__(self, name: str, *, by_centre: bool, settings: Settings) -> None:
        """Start without tracks."""
        arguments = dict(settings)
        self._side_px = arguments.pop("side_px")
        self._min_score, self._coast = arguments.pop("min_score"), arguments.pop("coast")
        if name == "BoT-SORT":
            arguments["enable_cmc"] = False  # It needs images; detections are registered already.
        if name in ("BoT-SORT", "C-BIoU"):
            arguments["instant_first_frame_activation"] = False
            for stage in ("second", "unconfirmed"):
                arguments[f"minimum_iou_threshold_{stage}_assoc"] = arguments[
                    "minimum_iou_threshold_first_assoc"
                ]
        self._detections = importlib.import_module("supervision").Detections
        tracker_class = getattr(importlib.import_module("trackers"), _CLASSES[name])
        self._tracker = tracker_class(frame_rate=_FRAME_RATE, **arguments)
        if by_centre and name == "C-BIoU":
            for stage in ("first", "second"):
                reach = 1 + 2 * arguments[f"buffer_ratio_{stage}"]
                setattr(self._tracker, f"iou_{stage}", _centre_similarity(reach * self._side_px))
        elif by_centre:
            self._tracker.iou = _centre_similarity(self._side_px)

    def step(self, xy: Float, scores: FloatArray) -> TrackedPoints:
        """Take in the next frame."""
        rows = np.flatnonzero(scores >= self._min_score)
        half = self._side_px / 2
        given = self._detections(
            xyxy=np.concatenate([xy[rows] - half, xy[rows] + half], axis=1),
            confidence=scores[rows],
            data={"row": rows},
        )
        tracked = self._tracker.update(given)
        found = [
            (int(track_id) + 1, xy[row], int(row))
            for track_id, row in zip(tracked.tracker_id, tracked.data.get("row", ()), strict=True)
            if track_id >= 0
        ]
        seen = {track_id for track_id, _, _ in found}
        for track in self._tracker.tracks:
            is_coasting = 0 < track.time_since_update <= self._coast
            if is_coasting and track.tracker_id >= 0 and track.tracker_id + 1 not in seen:
                box = track.get_state_bbox()
                found.append((int(track.tracker_id) + 1, (box[:2] + box[2:]) / 2, -1))
        return TrackedPoints.of(found)


def _centre_similarity(reach_px: float) -> Any:
    """Return the library's measure of similarity max(0, 1 - distance / reach)."""
    base: Any = importlib.import_module("trackers").BaseIoU

    class CentreSimilarity(base):  # type: ignore[misc]
        def _compute(self, boxes_1: Float, boxes_2: Float) -> Float:
            first, second = (boxes[:, :2] + boxes[:, 2:] for boxes in (boxes_1, boxes_2))
            distances = np.linalg.norm(first[:, None] - second[None], axis=2) / 2
            similar: Float = np.maximum(0, 1 - distances / reach_px)
            return similar

    return CentreSimilarity()
