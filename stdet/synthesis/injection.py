"""Draw moving targets into real clips, with labels, for training.

Targets move with the background, whose motion is given, plus their own motion;
they flicker slowly and are blurred by their motion during the exposure. Hard negatives can be
drawn beside them, without labels: still hot spots fixed to the camera or to the scene, dead and
blinking pixels, and burnt-in text.

Still spots look like hovering targets, and a network that sees many of them loses targets that
hover (``docs/decisions/0005-generated-scenes.md``); draw few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stdet.synthesis.contrast import light_for_scr, measure_surroundings, near_targets
from stdet.synthesis.distractors import Overlay, draw_overlay
from stdet.synthesis.settings import DistractorConfig, Range, draw
from stdet.synthesis.spots import Float, point_shape, render
from stdet.synthesis.targets import motion_blur
from stdet.types import FloatArray, IntArray

Path = Callable[[Float], Float]
"""From a point (2,) to its positions (W, 2) in W frames, float64, pixels."""

SIZE_RANGE_PX: Range = (0.5, 1.5, 2.2, 3.0, 6.0)
"""Extent before the blur of the lens; half of the targets are 1.5 to 3 px."""
OPTICS_RANGE_PX: Range = (0.4, 0.9)
"""Standard deviation of the point-spread function."""
SPEED_RANGE_PX: Range = (0.2, 0.8, 1.4, 2.4, 4.0)
"""Speed against the background, pixels per frame. None hovers: a spot that is drawn, stays and is
labelled teaches that the bright spots of a real scene, which look alike, are targets (decision
0008)."""
SCR_RANGE: Range = (3.0, 4.0, 6.0, 9.0, 15.0)
"""Signal-to-clutter ratio; see ``contrast.py``. Weaker ones cannot be told from clutter, and a
network that is told to find them fires on clutter."""
DARK_SHARE = 0.1
"""Targets colder than their surroundings."""
FLICKER_RANGE: Range = (0.0, 0.25)
"""Standard deviation of slow changes of the brightness, a fraction of it."""
EXPOSURE_RANGE: Range = (0.1, 0.9)
"""Share of the time between frames during which light is gathered."""
LEAST_PEAK = 0.05
"""Least change of the brightest pixel, fractions of the full scale: thirteen levels of 8 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Injected:
    """A clip with targets.

    Attributes:
        frames: float32 (W, 1, H, W') in [0, 1], new.
        boxes_xyxy: float32 (M, 4), pixels.
        key_slots: int64 (M,), the key frame (0 .. K - 1) of each box.
    """

    frames: FloatArray
    boxes_xyxy: FloatArray
    key_slots: IntArray


