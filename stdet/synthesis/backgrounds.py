"""Backgrounds made from nothing, in the manner of long-wave infrared.

Clear sky is cold overhead and warmer towards the horizon; clouds are warmer than the sky behind
them; ground is warmer than sky by day; roofs, roads and chimneys keep hot, hard edges; water is
even, with waves that shrink towards the horizon. Painters work in arbitrary units on a canvas
larger than the frame; ``paint`` brings the whole to the wanted mean and deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates

from stdet.synthesis.canvas import MARGIN_PX, Layer, View, cut, fractal, smooth_step, step
from stdet.synthesis.spots import Float
from stdet.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Sizes that painters need.

    Attributes:
        canvas_hw: Size of the canvas.
        frame_hw: Size of the frame.
        origin_xy: Place of the first frame's corner on the canvas, pixels.
    """

    canvas_hw: tuple[int, int]
    frame_hw: tuple[int, int]
    origin_xy: tuple[float, float]

    def row(self, fraction: float) -> float:
        """Return the canvas row at a fraction of the height of the first frame."""
        return self.origin_xy[1] + fraction * self.frame_hw[0]


@dataclass(kw_only=True, eq=False)
class Scene:
    """Layers from back to front.

    Attributes:
        layers: The first is opaque and moves with the background.
        kind: Kind of background.
        crowns_xy: Places where tree crowns may sway, scene coordinates (N, 2).
    """

    layers: list[Layer]
    kind: str
    crowns_xy: Float


@dataclass(frozen=True, kw_only=True)
class Wind:
    """What moves by itself, and how fast.

    Attributes:
        cloud_xy: Drift of clouds, pixels per frame.
        parallax: How much more the nearest layer moves than the background, a fraction.
    """

    cloud_xy: tuple[float, float]
    parallax: float


def paint(
    kind: str,
    extent: Extent,
    wind: Wind,
    *,
    mean: float,
    contrast: float,
    blur: float,
    rng: np.random.Generator,
) -> Scene:
    """Paint a scene.

    Args:
        kind: `clouds`, `sea`, `terrain`, `horizon` or `urban`.
        extent: Sizes.
        wind: Motion of clouds and of near layers.
        mean: Mean of the first frame, a fraction of the full scale.
        contrast: Its standard deviation.
        blur: Standard deviation of the blur of the lens, pixels.
        rng: Source of chance.
    """
    scene = _PAINTERS[kind](extent, wind, rng)
    for layer in scene.layers:
        layer.image = gaussian_filter(layer.image, blur, mode="nearest")
        if layer.opacity.size:
            layer.opacity = gaussian_filter(layer.opacity, blur, mode="nearest")
        if layer.shimmer.size:
            layer.shimmer = gaussian_filter(layer.shimmer, blur, mode="nearest")
    _normalise(scene, extent, mean, contrast)
    return scene


def _normalise(scene: Scene, extent: Extent, mean: float, contrast: float) -> None:
    """Bring the first frame to a mean and a deviation, all layers by the same linear map."""
    view = View(corner_xy=np.array(extent.origin_xy), angle=0.0, hw=extent.frame_hw)
    frame = cut(scene.layers[0].image, view)
    for layer in scene.layers[1:]:
        opacity = cut(layer.opacity, view) if layer.opacity.size else np.float32(1)
        frame = frame + opacity * (cut(layer.image, view) - frame)
    # The darkest and brightest 2 % do not decide: a few hot roofs would flatten all the rest.
    low, high = np.percentile(frame, [2, 98])
    body = np.clip(frame, low, high)
    gain = np.float32(contrast / max(float(body.std()), 1e-6))
    offset = np.float32(mean - gain * float(body.mean()))
    for layer in scene.layers:
        layer.image *= gain
        layer.image += offset
        layer.shimmer *= gain
        # Nothing in a scene is as dark as no light at all, nor beyond the range of the camera.
        np.clip(layer.image, 0.02, 0.97, out=layer.image)


def _sky(extent: Extent, rng: np.random.Generator, horizon: float) -> FloatArray:
    """Return a sky that grows warmer towards the horizon, with thin haze."""
    height, width = extent.canvas_hw
    rows = np.arange(height, dtype=np.float32)[:, None]
    height_share = np.clip((horizon - rows) / extent.frame_hw[0], 0, 2)
    glow = np.exp(-height_share / np.float32(rng.uniform(0.15, 0.5)))
    haze = fractal(rng, (height, width), 2.2, stretch=3)
    sky: FloatArray = (0.9 * glow + 0.10 * haze * (0.4 + glow)).astype(np.float32)
    return sky


