"""Frames for labels: a target where a label file has one, over a background that moves.

    scene -> vignetting, fixed pattern -> targets -> white noise -> gain -> bad pixels, marks

Scenes, sensor and contrast are those of generated sequences. A target is a Gaussian whose visible
extent (four standard deviations) is its box. Nothing hides it, and nothing else flies. Boxes of
one size are drawn about labelled points and say nothing of sizes; ``points`` then gives one.

Camera. Labels show the motion of targets and camera together. The camera takes the fast part of
what the targets of a frame have in common, so that the target of a shaken recording moves smoothly
over its background; its slow motion is drawn.

Speed. A sequence can be long: frames are drawn one by one and none is kept, layers that move
alike are merged, and the white noise is cut out of a canvas of noise at a random place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from stdet.boxes import centres_xy
from stdet.synthesis.camera import CameraPath, draw_camera
from stdet.synthesis.canvas import Layer
from stdet.synthesis.contrast import light_for_scr, measure_surroundings, near_targets
from stdet.synthesis.distractors import draw_bad_pixels, draw_overlay
from stdet.synthesis.plan import Plan, resolve_scene, stream
from stdet.synthesis.sensor import draw_sensor
from stdet.synthesis.settings import (
    PROCEDURAL_KINDS,
    BackgroundConfig,
    CameraConfig,
    DistractorConfig,
    SceneConfig,
    SensorConfig,
    TargetConfig,
    draw,
)
from stdet.synthesis.spots import REACH_SIGMAS, Float, Patch, pixel_integrals
from stdet.synthesis.stack import Stack
from stdet.synthesis.targets import flicker
from stdet.types import FloatArray, SequenceAnnotation

_SMOOTH_FRAMES = 8.0
"""Motion slower than this is the target's own, faster is the camera's; standard deviation."""
_LARGEST_STEP_PX = 60.0
"""A larger step is another target."""
_LARGEST_SHAKE_PX = 80.0
"""The camera does not leave its path by more: canvases would grow without end."""
_LARGEST_DRIFT_PX = 150.0
"""Clouds drift no farther in a sequence, for the same reason."""
_NOISE_MARGIN_PX = 64
"""The noise of a frame begins at one of so many rows and columns of the canvas of noise."""
_LEAST_SIGMA_PX = 0.4
"""Of a target, standard deviation: no lens makes a smaller spot."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
    """One target over a sequence: its size where boxes do not tell it, and its contrast.

    Attributes:
        point_sigma: Standard deviation of its light where boxes are drawn about points, pixels.
        sign: 1 warm, -1 cold.
        scr: Wanted ratio in each frame, float64 (T,).
    """

    point_sigma: float
    sign: float
    scr: Float


def label_scene(num_frames: int, hw: tuple[int, int]) -> SceneConfig:
    """Return the ranges that sequences of a label file are drawn from."""
    cloud_speed = min(0.5, _LARGEST_DRIFT_PX / num_frames)
    return SceneConfig(
        # The number of frames is given to what needs it: here it would be limited by memory.
        num_frames=1,
        hw=hw,
        background=BackgroundConfig(kinds=PROCEDURAL_KINDS),
        camera=CameraConfig(motions=("still", "jitter", "pan", "bursts"), speed_range=(0.1, 1.0)),
        targets=TargetConfig(dark_probability=0.05),
        distractors=DistractorConfig(cloud_speed_range=(0.0, cloud_speed)),
        sensor=SensorConfig(h264_probability=0.0),
    )


