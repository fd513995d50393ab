"""Tables of scores as text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stdet.errors import printable
from stdet.evaluation.report import Report
from stdet.metrics.scores import Rules, Scores

TableStyle = Literal["text", "markdown", "latex", "csv"]

_NOTE_WIDTH = 100
_FORMULA_STARTS = tuple("=+-@\t\r\n")
_NUMBERS = re.compile(r"[-+]?[0-9.]*(?: \*| to [-+]?[0-9.]+)?")
"""A score, a difference, an interval, or the sign of what is undefined."""
_LATEX_ESCAPES = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "<": "$<$", ">": "$>$"}

_PD_AT_RATES = "pd_fa.roc.pd_at_false_alarms_per_frame."
_PD_AT_RATE = "Pd at Fa {}/frame"

ROWS: Mapping[str, str] = {
    "mAP50": "detection.map50",
    "mAP50:95": "detection.map50_95",
    "AP at 1 px": "detection.ap_distance.1px",
    "AP at 2 px": "detection.ap_distance.2px",
    "AP at 3 px": "detection.ap_distance.3px",
    "AP at 5 px": "detection.ap_distance.5px",
    "AP50, to 9 px2": "detection.ap_area.le9",
    "AP50, to 25 px2": "detection.ap_area.le25",
    "AP50, to 81 px2": "detection.ap_area.le81",
    "AP50, above": "detection.ap_area.gt81",
    "precision": "detection.precision",
    "recall = Pd": "pd_fa.pd",
    "F1": "detection.f1",
    "legacy precision": "detection.legacy.precision",
    "legacy recall": "detection.legacy.recall",
    "legacy F1": "detection.legacy.f1",
    "Fa per hour": "pd_fa.false_alarms_per_hour.rate",
    "... 95 % from": "pd_fa.false_alarms_per_hour.low",
    "... to": "pd_fa.false_alarms_per_hour.high",
    "Fa per frame": "pd_fa.false_alarms_per_frame",
    "Fa per 1e6 pixels": "pd_fa.false_alarms_per_pixel",
    "false area (1e-6)": "pd_fa.false_area_fraction",
    _PD_AT_RATE: f"{_PD_AT_RATES}{{}}",
    "Pd at Fa 1e-6/px": "pd_fa.roc.pd_at_false_alarms_per_pixel.1e-6",
    "Pd at Fa 1e-5/px": "pd_fa.roc.pd_at_false_alarms_per_pixel.1e-5",
    "Pd at Fa 1e-4/px": "pd_fa.roc.pd_at_false_alarms_per_pixel.1e-4",
    "partial ROC area": "pd_fa.roc.partial_area",
    "MOTA": "tracking.mota",
    "MOTP (px)": "tracking.motp_px",
    "IDF1": "tracking.idf1",
    "HOTA": "tracking.hota",
    "DetA": "tracking.deta",
    "AssA": "tracking.assa",
    "LocA": "tracking.loca",
    "SO-HOTA": "tracking.so_hota",
    "SO-DetA": "tracking.so_deta",
    "SO-AssA": "tracking.so_assa",
    "S of SO-HOTA (px)": "tracking.so_scale_px",
    "ID switches": "tracking.id_switches",
    "fragmentations": "tracking.fragmentations",
    "mostly tracked": "tracking.mostly_tracked",
    "mostly lost": "tracking.mostly_lost",
    "frames to confirm": "tracking.frames_to_confirmation",
    "seconds to confirm": "tracking.seconds_to_confirmation",
    "completeness": "tracking.completeness",
    "purity": "tracking.purity",
    "false tracks": "tracking.false_tracks",
    "false tracks per hour": "tracking.false_tracks_per_hour.rate",
    "... hourly, 95 % from": "tracking.false_tracks_per_hour.low",
    "... hourly, 95 % to": "tracking.false_tracks_per_hour.high",
    "... / 1000 frames": "tracking.false_tracks_per_1000_frames",
    "MOTA by IoU": "tracking_iou.mota",
    "IDF1 by IoU": "tracking_iou.idf1",
    "HOTA by IoU": "tracking_iou.hota",
}
"""Label in a table and name in the JSON; {} is each of the rates that the report was asked for."""

PER_MILLION = {"pd_fa.false_alarms_per_pixel", "pd_fa.false_area_fraction"}
"""Shown in units of 1e-6."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text; the first column holds labels.

    Attributes:
        header: One entry per column.
        rows: Each as long as the header.
        notes: Lines below.
        columns_per_block: Of scores, so that text fits a terminal.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    columns_per_block: int = 6

    def render(self, style: TableStyle) -> str:
        """Return the table as text, Markdown, LaTeX (booktabs) or CSV, ending with a newline."""
        render = {"text": _text, "markdown": _markdown, "latex": _latex, "csv": _csv}[style]
        # Names of sequences come from files, and may hold a newline or an escape.
        shown = Table(
            header=tuple(map(printable, self.header)),
            rows=tuple(tuple(map(printable, row)) for row in self.rows),
            notes=tuple(map(printable, self.notes)),
            columns_per_block=self.columns_per_block,
        )
        return "\n".join(render(shown)) + "\n"


def report_table(report: Report) -> Table:
    """Return a row per score, a column per sequence, overall first with its interval."""
    intervals = report.bootstrap.intervals()
    # A list: a sequence may be named like a subset, or "overall".
    columns = [("overall", report.overall), *report.subsets.items(), *report.per_sequence.items()]
    names = [name for name, _ in columns]
    if intervals:
        names.insert(1, "95 % interval")
    rows = []
    for label, key in rows_of(report).items():
        cells = [format_score(key, score_of(scores, key)) for _, scores in columns]
        if intervals:
            cells.insert(1, format_interval(key, intervals.get(key)))
        rows.append((label, *cells))
    return Table(header=("", *names), rows=tuple(rows), notes=tuple(_notes(report)))


