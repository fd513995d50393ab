"""Backgrounds seen from above: open land and towns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from stdet.synthesis.canvas import Layer, fractal, smooth_step, step
from stdet.synthesis.scene import Extent, Scene, Wind
from stdet.synthesis.spots import Float
from stdet.types import FloatArray


def terrain(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
    """Ground from above: fields with edges, tracks, lines of trees, warm stones."""
    height, width = extent.canvas_hw
    land = _fields(extent, rng)
    relief = fractal(rng, (height, width), 1.7)
    grain = fractal(rng, (height, width), 0.7)
    image = land + 0.25 * relief + 0.07 * grain
    image += 0.5 * step(3 * (fractal(rng, (height, width), 1.1) - 2.4))
    image = _draw_tracks(image, extent, rng, num=int(rng.integers(1, 4)), level=0.55)
    trees = Layer(
        image=(0.05 + 0.22 * fractal(rng, (height, width), 0.6)).astype(np.float32),
        opacity=_tree_lines(extent, rng),
        parallax=1 + wind.parallax,
        hides_targets=True,
    )
    crowns = _places(trees.opacity, extent, rng)
    return Scene(
        layers=[Layer(image=image.astype(np.float32)), trees], kind="terrain", crowns_xy=crowns
    )


def _fields(extent: Extent, rng: np.random.Generator) -> FloatArray:
    """Return patches of even level with sharp borders: cells about random points."""
    height, width = extent.canvas_hw
    num = max(4, int(height * width / 110**2))
    points = rng.uniform(0, 1, (num, 2)) * (height, width)
    levels = rng.normal(0, 0.45, num).astype(np.float32)
    warp = fractal(rng, (height, width), 2.0) * 9
    slope = rng.uniform(0.4, 1.6)
    rows = np.arange(height, dtype=np.float32)[:, None] + warp
    columns = np.arange(width, dtype=np.float32)[None, :] + warp.mean()
    nearest = np.full((height, width), np.inf, np.float32)
    land = np.zeros((height, width), np.float32)
    for (row, column), level in zip(points, levels, strict=True):
        # Chequered distance, so that fields have straight borders.
        distance = np.abs(rows - row) + np.abs(columns - column) * slope
        is_nearer = distance < nearest
        nearest[is_nearer] = distance[is_nearer]
        land[is_nearer] = level
    return land


def _tree_lines(extent: Extent, rng: np.random.Generator) -> FloatArray:
    """Return the opacity of rows of trees and of copses."""
    height, width = extent.canvas_hw
    rows = np.arange(height, dtype=np.float32)[:, None]
    ragged = fractal(rng, (height, width), 0.9)
    opacity = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        line = rng.uniform(0, height) + rng.uniform(-0.3, 0.3) * (np.arange(width) - width / 2)
        line = line + 6 * fractal(rng, (8, width), 1.8)[0]
        reach = rng.uniform(3, 8)
        away = np.abs(rows - line) - reach - 2.5 * ragged
        opacity = np.maximum(opacity, step(-away * 0.6))
    copses = smooth_step(fractal(rng, (height, width), 1.7) + 0.2 * ragged, 1.7, 1.9)
    return np.maximum(opacity, copses)


def _draw_tracks(
    image: FloatArray, extent: Extent, rng: np.random.Generator, *, num: int, level: float
) -> FloatArray:
    """Draw bending roads, warmer than their surroundings."""
    height, width = extent.canvas_hw
    picture = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(picture)
    for _ in range(num):
        steps = np.linspace(-0.1, 1.1, 40)
        angle = rng.uniform(0, np.pi)
        across = rng.normal(0, 25) * np.sin(steps * rng.uniform(2, 6) + rng.uniform(0, 6))
        start = rng.uniform(0.2, 0.8, 2) * (width, height)
        along = (steps - 0.5) * 1.5 * max(height, width)
        x = start[0] + along * np.cos(angle) - across * np.sin(angle)
        y = start[1] + along * np.sin(angle) + across * np.cos(angle)
        line = [(float(px), float(py)) for px, py in zip(x, y, strict=True)]
        pen.line(line, fill=255, width=int(rng.integers(2, 6)), joint="curve")
    share = gaussian_filter(np.asarray(picture, np.float32) / 255, 0.5)
    mixed: FloatArray = image + share * (level + 0.05 * image - image)
    return mixed


def urban(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
    """A town from above: streets, roofs with hot hard edges, vents, and trees between."""
    height, width = extent.canvas_hw
    scale = 2  # Drawn at twice the size, so that edges fall between pixels.
    picture = Image.new("L", (width * scale, height * scale), 104)
    pen = ImageDraw.Draw(picture)
    turn = float(rng.uniform(-0.5, 0.5))
    pitch = float(rng.uniform(34, 62))
    street = float(rng.uniform(7, 13))
    reach = int(np.hypot(height, width) / pitch / 2) + 2
    middle = np.array([width / 2, height / 2])
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def fill(corner: Float, size: Float, level: float) -> None:
        corners = corner + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size
        points = [tuple(point) for point in ((corners @ axes + middle) * scale).tolist()]
        pen.polygon(points, fill=int(np.clip(level, 0, 255)))

    for block_x in range(-reach, reach):
        for block_y in range(-reach, reach):
            corner = np.array([block_x, block_y]) * pitch
            inner = pitch - street
            fill(corner, np.array([inner, inner]), rng.normal(74, 7))
            if rng.random() < 0.12:
                continue  # A park.
            _roofs(fill, corner, inner, rng)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    image = small + 0.012 * fractal(rng, (height, width), 0.8)
    image += 0.03 * fractal(rng, (height, width), 1.8)
    trees = Layer(
        image=(0.27 + 0.035 * fractal(rng, (height, width), 0.7)).astype(np.float32),
        opacity=smooth_step(
            fractal(rng, (height, width), 1.2) + 0.3 * fractal(rng, (height, width), 0.6),
            1.7,
            1.9,
        ),
        parallax=1 + wind.parallax * 0.3,
        hides_targets=True,
    )
    crowns = _places(trees.opacity, extent, rng)
    return Scene(
        layers=[Layer(image=image.astype(np.float32)), trees], kind="urban", crowns_xy=crowns
    )


def _roofs(
    fill: Callable[[Float, Float, float], None],
    corner: Float,
    inner: float,
    rng: np.random.Generator,
) -> None:
    """Draw the roofs of one block, their hot edges and vents."""
    parts = int(rng.integers(1, 4))
    for part in range(parts):
        for half in range(int(rng.integers(1, 3))):
            lot = np.array([inner / parts, inner / 2])
            start = corner + lot * (part, half) + rng.uniform(1.0, 3.0, 2)
            size = np.maximum(lot - rng.uniform(3.0, 6.0, 2), 3.0)
            level = rng.normal(118, 24)
            fill(start + 1.2, size, 50)  # The shaded side is cold.
            fill(start, size, level + rng.uniform(15, 60))  # The parapet is warm.
            fill(start + 0.9, size - 1.8, level)
            if rng.random() < 0.3:  # A hot chimney or vent, as small as a target.
                place = start + rng.uniform(0.15, 0.8, 2) * size
                fill(place, rng.uniform(0.8, 2.2, 2), rng.uniform(190, 250))


def _places(opacity: FloatArray, extent: Extent, rng: np.random.Generator) -> Float:
    """Return places within trees, scene coordinates (N, 2)."""
    rows, columns = np.nonzero(opacity > 0.8)
    if not len(rows):
        return np.zeros((0, 2))
    picked = rng.choice(len(rows), min(len(rows), 400), replace=False)
    places: Float = np.stack([columns[picked], rows[picked]], axis=1) - np.array(extent.origin_xy)
    return places
