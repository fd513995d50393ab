"""Draw docs/method.svg: forward wiring and gradient routes of BP-FPN beside the plain FPN.

python scripts/draw_method.py [FILE]
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

FILE = Path(__file__).parents[1] / "docs" / "method.svg"

WIDTH, HEIGHT = 1010, 500
BOX_W, BOX_H = 84, 38
X_BACKBONE, X_PYRAMID, X_JOIN, X_HEAD = 70, 240, 345, 430
ROW = {"C5": 100, "C4": 190, "C3": 280, "C2": 370}
GAP = 9
"""Distance between a forward arrow and the gradient that comes back beside it."""

STYLE = """
svg{background:#fff}
text{font:14px system-ui,sans-serif;fill:#1b1f24;text-anchor:middle}
.title{font-size:17px;font-weight:600}.small{font-size:12px;fill:#55606b}
.left{text-anchor:start}
rect{fill:#f4f6f8;stroke:#55606b;rx:6}.down{fill:#dcebf5;stroke:#0072b2}
path{fill:none;stroke-width:2}.forward{stroke:#0072b2;marker-end:url(#f)}
.back{stroke:#c24e00;stroke-dasharray:5 4;marker-end:url(#b)}
.stop{stroke:#b00020;stroke-width:5}.stop-text{fill:#b00020;font-weight:600;font-size:12px}
.dgr{fill:#fff;stroke:#7a3e9d;stroke-width:2}.dgr-text{fill:#7a3e9d;font-weight:600;font-size:12px}
.head-f{fill:#0072b2}.head-b{fill:#c24e00}
"""


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    path.write_text(draw(), encoding="utf-8")


def draw() -> str:
    """Return the picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>Forward wiring and gradient routes of the plain FPN and of BP-FPN</title>",
        f"<style>{STYLE}</style><defs>{head('f')}{head('b')}</defs>",
        f'<g transform="translate(10 0)">{panel(is_bp=False)}</g>',
        f'<g transform="translate(515 0)">{panel(is_bp=True)}</g>',
        legend(),
        "</svg>\n",
    ]
    return "\n".join(parts)


def panel(*, is_bp: bool) -> str:
    """Return one pyramid with its backbone."""
    name = "BP-FPN" if is_bp else "Plain FPN"
    parts = [text(240, 40, name, "title"), text(X_BACKBONE, 70, "backbone", "small")]
    parts += backbone()
    reduce_y = ROW["C5"]
    parts += both((X_BACKBONE, reduce_y), (X_PYRAMID, reduce_y))
    parts.append(box(X_PYRAMID, reduce_y, "1x1, up"))
    above = reduce_y
    for level in ("C4", "C3"):
        y = ROW[level]
        parts += both((X_BACKBONE, y), (X_PYRAMID, y))
        parts += both((X_PYRAMID, above), (X_PYRAMID, y))
        parts.append(box(X_PYRAMID, y, f"P{level[1]}"))
        if is_bp:
            parts += dgr(y)
        above = y
    parts.append(text(X_PYRAMID + 12, 239, "1x1, up", "small left"))
    if is_bp:
        parts += shortcut()
    else:
        parts += both((X_PYRAMID, ROW["C3"]), (X_HEAD, ROW["C3"]))
    parts.append(box(X_HEAD, ROW["C3"], "head"))
    return "".join(parts)


def backbone() -> list[str]:
    """Return C2 .. C5 and what runs between them."""
    parts = []
    levels = list(ROW.items())
    for (_, y), (_, below) in itertools.pairwise(levels):
        parts += both((X_BACKBONE, below), (X_BACKBONE, y))
    parts += both((X_BACKBONE, ROW["C2"] + 76), (X_BACKBONE, ROW["C2"]))
    return [*parts, *(box(X_BACKBONE, y, level) for level, y in levels)]


def dgr(y: int) -> list[str]:
    """Return the two places of a step where DGR acts on what comes back."""
    left, top = X_PYRAMID - BOX_W / 2 - 22, y - BOX_H / 2 - 16
    parts = []
    for x, at, label_x, label_y in (
        (left, y + GAP / 2, left, y + 28),
        (X_PYRAMID - GAP / 2, top, X_PYRAMID - 34, top + 4),
    ):
        parts.append(f'<circle class="dgr" cx="{x:g}" cy="{at:g}" r="8"/>')
        parts.append(text(label_x, label_y, "DGR", "dgr-text"))
    return parts


def shortcut() -> list[str]:
    """Return GILS: C2 through Down to the join, and where its gradient ends."""
    low, high, half = ROW["C2"], ROW["C3"], BOX_W / 2
    wall = X_BACKBONE + half + 22
    radius = 13
    back_x = X_JOIN + GAP
    return [
        arrow(f"M{X_BACKBONE + half} {low}H{X_PYRAMID - half}", "forward"),
        arrow(f"M{X_PYRAMID - half} {low + GAP}H{wall + 8}", "back"),
        f'<path class="stop" d="M{wall} {low - 14}V{low + 40}"/>',
        text(wall, low + 58, "stop-gradient", "stop-text"),
        box(X_PYRAMID, low, "Down", "down"),
        text(X_PYRAMID, low + 38, "space-to-depth, 1x1", "small"),
        arrow(f"M{X_PYRAMID + half} {low}H{X_JOIN}V{high + radius + 2}", "forward"),
        arrow(
            f"M{back_x} {high + radius}V{low + GAP}H{X_PYRAMID + half + 2}",
            "back",
        ),
        *both((X_PYRAMID, high), (X_JOIN, high), half_end=radius),
        *both((X_JOIN, high), (X_HEAD, high), half_start=radius),
        f'<circle cx="{X_JOIN}" cy="{high}" r="{radius}" fill="#fff" stroke="#55606b"/>',
        text(X_JOIN, high + 5, "+"),
        text(X_JOIN, high - 22, "P3'"),
        text(X_JOIN + 22, (low + high) / 2 + 4, "GILS", "small left"),
    ]


def both(
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    half_start: float | None = None,
    half_end: float | None = None,
) -> list[str]:
    """Return a forward arrow between two centres and the gradient that comes back beside it."""
    (x0, y0), (x1, y1) = start, end
    is_flat = y0 == y1
    half = BOX_W / 2 if is_flat else BOX_H / 2
    before, behind = half_start or half, half_end or half
    if is_flat:
        there = f"M{x0 + before:g} {y0 - GAP / 2:g}H{x1 - behind - 2:g}"
        back = f"M{x1 - behind:g} {y0 + GAP / 2:g}H{x0 + before + 2:g}"
    else:
        sign = 1 if y1 > y0 else -1
        there = f"M{x0 + GAP / 2:g} {y0 + sign * before:g}V{y1 - sign * (behind + 2):g}"
        back = f"M{x0 - GAP / 2:g} {y1 - sign * behind:g}V{y0 + sign * (before + 2):g}"
    return [arrow(there, "forward"), arrow(back, "back")]


def legend() -> str:
    """Return what the lines mean."""
    y = HEIGHT - 18
    return "".join(
        [
            arrow(f"M190 {y - 5}h50", "forward"),
            text(250, y, "forward", "left"),
            arrow(f"M390 {y - 5}h-50", "back"),
            text(400, y, "gradient", "left"),
            f'<circle class="dgr" cx="510" cy="{y - 5}" r="8"/>',
            text(526, y, "routed by DGR, identity forward", "left"),
            f'<path class="stop" d="M770 {y - 16}V{y + 6}"/>',
            text(782, y, "no gradient passes", "left"),
        ]
    )


def box(x: float, y: float, label: str, kind: str = "") -> str:
    """Return a labelled box about a centre."""
    return (
        f'<rect class="{kind}" x="{x - BOX_W / 2:g}" y="{y - BOX_H / 2:g}" width="{BOX_W}" '
        f'height="{BOX_H}"/>{text(x, y + 5, label)}'
    )


def text(x: float, y: float, content: str, kind: str = "") -> str:
    """Return a text about a point of its baseline."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{content}</text>'


def arrow(path: str, kind: str) -> str:
    """Return a line with a head."""
    return f'<path class="{kind}" d="{path}"/>'


def head(name: str) -> str:
    """Return an arrow head."""
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" '
        f'markerHeight="5" orient="auto"><path class="head-{name}" d="M0 0L8 4L0 8z"/></marker>'
    )


if __name__ == "__main__":
    main()
