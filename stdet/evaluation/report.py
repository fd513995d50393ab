"""The report: every score of a set of sequences, with intervals, as dataclasses and JSON."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from stdet.config import EvaluationConfig
from stdet.errors import DataError
from stdet.files.atomic_file import AtomicFile
from stdet.formats.published_lists import identify
from stdet.metrics.bootstrap import Bootstrap, bootstrap
from stdet.metrics.counts import without_nan
from stdet.metrics.detection.average_precision import average_precision
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.detection.pd_fa import PdFa, join_incremental, score_curve
from stdet.metrics.detection.ranking import RankedHits
from stdet.metrics.detection.roc import partial_area, pd_at
from stdet.metrics.false_alarm_rate import HourlyRate
from stdet.metrics.scores import (
    DetectionScores,
    OverlapTrackingScores,
    PdFaScores,
    RocScores,
    Rules,
    Scores,
    TrackingScores,
)
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.summary import SequenceSummary, so_scale_px_of, summarise
from stdet.metrics.tracking.clear_identity_hota import TrackingCounts
from stdet.metrics.tracking.hota import HotaCounts, TargetSizes
from stdet.metrics.tracking.track_quality import TrackQuality
from stdet.metrics.truth_digest import digest_all

ROC_FALSE_ALARMS_PER_PIXEL = {"1e-6": 1e-6, "1e-5": 1e-5, "1e-4": 1e-4}
"""Rates at which Pd is read off the ROC; those per frame are a setting."""

F1_TOLERANCE = 0.01
"""Loss of F1 that counts as none when an operating point is chosen."""

_AnyScores = TypeVar("_AnyScores", TrackingScores, OverlapTrackingScores)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Scores over all sequences (counts added, not scores averaged) and of each one.

    Attributes:
        overall: All sequences together.
        per_sequence: By name.
        subsets: Sequences that share something, under a name that says what.
        members: Names of the sequences of each subset.
        rules: What the scores depend on.
        bootstrap: Headline numbers of resampled sequences.
    """

    overall: Scores
    per_sequence: Mapping[str, Scores]
    subsets: Mapping[str, Scores]
    members: Mapping[str, Collection[str]]
    rules: Rules
    bootstrap: Bootstrap

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN, which JSON does not know, becomes None."""
        per_sequence = {
            name: dataclasses.asdict(scores) for name, scores in self.per_sequence.items()
        }
        plain: dict[str, Any] = without_nan(
            {
                **dataclasses.asdict(self.overall),
                "per_sequence": per_sequence,
                "subsets": {
                    name: dataclasses.asdict(scores) for name, scores in self.subsets.items()
                },
                "rules": dataclasses.asdict(self.rules),
                "intervals": self.bootstrap.intervals(),
                "bootstrap": {
                    "sequences": self.bootstrap.sequences,
                    "values": {
                        name: [float(f"{value:.9g}") for value in values.tolist()]
                        for name, values in self.bootstrap.values.items()
                    },
                },
            }
        )
        return plain


def evaluate_sequences(
    results: Sequence[SequenceResult],
    config: EvaluationConfig,
    *,
    confidence: float,
    subsets: Mapping[str, Collection[str]] | None = None,
    is_drawn: bool = False,
) -> Report:
    """Compute every score.

    Args:
        results: Truth, detections and tracks of each sequence.
        config: Rule of a hit, and gates.
        confidence: Score threshold of precision, recall, F1, Pd and Fa; mAP uses all detections.
        subsets: Names of sequences to score together once more, under a name for each such set;
            None for no such.
        is_drawn: Whether the frames are generated, so that no score on them passes for one on the
            data set that their labels are of.

    Returns:
        The report.

    Raises:
        DataError: If there is no sequence or two have the same name.
    """
    require_unique_names([result.annotation.name for result in results])
    scale_px = so_scale_px_of(result.annotation for result in results)
    summaries = [
        summarise(result, config, confidence=confidence, so_scale_px=scale_px)
        for result in results
    ]
    report = report_summaries(summaries, config, confidence=confidence, subsets=subsets)
    if is_drawn:
        known = report.rules.labels
        labels = f"drawn frames for the labels of {known}" if known else "drawn frames"
        return replace(report, rules=replace(report.rules, labels=labels))
    return report


def report_summaries(
    summaries: Sequence[SequenceSummary],
    config: EvaluationConfig,
    *,
    confidence: float,
    subsets: Mapping[str, Collection[str]] | None = None,
) -> Report:
    """Compute every score of sequences that are counted; see ``evaluate_sequences``."""

    def scores_of(names: Collection[str]) -> Scores:
        return score_summaries([s for s in summaries if s.name in names], config)

    truths = {summary.name: summary.truth for summary in summaries}
    published = identify(truths)
    return Report(
        overall=score_summaries(summaries, config),
        subsets={name: scores_of(members) for name, members in (subsets or {}).items()},
        members=subsets or {},
        per_sequence={summary.name: score_summaries([summary], config) for summary in summaries},
        rules=Rules(
            confidence=float(confidence),
            hit_rule=config.hit_rule,
            pd_radius_px=config.pd_radius_px,
            hit_box_share=config.hit_box_share,
            hit_iou=config.hit_iou,
            track_gate_px=config.track_gate_px,
            so_scale_px=summaries[0].so_scale_px,
            link_gate_px=config.link_gate_px,
            roc_max_false_alarms_per_frame=config.roc_max_false_alarms_per_frame,
            num_frames=sum(summary.pd_fa.num_frames for summary in summaries),
            num_targets=sum(summary.pd_fa.num_targets for summary in summaries),
            truth_sha256=digest_all(truths),
            labels="" if published is None else str(published),
            linked_sequences=tuple(s.name for s in summaries if s.is_linked),
            untracked_sequences=tuple(s.name for s in summaries if not s.is_tracked),
        ),
        bootstrap=bootstrap(summaries),
    )


def require_unique_names(names: Sequence[str]) -> None:
    """Refuse sequences that cannot be told apart, and none at all.

    Raises:
        DataError: If there is no sequence or two have the same name.
    """
    if not names:
        raise DataError("evaluation: got no sequences; expected at least one. Check the data set.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"evaluation: more than one sequence is named {twice[0]!r}; expected unique names. "
            "Rename one of them."
        )


def named_subsets(names: Sequence[str], patterns: Mapping[str, str]) -> dict[str, list[str]]:
    """Group sequences by patterns of their names; a pattern that none matches gives no group.

    Args:
        names: Of all sequences.
        patterns: Titles and patterns, such as ``{"SCR 1 to 3": "scr1to3_*"}``.

    Example:
        >>> named_subsets(["a_1", "b_1"], {"first": "a_*", "none": "c*"})
        {'first': ['a_1']}
    """
    chosen = {title: fnmatch.filter(names, pattern) for title, pattern in patterns.items()}
    return {title: members for title, members in chosen.items() if members}


def best_confidence(results: Sequence[SequenceResult], config: EvaluationConfig) -> float:
    """Find a score threshold with nearly the best F1.

    Near its maximum F1 is a plateau, wide where a detector tells targets from clutter well. Its
    ends are the scores of the weakest targets and of the strongest clutter of just this footage;
    the middle keeps the same distance from both, and so holds on other footage the longest.

    Args:
        results: Truth and detections of each sequence; tracks are not looked at.
        config: Gives the rule of a hit.

    Returns:
        The middle of the range of thresholds about the best one whose F1 is within
        ``F1_TOLERANCE`` of it; detections with at least this score count. 1.0 where nothing was
        hit.
    """
    curve = score_curve(results, rule=hit_rule(config))
    if not curve.num_hits.any():
        return 1.0
    f1 = 2 * curve.num_hits / (curve.num_targets + curve.num_hits + curve.num_false_alarms)
    best = int(np.argmax(f1))
    is_worse = np.flatnonzero(f1 < f1[best] - F1_TOLERANCE)
    first = max(is_worse[is_worse < best], default=-1) + 1
    end = min(is_worse[is_worse > best], default=len(f1))
    # Any threshold above the next lower score gives the same counts as the last one inside.
    lowest = float(curve.scores[end]) if end < len(f1) else float(curve.scores[-1])
    return (float(curve.scores[first]) + lowest) / 2


class Reportable(Protocol):
    """What ``write_report`` writes: a report of boxes, of masks or of protocols."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""


