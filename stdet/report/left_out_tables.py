"""Tables of what folds left out: each fold, their mean, and all detections pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stdet.evaluation.left_out import TRANSFER_RATE, PartScores, SourceScores
from stdet.metrics.scores import Scores
from stdet.report.tables import Table, format_score, score_of

_MAP50 = "detection.map50"
_PD_AT = "pd_fa.roc.pd_at_false_alarms_per_frame."
_POINT = {
    "Pd": "pd_fa.pd",
    "Fa per frame": "pd_fa.false_alarms_per_frame",
    "IDF1": "tracking.idf1",
    "MOTA": "tracking.mota",
    "HOTA": "tracking.hota",
}
"""Numbers of an operating point."""
_TRANSFERRED = ("Pd", "Fa per frame", "IDF1")
"""Those that the table of all folds has room for."""
_CONFIDENCE = "confidence"

Runs = Mapping[int, Sequence[SourceScores]]
"""Scores of one variant by seed; the same sources and folds for every seed."""

_Row = tuple[str, int, list[dict[str, float]]]
"""Title, frames, and the numbers of every seed."""

_PartOf = Callable[[SourceScores], PartScores]


def left_out_table(variants: Mapping[str, Runs]) -> Table:
    """Return rows of each fold, of the mean over folds, and of all folds pooled.

    Args:
        variants: By name.
    """
    rates = _rates(variants)
    point = {label: _POINT[label] for label in _TRANSFERRED}
    spread = ("lowest seed", "highest seed") if rates else ()
    header = (
        "",
        "frames",
        "mAP50",
        *(f"Pd at {rate}" for rate in rates),
        *spread,
        "score",
        *point,
    )
    rows = []
    for variant, runs in variants.items():
        prefix = f"{variant}: " if len(variants) > 1 else ""
        for title, num_frames, seeds in _transferred_rows(runs):
            cells = [_mean(key, seeds) for key in (_MAP50, *(_PD_AT + rate for rate in rates))]
            for rate in rates[:1]:
                values = [numbers.get(_PD_AT + rate, math.nan) for numbers in seeds]
                cells += [format_score(_PD_AT, value) for value in (min(values), max(values))]
            cells += [_mean(key, seeds) for key in (_CONFIDENCE, *point.values())]
            rows.append((f"{prefix}{title}", str(num_frames), *cells))
    notes = (
        "Pd at false alarms per frame, mean over seeds; lowest and highest seed of the first of "
        f"them. From `score` on: at the score at which the other folds have {TRANSFER_RATE} false "
        "alarms per frame. mAP50 only where boxes are the targets' extents.",
        "Pooled: the detections of all folds scored once, each fold at its own operating point.",
    )
    return Table(header=header, rows=tuple(rows), notes=notes)


def _rates(variants: Mapping[str, Runs]) -> list[str]:
    """Return the rates of false alarms per frame that Pd is given at, of all sources."""
    runs = next(iter(variants.values()))
    return list(
        dict.fromkeys(
            rate
            for scores in next(iter(runs.values()))
            for rate in scores.pooled.transferred.pd_fa.roc.pd_at_false_alarms_per_frame
        )
    )


def stored_point_table(variants: Mapping[str, Runs], *, confidence: float) -> Table:
    """Return a row per source: all folds pooled, at the operating point of the configuration.

    Args:
        variants: By name; scored at that point.
        confidence: The operating point.
    """
    rows = []
    for variant, runs in variants.items():
        prefix = f"{variant}: " if len(variants) > 1 else ""
        for title, num_frames, seeds in _stored_rows(runs):
            cells = [_range(key, seeds) for key in _POINT.values()]
            rows.append((f"{prefix}{title}", str(num_frames), *cells))
    return Table(
        header=("", "frames", *_POINT),
        rows=tuple(rows),
        notes=(f"All folds pooled, at score >= {confidence:g}; lowest to highest seed.",),
    )


def left_out_content(variants: Mapping[str, Runs]) -> dict[str, Any]:
    """Return the numbers of every seed for JSON, by variant, seed and row."""
    return {
        variant: {
            str(seed): {
                kind: {
                    title: {"num_frames": num_frames, **numbers[0]}
                    for title, num_frames, numbers in rows({seed: scores})
                }
                for kind, rows in (
                    ("transferred", _transferred_rows),
                    ("stored", _stored_rows),
                )
            }
            for seed, scores in runs.items()
        }
        for variant, runs in variants.items()
    }


def _transferred_rows(runs: Runs) -> list[_Row]:
    """Return the rows of all sources, with the operating points of other folds."""
    rows = []
    for seeds in zip(*runs.values(), strict=True):
        for fold in seeds[0].folds:
            rows.append(_row(f"{seeds[0].source}, {fold}", seeds, _of_fold(fold)))
        if len(seeds[0].folds) > 1:
            rows.append(_mean_row(seeds))
        for title, pooled in _pools(seeds):
            rows.append(_row(title, seeds, pooled))
    return rows


def _stored_rows(runs: Runs) -> list[_Row]:
    """Return the pooled rows of all sources, at the operating point of the configuration."""
    rows = []
    for seeds in zip(*runs.values(), strict=True):
        for title, pooled in _pools(seeds):
            parts = [pooled(scores) for scores in seeds]
            numbers = [_point(part.stored) for part in parts if part.stored is not None]
            if numbers:
                rows.append((title, parts[0].num_frames, numbers))
    return rows


def _pools(
    seeds: Sequence[SourceScores],
) -> list[tuple[str, _PartOf]]:
    """Return what of a source is pooled, with titles."""
    first = seeds[0]
    pools: list[tuple[str, _PartOf]] = [
        (f"{first.source}, pooled, {first.pooled.num_sequences} sequences", lambda s: s.pooled)
    ]
    if first.pooled_included is not None:
        num_sequences = first.pooled_included.num_sequences
        title = f"{first.source}, pooled, {num_sequences} not excluded from training"
        pools.append((title, _included))
    return pools


def _of_fold(fold: str) -> _PartOf:
    return lambda scores: scores.folds[fold]


def _included(scores: SourceScores) -> PartScores:
    assert scores.pooled_included is not None
    return scores.pooled_included


def _row(title: str, seeds: Sequence[SourceScores], part_of: _PartOf) -> _Row:
    """Return the numbers of one part."""
    numbers = [_numbers(part_of(scores), has_extents=scores.has_extents) for scores in seeds]
    return title, part_of(seeds[0]).num_frames, numbers


def _mean_row(seeds: Sequence[SourceScores]) -> _Row:
    """Return the mean over folds."""
    numbers = []
    for scores in seeds:
        folds = [_numbers(part, has_extents=scores.has_extents) for part in scores.folds.values()]
        numbers.append({key: float(np.mean([f[key] for f in folds])) for key in folds[0]})
    first = seeds[0]
    return f"{first.source}, mean of {len(first.folds)} folds", first.pooled.num_frames, numbers


def _numbers(part: PartScores, *, has_extents: bool) -> dict[str, float]:
    """Return the numbers of a row of one seed."""
    scores = part.transferred
    return {
        _MAP50: scores.detection.map50 if has_extents else math.nan,
        **{
            _PD_AT + rate: pd for rate, pd in scores.pd_fa.roc.pd_at_false_alarms_per_frame.items()
        },
        _CONFIDENCE: part.confidence,
        **_point(scores),
    }


def _point(scores: Scores) -> dict[str, float]:
    return {key: score_of(scores, key) for key in _POINT.values()}


def _mean(key: str, seeds: Sequence[Mapping[str, float]]) -> str:
    return format_score(key, float(np.mean([numbers.get(key, math.nan) for numbers in seeds])))


def _range(key: str, seeds: Sequence[Mapping[str, float]]) -> str:
    """Return the lowest and the highest seed."""
    values = [numbers[key] for numbers in seeds]
    low, high = (format_score(key, value) for value in (min(values), max(values)))
    return low if len(values) == 1 else f"{low} to {high}"
