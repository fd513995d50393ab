"""Paths, bodies and brightness of the moving targets of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter1d

from stdet.synthesis.camera import CameraPath
from stdet.synthesis.settings import TargetConfig, draw
from stdet.synthesis.spots import Float, Shape, body_shape, point_shape

BODY_FROM_PX = 6.0
"""Targets at least this long have a body along their heading; smaller ones are round."""
_HOVER_PX = (0.2, 0.8)
"""Wander of hovering targets, standard deviation, pixels."""
_TURN_RATE = (0.02, 0.12)
"""Of turning targets, radians per frame."""
_FLICKER_FRAMES = 4.0
"""Time over which the brightness changes, frames."""
_LARGEST_BLUR_PX = 6.0
"""Longest motion blur: a jump of the camera happens between exposures, not during one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetPlan:
    """One target over a whole sequence.

    Attributes:
        track_id: From 1.
        motion: Kind of path.
        size_px: Extent before the lens blurs it, pixels.
        optics_sigma: Blur of the lens, pixels.
        sign: 1 warm, -1 cold.
        scr: Wanted ratio in each frame, float64 (T,).
        exposure: Share of the time between frames during which light is gathered.
        centres_xy: Centre in each frame, float64 (T, 2), also outside the frame.
        blurs_xy: Motion in the frame during the exposure, float64 (T, 2).
        headings: Direction of the body in the frame, float64 (T,), radians.
        box_min_px: Smallest side of a box.
        is_behind: Whether clouds, trees and land hide it.
    """

    track_id: int
    motion: str
    size_px: float
    optics_sigma: float
    sign: float
    scr: Float
    exposure: float
    centres_xy: Float
    blurs_xy: Float
    headings: Float
    box_min_px: float
    is_behind: bool

    def shape(self, time: int) -> Shape:
        """Return the lobes at a time."""
        if self.size_px < BODY_FROM_PX:
            return point_shape(self.size_px, self.optics_sigma)
        return body_shape(self.size_px, self.optics_sigma, float(self.headings[time]))

    @cached_property
    def boxes_xyxy(self) -> Float:
        """The boxes of all frames, float64 (T, 4).

        The visible extent with its motion blur, and at least the smallest side.
        """
        extent = self.shape(0).half_extent_xy()[None]
        if self.size_px >= BODY_FROM_PX:
            # Lobes on a line: variances along and across it, turned by the heading.
            along, across = body_shape(self.size_px, self.optics_sigma, 0.0).half_extent_xy() ** 2
            directions = np.stack([np.cos(self.headings), np.sin(self.headings)], axis=1)
            extent = np.sqrt(across + (along - across) * directions**2)
        half = np.maximum(extent + np.abs(self.blurs_xy) / 2, self.box_min_px / 2)
        boxes: Float = np.concatenate([self.centres_xy - half, self.centres_xy + half], axis=1)
        return boxes


def plan_targets(
    config: TargetConfig, camera: CameraPath, rng: np.random.Generator
) -> list[TargetPlan]:
    """Draw all targets of a sequence.

    Args:
        config: With one number of targets (see ``draw_scene``).
        camera: Of the sequence.
        rng: Source of chance.
    """
    num = config.num_range[0]
    plans: list[TargetPlan] = []
    meeting = None
    is_crossing = num > 1 and rng.random() < config.crossing_probability
    exposure = draw(config.exposure_range, rng)  # One camera, one exposure.
    for number in range(num):
        # Each has its own stream, so that one more target does not change the others.
        own = np.random.default_rng(rng.integers(1 << 63))
        motion = config.motions[int(own.integers(len(config.motions)))]
        if is_crossing and number < 2:
            motion = "straight"
        anchor_time = _anchor_time(config, len(camera.corners_xy), own)
        anchor = _anchor(camera, anchor_time, own)
        heading = own.uniform(0, 2 * np.pi)
        if is_crossing and number == 0:
            meeting = (anchor_time, anchor, heading)
        if is_crossing and number == 1 and meeting is not None:
            anchor_time, anchor, heading = meeting
            heading += own.uniform(np.pi / 4, 3 * np.pi / 4)
        path, directions = _path(config, motion, heading, len(camera.corners_xy), own)
        path += anchor - path[anchor_time]
        plans.append(_plan(config, camera, number + 1, motion, path, directions, exposure, own))
    return plans


