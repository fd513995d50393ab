"""Settings and a seed become frames with their exact truth.

    light of the scene -> still spots, birds, crowns -> vignetting, fixed pattern -> targets
    -> white noise -> gain -> bad pixels -> burnt-in marks -> quantisation -> H.264

Rules of the truth. A target has a row in every frame in which its centre lies inside the frame and
at least a tenth of its light passes what flies or stands in front of it. While less than half of
it passes, the row is marked as ignored: finding it is neither a hit nor a false alarm. A target
keeps its identity behind a cloud and outside the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
from stdet.synthesis.plan import (
    Plan,
    RealBackground,
    annotation_of,
    is_inside,
    plan_sequence,
    stream,
)
from stdet.synthesis.sensor import Sensor, compress, draw_sensor
from stdet.synthesis.settings import SceneConfig, draw_count
from stdet.synthesis.spots import Float, Patch, render
from stdet.synthesis.stack import Stack
from stdet.synthesis.targets import TargetPlan, motion_blur
from stdet.types import BoolArray, FloatArray, SequenceAnnotation

LEAST_VISIBLE = 0.1
"""A target of which less light passes has no row in the truth."""


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
        background: Real frames for the kind `real`, see ``stdet.datasets.real_backgrounds``.

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
        self.stack = Stack(plan, background)
        self.spots: list[Spot] = draw_spots(
            config.distractors,
            config.targets,
            plan.camera,
            self.stack.scene,
            stream(seed, 4),
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
            rng=stream(seed, 5),
        )
        overlay_rng = stream(seed, 6)
        self.pixels: BadPixels = draw_bad_pixels(
            config.distractors, config.num_frames, config.hw, overlay_rng
        )
        self.overlay: Overlay = draw_overlay(config.distractors, config.hw, overlay_rng)
        self.noise_rng = stream(seed, 7)

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
            crf = draw_count(config.sensor.crf_range, stream(plan.seed, 9))
            frames = compress(frames.astype(np.uint8, copy=False), crf=crf)
        return Synthesised(
            plan=plan,
            frames=frames,
            truth=annotation_of(plan, seen),
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
                drawn.append((target, patch, target.boxes_xyxy[time]))
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
            cover = hidden[at] if hidden is not None and target.is_behind else np.float32(0)
            passing = patch.light * (1 - cover)
            shaded[at] += np.float32(light) * passing
            visible = float(passing.sum() / max(patch.light.sum(), 1e-12))
            if visible >= LEAST_VISIBLE and is_inside(target.centres_xy[time], hw):
                found.append((target, patch, visible))
                mask[at] |= patch.support() & (cover < 0.5)
        return found


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
        boxes_at.setdefault(time, []).append(target.boxes_xyxy[time])
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
                scr_achieved=measure_scr(levels, near[1], patch, target.boxes_xyxy[time]),
                visible=visible,
            )
        )
    return tuple(rows)
