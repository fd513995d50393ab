"""The tables of the HTML report: headline scores, rules, and a row per sequence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stdet.evaluation.report import Report
from stdet.metrics.bootstrap import HEADLINES
from stdet.metrics.tracking.error_events import ErrorEvents
from stdet.report.tables import PER_MILLION, ROWS, pd_at_rate, score_of

_GROUP_TITLES = {
    "detection": "Detection",
    "pd_fa": "Pd and false alarms",
    "tracking": "Tracking by centre distance",
    "tracking_iou": "Tracking by overlap, a match at IoU 0.5 and more",
}

_NO_SCORES = {"per_sequence", "subsets", "rules", "intervals", "bootstrap"}
"""Parts of ``Report.to_dict()`` that are not scores of all sequences."""

_LABELS = {key: label for label, key in ROWS.items()} | {
    "detection.recall": "recall",
    "pd_fa.pd": "Pd",
    "pd_fa.false_alarms_per_frame": "false alarms per frame",
    "pd_fa.false_alarms_per_pixel": "false alarms per million pixels",
    "pd_fa.false_area_fraction": "false area, millionths of the frames",
    "tracking.motp_px": "MOTP (px, less is better)",
    "tracking.id_switches": "identity switches",
    "tracking.mostly_tracked": "targets mostly tracked (>= 80 %)",
    "tracking.mostly_lost": "targets mostly lost (< 20 %)",
    "tracking_iou.id_switches": "identity switches by IoU",
    "tracking_iou.deta": "DetA by IoU",
    "tracking_iou.assa": "AssA by IoU",
    "tracking_iou.loca": "LocA by IoU",
}


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Scores of one kind.

    Attributes:
        caption: What they are of.
        header: One entry per column.
        rows: Cells, each as long as the header; the first is the label.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number of one sequence.

    Attributes:
        sort_key: The number in full; "" where it is undefined.
        text: As it is shown.
    """

    sort_key: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """A score of every sequence.

    Attributes:
        label: Its heading.
        hint: What it holds.
        cells: One per sequence.
    """

    label: str
    hint: str
    cells: tuple[Cell, ...]


def summary_tables(
    report: Report, intervals: Mapping[str, tuple[float, float]]
) -> list[ScoreTable]:
    """Return a table per group of scores, with 95 % intervals where given.

    Scores are taken from ``Report.to_dict()`` as they come; one that has no label here appears
    under its dotted name.

    Args:
        report: The scores.
        intervals: Lower and upper end by dotted name, such as "detection.map50".
    """
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for name, value in _leaves(report.to_dict()):
        scale = 1e6 if name in PER_MILLION else 1
        low, high = intervals.get(name, (math.nan, math.nan))
        interval = (
            "-" if math.isnan(low + high) else f"{_number(low * scale)} to {_number(high * scale)}"
        )
        row = (
            _label(name, report.rules.track_gate_px),
            _number(_scaled(value, scale)),
            interval,
        )
        groups.setdefault(name.split(".")[0], []).append(row)
    return [_score_table(_GROUP_TITLES.get(group, group), rows) for group, rows in groups.items()]


def subset_tables(report: Report) -> list[ScoreTable]:
    """Return a table of the headline scores of each subset of the sequences."""
    return [
        _score_table(
            f"Sequences {name}",
            [
                (_LABELS[key], _number(score_of(scores, key)), "-")
                for key in HEADLINES
                if key not in PER_MILLION
            ],
        )
        for name, scores in report.subsets.items()
    ]


def _score_table(caption: str, rows: Sequence[tuple[str, str, str]]) -> ScoreTable:
    """Return one table of label, value and interval; the last only where there is one."""
    num_columns = 3 if any(interval != "-" for _, _, interval in rows) else 2
    return ScoreTable(
        caption=caption,
        header=("score", "value", "95 % interval")[:num_columns],
        rows=tuple(row[:num_columns] for row in rows),
    )


