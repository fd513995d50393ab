"""The tables of the HTML report: headline scores, rules, and a row per sequence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from stdet.evaluation.report import Report
from stdet.metrics.bootstrap import HEADLINES
from stdet.metrics.scores import Scores
from stdet.metrics.tracking.error_events import ErrorEvents
from stdet.report.tables import PER_MILLION, ROWS, score_of

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


def summary_tables(report: Report, intervals: Mapping[str, tuple[float, float]]) -> str:
    """Return a table per group of scores, with 95 % intervals where given.

    Scores are taken from ``Report.to_dict()`` as they come; one that has no label here appears
    under its dotted name.

    Args:
        report: The scores.
        intervals: Lower and upper end by dotted name, such as "detection.map50".

    Returns:
        ``<table>`` elements.
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
    return "".join(_score_table(group, rows) for group, rows in groups.items())


def subset_tables(report: Report) -> str:
    """Return a table of the headline scores of each subset of the sequences."""
    return "".join(
        _score_table(
            f"Sequences {name}",
            [
                (_LABELS[key], _number(score_of(scores, key)), "-")
                for key in HEADLINES
                if key not in PER_MILLION
            ],
        )
        for name, scores in report.subsets.items()
    )


def _score_table(group: str, rows: Sequence[tuple[str, str, str]]) -> str:
    """Return one table of label, value and interval; the last only where there is one."""
    num_columns = 3 if any(interval != "-" for _, _, interval in rows) else 2
    heads = ["score", "value", "95 % interval"][:num_columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{label}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells[: num_columns - 1])
        + "</tr>"
        for label, *cells in rows
    )
    title = escape(_GROUP_TITLES.get(group, group))
    return (
        f'<div class="scroll"><table><caption>{title}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def rules_list(report: Report, num_sequences: int) -> str:
    """Return the rules in force as a ``<dl>`` element."""
    rules = report.rules
    linked = "none; all are given by the data"
    if rules.linked_sequences:
        linked = (
            f"{escape(', '.join(rules.linked_sequences))} (steps up to {rules.link_gate_px:g} px; "
            "these tracking scores rest on a guess)"
        )
    untracked = "none"
    if rules.untracked_sequences:
        untracked = escape(", ".join(rules.untracked_sequences))
    entries = [
        ("Score threshold", f"{rules.confidence:.4g} for precision, recall, F1, Pd and Fa"),
        ("Hit", f"{escape(rules.hit)}; best one-to-one assignment"),
        ("Track gate", f"centre distance up to {rules.track_gate_px:g} px; HOTA depends on it"),
        ("Frames", f"{rules.num_frames} in {num_sequences} sequence(s)"),
        ("Targets", f"{rules.num_targets} true boxes that are not ignored"),
        ("Identities made by linking the truth", linked),
        ("Predictions without identities, so no tracking scores", untracked),
        ("Partial ROC area", f"up to {rules.roc_max_false_alarms_per_frame:g} Fa per frame"),
        ("mAP", "IoU, all scores. Legacy scores are the paper protocol, no operating point"),
    ]
    return "<dl>" + "".join(f"<div><dt>{a}</dt><dd>{b}</dd></div>" for a, b in entries) + "</dl>"


def sequence_table(report: Report, names: Sequence[str], events: Sequence[ErrorEvents]) -> str:
    """Return a table with a row per sequence that can be chosen, and columns that sort.

    Args:
        report: The scores.
        names: Of the sequences, in the order of the page.
        events: Their errors.

    Returns:
        A ``<table>`` element.
    """
    gate = f"{report.rules.track_gate_px:g} px"
    columns = [
        ("sequence", "Choose one to show it alone"),
        ("frames", "Number of frames"),
        ("mAP50", "COCO average precision at IoU 0.5"),
        ("F1", "At the score threshold"),
        ("Pd", "Found / targets at the score threshold"),
        ("Fa / frame", "False alarms per frame at the score threshold"),
        ("misses", "Targets without a detection"),
        ("false alarms", "Detections without a target"),
        ("MOTA", f"Gate {gate}"),
        ("IDF1", f"Gate {gate}"),
        (f"HOTA ({gate})", f"Gate {gate}"),
        ("id switches", f"Gate {gate}"),
    ]
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button" class="sort" '
        f'title="{escape(hint)}">{escape(label)}</button></th>'
        for label, hint in columns
    )
    rows = "".join(
        _sequence_row(number, name, report.per_sequence[name], event)
        for number, (name, event) in enumerate(zip(names, events, strict=True))
    )
    return f'<table id="sequences"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _sequence_row(number: int, name: str, scores: Scores, event: ErrorEvents) -> str:
    values: list[float] = [
        len(event.num_misses),
        scores.detection.map50,
        scores.detection.f1,
        scores.pd_fa.pd,
        scores.pd_fa.false_alarms_per_frame,
        int(event.num_misses.sum()),
        int(event.num_false_alarms.sum()),
        scores.tracking.mota,
        scores.tracking.idf1,
        scores.tracking.hota,
        scores.tracking.id_switches,
    ]
    cells = "".join(
        f'<td data-value="{"" if math.isnan(value) else value}">{_number(value, digits=3)}</td>'
        for value in values
    )
    return (
        f'<tr data-row="{number}"><th scope="row"><button type="button" class="choose" '
        f'aria-pressed="false">{escape(name)}</button></th>{cells}</tr>'
    )


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
    label = escape(_LABELS.get(name, name))
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
