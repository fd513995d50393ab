"""Families of generated sequences: a base case, one factor changed at a time, and hard ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Flight = Literal["straight", "crossing", "manoeuvring", "hovering"]
CameraMotion = Literal["rest", "pan", "roll", "jerks"]
Clutter = Literal["uniform", "clumped"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the sequences of a family have in common.

    Attributes:
        name: As tables print it.
        num_targets: Alive at any time; one that leaves the picture is replaced.
        speed_px: Of a target in the scene, pixels per frame.
        miss_share: Share of a target's frames without a detection, drawn one by one.
        false_alarms: Mean per frame.
        weak_false_alarms: Mean per frame of those scored below 0.1; where there are any, most
            missed targets are detected with such a score.
        clutter: False alarms anywhere, or near places that stand still in the scene.
        flight: How targets move. ``crossing`` ones come in pairs that meet.
        is_occluded: Targets vanish for 8 to 20 frames now and then.
        omits_frames: Frames are missing in the recording now and then, so that targets leap 17 to
            33 px while the scene stands.
        camera: How it moves.
        is_registered: Whether the motion of the camera is handed on, 0.05 px wrong.
        wrong_share: Share of frames whose motion is handed on 10 px wrong.
    """

    name: str
    num_targets: int = 5
    speed_px: float = 3.0
    miss_share: float = 0.2
    false_alarms: float = 2.0
    weak_false_alarms: float = 0.0
    clutter: Clutter = "uniform"
    flight: Flight = "straight"
    is_occluded: bool = False
    omits_frames: bool = False
    camera: CameraMotion = "rest"
    is_registered: bool = True
    wrong_share: float = 0.0


_BASE = Family(name="5 targets at 3 px, 20 % missed, 2 false alarms")
_JERKS = replace(_BASE, camera="jerks")


def _factors() -> tuple[Family, ...]:
    """Return the families that differ from the base in one thing."""
    base = _BASE
    return (
        replace(base, name="1 target", num_targets=1),
        replace(base, name="10 targets", num_targets=10),
        replace(base, name="20 targets", num_targets=20),
        replace(base, name="50 targets", num_targets=50),
        replace(base, name="0.5 px a frame", speed_px=0.5),
        replace(base, name="10 px a frame", speed_px=10.0),
        replace(base, name="nothing missed", miss_share=0.0),
        replace(base, name="40 % missed", miss_share=0.4),
        replace(base, name="occlusions", is_occluded=True),
        replace(base, name="no false alarms", false_alarms=0.0),
        replace(base, name="20 false alarms", false_alarms=20.0),
        replace(base, name="clumped false alarms", clutter="clumped"),
        replace(base, name="weak detections too", weak_false_alarms=10.0),
        replace(base, name="crossings", num_targets=6, flight="crossing"),
        replace(base, name="manoeuvres", flight="manoeuvring"),
        replace(base, name="hovering", flight="hovering"),
        replace(base, name="omitted frames", omits_frames=True),
    )


def _cameras() -> tuple[Family, ...]:
    """Return the families with a camera that moves."""
    base, jerks = _BASE, _JERKS
    return (
        replace(base, name="pan, known", camera="pan"),
        replace(base, name="pan, unknown", camera="pan", is_registered=False),
        replace(base, name="roll, known", camera="roll"),
        replace(jerks, name="jerks, known"),
        replace(jerks, name="jerks, 1 % wrong", wrong_share=0.01),
        replace(jerks, name="jerks, 5 % wrong", wrong_share=0.05),
        replace(jerks, name="jerks, unknown", is_registered=False),
    )


def _combinations() -> tuple[Family, ...]:
    """Return the hard ones."""
    return (
        Family(
            name="20 crossing, 20 false alarms",
            num_targets=20,
            flight="crossing",
            false_alarms=20.0,
        ),
        Family(name="10 px, 40 % missed", speed_px=10.0, miss_share=0.4),
        Family(name="manoeuvres, jerks known", flight="manoeuvring", camera="jerks"),
        Family(name="omitted frames, 20 false alarms", omits_frames=True, false_alarms=20.0),
    )


FAMILIES = (_BASE, *_factors(), *_cameras(), *_combinations())
"""Those that are reported."""
