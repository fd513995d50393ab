"""The background of each frame: layers under a moving camera, or the images of a clip."""

from __future__ import annotations

import numpy as np

from stdet.synthesis.backgrounds import paint
from stdet.synthesis.canvas import View, cut
from stdet.synthesis.plan import Plan, RealBackground, play_order, stream
from stdet.synthesis.scene import Scene, Wind, extent_for, still_scene
from stdet.synthesis.settings import draw
from stdet.synthesis.spots import Float
from stdet.synthesis.targets import motion_blur
from stdet.types import FloatArray

_SCENE_BLUR_PX = 1.5
"""A scene that moves farther than this during the exposure is blurred too, pixels."""


class Stack:
    """The layers of a scene, or the images of a clip, seen by the camera of a plan."""

    def __init__(self, plan: Plan, background: RealBackground | None) -> None:
        """Paint or open the background."""
        self.plan = plan
        config = plan.scene
        kind = config.background.kinds[0]
        rng = stream(plan.seed, 3)
        self.clip: FloatArray | None = None
        self.cached: tuple[bytes, FloatArray, FloatArray | None] | None = None
        speed = draw(config.distractors.cloud_speed_range, rng)
        heading = rng.uniform(-0.4, 0.4) + np.pi * rng.integers(2)
        wind = Wind(
            cloud_xy=(speed * np.cos(heading), speed * np.sin(heading)),
            parallax=config.camera.parallax_range[0],
        )
        drift = np.array(wind.cloud_xy) * len(plan.camera.corners_xy)
        corners = np.concatenate(
            [plan.camera.corners_xy, plan.camera.corners_xy * (1 + wind.parallax)]
        )
        self.extent = extent_for(
            corners, config.hw, drift, is_turned=bool(plan.camera.angles.any())
        )
        if background is not None and len(background.images) > 1:
            self.clip = _crop_clip(plan, background, rng)
            self.scene = Scene(layers=[], kind="real", crowns_xy=np.zeros((0, 2)))
        elif background is not None:
            self.scene = still_scene(background.images[0], self.extent, wind.parallax)
        elif kind == "real":
            raise ValueError("background 'real' needs real frames; pass background.")
        else:
            self.scene = paint(
                kind,
                self.extent,
                wind,
                mean=config.background.mean_range[0],
                contrast=config.background.contrast_range[0],
                blur=config.background.blur_range[0],
                rng=rng,
            )

    def compose(self, time: int) -> tuple[FloatArray, FloatArray | None]:
        """Return the scene of a frame, and how much each pixel hides what flies behind.

        Returns:
            float32 (H, W) that the caller may change, and float32 (H, W) in [0, 1], or None where
            nothing hides anything.
        """
        if self.clip is not None:
            return self.clip[time].copy(), None
        key = self._key(time)
        if self.cached is not None and self.cached[0] == key:
            return self.cached[1].copy(), self.cached[2]
        scene, hidden = self._blurred(time)
        self.cached = (key, scene, hidden)
        return scene.copy(), hidden

    def _key(self, time: int) -> bytes:
        """Return what the view depends on, so that a still camera draws a still scene once."""
        camera = self.plan.camera
        is_alive = any(any(layer.velocity_xy) or layer.shimmer.size for layer in self.scene.layers)
        place = [*camera.corners_xy[time], camera.angles[time], time if is_alive else 0]
        return np.array(place).tobytes()

    def _blurred(self, time: int) -> tuple[FloatArray, FloatArray | None]:
        """Average two views where the camera moves far during the exposure."""
        targets = self.plan.targets
        exposure = targets[0].exposure if targets else 0.0
        blur = motion_blur(self.plan.camera.corners_xy, exposure)[time]
        if np.hypot(*blur) < _SCENE_BLUR_PX:
            return self._view(time, np.zeros(2))
        first, hidden = self._view(time, -blur / 4)
        second, also_hidden = self._view(time, blur / 4)
        first += second
        first *= np.float32(0.5)
        if hidden is not None and also_hidden is not None:
            hidden = (hidden + also_hidden) * np.float32(0.5)
        return first, hidden

    def _view(self, time: int, offset_xy: Float) -> tuple[FloatArray, FloatArray | None]:
        """Lay the layers over one another."""
        camera, origin = self.plan.camera, np.array(self.extent.origin_xy)
        scene = np.zeros((0, 0), np.float32)
        hidden: FloatArray | None = None
        for layer in self.scene.layers:
            corner = origin + layer.parallax * (camera.corners_xy[time] + offset_xy)
            corner = corner - np.array(layer.velocity_xy) * time
            view = View(corner_xy=corner, angle=float(camera.angles[time]), hw=self.plan.scene.hw)
            image = cut(layer.image, view)
            if layer.shimmer.size:
                swing = 0.5 - 0.5 * np.cos(2 * np.pi * time / layer.shimmer_frames)
                image += np.float32(swing) * cut(layer.shimmer, view)
            if not layer.opacity.size:
                scene = image
                continue
            opacity = cut(layer.opacity, view)
            image -= scene
            image *= opacity
            scene += image
            if layer.hides_targets:
                hidden = opacity if hidden is None else np.maximum(hidden, opacity)
        return scene, hidden


def _crop_clip(plan: Plan, background: RealBackground, rng: np.random.Generator) -> FloatArray:
    """Return the frames that a clip gives, cut to the size of the frame at a random place."""
    height, width = plan.scene.hw
    images = background.images
    if images.shape[1] < height or images.shape[2] < width:
        raise ValueError(
            f"{background.name} is {images.shape[2]}x{images.shape[1]}, smaller than the frames "
            f"({width}x{height}); set hw to at most its size."
        )
    order = play_order(len(images), plan.scene.num_frames, stream(plan.seed, 8))
    top = int(rng.integers(images.shape[1] - height + 1))
    left = int(rng.integers(images.shape[2] - width + 1))
    cropped: FloatArray = images[order, top : top + height, left : left + width]
    return cropped
