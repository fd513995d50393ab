"""The tracker of this checkout, as `stdet track` and `stdet track --smooth` use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stdet.config import TrackerConfig
from stdet.evaluation.from_model import track_detections
from stdet.metrics.sequence_result import SequenceResult
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.tracking.offline import smooth_tracks
from stdet.types import Detections, Tracks

SMOOTHED = "stdet --smooth"
"""The name of the one contender that is offline."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    """A frame of a sequence that was tracked, as ``smooth_tracks`` wants it."""

    index: int
    follows_gap: bool
    from_previous: FrameMotion
    detections: Detections
    tracks: Tracks


def track_with_stdet(settings: Mapping[str, Any], sequence: SequenceResult) -> Tracks:
    """Track with default settings.

    Args:
        settings: ``confidence``, the operating point.
        sequence: To be tracked.
    """
    return track_detections(
        sequence.detections,
        TrackerConfig(),
        confidence=settings["confidence"],
        motions=sequence.motions,
    )


def smooth_with_stdet(settings: Mapping[str, Any], sequence: SequenceResult) -> Tracks:
    """Return what ``track_with_stdet`` does, smoothed offline: it looks at all later frames."""
    tracks = track_with_stdet(settings, sequence)
    motions = sequence.motions or [NOT_REGISTERED] * len(sequence.detections)
    return smooth_tracks(
        [
            _Frame(
                index=index,
                follows_gap=False,
                from_previous=motion,
                detections=found,
                tracks=tracks.at_frame(index),
            )
            for index, (found, motion) in enumerate(zip(sequence.detections, motions, strict=True))
        ]
    )
