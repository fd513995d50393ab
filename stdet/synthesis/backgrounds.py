"""Backgrounds made from nothing, in the manner of long-wave infrared.

Clear sky is cold overhead and warmer towards the horizon; clouds are warmer than the sky behind
them; ground is warmer than sky by day; roofs, roads and chimneys keep hot, hard edges; water is
even, with waves that shrink towards the horizon. Painters work in arbitrary units on a canvas
larger than the frame; ``paint`` brings the whole to the wanted mean and deviation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from stdet.synthesis.canvas import Layer, View, cut, fractal, smooth_step, step
from stdet.synthesis.ground import terrain, urban
from stdet.synthesis.scene import Extent, Scene, Wind
from stdet.types import FloatArray


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
    depth = np.clip((rows - horizon) / extent.frame_hw[0], 0.0, None).astype(np.float32)
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


_PAINTERS: dict[str, Callable[[Extent, Wind, np.random.Generator], Scene]] = {
    "clouds": _clouds,
    "sea": _sea,
    "terrain": terrain,
    "horizon": _horizon,
    "urban": urban,
}