class LabelFrames:
    """The frames of one labelled sequence.

    Args:
        truth: Boxes with identities; its size is that of the frames.
        points: Whether boxes are drawn about points.
        seed: Fixes everything; 0 or more.
    """

    def __init__(self, truth: SequenceAnnotation, *, points: bool, seed: int) -> None:
        """Draw what belongs to the whole sequence."""
        self.truth, self.points, self.seed = truth, points, seed
        num, hw = truth.num_frames, truth.image_hw
        scene = resolve_scene(label_scene(num, hw), seed=seed)
        camera = _camera(truth, scene.camera, stream(seed, 1))
        plan = Plan(name=truth.name, seed=seed, scene=scene, camera=camera, targets=())
        stack = Stack(plan, None)
        self.camera, self.origin = camera, np.array(stack.extent.origin_xy)
        self.layers = _merged(stack.scene.layers)
        first = self._background(0)
        self.sensor = draw_sensor(
            scene.sensor, num, hw, pivot=float(first.mean()), rng=stream(seed, 5)
        )
        marks = stream(seed, 6)
        self.pixels = draw_bad_pixels(scene.distractors, num, hw, marks)
        self.overlay = draw_overlay(scene.distractors, hw, marks)
        canvas_hw = (hw[0] + _NOISE_MARGIN_PX, hw[1] + _NOISE_MARGIN_PX)
        self.noise = stream(seed, 7).standard_normal(canvas_hw, dtype=np.float32)
        self.noise *= np.float32(self.sensor.noise_std)
        self.looks = _looks(truth, scene.targets, stream(seed, 2))

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Draw the frames, uint8 (H, W), in order; the same each time."""
        places = stream(self.seed, 8).integers(_NOISE_MARGIN_PX, size=(self.truth.num_frames, 2))
        for time in range(self.truth.num_frames):
            frame = self.sensor.shade(self._background(time), time)
            self._add_targets(frame, time)
            top, left = places[time].tolist()
            frame += self.noise[top : top + frame.shape[0], left : left + frame.shape[1]]
            gain = float(self.sensor.gains[time])
            if gain != 1:
                frame = (frame - self.sensor.pivot) * gain + self.sensor.pivot
            self.pixels.apply(frame, time)
            self.overlay.apply(frame, time)
            yield self.sensor.quantise(frame).astype(np.uint8, copy=False)

    def _background(self, time: int) -> FloatArray:
        """Lay the layers over one another."""
        scene = np.zeros((0, 0), np.float32)
        for layer in self.layers:
            corner = self.origin + layer.parallax * self.camera.corners_xy[time]
            corner = corner - np.array(layer.velocity_xy) * time
            image = _cut(layer.image, corner, self.truth.image_hw)
            if layer.shimmer.size:
                swing = 0.5 - 0.5 * np.cos(2 * np.pi * time / layer.shimmer_frames)
                image += np.float32(swing) * _cut(layer.shimmer, corner, self.truth.image_hw)
            if layer.opacity.size:
                image -= scene
                image *= _cut(layer.opacity, corner, self.truth.image_hw)
                scene += image
            else:
                scene = image
        return scene

    def _add_targets(self, frame: FloatArray, time: int) -> None:
        """Add the targets of a frame, in place."""
        rows = self.truth.rows_at(time)
        boxes = self.truth.boxes_xyxy[rows].astype(np.float64)
        is_near = near_targets(self.truth.image_hw, list(boxes))
        drawn = []
        for box, track_id in zip(boxes, self.truth.track_ids[rows].tolist(), strict=True):
            look = self.looks[track_id]
            sigmas = (box[2:] - box[:2]) / 4
            if self.points:
                sigmas = np.full(2, look.point_sigma)
            patch = _spot((box[:2] + box[2:]) / 2, sigmas, self.truth.image_hw)
            if patch is None:
                continue
            around = measure_surroundings(
                frame, is_near, patch, box, noise_std=self.sensor.noise_std
            )
            light = light_for_scr(patch, around, scr=float(look.scr[time]), sign=look.sign)
            drawn.append((patch, light))
        for patch, light in drawn:
            frame[patch.rows, patch.columns] += np.float32(light) * patch.light


def are_points(truths: Sequence[SequenceAnnotation]) -> bool:
    """Say whether nine of ten boxes have one size, as where they are drawn about points."""
    boxes = np.concatenate([truth.boxes_xyxy for truth in truths])
    if not len(boxes):
        return False
    _, counts = np.unique(np.rint(boxes[:, 2:] - boxes[:, :2]), axis=0, return_counts=True)
    return bool(counts.max() >= 0.9 * len(boxes))


def _camera(
    truth: SequenceAnnotation, config: CameraConfig, rng: np.random.Generator
) -> CameraPath:
    """Draw a slow path, and add the fast part of what targets have in common."""
    drawn = draw_camera(config, truth.num_frames, truth.image_hw, rng)
    path = np.cumsum(_common_steps(truth), axis=0)
    shake = path - gaussian_filter1d(path, _SMOOTH_FRAMES, axis=0, mode="nearest")
    shake = np.clip(shake, -_LARGEST_SHAKE_PX, _LARGEST_SHAKE_PX)
    corners = drawn.corners_xy - shake  # A camera that moves right moves all to the left.
    return replace(drawn, corners_xy=corners - corners[0])


def _common_steps(truth: SequenceAnnotation) -> Float:
    """Return the median step of the targets into each frame, float64 (T, 2), 0 where none."""
    order = np.lexsort((truth.frame_indices, truth.track_ids))
    frames, ids = truth.frame_indices[order], truth.track_ids[order]
    places = centres_xy(truth.boxes_xyxy[order]).astype(np.float64)
    steps = np.diff(places, axis=0)
    is_step = (np.diff(ids) == 0) & (np.diff(frames) == 1)
    is_step &= np.hypot(*steps.T) <= _LARGEST_STEP_PX
    common = np.zeros((truth.num_frames, 2))
    into, steps = frames[1:][is_step], steps[is_step]
    by_frame = np.argsort(into, kind="stable")
    found, starts = np.unique(into[by_frame], return_index=True)
    for frame, group in zip(found, np.split(steps[by_frame], starts)[1:], strict=True):
        common[frame] = np.median(group, axis=0)
    return common


def _looks(
    truth: SequenceAnnotation, config: TargetConfig, rng: np.random.Generator
) -> dict[int, _Look]:
    """Draw size and contrast of each target."""
    looks = {}
    for track_id in np.unique(truth.track_ids).tolist():
        own = np.random.default_rng(rng.integers(1 << 63))
        size = draw(config.size_range, own)
        scr = draw(config.scr_range, own)
        looks[track_id] = _Look(
            point_sigma=float(np.hypot(size / 4, config.optics_sigma)),
            sign=-1.0 if own.random() < config.dark_probability else 1.0,
            scr=scr * flicker(draw(config.flicker_range, own), truth.num_frames, own),
        )
    return looks


def _merged(layers: Sequence[Layer]) -> list[Layer]:
    """Join the layers that rest on the background with it."""
    base, *others = layers
    kept = [base]
    for layer in others:
        rests = layer.parallax == 1 and not any(layer.velocity_xy) and not layer.shimmer.size
        if rests and len(kept) == 1 and not base.shimmer.size:
            image = base.image + (layer.image - base.image) * layer.opacity
            base = kept[0] = replace(base, image=image)
        else:
            kept.append(layer)
    return kept


def _cut(canvas: FloatArray, corner_xy: Float, hw: tuple[int, int]) -> FloatArray:
    """Cut a frame out of a canvas at a sub-pixel position, bilinearly."""
    middle = (float(corner_xy[0] + (hw[1] - 1) / 2), float(corner_xy[1] + (hw[0] - 1) / 2))
    return np.asarray(cv2.getRectSubPix(canvas, (hw[1], hw[0]), middle), np.float32)


def _spot(centre_xy: Float, sigmas_xy: Float, hw: tuple[int, int]) -> Patch | None:
    """Integrate a Gaussian over the pixels of a frame; None where it does not touch it."""
    sigmas = np.maximum(sigmas_xy, _LEAST_SIGMA_PX)
    left, top = np.floor(centre_xy - REACH_SIGMAS * sigmas).astype(int).tolist()
    right, bottom = np.ceil(centre_xy + REACH_SIGMAS * sigmas).astype(int).tolist()
    if left >= hw[1] or top >= hw[0] or right <= 0 or bottom <= 0:
        return None
    along_x = pixel_integrals(left, right, centre_xy[:1], sigmas[:1])[0]
    along_y = pixel_integrals(top, bottom, centre_xy[1:], sigmas[1:])[0]
    return Patch.cut(np.outer(along_y, along_x).astype(np.float32), (left, top), hw)
