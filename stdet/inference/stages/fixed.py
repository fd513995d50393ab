"""Leave out what stays at its place of the picture while the scene moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stdet.boxes import centres_xy
from stdet.inference.stages.frames import DetectedFrame
from stdet.inference.stages.stage import Stage
from stdet.registration.fixed_places import FixedPlaces

_LEAST_SCORE = 0.1
"""Of what is learnt from."""
_SURE = 0.8
"""A detection with this score stays all the same: the camera may be locked on a target."""


class LeaveOutFixed(Stage[DetectedFrame, DetectedFrame]):
    """Leave out detections at fixed places; see ``registration/fixed_places.py``.

    A frame is judged by the frames before it. A camera at rest tells nothing.
    """

    name = "fixed"

    def __init__(self) -> None:
        """Know no place."""
        self._places = FixedPlaces()

    def push(self, frame: DetectedFrame, /) -> Iterator[DetectedFrame]:
        """Return the frame without them."""
        if frame.pose is None:
            yield frame
            return
        found = frame.detections
        xy = centres_xy(found.boxes_xyxy)
        is_fixed = self._places.holds(xy) & (found.scores < _SURE)
        self._places.learn(xy[found.scores >= _LEAST_SCORE], frame.pose, found.image_hw)
        yield replace(frame, detections=found[~is_fixed]) if is_fixed.any() else frame
