"""Labelled points with intervals as an SVG file of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from stdet.report.svg_charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    axes,
    svg_element,
)

_LABEL_HEIGHT = 15
"""Least distance of two labels of points, chart units."""

_LETTER_WIDTH = 8
"""Upper bound of a letter's mean width in a label, chart units."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One labelled point of a scatter chart.

    Attributes:
        label: Said beside it.
        x: Value.
        y: Value.
        y_interval: Lower and upper end of a bar through it, None for none.
    """

    label: str
    x: float
    y: float
    y_interval: tuple[float, float] | None = None


def round_axis(label: str, values: Sequence[float], *, most: float = math.inf) -> Axis:
    """Return a linear axis that holds all values and whose five steps are round numbers.

    Args:
        label: Of the axis.
        values: At least one.
        most: Where the axis must end at the latest, such as 1 for shares.
    """
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    first = 0.0 if 0 <= low < room else low - room
    if low >= 0:
        first = max(first, 0.0)
    least = (high + room - first) / 5
    power = 10.0 ** math.floor(math.log10(least))
    for factor in (1, 2, 2.5, 5, 10, 20):
        step = factor * power
        start = math.floor(first / step + 1e-9) * step
        if start + 5 * step >= high + room / 2:
            break
    start = min(start, most - 5 * step)
    return Axis(label=label, low=float(f"{start:.12g}"), high=float(f"{start + 5 * step:.12g}"))


def scatter_chart(title: str, x_axis: Axis, y_axis: Axis, points: Sequence[Point]) -> str:
    """Draw labelled points with bars for their intervals.

    Args:
        title: For those who do not see the chart, and above it.
        x_axis: Horizontal.
        y_axis: Vertical.
        points: At least one, all finite.

    Returns:
        An ``<svg>`` element.
    """
    parts = [
        f'<text class="title" x="{(LEFT + RIGHT) / 2:g}" y="18">{escape(title)}</text>',
        axes(x_axis, y_axis, x_axis.ticks(), label_y=BOTTOM + 40),
    ]
    x = LEFT + (RIGHT - LEFT) * x_axis.fraction(np.array([point.x for point in points]))
    y = BOTTOM - (BOTTOM - TOP) * y_axis.fraction(np.array([point.y for point in points]))
    for point, at_x in zip(points, x.tolist(), strict=True):
        if point.y_interval is not None:
            ends = y_axis.fraction(np.array(point.y_interval))
            low, high = (BOTTOM - (BOTTOM - TOP) * ends).tolist()
            parts.append(
                f'<path class="interval" d="M{at_x:.1f} {low:.1f}V{high:.1f}'
                f'M{at_x - 4:.1f} {low:.1f}h8M{at_x - 4:.1f} {high:.1f}h8"/>'
            )
    labels = _place_labels([point.label for point in points], x.tolist(), y.tolist())
    for point, at_x, at_y, (label_x, label_y, side) in zip(
        points, x.tolist(), y.tolist(), labels, strict=True
    ):
        if abs(label_y - at_y) > _LABEL_HEIGHT / 2:
            parts.append(
                f'<path class="leader" d="M{at_x:.1f} {at_y:.1f}L{label_x:.1f} {label_y:.1f}"/>'
            )
        parts.append(
            f'<circle class="marker" cx="{at_x:.1f}" cy="{at_y:.1f}" r="5">'
            f"<title>{escape(point.label)}: {point.x:.6g}, {point.y:.4f}</title></circle>"
            f'<text class="label {side}" x="{label_x:.1f}" y="{label_y + 4.5:.1f}">'
            f"{escape(point.label)}</text>"
        )
    return svg_element(title, "".join(parts), BOTTOM + 50)


def standalone(svg: str) -> str:
    """Return a chart as a file of its own, on white, with the style that the page would give."""
    start, _, rest = svg.partition(">")
    return (
        f'{start} xmlns="http://www.w3.org/2000/svg" width="720"><style>{_STYLE}</style>{rest}\n'
    )


_STYLE = (
    "svg{background:#fff}text{font:13px system-ui,sans-serif;fill:#1b1f24;text-anchor:middle}"
    ".x-tick,.y-tick{font-size:12px;fill:#55606b}.y-tick,.before{text-anchor:end}"
    ".after{text-anchor:start}.title{font-weight:600}path{fill:none}"
    ".grid{stroke:#d3d9df;stroke-width:.8}.leader{stroke:#0072b2;stroke-width:.8}.frame{stroke:#55606b}.interval{stroke:#98a2ad}"
    ".label{stroke:#fff;stroke-width:3;paint-order:stroke}"
    ".marker{fill:#0072b2;stroke:#fff;stroke-width:1.5}"
)


def _place_labels(
    names: Sequence[str], xs: Sequence[float], ys: Sequence[float]
) -> list[tuple[float, float, str]]:
    """Return where each label starts or ends, its height, and on which side of its point it is.

    Each is beside its point, or as little above or below as keeps it off those placed before.
    """
    placed: list[tuple[float, float, float]] = []  # Left, right and height of each label.
    found = []
    for name, x, y in zip(names, xs, ys, strict=True):
        width = _LETTER_WIDTH * len(name)
        is_after = x + 12 + width <= WIDTH
        left = x + 12 if is_after else x - 12 - width
        taken = [at for low, high, at in placed if low < left + width and left < high]
        # Off the height of its point by 0, 1, -1, 2, ... quarter lines, within the frame.
        steps = (sign * n for n in range(4 * len(names) + 40) for sign in (1, -1))
        heights = (y + step * _LABEL_HEIGHT / 4 for step in steps)
        height = next(
            at
            for at in heights
            if TOP <= at <= BOTTOM - _LABEL_HEIGHT / 2
            and all(abs(at - other) >= _LABEL_HEIGHT for other in taken)
        )
        placed.append((left, left + width, height))
        found.append((x + 12, height, "after") if is_after else (x - 12, height, "before"))
    return found
