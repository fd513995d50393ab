"""Charts as inline SVG: lines, bars and strips of events.

Every chart can hold the same figure for all sequences together and for each one. Groups carry
``data-sequence`` ("all" or the number of the sequence), by which the page shows one of them;
without a choice, all but "all" are hidden by the class ``off``. Colours are classes, so that the
style sheet can have dark and light ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from stdet.types import IntArray

WIDTH = 480
"""Width of a chart in its own units; the page scales it."""

LEFT, RIGHT, TOP, BOTTOM = 58, 464, 30, 256
"""The plotting area, chart units."""

_COUNT_ROW = 20
"""Height of the numbers of targets below the ticks of bars."""

_LEAST_STEP = 1.5
"""Points of a line closer than this to the last one drawn are left out, chart units."""

MAX_STRIP_COLUMNS = 200
"""A longer strip joins neighbouring frames, so that marks neither overlap nor fill the page."""

_STRIP_HEIGHT = 20


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        label: What it shows, with its unit.
        low: Value at its start.
        high: Value at its end.
        is_log: Logarithmic; ``low`` is then positive, and smaller values are drawn there.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False

    def fraction(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far along the axis values lie, in [0, 1], those beyond it at its ends."""
        low, high = self.low, self.high
        if self.is_log:
            values = np.log10(np.maximum(values, low))
            low, high = math.log10(low), math.log10(high)
        return np.clip((values - low) / (high - low), 0, 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the values to label, and their labels."""
        if not self.is_log:
            values = [self.low + n * (self.high - self.low) / 5 for n in range(6)]
            return [(value, f"{value:g}") for value in values]
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        return [(10.0**n, f"{10.0**n:g}") for n in range(first, last + 1)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One line of a chart.

    Attributes:
        sequence: Number of the sequence, None for all together.
        x: float64 (P,).
        y: float64 (P,).
        marked: Row of the point to mark, None for none.
        note: Said above the chart when this line is shown.
    """

    sequence: int | None
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    marked: int | None
    note: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Bars:
    """One set of bars, (B,) of them.

    Attributes:
        sequence: Number of the sequence, None for all together.
        hits: int64 (B,).
        totals: int64 (B,); where 0 there is no bar.
    """

    sequence: int | None
    hits: IntArray
    totals: IntArray


def group_name(sequence: int | None) -> str:
    """Return the value of ``data-sequence``."""
    return "all" if sequence is None else str(sequence)


def line_chart(title: str, x_axis: Axis, y_axis: Axis, lines: Sequence[Line]) -> str:
    """Draw lines.

    Args:
        title: For those who do not see the chart.
        x_axis: Horizontal.
        y_axis: Vertical.
        lines: The one of all sequences first; it stays visible, dimmed, beside a chosen one.

    Returns:
        An ``<svg>`` element.
    """
    parts = [axes(x_axis, y_axis, x_axis.ticks(), label_y=BOTTOM + 40)]
    for line in lines:
        x = LEFT + (RIGHT - LEFT) * x_axis.fraction(line.x)
        y = BOTTOM - (BOTTOM - TOP) * y_axis.fraction(line.y)
        path = f'<path class="line" d="{_path(x, y)}"/>' if len(x) else ""
        details = f'<text class="note" x="{RIGHT}" y="18">{escape(line.note)}</text>'
        if line.marked is not None:
            details += (
                f'<circle class="marker" cx="{x[line.marked]:.1f}" cy="{y[line.marked]:.1f}" '
                f'r="5.5"><title>{escape(line.note)}</title></circle>'
            )
        if line.sequence is None:
            path, details = f'<g class="overall">{path}</g>', _group(None, details)
            parts.append(path + details)
        else:
            parts.append(_group(line.sequence, path + details))
    return svg_element(title, "".join(parts), BOTTOM + 50)


def bar_chart(title: str, x_label: str, bin_labels: Sequence[str], sets: Sequence[Bars]) -> str:
    """Draw shares of hits in bins, with the share above and the number of targets in each bar.

    Args:
        title: For those who do not see the chart.
        x_label: What the bins are of, with its unit.
        bin_labels: One per bar.
        sets: The one of all sequences first; only one is visible at a time.

    Returns:
        An ``<svg>`` element.
    """
    y_axis = Axis(label="Pd (found / targets)")
    step = (RIGHT - LEFT) / max(1, len(bin_labels))
    centres = [LEFT + (n + 0.5) * step for n in range(len(bin_labels))]
    ticks = [((n + 0.5) / len(bin_labels), escape(label)) for n, label in enumerate(bin_labels)]
    label_y = BOTTOM + 40 + _COUNT_ROW
    parts = [axes(Axis(label=x_label), y_axis, ticks, label_y=label_y)]
    half = min(0.38 * step, 40)
    for bars in sets:
        path, texts = "", ""
        for x, hits, total in zip(centres, bars.hits.tolist(), bars.totals.tolist(), strict=True):
            if not total:
                continue
            height = (BOTTOM - TOP) * hits / total
            path += f"M{x - half:.0f} {BOTTOM}v{-height:.1f}h{2 * half:.0f}v{height:.1f}z"
            texts += (
                f'<text class="value" x="{x:.0f}" y="{BOTTOM - height - 5:.0f}">'
                f"{_share(hits, total)}</text>"
                f'<text class="count" x="{x:.0f}" y="{BOTTOM + 17 + _COUNT_ROW}">{total}</text>'
            )
        parts.append(_group(bars.sequence, f'<path class="bar" d="{path}"/>{texts}'))
    parts.append(
        f'<text class="count-label" x="{LEFT - 8}" y="{BOTTOM + 17 + _COUNT_ROW}">n</text>'
    )
    return svg_element(title, "".join(parts), label_y + 10)


def event_strip(title: str, kind: str, counts: IntArray) -> str:
    """Draw one mark per frame in which something happened, the taller the more often.

    A sequence longer than 200 frames is drawn in 200 columns or fewer of equally many frames.

    Args:
        title: For those who do not see the strip.
        kind: Class of the marks.
        counts: int64 (F,), how often in each frame.

    Returns:
        An ``<svg>`` element that fills the width of its box.
    """
    num_frames = max(1, len(counts))
    frames_per_column = strip_step(num_frames)
    padded = np.pad(counts, (0, -len(counts) % frames_per_column))
    columns = padded.reshape(-1, frames_per_column).sum(axis=1)
    top = max(1, int(columns.max(initial=0)))
    heights = np.where(columns > 0, _STRIP_HEIGHT * (0.4 + 0.6 * columns / top), 0)
    path = "".join(
        f"M{(column + 0.5) * frames_per_column:g} {_STRIP_HEIGHT}v{-heights[column]:.0f}"
        for column in np.flatnonzero(columns).tolist()
    )
    return (
        f'<svg class="strip" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {num_frames} {_STRIP_HEIGHT}" preserveAspectRatio="none">'
        f'<title>{escape(title)}</title><path class="mark {kind}" d="{path}"/></svg>'
    )


def strip_step(num_frames: int) -> int:
    """Return how many frames one column of a strip stands for."""
    return max(1, math.ceil(num_frames / MAX_STRIP_COLUMNS))


def _share(hits: int, total: int) -> str:
    """Return a share in two digits, 1 and 0 only where it is all or none."""
    if hits in (0, total):
        return str(hits // total)
    return f"{min(max(hits / total, 0.01), 0.99):.2f}".removeprefix("0")


def _group(sequence: int | None, content: str) -> str:
    """Return a group that is visible only while its sequence, or none, is chosen."""
    hidden = "" if sequence is None else " off"
    return f'<g class="one{hidden}" data-sequence="{group_name(sequence)}">{content}</g>'


def svg_element(title: str, content: str, height: int) -> str:
    """Return a chart around its content."""
    return (
        f'<svg class="chart" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {WIDTH} {height}"><title>{escape(title)}</title>{content}</svg>'
    )


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Return path data without points that nobody could tell apart."""
    points = np.stack([x, y], axis=1)
    kept = [points[0]]
    for point in points[1:-1]:
        if np.abs(point - kept[-1]).max() >= _LEAST_STEP:
            kept.append(point)
    kept.append(points[-1])
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in kept)


def axes(x_axis: Axis, y_axis: Axis, x_ticks: list[tuple[float, str]], *, label_y: int) -> str:
    """Draw grid lines, ticks and labels."""
    parts = []
    for value, label in y_axis.ticks():
        y = BOTTOM - (BOTTOM - TOP) * float(y_axis.fraction(np.array(value)))
        parts.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
            f'<text class="y-tick" x="{LEFT - 8}" y="{y + 4.5:.1f}">{label}</text>'
        )
    for value, label in x_ticks:
        x = LEFT + (RIGHT - LEFT) * float(x_axis.fraction(np.array(value)))
        parts.append(f'<text class="x-tick" x="{x:.1f}" y="{BOTTOM + 17}">{label}</text>')
        if x_axis.is_log:
            parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>')
    middle_x, middle_y = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    parts.append(
        f'<text class="axis-label" x="{middle_x:g}" y="{label_y}">{escape(x_axis.label)}</text>'
        f'<text class="axis-label" transform="translate(15 {middle_y:g}) rotate(-90)">'
        f"{escape(y_axis.label)}</text>"
        f'<path class="frame" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>'
    )
    return "".join(parts)