def _plan(
    config: TargetConfig,
    camera: CameraPath,
    track_id: int,
    motion: str,
    path: Float,
    directions: Float,
    exposure: float,
    rng: np.random.Generator,
) -> TargetPlan:
    """Bring a path of the scene into the frame and draw size and brightness."""
    centres = camera.to_frame(path, slice(None))
    size = draw(config.size_range, rng)
    scr = draw(config.scr_range, rng)
    factors = flicker(draw(config.flicker_range, rng), len(path), rng)
    return TargetPlan(
        track_id=track_id,
        motion=motion,
        size_px=size,
        optics_sigma=config.optics_sigma,
        sign=-1.0 if rng.random() < config.dark_probability else 1.0,
        scr=scr * factors,
        exposure=exposure,
        centres_xy=centres,
        blurs_xy=motion_blur(centres, exposure),
        headings=directions - camera.angles,
        box_min_px=config.box_min_px,
        is_behind=bool(rng.random() < config.behind_probability),
    )


def motion_blur(centres_xy: Float, exposure: float) -> Float:
    """Return how far a point moves during each exposure, float64 (T, 2), at most 6 px."""
    if len(centres_xy) < 2:
        return np.zeros_like(centres_xy)
    # A jump counts for neither of its frames: it falls between two exposures.
    steps = np.diff(centres_xy, axis=0)
    before = np.concatenate([steps[:1], steps])
    after = np.concatenate([steps, steps[-1:]])
    is_shorter = np.hypot(*before.T) < np.hypot(*after.T)
    blur = exposure * np.where(is_shorter[:, None], before, after)
    length = np.hypot(*blur.T)[:, None]
    limited: Float = blur * np.minimum(1, _LARGEST_BLUR_PX / np.maximum(length, 1e-9))
    return limited


def _anchor_time(config: TargetConfig, num_frames: int, rng: np.random.Generator) -> int:
    """Return when a target passes its anchor."""
    if rng.random() < config.visible_probability:
        return num_frames // 2
    return int(rng.integers(num_frames))


def _anchor(camera: CameraPath, time: int, rng: np.random.Generator) -> Float:
    """Return a scene point that lies in the inner part of the frame at a time."""
    size = np.array([camera.hw[1], camera.hw[0]], np.float64)
    in_frame = rng.uniform(0.15, 0.85, 2) * size
    # The inverse of ``CameraPath.to_frame``.
    away = in_frame - size / 2
    cosine, sine = np.cos(camera.angles[time]), np.sin(camera.angles[time])
    turned = np.array([away[0] * cosine - away[1] * sine, away[0] * sine + away[1] * cosine])
    point: Float = turned + size / 2 + camera.corners_xy[time]
    return point


def _path(
    config: TargetConfig, motion: str, heading: float, num_frames: int, rng: np.random.Generator
) -> tuple[Float, Float]:
    """Return a path from the origin (T, 2) and the direction of the body (T,)."""
    steady = np.full(num_frames, heading)
    if motion == "hovering":
        wander = rng.normal(0, 1, (num_frames, 2))
        wander = gaussian_filter1d(wander, 3.0, axis=0) * 3.3  # Back to a deviation of about 1.
        return rng.uniform(*_HOVER_PX) * wander, steady
    speed = np.full(num_frames, draw(config.speed_range, rng))
    if motion == "accelerating":
        ends = rng.permutation([0.3, 1.7])
        speed = speed * np.linspace(ends[0], ends[1], num_frames)
    directions = steady
    if motion == "turning":
        rate = rng.uniform(*_TURN_RATE) * rng.choice([-1, 1])
        directions = heading + rate * np.arange(num_frames)
    steps = speed[:, None] * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    path = np.cumsum(steps, axis=0)
    return path - path[0], directions


def flicker(deviation: float, num_frames: int, rng: np.random.Generator) -> Float:
    """Return a slowly changing factor about 1, at least 0.3, (T,)."""
    if deviation == 0:
        return np.ones(num_frames)
    slow = gaussian_filter1d(rng.normal(0, 1, num_frames + 24), _FLICKER_FRAMES / 2)[12:-12]
    slow = slow / 0.376  # Deviation of white noise smoothed over two frames.
    factors: Float = np.maximum(1 + deviation * slow, 0.3)
    return factors