def _cloud_layer(
    extent: Extent, wind: Wind, rng: np.random.Generator, *, base: float, cover: float
) -> Layer:
    """Return clouds with hard upper and frayed lower edges, warmer than the sky.

    Args:
        extent: Sizes.
        wind: Drift.
        rng: Source of chance.
        base: Level of the clouds.
        cover: Threshold of the field; lower covers more of the sky.
    """
    hw = extent.canvas_hw
    stretch = float(rng.uniform(1.5, 3.0))
    body = fractal(rng, hw, float(rng.uniform(1.6, 2.0)), stretch=stretch)
    detail = fractal(rng, hw, 1.1, stretch=1.5)
    field = body + 0.18 * detail
    opacity = smooth_step(field, cover, cover + float(rng.uniform(0.25, 0.9)))
    puffs = np.maximum(field - cover, 0)
    image = base + 0.38 * np.tanh(0.9 * puffs) + 0.10 * detail * opacity
    return Layer(
        image=image.astype(np.float32),
        opacity=0.97 * opacity,
        velocity_xy=wind.cloud_xy,
        hides_targets=True,
    )


def _clouds(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
    """Sky with one or two decks of clouds that drift over each other."""
    horizon = extent.row(float(rng.uniform(0.9, 2.0)))
    sky = Layer(image=_sky(extent, rng, horizon))
    far = _cloud_layer(extent, wind, rng, base=0.45, cover=float(rng.uniform(-0.6, 0.6)))
    far.hides_targets = False
    layers = [sky, far]
    far.velocity_xy = (0.0, 0.0)  # The background: targets' truth is relative to it.
    if rng.random() < 0.6:
        near = _cloud_layer(extent, wind, rng, base=0.65, cover=float(rng.uniform(0.6, 1.4)))
        near.parallax = 1 + wind.parallax
        layers.append(near)
    else:
        far.velocity_xy = wind.cloud_xy
        far.hides_targets = bool(rng.random() < 0.5)
    return Scene(layers=layers, kind="clouds", crowns_xy=np.zeros((0, 2)))


def _sea(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
    """Water to the horizon, or from above, with waves that swing and shrink with distance."""
    height, width = extent.canvas_hw
    horizon = extent.row(float(rng.uniform(-0.4, 0.5)))
    rows = np.arange(height, dtype=np.float32)[:, None]
    depth = np.clip((rows - horizon) / extent.frame_hw[0], 0.0, None)
    is_water = step(rows - horizon)
    swell = fractal(rng, (height, width), 1.9, stretch=3.0)
    water = 0.55 - 0.35 * np.exp(-depth * 6) + 0.10 * swell * np.clip(depth * 3, 0, 1)
    sky = _sky(extent, rng, horizon) - 0.55
    # Waves are blurred away near the horizon, and never rougher than at a distance of one frame.
    roughness = (0.03 + 0.14 * np.clip(depth, 0, 1)) * is_water
    swing = [(_waves(extent, rng, depth) * roughness).astype(np.float32) for _ in range(2)]
    layer = Layer(
        image=(sky + (water - sky) * is_water + swing[0]).astype(np.float32),
        shimmer=swing[1] - swing[0],
        shimmer_frames=float(rng.uniform(18, 60)),
    )
    return Scene(layers=[layer], kind="sea", crowns_xy=np.zeros((0, 2)))


def _waves(extent: Extent, rng: np.random.Generator, depth: FloatArray) -> FloatArray:
    """Return waves: a field on the plane of the water seen at a slant, deviation about 1.

    Args:
        extent: Sizes.
        rng: Source of chance.
        depth: float32 (Hc, 1), 0 at the horizon and 1 a frame below it.
    """
    height, width = extent.canvas_hw
    plane = fractal(rng, (2 * height, 2 * width), 0.9, stretch=2.0)
    plane -= gaussian_filter(plane, (5, 10), mode="wrap")  # Waves have a longest length.
    plane /= plane.std()
    plane += 0.5 * np.maximum(plane - 0.8, 0) ** 2  # Crests are sharper than troughs.
    scale = 1.8 / (1 + 4 * depth)  # Steps on the plane per pixel: near waves are larger.
    rows = np.broadcast_to(np.cumsum(scale, axis=0), (height, width))
    columns = width + (np.arange(width) - width / 2) * scale
    waves: FloatArray = map_coordinates(plane, [rows, columns], order=1, mode="grid-wrap")
    return waves


def _terrain(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
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


def _horizon(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
    """Sky with clouds above land, far hills, and a line of trees in front."""
    height, width = extent.canvas_hw
    rows = np.arange(height, dtype=np.float32)[:, None]
    at = float(rng.uniform(0.35, 0.85))
    horizon = extent.row(at)
    hills = horizon - 0.05 * extent.frame_hw[0] * (1 + np.abs(fractal(rng, (8, width), 1.6)[0]))
    depth = np.clip((rows - horizon) / extent.frame_hw[0], 0, None)
    far = 0.62 + 0.05 * fractal(rng, (height, width), 1.3, stretch=3)
    near = fractal(rng, (height, width), 1.0, stretch=2.5)
    bands = np.tanh(3 * fractal(rng, (height, width), 1.6, stretch=7))
    ground = 0.8 + 0.16 * near * (0.25 + depth) + 0.14 * bands * np.exp(-2 * depth)
    ground += 0.5 * step(4 * (fractal(rng, (height, width), 1.2, stretch=4) - 2.3))
    ground = far + (ground - far) * step(rows - horizon)
    land = Layer(image=ground.astype(np.float32), opacity=step(rows - hills), hides_targets=True)
    sky = Layer(image=_sky(extent, rng, horizon) * 0.55)
    clouds = _cloud_layer(extent, wind, rng, base=0.32, cover=float(rng.uniform(0.2, 1.3)))
    tops = (
        horizon
        + 0.05 * extent.frame_hw[0]
        - 0.03 * extent.frame_hw[0] * (2.2 + np.clip(fractal(rng, (8, width), 0.7)[0], -2, 3))
    )
    trunks = horizon + extent.frame_hw[0] * (0.07 + 0.01 * fractal(rng, (8, width), 1.0)[0])
    crowns = 0.98 + 0.16 * fractal(rng, (height, width), 0.7, stretch=0.5)
    gaps = smooth_step(fractal(rng, (8, width), 1.2)[0], -0.9, -0.5)
    opacity = step(rows - tops) * step(trunks - rows) * gaps
    trees = Layer(
        image=crowns.astype(np.float32),
        opacity=opacity.astype(np.float32),
        parallax=1 + wind.parallax,
        hides_targets=True,
    )
    places = np.stack([np.arange(0, width, 3), tops[::3] + 2], axis=1) - extent.origin_xy
    is_tree = gaps[::3] > 0.5
    return Scene(layers=[sky, clouds, land, trees], kind="horizon", crowns_xy=places[is_tree])


def _urban(extent: Extent, wind: Wind, rng: np.random.Generator) -> Scene:
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
            fill(start + (1.2, 1.2), size, 50)  # The shaded side is cold.
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
    places: Float = np.stack([columns[picked], rows[picked]], axis=1) - extent.origin_xy
    return places


_PAINTERS: dict[str, Callable[[Extent, Wind, np.random.Generator], Scene]] = {
    "clouds": _clouds,
    "sea": _sea,
    "terrain": _terrain,
    "horizon": _horizon,
    "urban": _urban,
}


def still_scene(image: FloatArray, extent: Extent, parallax: float) -> Scene:
    """Make a scene of one real frame, so that a still becomes the view of a moving camera.

    A frame smaller than the canvas is enlarged by up to 1.6 and then mirrored at its borders. Its
    lower half, which is nearer in most views, moves faster in two bands with soft seams.

    Args:
        image: float32 (H, W), levels in [0, 1].
        extent: Sizes.
        parallax: How much faster the lowest band moves, a fraction.
    """
    height, width = extent.canvas_hw
    zoom = min(max(height / image.shape[0], width / image.shape[1], 1.0), 1.6)
    if zoom > 1:
        size = (round(image.shape[1] * zoom), round(image.shape[0] * zoom))
        picture = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        image = np.asarray(picture, np.float32)
    down, right = max(height - image.shape[0], 0), max(width - image.shape[1], 0)
    if down or right:
        image = np.pad(
            image,
            ((down // 2, down - down // 2), (right // 2, right - right // 2)),
            mode="symmetric",
        )
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    image = np.ascontiguousarray(image[top : top + height, left : left + width])
    layers = [Layer(image=image)]
    for number, fraction in enumerate((0.55, 0.8)):
        if parallax:
            rows = np.arange(height, dtype=np.float32)[:, None]
            start, seam = extent.row(fraction), 0.06 * extent.frame_hw[0]
            opacity = np.repeat(smooth_step(rows, start - seam, start + seam), width, axis=1)
            layers.append(
                Layer(image=image, opacity=opacity, parallax=1 + parallax * (number + 1) / 2)
            )
    return Scene(layers=layers, kind="real", crowns_xy=np.zeros((0, 2)))


def extent_for(
    corners_xy: Float, frame_hw: tuple[int, int], drift_xy: Float, *, is_turned: bool
) -> Extent:
    """Return the canvas that holds every frame.

    Args:
        corners_xy: float64 (N, 2), corners of the frame for all layers and times.
        frame_hw: Size of the frame.
        drift_xy: Extra room in x and y, pixels.
        is_turned: Whether the frame turns, which needs its diagonal.
    """
    turn = (np.hypot(*frame_hw) - min(frame_hw)) / 2 if is_turned else 0.0
    margin = MARGIN_PX + np.ceil(turn) + np.ceil(np.abs(drift_xy))
    low = np.floor(corners_xy.min(axis=0)) - margin
    high = np.ceil(corners_xy.max(axis=0)) + margin
    size = high - low + (frame_hw[1], frame_hw[0]) + 2
    return Extent(
        canvas_hw=(int(size[1]), int(size[0])),
        frame_hw=frame_hw,
        origin_xy=(float(-low[0]), float(-low[1])),
    )
