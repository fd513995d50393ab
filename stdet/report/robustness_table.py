"""The tables of `stdet robustness`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stdet.evaluation.protocol import Protocol
from stdet.evaluation.robustness import ChangeScores, Robustness
from stdet.report.tables import Table

_COLUMNS = {
    "Pd 1e-6/px": ("pd_at_1e_6_per_pixel", 3),
    "Pd 1e-5/px": ("pd_at_1e_5_per_pixel", 3),
    "Pd .05/frame": ("pd_at_0_05_per_frame", 3),
    "Pd": ("pd", 3),
    "Fa/frame": ("false_alarms_per_frame", 3),
    "IDF1": ("idf1", 3),
    "switches": ("id_switches", 0),
    "targets": ("num_targets", 0),
}
"""Name of a score and its decimals, by column."""


def robustness_table(found: Robustness) -> Table:
    """Return a row per change, and their mean."""
    rows = [(name, *_cells(result.overall)) for name, result in found.changes.items()]
    mean = found.mean
    if mean is not None:
        rows.append(("mean of changes", *_cells(mean)))
    notes = [
        "Pd at a rate of false alarms; then Pd, false alarms per frame and tracking at score >= "
        f"{found.confidence:.3g}. The mean leaves out `none`. Seed {found.seed}."
    ]
    if found.linked_sequences:
        notes.append(
            "Identities made by linking the truth before the change: "
            f"{', '.join(found.linked_sequences)}."
        )
    notes += _trained_note(found.trained_on)
    return Table(
        header=("", *_COLUMNS),
        rows=tuple(rows),
        notes=tuple(notes),
        columns_per_block=len(_COLUMNS),
    )


def protocol_table(found: Protocol) -> Table:
    """Return Pd at 0.05 false alarms per frame of each change and source, and the means."""
    changes = list(next(iter(found.sources.values())).changes)
    pds = {source: found.pds_of(source) for source in found.sources}
    rows = [
        (change, *(_pd(pds[source][change]) for source in pds), _pd(found.mean_of_change(change)))
        for change in changes
    ]
    means = (_pd(found.mean_of_source(source)) for source in pds)
    return Table(
        header=("", *pds, "mean"),
        rows=(*rows, ("mean", *means, _pd(found.headline))),
        notes=(
            "Pd at 0.05 false alarms per frame. The last number is the mean of all sources and "
            "changes.",
            *_trained_note(found.trained_on),
        ),
        columns_per_block=len(pds) + 1,
    )


def _trained_note(names: Sequence[str]) -> list[str]:
    """Say that scores are of footage that was trained on, if they are."""
    if not names:
        return []
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"The weights were trained on {shown}: those are no scores of new footage."]


def _pd(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _cells(scores: ChangeScores) -> list[str]:
    values = [(getattr(scores, name), decimals) for name, decimals in _COLUMNS.values()]
    return ["-" if math.isnan(value) else f"{value:.{decimals}f}" for value, decimals in values]
