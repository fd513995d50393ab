"""What turns the detections of a sequence into tracks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stdet.config import TrackerConfig
from stdet.evaluation.from_model import rescore_results, track_results
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import Tracks

STDET_CONFIDENCE = 0.5
"""The operating point of `stdet_n`."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A tracker with its settings.

    Attributes:
        name: As tables print it.
        track: From a sequence's detections, and the motion of the camera where it is known, to
            its tracks.
    """

    name: str
    track: Callable[[SequenceResult], Tracks]


def stdet(name: str, config: TrackerConfig) -> Contender:
    """Return scores by paths and the tracker, as `stdet track` uses them."""

    def track(sequence: SequenceResult) -> Tracks:
        rescored = rescore_results([sequence], config)
        (tracked,) = track_results(rescored, config, confidence=STDET_CONFIDENCE)
        return tracked.tracks

    return Contender(name=name, track=track)


def own_contenders() -> list[Contender]:
    """Return the trackers of this checkout."""
    return [stdet("stdet", TrackerConfig())]
