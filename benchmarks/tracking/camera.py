"""How the camera of a generated sequence moves, and what registration says of it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking.families import CameraMotion, Family
from stdet.registration.frame_motion import NO_FRAME_BEFORE, FrameMotion
from stdet.registration.transform import Transform

Float = NDArray[np.float64]

PAN_PX = 4.0
"""Pixels per frame."""
PAN_TURN_STD = 0.05
"""Of the direction of a pan, radians per frame."""
ROLL_RADIANS, ROLL_FRAMES = 0.35, 100
"""Amplitude and period of a roll."""
JERK_PX, JERK_SHARE = 30.0, 1 / 20
"""Length of a jerk, and the share of frames that begin with one."""
REGISTRATION_STD_PX = 0.05
WRONG_PX = 10.0


def poses(
    motion: CameraMotion, num_frames: int, hw: tuple[int, int], rng: np.random.Generator
) -> list[Transform]:
    """Return where the scene lies in each frame; in the first it is the picture itself."""
    if motion == "rest":
        return [Transform.identity()] * num_frames
    if motion == "roll":
        return _rolling(num_frames, hw, rng)
    shifts = _panning(num_frames, rng) if motion == "pan" else _jerking(num_frames, rng)
    return [Transform.translation(shift) for shift in shifts]


def _panning(num_frames: int, rng: np.random.Generator) -> Float:
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, PAN_TURN_STD, num_frames))
    steps = PAN_PX * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    steps[0] = 0
    return np.cumsum(steps, axis=0)


def _jerking(num_frames: int, rng: np.random.Generator) -> Float:
    heading = rng.uniform(0, 2 * np.pi, num_frames)
    steps = JERK_PX * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    steps[rng.random(num_frames) >= JERK_SHARE] = 0
    steps[0] = 0
    return np.cumsum(steps, axis=0)


def _rolling(num_frames: int, hw: tuple[int, int], rng: np.random.Generator) -> list[Transform]:
    phase = rng.uniform(0, 2 * np.pi)
    angles = ROLL_RADIANS * np.sin(2 * np.pi * np.arange(num_frames) / ROLL_FRAMES + phase)
    height, width = hw
    to_centre = Transform.translation((width / 2, height / 2))
    turned = []
    for angle in angles - angles[0]:
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = Transform.affine([[cosine, -sine], [sine, cosine]], (0, 0))
        turned.append(turn.conjugate(to_centre))
    return turned


def handed_on(
    family: Family, camera: list[Transform], rng: np.random.Generator
) -> tuple[FrameMotion, ...]:
    """Return what registration says of each frame; nothing where frames are not registered."""
    if not family.is_registered:
        return ()
    motions = [NO_FRAME_BEFORE]
    for before, now in itertools.pairwise(camera):
        error = rng.normal(0, REGISTRATION_STD_PX, 2) * (family.camera != "rest")
        heading, is_wrong = rng.uniform(0, 2 * np.pi), rng.random() < family.wrong_share
        error += WRONG_PX * is_wrong * np.array([np.cos(heading), np.sin(heading)])
        motions.append(FrameMotion.known(Transform.translation(error) @ now @ before.inverse()))
    return tuple(motions)
