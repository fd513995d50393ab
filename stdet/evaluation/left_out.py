"""Scores of trainings that each left out other sequences, of each on its own and of all together.

Where a fold is scored at an operating point, that is the score at which the other folds have
``TRANSFER_RATE`` false alarms per frame, so that it is chosen on nothing that it is applied to.
The other folds' parts of the same source choose it; where they have none, all that they left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stdet.config import EvaluationConfig, TrackerConfig
from stdet.evaluation.from_model import rescore_results, track_results
from stdet.evaluation.report import Report, report_summaries, score_summaries
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.detection.pd_fa import join_incremental, match_incrementally
from stdet.metrics.detection.roc import score_at
from stdet.metrics.scores import Scores
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.summary import SequenceSummary, so_scale_px_of, summarise

TRANSFER_RATE = 0.05
"""False alarms per frame of the other folds at a fold's operating point."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOutPart:
    """What one fold left out of one source.

    Attributes:
        fold: Name.
        source: Name.
        results: By the detector alone, at least one; without tracks.
        rules: Of this source.
        has_extents: Whether the boxes of its labels are the targets' extents, so that overlaps
            say something.
    """

    fold: str
    source: str
    results: tuple[SequenceResult, ...]
    rules: EvaluationConfig
    has_extents: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class PartScores:
    """Scores of sequences that were left out.

    Attributes:
        num_sequences: How many.
        num_frames: Of all of them.
        confidence: Operating point that was transferred, NaN where folds have their own.
        transferred: Scores at it.
        stored: Scores at the operating point of the configuration, None where it has none.
    """

    num_sequences: int
    num_frames: int
    confidence: float
    transferred: Scores
    stored: Scores | None


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceScores:
    """Scores of all that folds left out of one source.

    Attributes:
        source: Name.
        has_extents: As of its parts.
        folds: Each fold on its own, by name.
        reports: Likewise, every score at the transferred operating point.
        pooled: All detections scored together.
        pooled_included: Likewise, of what the configuration does not exclude from training; None
            where that is all, or nothing.
    """

    source: str
    has_extents: bool
    folds: Mapping[str, PartScores]
    reports: Mapping[str, Report]
    pooled: PartScores
    pooled_included: PartScores | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Counted:
    """The sequences of one part, counted at both operating points."""

    part: LeftOutPart
    confidence: float
    transferred: list[SequenceSummary]
    stored: list[SequenceSummary]


def score_left_out(
    parts: Sequence[LeftOutPart],
    tracker: TrackerConfig,
    *,
    confidence: float | None,
    excluded: Mapping[str, Collection[str]],
) -> list[SourceScores]:
    """Score what folds left out, by source.

    Args:
        parts: Of at least two folds; a sequence is in one of them.
        tracker: Gives track-before-detect scores and tracks.
        confidence: Operating point to score all parts at beside the transferred one, if any.
        excluded: By source, the sequences that the configuration excludes from training anyway.

    Returns:
        In the order in which ``parts`` has the sources first.
    """
    results = [tuple(rescore_results(part.results, tracker)) for part in parts]
    thresholds = transferred_thresholds(
        [replace(part, results=found) for part, found in zip(parts, results, strict=True)]
    )
    sources = dict.fromkeys(part.source for part in parts)
    scales = {
        source: so_scale_px_of(
            result.annotation for part in parts if part.source == source for result in part.results
        )
        for source in sources
    }
    counted = [
        _count(
            replace(part, results=rescored),
            part.results,
            tracker,
            points=(threshold, confidence),
            so_scale_px=scales[part.source],
        )
        for part, rescored, threshold in zip(parts, results, thresholds, strict=True)
    ]
    return [
        _score_source([c for c in counted if c.part.source == source], excluded.get(source, ()))
        for source in sources
    ]


def transferred_thresholds(parts: Sequence[LeftOutPart]) -> list[float]:
    """Return the operating point of each part, chosen on the parts of other folds.

    Args:
        parts: With the scores that the operating points are of.
    """
    matches = [
        [match_incrementally(r, rule=hit_rule(part.rules)) for r in part.results] for part in parts
    ]
    thresholds = []
    for part in parts:
        others = [number for number, p in enumerate(parts) if p.fold != part.fold]
        same = [number for number in others if parts[number].source == part.source]
        curve = join_incremental([m for number in same or others for m in matches[number]])
        thresholds.append(score_at(curve, false_alarms=TRANSFER_RATE * curve.num_frames))
    return thresholds


def _count(
    part: LeftOutPart,
    as_detected: Sequence[SequenceResult],
    tracker: TrackerConfig,
    *,
    points: tuple[float, float | None],
    so_scale_px: float,
) -> _Counted:
    """Track and count the sequences of one part at the transferred point and the stored one."""
    threshold, confidence = points

    def count(at: float) -> list[SequenceSummary]:
        tracked = track_results(part.results, tracker, confidence=at, as_detected=as_detected)
        return [
            summarise(
                replace(result, is_tracked=True),
                part.rules,
                confidence=at,
                so_scale_px=so_scale_px,
            )
            for result in tracked
        ]

    return _Counted(
        part=part,
        confidence=threshold,
        transferred=count(threshold),
        stored=[] if confidence is None else count(confidence),
    )


def _score_source(counted: Sequence[_Counted], excluded: Collection[str]) -> SourceScores:
    """Score the parts of one source, each and together."""
    everything = [s.name for c in counted for s in c.transferred]
    included = [name for name in everything if name not in excluded]
    is_split = 0 < len(included) < len(everything)
    return SourceScores(
        source=counted[0].part.source,
        has_extents=counted[0].part.has_extents,
        folds={c.part.fold: _score([c], everything) for c in counted},
        reports={
            c.part.fold: report_summaries(c.transferred, c.part.rules, confidence=c.confidence)
            for c in counted
        },
        pooled=_score(counted, everything),
        pooled_included=_score(counted, included) if is_split else None,
    )


def _score(counted: Sequence[_Counted], names: Collection[str]) -> PartScores:
    """Score the named sequences of some parts together."""
    rules = counted[0].part.rules
    transferred = [s for c in counted for s in c.transferred if s.name in names]
    stored = [s for c in counted for s in c.stored if s.name in names]
    return PartScores(
        num_sequences=len(transferred),
        num_frames=sum(summary.pd_fa.num_frames for summary in transferred),
        confidence=counted[0].confidence if len(counted) == 1 else math.nan,
        transferred=score_summaries(transferred, rules),
        stored=score_summaries(stored, rules) if stored else None,
    )