def rules_list(report: Report, num_sequences: int) -> dict[str, str]:
    """Return the rules in force: name and text."""
    rules = report.rules
    linked = "none; all are given by the data"
    if rules.linked_sequences:
        linked = (
            f"{', '.join(rules.linked_sequences)} (steps up to {rules.link_gate_px:g} px; "
            "these tracking scores rest on a guess)"
        )
    untracked = "none"
    if rules.untracked_sequences:
        untracked = ", ".join(rules.untracked_sequences)
    return {
        "Score threshold": f"{rules.confidence:.4g} for precision, recall, F1, Pd and Fa",
        "Hit": f"{rules.hit}; best one-to-one assignment",
        "Track gate": f"centre distance up to {rules.track_gate_px:g} px; HOTA depends on it",
        "S of SO-HOTA": f"{rules.so_scale_px:.4g} px, root of the mean area of all true boxes",
        "Labels": rules.labels or f"of no published list; {rules.truth_sha256[:12]}",
        "Frames": f"{rules.num_frames} in {num_sequences} sequence(s)",
        "Targets": f"{rules.num_targets} true boxes that are not ignored",
        "Identities made by linking the truth": linked,
        "Predictions without identities, so no tracking scores": untracked,
        "Partial ROC area": f"up to {rules.roc_max_false_alarms_per_frame:g} Fa per frame",
        "mAP": "IoU, all scores. Legacy scores are the paper protocol, no operating point",
    }


def sequence_columns(
    report: Report, names: Sequence[str], events: Sequence[ErrorEvents]
) -> list[Column]:
    """Return the columns of a table with a row per sequence, without their names.

    Args:
        report: The scores.
        names: Of the sequences, in the order of the page.
        events: Their errors.
    """
    gate = f"{report.rules.track_gate_px:g} px"
    scores = [report.per_sequence[name] for name in names]
    tracking = [score.tracking for score in scores]
    rate = [score.pd_fa.false_alarms_per_frame for score in scores]
    misses = [int(event.num_misses.sum()) for event in events]
    false_alarms = [int(event.num_false_alarms.sum()) for event in events]
    return [
        _column("frames", "Number of frames", [len(event.num_misses) for event in events]),
        _column(
            "mAP50",
            "COCO average precision at IoU 0.5",
            [score.detection.map50 for score in scores],
        ),
        _column("F1", "At the score threshold", [score.detection.f1 for score in scores]),
        _column(
            "Pd", "Found / targets at the score threshold", [score.pd_fa.pd for score in scores]
        ),
        _column("Fa / frame", "False alarms per frame at the score threshold", rate),
        _column("misses", "Targets without a detection", misses),
        _column("false alarms", "Detections without a target", false_alarms),
        _column("MOTA", f"Gate {gate}", [score.mota for score in tracking]),
        _column("IDF1", f"Gate {gate}", [score.idf1 for score in tracking]),
        _column(f"HOTA ({gate})", f"Gate {gate}", [score.hota for score in tracking]),
        _column(
            "SO-HOTA",
            f"S = {report.rules.so_scale_px:.4g} px",
            [score.so_hota for score in tracking],
        ),
        _column("id switches", f"Gate {gate}", [score.id_switches for score in tracking]),
    ]


def _column(label: str, hint: str, values: Sequence[float]) -> Column:
    cells = [
        Cell(sort_key="" if math.isnan(value) else str(value), text=_number(value, digits=3))
        for value in values
    ]
    return Column(label=label, hint=hint, cells=tuple(cells))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | None]]:
    """Yield the dotted name and value of every number; None stands for one that is undefined."""
    for key, value in tree.items():
        if not prefix and key in _NO_SCORES:
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, int | float):
            yield f"{prefix}{key}", value


def _label(name: str, track_gate_px: float) -> str:
    label = _LABELS.get(name) or pd_at_rate(name) or name
    is_gated = name in {"tracking.hota", "tracking.deta", "tracking.assa"}
    return f"{label} (gate {track_gate_px:g} px)" if is_gated else label


def _scaled(value: float | None, scale: float) -> float:
    if value is None:
        return math.nan
    return value if scale == 1 else value * scale


def _number(value: float, digits: int = 4) -> str:
    """Print a count as it is, an undefined number as a dash, another one with some digits."""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "-"
    # A rate of few false alarms must not look like none.
    is_tiny = 0 < abs(value) < 10 ** (1 - digits)
    return f"{value:.2g}" if is_tiny else f"{value:.{digits}f}"
