"""Settings and a seed become frames with their exact truth.

    light of the scene -> still spots, birds, crowns -> vignetting, fixed pattern -> targets
    -> white noise -> gain -> bad pixels -> burnt-in marks -> quantisation -> H.264

Rules of the truth. A target has a row in every frame in which its centre lies inside the frame and
at least a tenth of its light passes what flies or stands in front of it. While less than half of
it passes, the row is marked as ignored: finding it is neither a hit nor a false alarm. A target
keeps its identity behind a cloud and outside the frame.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.synthesis.backgrounds import Scene, Wind, extent_for, paint, still_scene
from stdet.synthesis.camera import CameraPath, draw_camera
from stdet.synthesis.canvas import View, cut
from stdet.synthesis.contrast import (
    light_for_scr,
    measure_scr,
    measure_surroundings,
    near_targets,
)
from stdet.synthesis.distractors import (
    BadPixels,
    Overlay,
    Spot,
    draw_bad_pixels,
    draw_overlay,
    draw_spots,
)
from stdet.synthesis.sensor import Sensor, compress, draw_sensor
from stdet.synthesis.settings import SceneConfig, draw, draw_count, draw_scene
from stdet.synthesis.spots import Float, Patch, render
from stdet.synthesis.targets import TargetPlan, motion_blur, plan_targets
from stdet.types import BoolArray, FloatArray, SequenceAnnotation

LEAST_VISIBLE = 0.1
"""A target of which less light passes has no row in the truth."""
IGNORED_BELOW = 0.5
"""A target of which less light passes is marked as ignored."""
_SCENE_BLUR_PX = 1.5
"""A scene that moves farther than this during the exposure is blurred too, pixels."""


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


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """One target in one frame, for the record.

    Attributes:
        frame_index: From 0.
        track_id: From 1.
        centre_xy: Centre of light, pixels.
        scr_wanted: Ratio that was asked for.
        scr_achieved: Ratio measured in the finished frame; negative is colder.
        visible: Share of the light that passes what is in front.
    """

    frame_index: int
    track_id: int
    centre_xy: tuple[float, float]
    scr_wanted: float
    scr_achieved: float
    visible: float


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
            if _is_inside(target.centres_xy[time], self.scene.hw)
        ]
        return _annotation(self, rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Synthesised:
    """A generated sequence.

    Attributes:
        plan: What was drawn for it.
        frames: uint8 or uint16 (T, H, W).
        truth: Boxes in continuous pixels, centred on the target and not clipped at the border.
        masks: bool (T, H, W): pixels with at least half the light of the brightest pixel of a
            target that has a row, and not hidden.
        rows: The record, in the order of the truth.
    """

    plan: Plan
    frames: NDArray[np.uint8] | NDArray[np.uint16]
    truth: SequenceAnnotation
    masks: BoolArray
    rows: tuple[TargetRow, ...]


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
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; expected 0 or more.")
    scene = draw_scene(config, _stream(seed, 0))
    camera = draw_camera(scene.camera, scene.num_frames, scene.hw, _stream(seed, 1))
    if background is not None and len(background.images) > 1:
        order = _play_order(len(background.images), scene.num_frames, _stream(seed, 8))
        shifts = background.shifts_xy[order]
        camera = CameraPath(
            corners_xy=shifts[0] - shifts,
            angles=np.zeros(scene.num_frames),
            motion="clip",
            hw=scene.hw,
        )
    targets = plan_targets(scene.targets, camera, _stream(seed, 2))
    return Plan(name=name, seed=seed, scene=scene, camera=camera, targets=tuple(targets))


def generate(
    config: SceneConfig,
    *,
    seed: int,
    name: str = "synthetic",
    background: RealBackground | None = None,
) -> Synthesised:
    """Generate a sequence with its truth.

    Args:
        config: Ranges, from which the seed draws (see ``draw_scene``).
        seed: Fixes everything; 0 or more.
        name: Of the sequence.
        background: Real frames for the kind `real`, see ``stdet.data.real_backgrounds``.

    Raises:
        ValueError: If the seed is negative, the kind is `real` without a background, or a clip is
            smaller than the frames.

    Example:
        >>> made = generate(SceneConfig(num_frames=4, hw=(64, 80)), seed=1)
        >>> made.frames.shape, made.frames.dtype.name, made.truth.num_frames
        ((4, 64, 80), 'uint8', 4)
    """
    plan = plan_sequence(config, seed=seed, name=name, background=background)
    return _Renderer(plan, background).run()


class _Renderer:
    """Draws the frames of one plan."""

    def __init__(self, plan: Plan, background: RealBackground | None) -> None:
        """Paint the canvas and draw what belongs to the whole sequence."""
        self.plan = plan
        config, seed = plan.scene, plan.seed
        self.stack = _Stack(plan, background)
        self.spots: list[Spot] = draw_spots(
            config.distractors,
            config.targets,
            plan.camera,
            self.stack.scene.crowns_xy,
            _stream(seed, 4),
        )
        self.spot_blurs = [motion_blur(spot.centres_xy, self._exposure()) for spot in self.spots]
        self.spot_lights: list[float | None] = [None] * len(self.spots)
        first, _ = self.stack.compose(0)
        self.deviation = float(first.std())
        self.sensor: Sensor = draw_sensor(
            config.sensor,
            config.num_frames,
            config.hw,
            pivot=float(first.mean()),
            rng=_stream(seed, 5),
        )
        overlay_rng = _stream(seed, 6)
        self.pixels: BadPixels = draw_bad_pixels(
            config.distractors, config.num_frames, config.hw, overlay_rng
        )
        self.overlay: Overlay = draw_overlay(config.distractors, config.hw, overlay_rng)
        self.noise_rng = _stream(seed, 7)

    def _exposure(self) -> float:
        targets = self.plan.targets
        return targets[0].exposure if targets else self.plan.scene.targets.exposure_range[0]

    def run(self) -> Synthesised:
        """Draw all frames and measure the contrast of the finished ones."""
        plan, config = self.plan, self.plan.scene
        dtype = np.uint8 if config.sensor.bit_depth == 8 else np.uint16
        frames = np.empty((config.num_frames, *config.hw), dtype)
        masks = np.zeros((config.num_frames, *config.hw), np.bool_)
        seen: list[tuple[int, TargetPlan, float]] = []
        patches: list[Patch] = []
        for time in range(config.num_frames):
            frame, found = self._frame(time, masks[time])
            frames[time] = frame
            for target, patch, visible in found:
                seen.append((time, target, visible))
                patches.append(patch)
        if config.sensor.h264_probability and config.sensor.bit_depth == 8:
            crf = draw_count(config.sensor.crf_range, _stream(plan.seed, 9))
            frames = compress(frames.astype(np.uint8, copy=False), crf=crf)
        return Synthesised(
            plan=plan,
            frames=frames,
            truth=_annotation(plan, seen),
            masks=masks,
            rows=_records(frames, seen, patches),
        )

    def _frame(
        self, time: int, mask: BoolArray
    ) -> tuple[NDArray[np.generic], list[tuple[TargetPlan, Patch, float]]]:
        """Draw one frame; mark its targets in ``mask``."""
        scene, hidden = self.stack.compose(time)
        self._add_spots(scene, time)
        shaded = self.sensor.shade(scene, time)
        found = self._add_targets(shaded, hidden, time, mask)
        frame = self.sensor.expose(shaded, time, self.noise_rng)
        self.pixels.apply(frame, time)
        self.overlay.apply(frame, time)
        return self.sensor.quantise(frame), found

    def _add_spots(self, scene: FloatArray, time: int) -> None:
        """Add still spots, birds and crowns, whose light stays once they have been seen."""
        noise = self.plan.scene.sensor.noise_range[0]
        for number, spot in enumerate(self.spots):
            patch = render(
                spot.shape(time), spot.centres_xy[time], self.spot_blurs[number][time], scene.shape
            )
            if patch is None:
                continue
            light = self.spot_lights[number]
            if light is None and spot.kind == "crown":
                area = 2 * np.pi * float(spot.shape(time).sigmas[0]) ** 2
                light = spot.sign * spot.strength * min(self.deviation, 0.08) * area
            elif light is None:
                x, y = spot.centres_xy[time]
                box = np.array([x - 4, y - 4, x + 4, y + 4])
                around = measure_surroundings(
                    scene, near_targets(scene.shape, [box]), patch, box, noise_std=noise
                )
                light = light_for_scr(patch, around, scr=spot.strength, sign=spot.sign)
            self.spot_lights[number] = light
            scene[patch.rows, patch.columns] += np.float32(light * spot.pulse[time]) * patch.light

    def _add_targets(
        self, shaded: FloatArray, hidden: FloatArray | None, time: int, mask: BoolArray
    ) -> list[tuple[TargetPlan, Patch, float]]:
        """Add the targets of one frame and return those that have a row."""
        hw = self.plan.scene.hw
        drawn = []
        for target in self.plan.targets:
            patch = render(target.shape(time), target.centres_xy[time], target.blurs_xy[time], hw)
            if patch is not None:
                drawn.append((target, patch, target.box_xyxy(time)))
        is_near = near_targets(hw, [box for _, _, box in drawn])
        # All lights are set before any is added: a neighbour is no background.
        lights = []
        for target, patch, box in drawn:
            around = measure_surroundings(
                shaded, is_near, patch, box, noise_std=self.sensor.noise_std
            )
            lights.append(
                light_for_scr(patch, around, scr=float(target.scr[time]), sign=target.sign)
            )
        found = []
        for (target, patch, _), light in zip(drawn, lights, strict=True):
            at = (patch.rows, patch.columns)
            passing = patch.light if hidden is None else patch.light * (1 - hidden[at])
            shaded[at] += np.float32(light) * passing
            visible = float(passing.sum() / max(patch.light.sum(), 1e-12))
            if visible >= LEAST_VISIBLE and _is_inside(target.centres_xy[time], hw):
                found.append((target, patch, visible))
                support = patch.support()
                mask[at] |= support if hidden is None else support & (hidden[at] < 0.5)
        return found


class _Stack:
    """The layers of a scene, or the images of a clip, seen by the camera of a plan."""

    def __init__(self, plan: Plan, background: RealBackground | None) -> None:
        """Paint or open the background."""
        self.plan = plan
        config = plan.scene
        kind = config.background.kinds[0]
        rng = _stream(plan.seed, 3)
        self.clip: FloatArray | None = None
        self.cached: tuple[bytes, FloatArray, FloatArray | None] | None = None
        speed = draw(config.distractors.cloud_speed_range, rng)
        heading = rng.uniform(-0.4, 0.4) + np.pi * rng.integers(2)
        wind = Wind(
            cloud_xy=(speed * np.cos(heading), speed * np.sin(heading)),
            parallax=config.camera.parallax_range[0],
        )
        drift = np.array(wind.cloud_xy) * config.num_frames
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


def _play_order(num_images: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return which image of a clip each frame shows: from a random start, to and fro."""
    spare = max(num_images - num_frames, 0)
    at = np.arange(num_frames) + int(rng.integers(spare + 1))
    lap = np.mod(at, max(2 * num_images - 2, 1))
    return np.where(lap < num_images, lap, 2 * num_images - 2 - lap)


