"""One tracker on a stream of very many frames: memory of the process, and speed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from benchmarks.tracking.contenders import STDET_CONFIDENCE
from benchmarks.tracking.families import FAMILIES
from benchmarks.tracking.sequences import FPS, make_sequence
from stdet.config import TrackerConfig
from stdet.tracking.judge import TrackJudge
from stdet.tracking.lifetimes import longest_gap
from stdet.tracking.tracker import Tracker
from stdet.types import Detections

NUM_TARGETS = 10
PART_FRAMES, NUM_PARTS = 500, 40
"""The stream repeats so many parts; with each, all targets are gone and as many others there."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What was measured since the stretch before.

    Attributes:
        num_frames: Since the start.
        num_tracks: Ids that were given since the start.
        megabytes: Resident memory of the process at the end of the stretch.
        frames_per_second: Of processor time, tracker and judge.
    """

    num_frames: int
    num_tracks: int
    megabytes: float
    frames_per_second: float

    def __str__(self) -> str:
        """Return a line of the table."""
        return (
            f"{self.num_frames:>10}{self.num_tracks:>9}{self.megabytes:>9.1f}"
            f"{self.frames_per_second:>9.0f}"
        )


HEADER = f"{'frames':>10}{'tracks':>9}{'MB':>9}{'fps':>9}"


def endure(num_frames: int, every: int) -> Iterator[Stretch]:
    """Track and judge one stream; targets come and go, with two false alarms a frame.

    Args:
        num_frames: Of the stream.
        every: Frames of a stretch.
    """
    config = TrackerConfig()
    tracker = Tracker.for_stream(config)
    judge = TrackJudge(FPS, longest_gap=longest_gap(config))
    waiting: list[Detections] = []
    num_tracks, seconds, first = 0, 0.0, 0
    for found in frames(num_frames):
        begin = time.process_time()
        waiting.append(found)
        tracks = tracker.update(found, confidence=STDET_CONFIDENCE)
        if len(waiting) > tracker.lookahead:
            judge.judge(tracks, waiting.pop(0))
        seconds += time.process_time() - begin
        num_tracks = max(num_tracks, int(tracks.track_ids.max(initial=0)))
        last = found.frame_index + 1
        if last % every == 0 or last == num_frames:
            yield Stretch(
                num_frames=last,
                num_tracks=num_tracks,
                megabytes=resident_megabytes(),
                frames_per_second=(last - first) / seconds,
            )
            seconds, first = 0.0, last


def frames(num_frames: int) -> Iterator[Detections]:
    """Yield the detections of a long stream."""
    for first in range(0, num_frames, PART_FRAMES):
        part = _part(first // PART_FRAMES % NUM_PARTS)
        for found in part[: num_frames - first]:
            yield replace(found, frame_index=first + found.frame_index)


@lru_cache(maxsize=NUM_PARTS)
def _part(number: int) -> Sequence[Detections]:
    family = replace(FAMILIES[0], name="a long stream", num_targets=NUM_TARGETS)
    return make_sequence(family, number, num_frames=PART_FRAMES).detections


def resident_megabytes() -> float:
    """Return the resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * _PAGE_BYTES / 1e6