def inject_targets(
    frames: FloatArray,
    background_path: Path,
    key_rows: IntArray,
    *,
    num_targets: int,
    rng: np.random.Generator,
    num_negatives: int = 0,
    box_side: float = 8.0,
    times: Float | None = None,
) -> Injected:
    """Add moving spots to a clip.

    Args:
        frames: float32 (W, 1, H, W') in [0, 1].
        background_path: Where a point of the background lies in each frame, given where it lies
            about the time of the key frames; the point itself, repeated, for a camera at rest.
        key_rows: int64 (K,), rows of ``frames`` whose boxes are wanted.
        num_targets: Targets to draw.
        rng: Source of chance.
        num_negatives: Things to draw that are no targets and get no box.
        box_side: Smallest side of a box, pixels; larger targets get their extent.
        times: float64 (W,), increasing, time of each frame in frames, where they are not 0, 1, ...

    Returns:
        New frames and the boxes. A target that has left the frame has no box.

    Raises:
        ValueError: If ``background_path`` gives another number of points than one per frame.
    """
    path_shape = background_path(np.zeros(2)).shape
    if path_shape != (len(frames), 2):
        raise ValueError(f"background_path gives {path_shape}; expected ({len(frames)}, 2).")
    clock = np.arange(len(frames), dtype=np.float64) if times is None else times
    clip = _Clip(
        frames=frames[:, 0].copy(),
        background_path=background_path,
        times=clock - clock[key_rows].mean(),
        exposure=draw(EXPOSURE_RANGE, rng),
    )
    for _ in range(num_negatives):
        _NEGATIVES[int(rng.integers(len(_NEGATIVES)))](clip, rng)
    drawn = [
        _add_spot(clip, rng, path_xy=_path(clip, rng), can_be_dark=True)
        for _ in range(num_targets)
    ]
    boxes = [
        (slot, box)
        for spot in drawn
        for slot, row in enumerate(key_rows.tolist())
        if (box := _box(spot, row, frames.shape[2:], box_side)) is not None
    ]
    return Injected(
        frames=np.clip(clip.frames, 0, 1)[:, None],
        boxes_xyxy=np.array([box for _, box in boxes], np.float32).reshape(-1, 4),
        key_slots=np.array([slot for slot, _ in boxes], np.int64),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Clip:
    """The clip that is drawn into: frames (W, H, W') and the motion of their background."""

    frames: FloatArray
    background_path: Path
    times: Float
    exposure: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """Where a spot was drawn."""

    path_xy: Float
    blurs_xy: Float
    half_xy: Float


def _box(spot: _Drawn, row: int, hw: tuple[int, ...], box_side: float) -> Float | None:
    """Return the box of a spot in one frame, None where its centre lies outside the frame."""
    centre = spot.path_xy[row]
    if (centre < 0).any() or (centre >= (hw[1], hw[0])).any():
        return None
    half = np.maximum(spot.half_xy + np.abs(spot.blurs_xy[row]) / 2, box_side / 2)
    box: Float = np.concatenate([centre - half, centre + half])
    return box


def _path(clip: _Clip, rng: np.random.Generator) -> Float:
    """Return centres (W, 2) that lie in the frame at the time of the key frames."""
    height, width = clip.frames.shape[1:]
    place = rng.uniform(0, 1, 2) * (width, height)
    heading = rng.uniform(0, 2 * np.pi)
    # A gentle turn and a gentle acceleration.
    turn, growth = rng.normal(0, 0.03), rng.normal(0, 0.03)
    headings = heading + turn * clip.times
    distance = draw(SPEED_RANGE_PX, rng) * clip.times * np.clip(1 + growth * clip.times, 0.2, 2)
    along = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    path: Float = clip.background_path(place) + distance[:, None] * along
    return path


def _add_spot(
    clip: _Clip, rng: np.random.Generator, *, path_xy: Float, can_be_dark: bool
) -> _Drawn:
    """Add one spot to every frame. Its light follows the clutter around it, frame by frame."""
    shape = point_shape(draw(SIZE_RANGE_PX, rng), draw(OPTICS_RANGE_PX, rng))
    sign = -1.0 if can_be_dark and rng.random() < DARK_SHARE else 1.0
    scr = draw(SCR_RANGE, rng) * _flicker(clip.times, rng)
    blurs = motion_blur(path_xy, clip.exposure)
    half = shape.half_extent_xy()
    hw = (int(clip.frames.shape[1]), int(clip.frames.shape[2]))
    for row, (centre, blur) in enumerate(zip(path_xy, blurs, strict=True)):
        patch = render(shape, centre, blur, hw)
        if patch is None:
            continue
        reach = np.maximum(half + np.abs(blur) / 2, 4.0)
        box = np.concatenate([centre - reach, centre + reach])
        # A small window instead of the frame: only the ring about the box is looked at.
        around = measure_surroundings(
            clip.frames[row], near_targets(hw, [box]), patch, box, noise_std=0.0
        )
        light = light_for_scr(patch, around, scr=float(scr[row]), sign=sign, least=LEAST_PEAK)
        clip.frames[row, patch.rows, patch.columns] += np.float32(light) * patch.light
    return _Drawn(path_xy=path_xy, blurs_xy=blurs, half_xy=half)


def _flicker(times: Float, rng: np.random.Generator) -> Float:
    """Return a slowly changing factor about 1: two slow waves of random phase."""
    deviation = draw(FLICKER_RANGE, rng)
    periods, phases = rng.uniform(6, 30, 2), rng.uniform(0, 2 * np.pi, 2)
    waves = np.sin(2 * np.pi * times[:, None] / periods + phases).sum(axis=1)
    factors: Float = np.maximum(1 + deviation * waves, 0.3)
    return factors


def _camera_spot(clip: _Clip, rng: np.random.Generator) -> None:
    """Add a hot spot that stays at its pixel."""
    place = rng.uniform(0, 1, 2) * (clip.frames.shape[2], clip.frames.shape[1])
    _add_spot(clip, rng, path_xy=np.tile(place, (len(clip.times), 1)), can_be_dark=False)


def _scene_spot(clip: _Clip, rng: np.random.Generator) -> None:
    """Add a hot spot that moves with the background."""
    place = rng.uniform(0, 1, 2) * (clip.frames.shape[2], clip.frames.shape[1])
    _add_spot(clip, rng, path_xy=clip.background_path(place), can_be_dark=False)


def _bad_pixel(clip: _Clip, rng: np.random.Generator) -> None:
    """Add a dead, hot or blinking pixel."""
    row = int(rng.integers(clip.frames.shape[1]))
    column = int(rng.integers(clip.frames.shape[2]))
    level = rng.uniform(0, 0.1) if rng.random() < 0.4 else rng.uniform(0.7, 1.0)
    share_on = 1.0 if rng.random() < 0.5 else 0.5
    is_on = rng.random(len(clip.frames)) < share_on
    clip.frames[is_on, row, column] = level


def _text(clip: _Clip, rng: np.random.Generator) -> None:
    """Burn in a line of data whose numbers change."""
    hw = (int(clip.frames.shape[1]), int(clip.frames.shape[2]))
    overlay: Overlay = draw_overlay(
        DistractorConfig(text_probability=0.8, cross_hair_probability=0.4), hw, rng
    )
    start = int(rng.integers(1000))
    for row, frame in enumerate(clip.frames):
        overlay.apply(frame, start + row)


_NEGATIVES: tuple[Callable[[_Clip, np.random.Generator], None], ...] = (
    _camera_spot,
    _scene_spot,
    _bad_pixel,
    _text,
)
