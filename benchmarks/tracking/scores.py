"""Scores of tracks, and their mean and interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from benchmarks.tracking.contenders import Contender
from benchmarks.tracking.sequences import BOX_PX
from stdet.config import EvaluationConfig
from stdet.metrics.false_alarm_rate import SECONDS_PER_HOUR, HourlyRate
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.clear_identity_hota import count_tracking
from stdet.metrics.tracking.hota import count_so_hota
from stdet.metrics.tracking.track_quality import count_track_quality

GATE_PX = EvaluationConfig().track_gate_px


@dataclass(frozen=True, kw_only=True)
class SequenceScores:
    """Of one tracker on one sequence.

    Attributes:
        hota: With the similarity of ``stdet evaluate``.
        so_hota: With the similarity exp(-d / S), S the side of the generated boxes.
        idf1: 0 to 1.
        switches: Number of them.
        false_tracks: Tracks of which less than half of the rows match a target.
        video_seconds: How long the sequence lasts.
        tracking_seconds: Processor time of the tracker.
        num_frames: Of the sequence.
    """

    hota: float
    so_hota: float
    idf1: float
    switches: int
    false_tracks: int
    video_seconds: float
    tracking_seconds: float
    num_frames: int


def score(contender: Contender, sequence: SequenceResult) -> SequenceScores:
    """Track a sequence and compare the tracks with its truth."""
    begin = contender.clock()
    tracks = contender.track(sequence)
    tracking_seconds = contender.clock() - begin
    counts = count_tracking(sequence.annotation, tracks, gate_px=GATE_PX)
    so_counts = count_so_hota(sequence.annotation, tracks, scale_px=BOX_PX, gate_px=GATE_PX)
    quality = count_track_quality(sequence.annotation, tracks, gate_px=GATE_PX)
    return SequenceScores(
        hota=counts.hota.hota,
        so_hota=so_counts.hota,
        idf1=counts.idf1,
        switches=counts.id_switches,
        false_tracks=quality.num_false_tracks,
        video_seconds=quality.seconds,
        tracking_seconds=tracking_seconds,
        num_frames=quality.num_frames,
    )


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Over sequences.

    Attributes:
        mean: Of the values.
        half_width: Of its 95 % interval by Student's t; NaN of one value.
    """

    mean: float
    half_width: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Return the mean of at least one value."""
        num = len(values)
        spread = float(np.std(values, ddof=1)) if num > 1 else math.nan
        reach = float(t.ppf(0.975, num - 1)) if num > 1 else math.nan
        return cls(mean=float(np.mean(values)), half_width=reach * spread / math.sqrt(num))


@dataclass(frozen=True, kw_only=True)
class FamilyScores:
    """Of one tracker on the sequences of one family.

    Attributes:
        hota: Over sequences.
        so_hota: Over sequences.
        idf1: Over sequences.
        switches: Per sequence.
        false_tracks_per_minute: Over all of them, and its 95 % interval.
        frames_per_second: Tracked in a second of processor time.
    """

    hota: Mean
    so_hota: Mean
    idf1: Mean
    switches: float
    false_tracks_per_minute: tuple[float, float, float]
    frames_per_second: float

    @classmethod
    def of(cls, scores: Sequence[SequenceScores]) -> FamilyScores:
        """Return the scores of at least one sequence."""
        hourly = HourlyRate.of(
            sum(one.false_tracks for one in scores),
            seconds=sum(one.video_seconds for one in scores),
        )
        minutes = SECONDS_PER_HOUR / 60
        seconds = sum(one.tracking_seconds for one in scores)
        return cls(
            hota=Mean.of([one.hota for one in scores]),
            so_hota=Mean.of([one.so_hota for one in scores]),
            idf1=Mean.of([one.idf1 for one in scores]),
            switches=float(np.mean([one.switches for one in scores])),
            false_tracks_per_minute=(
                hourly.rate / minutes,
                hourly.low / minutes,
                hourly.high / minutes,
            ),
            frames_per_second=sum(one.num_frames for one in scores) / seconds,
        )