def _crop_clip(plan: Plan, background: RealBackground, rng: np.random.Generator) -> FloatArray:
    """Return the frames that a clip gives, cut to the size of the frame at a random place."""
    height, width = plan.scene.hw
    images = background.images
    if images.shape[1] < height or images.shape[2] < width:
        raise ValueError(
            f"{background.name} is {images.shape[2]}x{images.shape[1]}, smaller than the frames "
            f"({width}x{height}); set hw to at most its size."
        )
    order = _play_order(len(images), plan.scene.num_frames, _stream(plan.seed, 8))
    top = int(rng.integers(images.shape[1] - height + 1))
    left = int(rng.integers(images.shape[2] - width + 1))
    cropped: FloatArray = images[order, top : top + height, left : left + width]
    return cropped


def _records(
    frames: NDArray[np.generic],
    seen: list[tuple[int, TargetPlan, float]],
    patches: list[Patch],
) -> tuple[TargetRow, ...]:
    """Measure every target in the finished frames."""
    rows = []
    hw = (int(frames.shape[1]), int(frames.shape[2]))
    boxes_at: dict[int, list[Float]] = {}
    for time, target, _ in seen:
        boxes_at.setdefault(time, []).append(target.box_xyxy(time))
    near = (-1, np.zeros((0, 0), np.bool_))
    for (time, target, visible), patch in zip(seen, patches, strict=True):
        if near[0] != time:
            near = (time, near_targets(hw, boxes_at[time]))
            levels = frames[time].astype(np.float32)
        x, y = target.centres_xy[time].tolist()
        rows.append(
            TargetRow(
                frame_index=time,
                track_id=target.track_id,
                centre_xy=(x, y),
                scr_wanted=float(target.scr[time]) * target.sign,
                scr_achieved=measure_scr(levels, near[1], patch, target.box_xyxy(time)),
                visible=visible,
            )
        )
    return tuple(rows)


def _annotation(plan: Plan, rows: list[tuple[int, TargetPlan, float]]) -> SequenceAnnotation:
    """Build the truth from (time, target, visible share), sorted by time, then target."""
    boxes = [target.box_xyxy(time) for time, target, _ in rows]
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


def _is_inside(centre_xy: Float, hw: tuple[int, int]) -> bool:
    x, y = centre_xy.tolist()
    return 0 <= x < hw[1] and 0 <= y < hw[0]


def _stream(seed: int, part: int) -> np.random.Generator:
    """Return one stream of chance per part, so that one more target changes no other part."""
    return np.random.default_rng([seed, part])


def scene_record(plan: Plan) -> dict[str, object]:
    """Return the resolved settings as plain values, for the record."""
    from pydantic import TypeAdapter

    record: dict[str, object] = TypeAdapter(SceneConfig).dump_python(plan.scene, mode="json")
    return record


def replace_config(config: SceneConfig, **sections: dict[str, object]) -> SceneConfig:
    """Return settings with some values of some sections replaced."""
    return dataclasses.replace(
        config,
        **{
            name: dataclasses.replace(getattr(config, name), **changes)  # type: ignore[type-var]
            for name, changes in sections.items()
        },
    )
