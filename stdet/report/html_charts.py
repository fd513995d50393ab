"""The curves and bars of the HTML report, for all sequences together and for each one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.detection.contrast import local_scr
from stdet.metrics.detection.hit_rule import HitRule
from stdet.metrics.detection.pd_fa import ScoreCurve, score_curve
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.error_events import ErrorEvents
from stdet.report.svg_charts import Axis, Bars, Line, bar_chart, line_chart
from stdet.types import BoolArray, FloatArray

FrameReader = Callable[[str, int], FloatArray]
"""From sequence name and frame index to float32 (H, W) in [0, 1]."""

SCR_EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, math.inf)
"""Bins of the signal-to-clutter ratio; the lower edge belongs to a bin."""

SIZE_EDGES_PX = (0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, math.inf)
"""Bins of the square root of the area of the true box, pixels; likewise."""


def curve_charts(
    results: Sequence[SequenceResult], *, rule: HitRule, confidence: float
) -> tuple[str, str]:
    """Draw precision against recall, and Pd against false alarms per frame.

    Args:
        results: Truth and detections of each sequence.
        rule: By which detections hit.
        confidence: The operating point to mark.

    Returns:
        Two ``<svg>`` elements.
    """
    groups: list[tuple[int | None, list[SequenceResult]]] = [(None, list(results))]
    groups += [(number, [result]) for number, result in enumerate(results)]
    precision_lines, roc_lines, rates = [], [], [np.zeros(0)]
    for number, group in groups:
        curve = _with_precision(score_curve(group, rule=rule))
        num_frames = max(1, sum(result.annotation.num_frames for result in group))
        rate = curve.num_false_alarms / num_frames
        recall = curve.num_hits / max(1, curve.num_targets)
        precision = curve.num_hits / (curve.num_hits + curve.num_false_alarms)
        precision_lines.append(
            _line(number, curve, confidence, x=("recall", recall), y=("precision", precision))
        )
        roc_lines.append(
            _line(number, curve, confidence, x=("Fa per frame", rate), y=("Pd", recall))
        )
        rates.append(rate)
    num_frames = max(1, sum(result.annotation.num_frames for result in results))
    low = 10.0 ** math.floor(-math.log10(num_frames))
    false_alarms = Axis(
        label="false alarms per frame (logarithmic)",
        low=low,
        high=float(np.concatenate(rates).max(initial=10 * low)),
        is_log=True,
    )
    return (
        line_chart(
            "Precision against recall over all score thresholds",
            Axis(label="recall = Pd (found / targets)"),
            Axis(label="precision"),
            precision_lines,
        ),
        line_chart(
            "ROC: Pd against false alarms per frame over all score thresholds",
            false_alarms,
            Axis(label="Pd (found / targets)"),
            roc_lines,
        ),
    )


def _with_precision(curve: ScoreCurve) -> ScoreCurve:
    """Leave out thresholds where all detections lie on ignored truth: precision is undefined."""
    rows = curve.num_hits + curve.num_false_alarms > 0
    return replace(
        curve,
        scores=curve.scores[rows],
        num_hits=curve.num_hits[rows],
        num_false_alarms=curve.num_false_alarms[rows],
    )


def measure_scr(
    results: Sequence[SequenceResult], read_frame: FrameReader
) -> list[NDArray[np.float64]]:
    """Measure the signal-to-clutter ratio of every true target; reads each frame that has one.

    Args:
        results: Truth of each sequence.
        read_frame: Gives the pixels.

    Returns:
        One float64 (M,) per sequence, by row of its truth; NaN where undefined.
    """
    measured = []
    for result in results:
        truth = result.annotation
        scr = np.full(len(truth), np.nan)
        for frame_index in np.unique(truth.frame_indices).tolist():
            rows = truth.rows_at(frame_index)
            scr[rows] = local_scr(read_frame(truth.name, frame_index), truth.boxes_xyxy[rows])
        measured.append(scr)
    return measured


def scr_chart(
    results: Sequence[SequenceResult],
    events: Sequence[ErrorEvents],
    scr: Sequence[NDArray[np.float64]],
) -> str:
    """Draw Pd against the signal-to-clutter ratio; targets where it is NaN are left out."""
    return _pd_chart(
        "Pd against the signal-to-clutter ratio of the target",
        "signal-to-clutter ratio of the target (SCR, no unit)",
        SCR_EDGES,
        scr,
        _counted(results),
        events,
    )


def size_chart(results: Sequence[SequenceResult], events: Sequence[ErrorEvents]) -> str:
    """Draw Pd against the square root of the area of the true box."""
    sizes = []
    for result in results:
        boxes = result.annotation.boxes_xyxy.astype(np.float64)
        # Sides that float32 stores as 2.9999998 belong to the bin from 3 on.
        sizes.append(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).round(3))
    return _pd_chart(
        "Pd against the size of the target",
        "size of the true box (square root of its area, px)",
        SIZE_EDGES_PX,
        sizes,
        _counted(results),
        events,
    )


def _counted(results: Sequence[SequenceResult]) -> list[BoolArray]:
    return [~result.annotation.is_ignored for result in results]


def _pd_chart(
    title: str,
    x_label: str,
    edges: Sequence[float],
    values: Sequence[NDArray[np.float64]],
    is_counted: Sequence[BoolArray],
    events: Sequence[ErrorEvents],
) -> str:
    """Draw hits / targets by bins of a value that every target has."""
    hits, totals = [], []
    for value, counted, event in zip(values, is_counted, events, strict=True):
        is_used = counted & np.isfinite(value)
        # Bin n holds edges[n] <= value < edges[n + 1].
        bins = np.searchsorted(edges, value[is_used], side="right") - 1
        totals.append(np.bincount(bins, minlength=len(edges) - 1))
        hits.append(np.bincount(bins[event.is_found[is_used]], minlength=len(edges) - 1))
    all_totals = np.sum(totals, axis=0)
    occupied = np.flatnonzero(all_totals)
    shown = slice(occupied[0], occupied[-1] + 1) if len(occupied) else slice(0, 0)
    sets = [Bars(sequence=None, hits=np.sum(hits, axis=0)[shown], totals=all_totals[shown])]
    sets += [
        Bars(sequence=number, hits=hit[shown], totals=total[shown])
        for number, (hit, total) in enumerate(zip(hits, totals, strict=True))
    ]
    return bar_chart(title, x_label, _bin_labels(edges)[shown], sets)


def _bin_labels(edges: Sequence[float]) -> list[str]:
    """Name bins, such as "<1", "1-2", ">=2" for the edges 0, 1, 2 and infinity."""
    inner = [f"{low:g}-{high:g}" for low, high in pairwise(edges[1:-1])]
    return [f"<{edges[1]:g}", *inner, f">={edges[-2]:g}"]


def _line(
    sequence: int | None,
    curve: ScoreCurve,
    confidence: float,
    *,
    x: tuple[str, NDArray[np.float64]],
    y: tuple[str, NDArray[np.float64]],
) -> Line:
    """Return a line with its operating point, from names and values; none without targets."""
    if not curve.num_targets:
        nothing = np.zeros(0)
        return Line(sequence=sequence, x=nothing, y=nothing, marked=None, note="no targets")
    (x_name, x_values), (y_name, y_values) = x, y
    marked, note = None, f"no detection scores {confidence:.3g} or more"
    num_counted = int((curve.scores >= confidence).sum())
    if num_counted:
        marked = num_counted - 1
        note = (
            f"score >= {confidence:.3g}: {x_name} {x_values[marked]:.3g}, "
            f"{y_name} {y_values[marked]:.3g}"
        )
    return Line(sequence=sequence, x=x_values, y=y_values, marked=marked, note=note)
