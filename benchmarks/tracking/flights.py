"""How the targets of a generated sequence fly: centres in the scene, at every instant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

WANDER_STD_PX = 0.03
"""White acceleration of straight flight, pixels per frame squared."""
HOVER_STD_PX = 0.1
"""Of the place of a hovering target about its station, pixels."""
TURN_RATES = (0.05, 0.2)
"""Least and largest rate of a turn, radians per frame."""
ACCELERATION_PX = 0.3
"""Along the course, pixels per frame squared."""
SPEED_FACTORS = (0.3, 2.5)
"""Least and largest speed of a manoeuvring target, of its first."""
START_FRAMES = 10
"""A hovering target takes so long to full speed."""

Fly = Callable[[Float, float, float, int, np.random.Generator], Float]
"""From place, heading (radians), speed and number of instants to centres (N, 2)."""


def straight(
    start_xy: Float, heading: float, speed_px: float, num: int, rng: np.random.Generator
) -> Float:
    """Fly on with a little wander."""
    wander = np.cumsum(rng.normal(0, WANDER_STD_PX, (num, 2)), axis=0)
    steps = speed_px * _direction(np.full(num, heading)) + wander
    return _path(start_xy, steps)


def manoeuvring(
    start_xy: Float, heading: float, speed_px: float, num: int, rng: np.random.Generator
) -> Float:
    """Fly straight, turn, and change speed, each for 10 to 30 frames."""
    rates, accelerations = np.zeros(num), np.zeros(num)
    begin = 0
    while begin < num:
        begin += int(rng.integers(10, 31))
        end = begin + int(rng.integers(10, 31))
        sign = rng.choice([-1, 1])
        if rng.random() < 2 / 3:
            rates[begin:end] = sign * rng.uniform(*TURN_RATES)
        else:
            accelerations[begin:end] = sign * ACCELERATION_PX
        begin = end
    speeds = np.empty(num)
    speed, (slowest, fastest) = speed_px, (factor * speed_px for factor in SPEED_FACTORS)
    for at, acceleration in enumerate(accelerations):
        speed = min(max(speed + acceleration, slowest), fastest)
        speeds[at] = speed
    steps = speeds[:, None] * _direction(heading + np.cumsum(rates))
    return _path(start_xy, steps)


def hovering(
    start_xy: Float, heading: float, speed_px: float, num: int, rng: np.random.Generator
) -> Float:
    """Hover for 30 to 80 frames, fly for 20 to 50, and so on."""
    speeds, headings = np.zeros(num), np.full(num, heading)
    begin = 0
    while begin < num:
        begin += int(rng.integers(30, 81))
        end = begin + int(rng.integers(20, 51))
        ages = np.arange(len(speeds[begin:end]))
        speeds[begin:end] = speed_px * np.minimum(ages / START_FRAMES, 1)
        headings[begin:] = rng.uniform(0, 2 * np.pi)
        begin = end
    steps = speeds[:, None] * _direction(headings)
    return _path(start_xy, steps) + rng.normal(0, HOVER_STD_PX, (num, 2))


FLIGHTS: dict[str, Fly] = {
    "straight": straight,
    "manoeuvring": manoeuvring,
    "hovering": hovering,
}


def meeting(
    point_xy: Float, speed_px: float, num: int, rng: np.random.Generator
) -> tuple[Float, Float]:
    """Fly two targets that pass within 2 px of one another half way, at 10 to 60 degrees."""
    heading = rng.uniform(0, 2 * np.pi)
    angle = np.radians(rng.uniform(10, 60))
    paths = []
    for direction in (heading - angle / 2, heading + angle / 2):
        path = straight(np.zeros(2), direction, speed_px, num, rng)
        paths.append(path - path[num // 2] + point_xy + rng.uniform(-1, 1, 2))
    return paths[0], paths[1]


def _direction(headings: Float) -> Float:
    return np.stack([np.cos(headings), np.sin(headings)], axis=-1)


def _path(start_xy: Float, steps: Float) -> Float:
    path: Float = start_xy + np.cumsum(steps, axis=0) - steps[0]
    return path
