"""What a seed decides before any pixel is drawn: settings, camera, targets, and their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stdet.synthesis.camera import CameraPath, draw_camera
from stdet.synthesis.settings import SceneConfig, draw_scene
from stdet.synthesis.spots import Float
from stdet.synthesis.targets import TargetPlan, plan_targets
from stdet.types import FloatArray, IntArray, SequenceAnnotation

IGNORED_BELOW = 0.5
"""A target of which less light passes what is in front is marked as ignored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealBackground:
    """Frames without targets from a camera.

    Attributes:
        name: Where they come from, for messages and the record.
        images: float32 (N, H, W), levels in [0, 1]. One is a still, over which a camera is moved;
            several are a clip, played as it is, to and fro where it is too short.
        shifts_xy: float64 (N, 2), displacement of the background since image 0, pixels.
    """

    name: str
    images: FloatArray
    shifts_xy: Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Everything about a sequence that is known before a pixel is drawn.

    Attributes:
        name: Of the sequence.
        seed: Of the sequence.
        scene: Resolved settings.
        camera: Its path.
        targets: Planned targets.
    """

    name: str
    seed: int
    scene: SceneConfig
    camera: CameraPath
    targets: tuple[TargetPlan, ...]

    def truth(self) -> SequenceAnnotation:
        """Return the truth as if nothing hid any target."""
        rows = [
            (time, target, 1.0)
            for time in range(self.scene.num_frames)
            for target in self.targets
            if is_inside(target.centres_xy[time], self.scene.hw)
        ]
        return annotation_of(self, rows)


def resolve_scene(config: SceneConfig, *, seed: int) -> SceneConfig:
    """Return what a seed draws for a whole sequence; see ``draw_scene``.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; expected 0 or more.")
    return draw_scene(config, stream(seed, 0))


def plan_sequence(
    config: SceneConfig,
    *,
    seed: int,
    name: str = "synthetic",
    background: RealBackground | None = None,
) -> Plan:
    """Draw camera and targets of a sequence, without drawing any pixel.

    Args:
        config: Ranges.
        seed: Fixes everything; 0 or more.
        name: Of the sequence.
        background: A clip brings its own camera.

    Raises:
        ValueError: If the seed is negative.
    """
    scene = resolve_scene(config, seed=seed)
    camera = draw_camera(scene.camera, scene.num_frames, scene.hw, stream(seed, 1))
    if background is not None and len(background.images) > 1:
        order = play_order(len(background.images), scene.num_frames, stream(seed, 8))
        shifts = background.shifts_xy[order]
        camera = CameraPath(
            corners_xy=shifts[0] - shifts,
            angles=np.zeros(scene.num_frames),
            motion="clip",
            hw=scene.hw,
        )
    targets = plan_targets(scene.targets, camera, stream(seed, 2))
    return Plan(name=name, seed=seed, scene=scene, camera=camera, targets=tuple(targets))


def play_order(num_images: int, num_frames: int, rng: np.random.Generator) -> IntArray:
    """Return which image of a clip each frame shows: from a random start, to and fro."""
    spare = max(num_images - num_frames, 0)
    at = np.arange(num_frames) + int(rng.integers(spare + 1))
    lap = np.mod(at, max(2 * num_images - 2, 1))
    return np.where(lap < num_images, lap, 2 * num_images - 2 - lap)


def annotation_of(plan: Plan, rows: Sequence[tuple[int, TargetPlan, float]]) -> SequenceAnnotation:
    """Build the truth from (time, target, visible share), sorted by time, then target."""
    boxes = [target.boxes_xyxy[time] for time, target, _ in rows]
    return SequenceAnnotation(
        name=plan.name,
        num_frames=plan.scene.num_frames,
        image_hw=plan.scene.hw,
        fps=plan.scene.fps,
        frame_indices=np.array([time for time, _, _ in rows], np.int64),
        track_ids=np.array([target.track_id for _, target, _ in rows], np.int64),
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.zeros(len(rows), np.int64),
        is_ignored=np.array([visible < IGNORED_BELOW for _, _, visible in rows], np.bool_),
    )


def is_inside(centre_xy: Float, hw: tuple[int, int]) -> bool:
    """Say whether a point lies in the frame."""
    x, y = centre_xy.tolist()
    return bool(0 <= x < hw[1] and 0 <= y < hw[0])


def stream(seed: int, part: int) -> np.random.Generator:
    """Return one stream of chance per part, so that one more target changes no other part."""
    return np.random.default_rng([seed, part])
