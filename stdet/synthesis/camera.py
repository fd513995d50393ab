"""How the camera moves, and where points of the scene lie in its frames.

Scene coordinates are pixels of the first frame. At time t the top-left corner of the frame lies at
``corners_xy[t]``, and the frame is turned by ``angles[t]`` about its middle. A point fixed to the
background moves in the frame by exactly minus the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.synthesis.settings import CameraConfig, draw
from stdet.synthesis.spots import Float

_LARGEST_SPAN = 200.0
"""The camera turns back before it has moved this far, pixels: canvases would grow without end."""
_BURST_FRAMES = (8, 20)
"""Length of the stretches of rest and of motion of `bursts`."""
_JUMP_EVERY = 20
"""Frames per jump on average."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraPath:
    """The camera of one sequence.

    Attributes:
        corners_xy: float64 (T, 2), scene coordinates of the frame's corner; the first is 0.
        angles: float64 (T,), radians; the first is 0.
        motion: Kind of motion.
        hw: Size of the frame.
    """

    corners_xy: Float
    angles: Float
    motion: str
    hw: tuple[int, int]

    def to_frame(
        self, points_xy: Float, times: np.ndarray | slice, parallax: float = 1.0
    ) -> Float:
        """Map scene points to frame coordinates.

        Args:
            points_xy: float64 (..., 2), or (T, 2) with one point per time.
            times: Index of the frames.
            parallax: Of the sheet that the points belong to.
        """
        middle = np.array([self.hw[1] / 2, self.hw[0] / 2])
        away = points_xy - parallax * self.corners_xy[times] - middle
        cosine, sine = np.cos(self.angles[times]), np.sin(self.angles[times])
        # The frame turns by +angle, so that the scene turns by -angle in it.
        x = away[..., 0] * cosine + away[..., 1] * sine
        y = away[..., 1] * cosine - away[..., 0] * sine
        points: Float = np.stack([x, y], axis=-1) + middle
        return points

    def shifts_xy(self) -> Float:
        """Return the displacement of the background since frame 0, (T, 2), without turning."""
        return -self.corners_xy


def draw_camera(
    config: CameraConfig, num_frames: int, hw: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """Draw a path.

    Args:
        config: Of one sequence (see ``draw_scene``).
        num_frames: T.
        hw: Size of the frame.
        rng: Source of chance.
    """
    motion = config.motions[0]
    speed = draw(config.speed_range, rng)
    heading = rng.uniform(0, 2 * np.pi)
    # Cameras follow the horizon more than they climb.
    direction = np.array([np.cos(heading), 0.4 * np.sin(heading)])
    direction /= np.hypot(*direction)
    steps = np.zeros((num_frames, 2))
    if motion in ("pan", "rotation"):
        steps[1:] = speed * direction
    elif motion == "bursts":
        steps[1:] = _burst_speeds(num_frames, rng)[1:, None] * speed * 1.5 * direction
        steps[1:] *= rng.choice([-1, 1])
    elif motion == "jumps":
        num_jumps = min(1 + int(rng.poisson(num_frames / _JUMP_EVERY)), num_frames - 1)
        for time in rng.choice(np.arange(1, num_frames), num_jumps, replace=False).tolist():
            angle = rng.uniform(0, 2 * np.pi)
            steps[time] = draw(config.jump_range, rng) * np.array([np.cos(angle), np.sin(angle)])
    path = _turn_back(np.cumsum(steps, axis=0) - steps[0])
    if motion != "still":
        path = path + rng.normal(0, max(draw(config.jitter_range, rng), 1e-9), path.shape)
    rate = np.deg2rad(draw(config.rotation_range, rng)) * rng.choice([-1, 1])
    angles = np.zeros(num_frames)
    if motion == "rotation":
        # A swing rather than a full turn: cameras roll with their carrier.
        swing = np.deg2rad(15)
        angles = swing * np.sin(rate / swing * np.arange(num_frames))
    return CameraPath(corners_xy=path - path[0], angles=angles, motion=motion, hw=hw)


def _burst_speeds(num_frames: int, rng: np.random.Generator) -> Float:
    """Return stretches of rest and of motion with soft beginnings and ends, (T,)."""
    speeds, is_moving = np.zeros(num_frames), bool(rng.integers(2))
    start = 0
    while start < num_frames:
        length = int(rng.integers(*_BURST_FRAMES))
        if is_moving:
            ramp = np.sin(np.pi * (np.arange(length) + 0.5) / length)
            part = speeds[start : start + length]
            part[:] = (rng.choice([1, 1, 1, -1]) * ramp)[: len(part)]
        start, is_moving = start + length, not is_moving
    return speeds


def _turn_back(path: Float) -> Float:
    """Fold a path at the limits of the canvas, like a camera that pans to and fro."""
    folded: Float = _LARGEST_SPAN - np.abs(
        np.mod(path + _LARGEST_SPAN, 4 * _LARGEST_SPAN) - 2 * _LARGEST_SPAN
    )
    return folded
