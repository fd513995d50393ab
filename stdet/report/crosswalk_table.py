"""The table of `stdet evaluate --protocols`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stdet.evaluation.crosswalk import ProtocolReport
from stdet.evaluation.protocol_numbers import PROTOCOLS
from stdet.report.tables import Table

_MAX_NAMES = 5
"""Sequences that a reason lists by name."""


def crosswalk_table(report: ProtocolReport) -> Table:
    """Return a row per number, a column per sequence, overall first, and below why not."""
    # A list: a sequence may be named like a subset, or "overall".
    columns = [("overall", report.overall), *report.subsets.items(), *report.per_sequence.items()]
    rows = [
        (
            f"{name}: {number.label}",
            *(_cell(numbers[name][number.key] * number.unit) for _, numbers in columns),
        )
        for name in report.overall
        for number in PROTOCOLS[name].numbers
    ]
    return Table(
        header=("", *(name for name, _ in columns)), rows=tuple(rows), notes=tuple(_notes(report))
    )


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _notes(report: ProtocolReport) -> list[str]:
    """Say what the numbers depend on, and why some are undefined."""
    lines = [
        f"Protocols with a threshold at score >= {report.confidence:.3g}. docs/protocols.md says "
        "what each counts; numbers of different protocols do not compare."
    ]
    if report.num_boxes:
        touching = report.num_boxes - report.num_components
        lines.append(
            f"Masks are filled boxes: {report.num_boxes} true boxes, {report.num_components} "
            f"components{'; boxes that touch are one' if touching > 0 else ''}."
        )
    by_reason: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, reasons in report.undefined.items():
        for reason, sequences in reasons.items():
            by_reason.setdefault((reason, tuple(sequences)), []).append(name)
    lines += [
        f"No {', '.join(names)}: {reason} ({_shortened(sequences)})."
        for (reason, sequences), names in by_reason.items()
    ]
    return lines


def _shortened(names: Sequence[str]) -> str:
    """Return the first names and how many more there are."""
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
