"""What fools detectors and is not truth: still spots, bad pixels, birds, trees, burnt-in text.

Birds are distractors here, by decision: they fly, and at long range they are as small and as warm
as targets, but people who look for drones and aircraft do not want them. Their truth is written
nowhere; their flight is erratic and their wings flap, by which they can be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from stdet.synthesis.camera import CameraPath
from stdet.synthesis.scene import Scene
from stdet.synthesis.settings import DistractorConfig, TargetConfig, draw, draw_count
from stdet.synthesis.spots import Float, Shape, point_shape
from stdet.types import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot:
    """A spot that is no target.

    Attributes:
        kind: `scene_spot`, `camera_spot`, `bird` or `crown`.
        centres_xy: float64 (T, 2), frame coordinates.
        shapes: One for each time, or one for all.
        strength: Wanted SCR when it is first seen; of crowns the level added, in units of the
            deviation of the scene.
        sign: 1 warm, -1 cold.
        pulse: float64 (T,), factor of the light.
    """

    kind: str
    centres_xy: Float
    shapes: tuple[Shape, ...]
    strength: float
    sign: float
    pulse: Float

    def shape(self, time: int) -> Shape:
        """Return the lobes at a time."""
        return self.shapes[min(time, len(self.shapes) - 1)]


@dataclass(frozen=True, kw_only=True, eq=False)
class BadPixels:
    """Pixels of the sensor that tell something else than light.

    Attributes:
        rows: int (N,).
        columns: int (N,).
        levels: float32 (N,), what they show.
        is_on: bool (T, N), when they show it.
    """

    rows: np.ndarray
    columns: np.ndarray
    levels: FloatArray
    is_on: np.ndarray

    def apply(self, frame: FloatArray, time: int) -> None:
        """Put them into a frame, in place."""
        on = self.is_on[time]
        frame[self.rows[on], self.columns[on]] = self.levels[on]


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Burnt-in marks.

    Attributes:
        hw: Size of the frame.
        lines: Text with a place for the number of the frame, and its top-left corner.
        cross: Middle, inner and outer reach of a cross-hair, pixels, or None.
        level: Of the marks.
    """

    hw: tuple[int, int]
    lines: tuple[tuple[str, tuple[int, int]], ...]
    cross: tuple[int, int, int, int] | None
    level: float

    def apply(self, frame: FloatArray, time: int) -> None:
        """Draw into a frame, in place."""
        if not self.lines and self.cross is None:
            return
        picture = Image.new("1", (self.hw[1], self.hw[0]), 0)
        pen = ImageDraw.Draw(picture)
        font = ImageFont.load_default_imagefont()
        for text, place in self.lines:
            pen.text(place, text.format(time=time, tenths=time % 10), fill=1, font=font)
        if self.cross is not None:
            x, y, inner, outer = self.cross
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                start = (x + dx * inner, y + dy * inner)
                pen.line([start, (x + dx * outer, y + dy * outer)], fill=1)
        frame[np.asarray(picture)] = self.level


def draw_spots(
    config: DistractorConfig,
    targets: TargetConfig,
    camera: CameraPath,
    scene: Scene,
    rng: np.random.Generator,
) -> list[Spot]:
    """Draw still spots, birds and tree crowns.

    Args:
        config: Of one sequence (see ``draw_scene``).
        targets: Sizes and brightness that still spots and birds share with targets.
        camera: Of the sequence.
        scene: Where trees stand.
        rng: Source of chance.
    """
    num_frames = len(camera.corners_xy)
    size = np.array([camera.hw[1], camera.hw[0]], np.float64)
    spots = []
    for _ in range(draw_count(config.hot_spots_range, rng)):
        is_fixed_to_camera = rng.random() < 0.5
        time = int(rng.integers(num_frames))
        place = rng.uniform(0.05, 0.95, 2) * size
        centres = np.tile(place, (num_frames, 1))
        if not is_fixed_to_camera:
            centres = camera.to_frame(place + camera.corners_xy[time], slice(None))
        spots.append(
            Spot(
                kind="camera_spot" if is_fixed_to_camera else "scene_spot",
                centres_xy=centres,
                shapes=(point_shape(draw(targets.size_range, rng), targets.optics_sigma),),
                strength=draw(targets.scr_range, rng),
                sign=1.0,
                pulse=np.ones(num_frames),
            )
        )
    spots += [_bird(targets, camera, rng) for _ in range(draw_count(config.birds_range, rng))]
    num_crowns = min(draw_count(config.crowns_range, rng), len(scene.crowns_xy))
    if num_crowns:
        # Trees are the nearest layer, and move as it does.
        parallax = scene.layers[-1].parallax
        for row in rng.choice(len(scene.crowns_xy), num_crowns, replace=False):
            spots.append(_crown(scene.crowns_xy[row], camera, parallax, rng))
    return spots


