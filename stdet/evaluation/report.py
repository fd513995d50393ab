"""The report: every score of a set of sequences, as dataclasses, JSON and a table."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stdet.config import EvaluationConfig
from stdet.data.part_file import PartFile
from stdet.errors import DataError
from stdet.evaluation.average_precision import PrecisionRecall, average_precision
from stdet.evaluation.linking import identify_truth
from stdet.evaluation.mot import TrackingCounts, count_tracking
from stdet.evaluation.pd_fa import PdFa, score_curve, sequence_pd_fa
from stdet.evaluation.sequence_result import SequenceResult, detections_from_tracks

__all__ = [
    "DetectionScores",
    "PdFaScores",
    "Report",
    "Rules",
    "Scores",
    "SequenceResult",
    "TrackingScores",
    "best_confidence",
    "detections_from_tracks",
    "evaluate_sequences",
    "format_table",
    "write_report",
]

F1_TOLERANCE = 0.01
"""Loss of F1 that counts as none when an operating point is chosen."""

_COLUMNS_PER_BLOCK = 6


@dataclass(frozen=True, kw_only=True)
class DetectionScores:
    """Detection scores; NaN where undefined.

    Attributes:
        map50: COCO average precision at IoU 0.5.
        map50_95: COCO average precision, mean over IoU 0.50 to 0.95.
        precision: At the confidence of the report, hits by centre distance.
        recall: Likewise.
        f1: Likewise.
        legacy: The paper protocol; see ``average_precision``.
    """

    map50: float
    map50_95: float
    precision: float
    recall: float
    f1: float
    legacy: PrecisionRecall


@dataclass(frozen=True, kw_only=True)
class PdFaScores:
    """Detection probability and false-alarm rates at the confidence of the report."""

    pd: float
    false_alarms_per_frame: float
    false_alarms_per_pixel: float
    false_area_fraction: float


@dataclass(frozen=True, kw_only=True)
class TrackingScores:
    """Tracking scores; attributes as in ``TrackingCounts`` and ``HotaCounts``."""

    mota: float
    motp_px: float
    idf1: float
    id_switches: int
    hota: float
    deta: float
    assa: float
    fragmentations: int
    mostly_tracked: int
    mostly_lost: int


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of one sequence, or of all of them together."""

    detection: DetectionScores
    pd_fa: PdFaScores
    tracking: TrackingScores


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the scores depend on.

    Attributes:
        confidence: Score threshold of precision, recall, F1, Pd and Fa.
        pd_radius_px: A detection hits strictly closer than this, pixels.
        track_gate_px: Largest distance of a track match, pixels, inclusive.
        link_gate_px: Largest step when truth was linked, pixels.
        num_frames: Frames, with and without targets.
        num_targets: True targets that are not ignored.
        linked_sequences: Names of sequences whose identities were guessed by linking the truth.
    """

    confidence: float
    pd_radius_px: float
    track_gate_px: float
    link_gate_px: float
    num_frames: int
    num_targets: int
    linked_sequences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Scores over all sequences (counts added, not scores averaged) and of each one."""

    overall: Scores
    per_sequence: Mapping[str, Scores]
    rules: Rules

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN, which JSON does not know, becomes None."""
        per_sequence = {
            name: dataclasses.asdict(scores) for name, scores in self.per_sequence.items()
        }
        plain: dict[str, Any] = _without_nan(
            {
                **dataclasses.asdict(self.overall),
                "per_sequence": per_sequence,
                "rules": dataclasses.asdict(self.rules),
            }
        )
        return plain


def evaluate_sequences(
    results: Sequence[SequenceResult], config: EvaluationConfig, *, confidence: float
) -> Report:
    """Compute every score.

    Args:
        results: Truth, detections and tracks of each sequence.
        config: Radius and gates.
        confidence: Score threshold of precision, recall, F1, Pd and Fa; mAP uses all detections.

    Returns:
        The report.

    Raises:
        DataError: If there is no sequence or two have the same name.
    """
    names = [result.annotation.name for result in results]
    if not names:
        raise DataError("evaluation: got no sequences; expected at least one. Check the data set.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"evaluation: more than one sequence is named {twice[0]!r}; expected unique names. "
            "Rename one of them."
        )
    pd_fa_total, tracking_total = PdFa(), TrackingCounts()
    per_sequence, linked = {}, []
    for result in results:
        truth = identify_truth(result.annotation, link_gate_px=config.link_gate_px)
        if truth.is_linked:
            linked.append(result.annotation.name)
        tracking = count_tracking(truth.annotation, result.tracks, gate_px=config.track_gate_px)
        pd_fa = sequence_pd_fa(result, radius_px=config.pd_radius_px, confidence=confidence)
        per_sequence[result.annotation.name] = _scores([result], pd_fa, tracking)
        pd_fa_total += pd_fa
        tracking_total += tracking
    return Report(
        overall=_scores(results, pd_fa_total, tracking_total),
        per_sequence=per_sequence,
        rules=Rules(
            confidence=float(confidence),
            pd_radius_px=config.pd_radius_px,
            track_gate_px=config.track_gate_px,
            link_gate_px=config.link_gate_px,
            num_frames=pd_fa_total.num_frames,
            num_targets=pd_fa_total.num_targets,
            linked_sequences=tuple(linked),
        ),
    )


def best_confidence(results: Sequence[SequenceResult], config: EvaluationConfig) -> float:
    """Find a score threshold with nearly the best F1 by centre distance.

    Near its maximum F1 is a plateau, wide where a detector tells targets from clutter well. Its
    ends are the scores of the weakest targets and of the strongest clutter of just this footage;
    the middle keeps the same distance from both, and so holds on other footage the longest.

    Args:
        results: Truth and detections of each sequence; tracks are not looked at.
        config: Gives the radius of a hit.

    Returns:
        The middle of the range of thresholds about the best one whose F1 is within
        ``F1_TOLERANCE`` of it; detections with at least this score count. 1.0 where nothing was
        hit.
    """
    curve = score_curve(results, radius_px=config.pd_radius_px)
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


def format_table(report: Report) -> str:
    """Return the report as text: a row per score, a column per sequence, overall first."""
    columns = {"overall": report.overall, **report.per_sequence}
    names, cells = list(columns), [_cells(scores) for scores in columns.values()]
    lines: list[str] = []
    for start in range(0, len(names), _COLUMNS_PER_BLOCK):
        block = slice(start, start + _COLUMNS_PER_BLOCK)
        widths = [max(9, len(name)) for name in names[block]]
        for label, values in [
            ("", names[block]),
            *((label, [cell[label] for cell in cells[block]]) for label in cells[0]),
        ]:
            padded = [f"{v:>{width}}" for v, width in zip(values, widths, strict=True)]
            lines.append(f"{label:<20}" + "  ".join(padded))
        lines.append("")
    rules = report.rules
    lines.append(
        f"{rules.num_frames} frames, {rules.num_targets} targets. P, R, F1, Pd, Fa at score >= "
        f"{rules.confidence:.3g}, hits at centre distance < {rules.pd_radius_px:g} px."
    )
    lines.append(
        f"Tracking by centre distance, gate {rules.track_gate_px:g} px. Legacy P, R, F1 are the "
        "paper protocol, no operating point."
    )
    if rules.linked_sequences:
        lines.append(
            f"Identities made by linking the truth (steps up to {rules.link_gate_px:g} px): "
            f"{', '.join(rules.linked_sequences)}."
        )
    return "\n".join(lines) + "\n"


def write_report(path: Path, report: Report) -> None:
    """Write the report as JSON, beside ``path`` and renamed.

    Raises:
        DataError: If the file cannot be written.
    """
    with PartFile(path) as file:
        file.write(json.dumps(report.to_dict(), indent=2) + "\n")


def _scores(results: Sequence[SequenceResult], pd_fa: PdFa, tracking: TrackingCounts) -> Scores:
    """Turn counts into scores."""
    precision = average_precision(results)
    return Scores(
        detection=DetectionScores(
            map50=precision.map50,
            map50_95=precision.map50_95,
            precision=pd_fa.precision,
            recall=pd_fa.recall,
            f1=pd_fa.f1,
            legacy=precision.legacy,
        ),
        pd_fa=PdFaScores(
            pd=pd_fa.pd,
            false_alarms_per_frame=pd_fa.false_alarms_per_frame,
            false_alarms_per_pixel=pd_fa.false_alarms_per_pixel,
            false_area_fraction=pd_fa.false_area_fraction,
        ),
        tracking=TrackingScores(
            mota=tracking.mota,
            motp_px=tracking.motp_px,
            idf1=tracking.idf1,
            id_switches=tracking.id_switches,
            hota=tracking.hota.hota,
            deta=tracking.hota.deta,
            assa=tracking.hota.assa,
            fragmentations=tracking.fragmentations,
            mostly_tracked=tracking.mostly_tracked,
            mostly_lost=tracking.mostly_lost,
        ),
    )


def _cells(scores: Scores) -> dict[str, str]:
    """Return the rows of the table for one column."""
    detection, pd_fa, tracking = scores.detection, scores.pd_fa, scores.tracking
    rows: dict[str, float] = {
        "mAP50": detection.map50,
        "mAP50:95": detection.map50_95,
        "precision": detection.precision,
        "recall = Pd": detection.recall,
        "F1": detection.f1,
        "legacy precision": detection.legacy.precision,
        "legacy recall": detection.legacy.recall,
        "legacy F1": detection.legacy.f1,
        "Fa per frame": pd_fa.false_alarms_per_frame,
        "Fa per 1e6 pixels": pd_fa.false_alarms_per_pixel * 1e6,
        "false area (1e-6)": pd_fa.false_area_fraction * 1e6,
        "MOTA": tracking.mota,
        "MOTP (px)": tracking.motp_px,
        "IDF1": tracking.idf1,
        "HOTA": tracking.hota,
        "DetA": tracking.deta,
        "AssA": tracking.assa,
        "ID switches": tracking.id_switches,
        "fragmentations": tracking.fragmentations,
        "mostly tracked": tracking.mostly_tracked,
        "mostly lost": tracking.mostly_lost,
    }
    return {label: _cell(value) for label, value in rows.items()}


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.4f}"


def _without_nan(value: Any) -> Any:
    """Replace NaN by None, in dicts and sequences of any depth."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
