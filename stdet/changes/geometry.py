"""Cameras that roll, zoom, shake, jerk and tilt; frames that are turned or of another size.

All but whole quarters of a turn resample the frames, without the bad pixels of the camera.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.signal import lfilter

from stdet.changes.bad_pixels import without_bad_pixels
from stdet.changes.footage import Footage
from stdet.changes.homography import Float, moved
from stdet.types import FloatArray

_ROLL_FRAMES, _ZOOM_FRAMES, _TILT_FRAMES = 75, 120, (90, 130)
"""Period of the motions; of the tilt along x and y."""
_KEPT = 0.9
"""Share of the deviation of a hand-held camera that is left a frame later."""
_FRAMES_PER_JERK = 15
"""On average."""


def roll(footage: Footage, rng: np.random.Generator, *, degrees: float) -> Footage:
    """Roll the camera to and fro, by at most ``degrees`` to either side."""
    angles = np.deg2rad(degrees) * np.sin(_phases(footage, _ROLL_FRAMES, rng))
    return _moved_by(footage, _similarities(angles, np.ones(len(footage))))


def zoom(footage: Footage, rng: np.random.Generator, *, least: float, most: float) -> Footage:
    """Zoom in and out between two factors."""
    share = (1 - np.cos(_phases(footage, _ZOOM_FRAMES, rng))) / 2
    factors = least + (most - least) * share
    return _moved_by(footage, _similarities(np.zeros(len(footage)), factors))


def hand(
    footage: Footage,
    rng: np.random.Generator,
    *,
    shift_px: float,
    roll_degrees: float,
    zoom_share: float,
) -> Footage:
    """Hold the camera by hand: a random walk of shift, roll and zoom that returns.

    Args:
        footage: Frames.
        rng: Source of chance.
        shift_px: Standard deviation along x and along y.
        roll_degrees: Standard deviation.
        zoom_share: Standard deviation of the factor.
    """
    stds = np.array([shift_px, shift_px, np.deg2rad(roll_degrees), zoom_share])
    steps = rng.normal(size=(len(footage), 4)) * stds * np.sqrt(1 - _KEPT**2)
    walk = lfilter([1.0], [1.0, -_KEPT], steps, axis=0)
    matrices = _similarities(walk[:, 2], 1 + walk[:, 3])
    matrices[:, :2, 2] = walk[:, :2]
    return _moved_by(footage, matrices)


def jerks(
    footage: Footage, rng: np.random.Generator, *, least_px: float, most_px: float
) -> Footage:
    """Jerk the camera: it rests, and is somewhere else from one frame to the next.

    Of two opposite directions it takes the one that leads back, so that it stays near.
    """
    offsets = np.zeros((len(footage), 2))
    is_jerk = rng.random(len(footage)) < 1 / _FRAMES_PER_JERK
    is_jerk[1:2] |= not is_jerk[1:].any()
    for position in range(1, len(footage)):
        offsets[position] = offsets[position - 1]
        if is_jerk[position]:
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(least_px, most_px)
            step = length * np.array([np.cos(angle), np.sin(angle)])
            offsets[position] += -step if step @ offsets[position] > 0 else step
    matrices = np.tile(np.eye(3), (len(footage), 1, 1))
    matrices[:, :2, 2] = offsets
    return _moved_by(footage, matrices)


def perspective(footage: Footage, rng: np.random.Generator, *, tilt: float) -> Footage:
    """Let the perspective drift.

    Args:
        footage: Frames.
        rng: Source of chance.
        tilt: By which share the edges of the frame are enlarged and the opposite ones made
            smaller, at most.
    """
    matrices = np.tile(np.eye(3), (len(footage), 1, 1))
    for axis, (side, period) in enumerate(
        zip(footage.truth.image_hw[::-1], _TILT_FRAMES, strict=True)
    ):
        matrices[:, 2, axis] = tilt * 2 / side * np.sin(_phases(footage, period, rng))
    return _moved_by(footage, matrices)


def turn(footage: Footage, rng: np.random.Generator, *, quarters: int) -> Footage:
    """Turn frames by quarters of a turn, counter-clockwise."""
    height, width = footage.truth.image_hw
    matrix = np.eye(3)
    for _ in range(quarters % 4):
        matrix = np.array([[0.0, 1, 0], [-1, 0, width], [0, 0, 1]]) @ matrix
        height, width = width, height

    def render(image: FloatArray, position: int) -> FloatArray:
        return np.ascontiguousarray(np.rot90(image, quarters))

    return moved(footage, np.tile(matrix, (len(footage), 1, 1)), (height, width), render)


def resize(footage: Footage, rng: np.random.Generator, *, factor: float) -> Footage:
    """Enlarge frames by the cubic spline, or shrink them with a bicubic filter that is as wide."""
    old_hw = footage.truth.image_hw
    height, width = (max(round(side * factor), 1) for side in old_hw)
    matrix = np.diag([width / old_hw[1], height / old_hw[0], 1.0])

    def shrink(image: FloatArray, position: int) -> FloatArray:
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(resized)

    matrices = np.tile(matrix, (len(footage), 1, 1))
    render = shrink if factor < 1 else None
    return moved(without_bad_pixels(footage), matrices, (height, width), render)


def _phases(footage: Footage, period: float, rng: np.random.Generator) -> Float:
    """Return the phase of each frame, radians (T,)."""
    start = rng.uniform(0, 2 * np.pi)
    phases: Float = np.linspace(
        start, start + 2 * np.pi * len(footage) / period, len(footage), endpoint=False
    )
    return phases


def _similarities(angles: Float, factors: Float) -> Float:
    """Return rolls and zooms about the origin, float64 (T, 3, 3)."""
    matrices = np.tile(np.eye(3), (len(angles), 1, 1))
    matrices[:, 0, 0] = matrices[:, 1, 1] = factors * np.cos(angles)
    matrices[:, 0, 1] = -factors * np.sin(angles)
    matrices[:, 1, 0] = factors * np.sin(angles)
    return matrices


def _moved_by(footage: Footage, matrices: Float) -> Footage:
    """Move frames by homographies whose origin is the middle of the frame."""
    hw = footage.truth.image_hw
    to_corner = np.eye(3)
    to_corner[:2, 2] = hw[1] / 2, hw[0] / 2
    around_middle = to_corner @ matrices @ np.linalg.inv(to_corner)
    return moved(without_bad_pixels(footage), around_middle, hw)