def _bird(targets: TargetConfig, camera: CameraPath, rng: np.random.Generator) -> Spot:
    """Draw a bird: a body between two wings that flap, on a path of sudden turns."""
    num_frames = len(camera.corners_xy)
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(
        gaussian_filter1d(rng.normal(0, 0.35, num_frames), 1.0)
    )
    headings += np.cumsum(rng.normal(0, 0.9, num_frames) * (rng.random(num_frames) < 0.08))
    speed = rng.uniform(0.5, 3.0) * (1 + 0.3 * gaussian_filter1d(rng.normal(size=num_frames), 2))
    steps = speed[:, None] * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    path = np.cumsum(steps, axis=0)
    time = int(rng.integers(num_frames))
    place = rng.uniform(0.15, 0.85, 2) * (camera.hw[1], camera.hw[0])
    path += place + camera.corners_xy[time] - path[time]
    beat = np.sin(2 * np.pi * np.arange(num_frames) / rng.uniform(2.5, 7.0) + rng.uniform(0, 6))
    span = rng.uniform(1.0, 3.0)
    shapes = []
    for heading, phase in zip(headings, beat, strict=True):
        across = np.array([-np.sin(heading), np.cos(heading)])
        reach = span * (0.35 + 0.65 * (0.5 + 0.5 * phase))
        places = np.array([-reach, 0.0, reach])[:, None] * across
        shapes.append(
            Shape(
                offsets_xy=places,
                sigmas=np.hypot(targets.optics_sigma, [0.35, 0.45, 0.35]),
                weights=np.array([0.25, 0.5, 0.25]),
            )
        )
    return Spot(
        kind="bird",
        centres_xy=camera.to_frame(path, slice(None)),
        shapes=tuple(shapes),
        strength=draw(targets.scr_range, rng),
        sign=1.0,
        pulse=1 + 0.25 * beat,
    )


def _crown(place_xy: Float, camera: CameraPath, parallax: float, rng: np.random.Generator) -> Spot:
    """Draw a part of a tree crown that sways in the wind."""
    num_frames = len(camera.corners_xy)
    times = np.arange(num_frames)
    period, phase = rng.uniform(10, 30), rng.uniform(0, 2 * np.pi)
    gust = 0.5 + 0.5 * np.sin(2 * np.pi * times / 90 + place_xy[0] / 60)  # Gusts travel.
    sway = rng.uniform(0.3, 1.5) * gust * np.sin(2 * np.pi * times / period + phase)
    path = place_xy + np.stack([sway, 0.25 * np.abs(sway)], axis=1)
    sigma = rng.uniform(0.9, 2.4)
    return Spot(
        kind="crown",
        centres_xy=camera.to_frame(path, slice(None), parallax),
        shapes=(Shape(offsets_xy=np.zeros((1, 2)), sigmas=np.array([sigma]), weights=np.ones(1)),),
        strength=rng.uniform(0.25, 1.0),
        sign=1.0 if rng.random() < 0.6 else -1.0,
        pulse=1 + 0.3 * np.sin(2 * np.pi * times / period * 1.7 + phase),
    )


def draw_bad_pixels(
    config: DistractorConfig, num_frames: int, hw: tuple[int, int], rng: np.random.Generator
) -> BadPixels:
    """Draw dead, hot and blinking pixels.

    Args:
        config: Of one sequence.
        num_frames: T.
        hw: Size of the frame.
        rng: Source of chance.
    """
    num_stuck = draw_count(config.stuck_pixels_range, rng)
    num_blinking = draw_count(config.blinking_pixels_range, rng)
    num = num_stuck + num_blinking
    is_on = np.ones((num_frames, num), np.bool_)
    for column in range(num_stuck, num):
        dwell = rng.uniform(1, 12)  # Mean time in either state, frames.
        flips = rng.random(num_frames) < 1 / dwell
        is_on[:, column] = np.cumsum(flips) % 2 == rng.integers(2)
    is_dead = rng.random(num) < 0.4
    levels = np.where(is_dead, rng.uniform(0, 0.1, num), rng.uniform(0.7, 1.0, num))
    return BadPixels(
        rows=rng.integers(hw[0], size=num),
        columns=rng.integers(hw[1], size=num),
        levels=levels.astype(np.float32),
        is_on=is_on,
    )


def draw_overlay(
    config: DistractorConfig, hw: tuple[int, int], rng: np.random.Generator
) -> Overlay:
    """Draw burnt-in text and a cross-hair."""
    height, width = hw
    lines: list[tuple[str, tuple[int, int]]] = []
    has_text = rng.random() < config.text_probability
    has_cross = rng.random() < config.cross_hair_probability
    clock = f"{rng.integers(24):02d}:{rng.integers(60):02d}:{rng.integers(60):02d}.{{tenths}}"
    azimuth, elevation = rng.uniform(0, 360), rng.uniform(-5, 60)
    zoom = int(rng.integers(1, 12))
    if has_text:
        lines = [
            (f"AZ {azimuth:05.1f} EL {elevation:+05.1f}", (4, 3)),
            (clock, (max(width - 78, 0), max(height - 14, 0))),
        ]
        if width >= 200:
            lines.append((f"X{zoom} {{time:04d}}", (4, height - 14)))
    cross = None
    if has_cross:
        inner = max(2, min(hw) // 24)
        cross = (width // 2, height // 2, inner, inner + max(4, min(hw) // 12))
    return Overlay(
        hw=hw, lines=tuple(lines), cross=cross, level=1.0 if rng.random() < 0.8 else 0.02
    )