def write_report(path: Path, report: Reportable, *, protocols: Reportable | None = None) -> None:
    """Write a report as JSON, beside ``path`` and renamed.

    Args:
        path: The file.
        report: Of boxes or of masks.
        protocols: Goes under the key ``protocols``; None leaves the key out.

    Raises:
        DataError: If the file cannot be written.
    """
    content = report.to_dict()
    if protocols is not None:
        content["protocols"] = protocols.to_dict()
    with AtomicFile(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")


def score_summaries(summaries: Sequence[SequenceSummary], config: EvaluationConfig) -> Scores:
    """Score a set of sequences together.

    Args:
        summaries: At least one; each may be counted at an operating point of its own.
        config: The rules that they were counted by.
    """
    pd_fa = reduce(add, (summary.pd_fa for summary in summaries), PdFa())
    is_tracked = all(summary.is_tracked for summary in summaries)
    return Scores(
        detection=_detection_scores(summaries, pd_fa),
        pd_fa=_pd_fa_scores(summaries, pd_fa, config),
        tracking=_tracking_scores(summaries, is_tracked=is_tracked),
        tracking_iou=_overlap_tracking_scores(summaries, is_tracked=is_tracked),
    )


def _detection_scores(summaries: Sequence[SequenceSummary], pd_fa: PdFa) -> DetectionScores:
    precision = average_precision([summary.by_class for summary in summaries])
    return DetectionScores(
        map50=precision.map50,
        map50_95=precision.map50_95,
        ap_distance={
            key: RankedHits.concatenate([s.by_distance[key] for s in summaries]).average_precision
            for key in summaries[0].by_distance
        },
        ap_area={
            key: RankedHits.concatenate([s.by_area[key] for s in summaries]).average_precision
            for key in summaries[0].by_area
        },
        precision=pd_fa.precision,
        recall=pd_fa.recall,
        f1=pd_fa.f1,
        legacy=precision.legacy,
    )


def _pd_fa_scores(
    summaries: Sequence[SequenceSummary], pd_fa: PdFa, config: EvaluationConfig
) -> PdFaScores:
    curve = join_incremental([summary.matches for summary in summaries])
    seconds = sum(summary.track_quality.seconds for summary in summaries)
    return PdFaScores(
        pd=pd_fa.pd,
        false_alarms_per_hour=HourlyRate.of(pd_fa.num_false_alarms, seconds=seconds),
        false_alarms_per_frame=pd_fa.false_alarms_per_frame,
        false_alarms_per_pixel=pd_fa.false_alarms_per_pixel,
        false_area_fraction=pd_fa.false_area_fraction,
        roc=RocScores(
            pd_at_false_alarms_per_pixel={
                key: pd_at(curve, false_alarms=rate * curve.num_pixels)
                for key, rate in ROC_FALSE_ALARMS_PER_PIXEL.items()
            },
            pd_at_false_alarms_per_frame={
                f"{rate:g}": pd_at(curve, false_alarms=rate * curve.num_frames)
                for rate in config.pd_at_false_alarms
            },
            partial_area=partial_area(
                curve, max_false_alarms_per_frame=config.roc_max_false_alarms_per_frame
            ),
        ),
    )


def _tracking_scores(summaries: Sequence[SequenceSummary], *, is_tracked: bool) -> TrackingScores:
    total = reduce(add, (summary.tracking for summary in summaries), TrackingCounts())
    so_hota = reduce(add, (summary.so_hota for summary in summaries), HotaCounts.zero())
    sizes = reduce(add, (summary.target_sizes for summary in summaries), TargetSizes())
    quality = reduce(add, (summary.track_quality for summary in summaries), TrackQuality())
    scores = TrackingScores(
        mota=total.mota,
        motp_px=total.motp,
        idf1=total.idf1,
        id_switches=total.id_switches,
        hota=total.hota.hota,
        deta=total.hota.deta,
        assa=total.hota.assa,
        loca=total.hota.loca,
        so_hota=so_hota.hota,
        so_deta=so_hota.deta,
        so_assa=so_hota.assa,
        so_scale_px=sizes.scale_px,
        fragmentations=total.fragmentations,
        mostly_tracked=total.mostly_tracked,
        mostly_lost=total.mostly_lost,
        frames_to_confirmation=quality.mean_frames_to_confirmation,
        seconds_to_confirmation=quality.mean_seconds_to_confirmation,
        completeness=quality.completeness,
        purity=quality.purity,
        false_tracks=quality.num_false_tracks,
        false_tracks_per_hour=HourlyRate.of(quality.num_false_tracks, seconds=quality.seconds),
        false_tracks_per_1000_frames=quality.false_tracks_per_1000_frames,
    )
    return scores if is_tracked else _undefined(scores)


def _overlap_tracking_scores(
    summaries: Sequence[SequenceSummary], *, is_tracked: bool
) -> OverlapTrackingScores:
    total = reduce(add, (summary.tracking_iou for summary in summaries), TrackingCounts())
    scores = OverlapTrackingScores(
        mota=total.mota,
        idf1=total.idf1,
        id_switches=total.id_switches,
        hota=total.hota.hota,
        deta=total.hota.deta,
        assa=total.hota.assa,
        loca=total.hota.loca,
    )
    return scores if is_tracked else _undefined(scores)


def _undefined(scores: _AnyScores) -> _AnyScores:
    """Return the same scores, all NaN: output without identities says nothing about tracking."""
    no_rate = HourlyRate.of(0, seconds=float("nan"))
    undefined: dict[str, Any] = {
        f.name: no_rate if isinstance(getattr(scores, f.name), HourlyRate) else float("nan")
        for f in dataclasses.fields(scores)
    }
    return type(scores)(**undefined)