def rows_of(report: Report) -> dict[str, str]:
    """Return label and name in the JSON of every row of a report."""
    rates = report.overall.pd_fa.roc.pd_at_false_alarms_per_frame
    return {
        label.format(rate): key.format(rate)
        for label, key in ROWS.items()
        for rate in (rates if "{}" in key else [""])
    }


def pd_at_rate(name: str) -> str | None:
    """Return the label of a Pd at a rate per frame; None where the name is of another score.

    Example:
        >>> pd_at_rate("pd_fa.roc.pd_at_false_alarms_per_frame.0.05")
        'Pd at Fa 0.05/frame'
    """
    rate = name.removeprefix(_PD_AT_RATES)
    return None if rate == name else _PD_AT_RATE.format(rate)


def score_of(scores: Scores, key: str) -> float:
    """Return the number that the JSON holds under a dotted name."""
    value: object = scores
    parts = key.split(".")
    while parts:
        if isinstance(value, Mapping):  # Keys of mappings come last, and may hold a dot.
            value, parts = value[".".join(parts)], []
        else:
            value, parts = getattr(value, parts[0]), parts[1:]
    assert isinstance(value, int | float)
    return value


def format_score(key: str, value: float) -> str:
    """Return a number as it stands in tables; "-" where undefined."""
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value * _unit(key):.4f}"


def format_interval(key: str, interval: tuple[float, float] | None, *, sign: str = "") -> str:
    """Return an interval as "low to high"; "" where there is none."""
    if interval is None:
        return ""
    low, high = (value * _unit(key) for value in interval)
    return f"{low:{sign}.4f} to {high:{sign}.4f}"


def _unit(key: str) -> float:
    """Return what a number is multiplied by in tables."""
    return 1e6 if key in PER_MILLION else 1.0


def _notes(report: Report) -> list[str]:
    """Return the rules in words."""
    rules = report.rules
    lines = [
        f"{rules.num_frames} frames, {rules.num_targets} targets. P, R, F1, Pd, Fa at score >= "
        f"{rules.confidence:.3g}, hits at {rules.hit}.",
        f"Tracking by centre distance, gate {rules.track_gate_px:g} px; by IoU, gate 0.5. SO-HOTA "
        f"with S = {rules.so_scale_px:.4g} px, of all sequences. Partial "
        f"ROC area up to {rules.roc_max_false_alarms_per_frame:g} false alarms per frame. Legacy "
        "P, R, F1 are the paper protocol, no operating point.",
    ]
    if rules.labels:
        lines.insert(0, f"Labels: {rules.labels}.")
    if report.bootstrap.values:
        lines.append(
            f"Intervals: bootstrap over {len(report.bootstrap.sequences)} sequences"
            + ("; so few make them too narrow." if len(report.bootstrap.sequences) < 10 else ".")
        )
    else:
        lines.append("No intervals: they need at least two sequences.")
    return lines + _identity_notes(rules)


def _identity_notes(rules: Rules) -> list[str]:
    """Say where identities come from."""
    lines = []
    if rules.linked_sequences:
        lines.append(
            f"Identities made by linking the truth (steps up to {rules.link_gate_px:g} px): "
            f"{', '.join(rules.linked_sequences)}."
        )
    if rules.untracked_sequences:
        lines.append(
            "No tracking scores: the predictions carry no identities in "
            f"{', '.join(rules.untracked_sequences)}."
        )
    return lines


def _text(table: Table) -> list[str]:
    """Set columns in blocks that fit a terminal."""
    label_width = max(len(row[0]) for row in (table.header, *table.rows)) + 2
    lines = []
    for start in range(1, len(table.header), table.columns_per_block):
        block = slice(start, start + table.columns_per_block)
        rows = [row[block] for row in (table.header, *table.rows)]
        widths = [max(9, *map(len, column)) for column in zip(*rows, strict=True)]
        for label, cells in zip(
            [row[0] for row in (table.header, *table.rows)], rows, strict=True
        ):
            padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
            lines.append((f"{label:<{label_width}}" + "  ".join(padded)).rstrip())
        lines.append("")
    return [*lines, *(line for note in table.notes for line in textwrap.wrap(note, _NOTE_WIDTH))]


def _markdown(table: Table) -> list[str]:
    rows = [[cell.replace("|", r"\|") for cell in row] for row in (table.header, *table.rows)]
    ruler = ["---", *["---:"] * (len(table.header) - 1)]
    lines = [f"| {' | '.join(row)} |" for row in [rows[0], ruler, *rows[1:]]]
    return [*lines, "", *table.notes]


def _latex(table: Table) -> list[str]:
    def line(row: Sequence[str]) -> str:
        escaped = ["".join(_LATEX_ESCAPES.get(c, c) for c in cell) for cell in row]
        return " & ".join(escaped) + r" \\"

    return [
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
        r"\toprule",
        line(table.header),
        r"\midrule",
        *(line(row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {note}" for note in table.notes),
    ]


def _csv(table: Table) -> list[str]:
    """Notes are left out, since readers of CSV expect rows alone."""
    out = io.StringIO()
    rows = [[_plain(cell) for cell in row] for row in (table.header, *table.rows)]
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().splitlines()


def _plain(cell: str) -> str:
    """Put an apostrophe before a name that a spreadsheet would run as a formula."""
    if cell.startswith(_FORMULA_STARTS) and not _NUMBERS.fullmatch(cell):
        return f"'{cell}"
    return cell
