"""What a generated sequence may look like: ranges from which each sequence is drawn.

Every ``*_range`` is a table of equally spaced quantiles, smallest first: two numbers are a uniform
range, equal numbers a fixed value, and more numbers any distribution (``stdet synth --match``
fills them from a label file). ``draw_scene`` turns the ranges that belong to a whole sequence into
fixed values; those of targets are drawn anew for each target.

Levels are fractions of the full scale, distances pixels of the frame, times frames.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Range = tuple[float, ...]
BackgroundKind = Literal["clouds", "sea", "terrain", "horizon", "urban", "real"]
CameraMotion = Literal["still", "jitter", "pan", "bursts", "jumps", "rotation"]
TargetMotion = Literal["straight", "accelerating", "turning", "hovering"]

MAX_PIXELS = 10**9
"""Pixels of a sequence, over all its frames: it is held in memory as a whole."""

MIN_SIDE_PX = 16
"""Of a frame."""

MAX_TARGETS = 20
"""More at once would leave no background to measure contrast against."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class BackgroundConfig:
    """The scene behind everything."""

    kinds: tuple[BackgroundKind, ...] = ("clouds", "sea", "terrain", "horizon", "urban")
    """One is drawn per sequence; `real` takes a file of ``paths``."""
    paths: tuple[Path, ...] = ()
    """For `real`: images, folders of images (one clip each) or videos, all without targets."""
    mean_range: Range = (0.3, 0.6)
    """Mean level of the scene; real ones keep theirs."""
    contrast_range: Range = (0.05, 0.17)
    """Standard deviation of the scene; real ones keep theirs."""
    blur_range: Range = (0.4, 0.9)
    """Standard deviation of the lens blur of drawn scenes, pixels."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class CameraConfig:
    """How the camera looks over the scene."""

    motions: tuple[CameraMotion, ...] = ("still", "jitter", "pan", "bursts", "jumps", "rotation")
    """One is drawn per sequence. All but `still` shake by ``jitter_range``."""
    speed_range: Range = (0.2, 2.0)
    """Speed of `pan`, `rotation` and of the bursts, pixels per frame."""
    jitter_range: Range = (0.0, 0.3)
    """Standard deviation of the shaking in x and y, pixels."""
    jump_range: Range = (5.0, 30.0)
    """Length of a jump between two frames, pixels."""
    rotation_range: Range = (0.1, 0.6)
    """Turning about the line of sight for `rotation`, degrees per frame."""
    parallax_range: Range = (0.0, 0.25)
    """How much more than the background the nearest layer moves, a fraction."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class TargetConfig:
    """The moving targets, which are the truth."""

    num_range: tuple[int, int] = (1, 4)
    """How many in one sequence, smallest and largest number; up to 20."""
    size_range: Range = (0.5, 1.5, 2.0, 3.0, 5.0)
    """Extent of a target before the lens blurs it, pixels."""
    optics_sigma: float = Field(default=0.5, gt=0)
    """Standard deviation of the point-spread function, pixels."""
    scr_range: Range = (1.5, 3.0, 5.0, 8.0)
    """Wanted signal-to-clutter ratio in every frame; its definition is in `contrast.py`."""
    speed_range: Range = (0.1, 3.0)
    """Speed against the background, pixels per frame; hovering targets have none."""
    motions: tuple[TargetMotion, ...] = ("straight", "accelerating", "turning", "hovering")
    """One is drawn per target."""
    crossing_probability: float = Field(default=0.2, ge=0, le=1)
    """Of a sequence with two or more targets having a pair that meets in one point."""
    dark_probability: float = Field(default=0.1, ge=0, le=1)
    """Of a target being colder than its surroundings."""
    flicker_range: Range = (0.0, 0.3)
    """Standard deviation of slow changes of the brightness, a fraction of it."""
    exposure_range: Range = (0.1, 0.9)
    """Share of the time between frames during which light is gathered: motion blur."""
    visible_probability: float = Field(default=0.7, ge=0, le=1)
    """Of a target passing its anchor in the middle of the sequence, and so being in view for most
    of it; the others pass it at any time, and enter or leave."""
    behind_probability: float = Field(default=0.5, ge=0, le=1)
    """Of a target flying behind clouds, trees and land; the others fly in front of all."""
    box_min_px: float = Field(default=8.0, gt=0)
    """Smallest side of a true box, pixels; larger targets get their extent."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class DistractorConfig:
    """What fools detectors; none of it is truth.

    Still hot spots look like hovering targets. A network that sees many of them learns to miss
    targets that hover (`docs/decisions/0005`), hence the modest default.
    """

    hot_spots_range: tuple[int, int] = (0, 2)
    """Still spots as bright as targets, half of them fixed to the scene, half to the camera."""
    stuck_pixels_range: tuple[int, int] = (0, 6)
    """Dead (dark) and hot (bright) pixels."""
    blinking_pixels_range: tuple[int, int] = (0, 3)
    """Pixels that switch at random."""
    birds_range: tuple[int, int] = (0, 1)
    """Birds: erratic flight, flapping wings, as bright as targets."""
    cloud_speed_range: Range = (0.0, 0.5)
    """Drift of clouds against the background, pixels per frame."""
    crowns_range: tuple[int, int] = (0, 30)
    """Tree crowns that sway in the wind, where the background has trees."""
    text_probability: float = Field(default=0.15, ge=0, le=1)
    """Of burnt-in text: a line of data whose numbers change."""
    cross_hair_probability: float = Field(default=0.1, ge=0, le=1)
    """Of a burnt-in cross-hair."""


NO_DISTRACTORS: dict[str, Any] = {
    "hot_spots_range": [0, 0],
    "stuck_pixels_range": [0, 0],
    "blinking_pixels_range": [0, 0],
    "birds_range": [0, 0],
    "crowns_range": [0, 0],
    "text_probability": 0.0,
    "cross_hair_probability": 0.0,
}
"""Values of ``DistractorConfig`` that draw nothing; clouds still drift."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class SensorConfig:
    """What the camera adds."""

    noise_range: Range = (0.004, 0.02)
    """Standard deviation of the white noise of each frame."""
    fixed_pattern_range: Range = (0.0, 0.008)
    """Standard deviation of the fixed pattern of pixels."""
    stripe_range: Range = (0.0, 0.008)
    """Standard deviation of column stripes; rows have half of it."""
    drift_frames_range: Range = (50.0, 400.0)
    """Time in which fixed pattern and stripes turn into others, frames."""
    vignetting_range: Range = (0.0, 0.25)
    """Loss of light in the corners, a fraction."""
    gain_step_range: Range = (0.0, 0.15)
    """Size of the steps of the automatic exposure, a fraction of the gain."""
    gain_steps_range: tuple[int, int] = (0, 2)
    """How many of these steps in a sequence."""
    bit_depth: Literal[8, 14, 16] = 8
    """8 gives uint8 frames, 14 and 16 uint16."""
    h264_probability: float = Field(default=0.2, ge=0, le=1)
    """Of 8-bit frames going through H.264 and back."""
    crf_range: tuple[int, int] = (16, 30)
    """Quality of H.264: 0 keeps all, 51 keeps least."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class SceneConfig:
    """One generated sequence, or the ranges from which many are drawn."""

    num_frames: int = Field(default=50, ge=1)
    """Frames."""
    hw: tuple[int, int] = (256, 256)
    """Height and width of the frames, pixels, at least 16 x 16."""
    fps: float = Field(default=25.0, gt=0)
    """Frames per second written into the truth."""
    background: BackgroundConfig = BackgroundConfig()
    """Background."""
    camera: CameraConfig = CameraConfig()
    """Camera."""
    targets: TargetConfig = TargetConfig()
    """Targets."""
    distractors: DistractorConfig = DistractorConfig()
    """Distractors."""
    sensor: SensorConfig = SensorConfig()
    """Sensor."""

    def __post_init__(self) -> None:
        """Check ranges, and what spans several sections."""
        for section in (self, *_sections(self)):
            for field in dataclasses.fields(section):
                if field.name.endswith("_range"):
                    _check_range(f"{field.name}", getattr(section, field.name))
        if min(self.hw) < MIN_SIDE_PX:
            raise ValueError(
                f"hw {list(self.hw)} is too small; expected at least {MIN_SIDE_PX} x {MIN_SIDE_PX}"
            )
        if self.num_frames * self.hw[0] * self.hw[1] > MAX_PIXELS:
            raise ValueError(
                f"num_frames {self.num_frames} of hw {list(self.hw)} do not fit into memory; at "
                f"most {MAX_PIXELS:,} pixels in a sequence"
            )
        targets = self.targets
        if targets.scr_range[0] < 0:
            raise ValueError(
                f"targets.scr_range begins below 0 ({targets.scr_range[0]}); an SCR is at least "
                "0, and targets.dark_probability makes dark targets"
            )
        if targets.num_range[1] > MAX_TARGETS:
            raise ValueError(
                f"targets.num_range ends at {targets.num_range[1]}; at most {MAX_TARGETS} targets"
            )
        if max(targets.size_range[-1], targets.box_min_px) >= min(self.hw):
            raise ValueError(
                f"targets of {max(targets.size_range[-1], targets.box_min_px):g} px do not fit "
                f"into frames of {self.hw[1]}x{self.hw[0]}; lower targets.size_range or "
                "targets.box_min_px, or raise hw"
            )
        if "real" in self.background.kinds and not self.background.paths:
            raise ValueError(
                "background.kinds holds 'real' but background.paths is empty; name images, "
                "folders or videos there"
            )
        for name, kinds in (
            ("background.kinds", self.background.kinds),
            ("camera.motions", self.camera.motions),
            ("targets.motions", targets.motions),
        ):
            if not kinds:
                raise ValueError(f"{name} is empty; name at least one")


def draw(table: Range, rng: np.random.Generator) -> float:
    """Draw from equally spaced quantiles, linear between them."""
    return float(np.interp(rng.random(), np.linspace(0, 1, len(table)), table))


def draw_count(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    """Draw a whole number between two, both included."""
    return int(rng.integers(bounds[0], bounds[1] + 1))


def draw_scene(config: SceneConfig, rng: np.random.Generator) -> SceneConfig:
    """Fix what belongs to a whole sequence: background, camera, distractors, sensor, counts.

    Args:
        config: Ranges; the defaults are broad ones, for training on many domains.
        rng: Source of chance.

    Returns:
        The same with ranges of one value and one background and camera motion; the ranges of
        targets (size, SCR, speed and so on) stay, since each target draws its own.

    Example:
        >>> scene = draw_scene(SceneConfig(), np.random.default_rng(1))
        >>> len(scene.background.kinds), len(set(scene.sensor.noise_range))
        (1, 1)
    """
    low, high = config.targets.num_range
    num = int(rng.integers(low, high + 1))
    return dataclasses.replace(
        config,
        background=_fix(config.background, rng),
        camera=_fix(config.camera, rng),
        targets=dataclasses.replace(config.targets, num_range=(num, num)),
        distractors=_fix(config.distractors, rng),
        sensor=_fix(config.sensor, rng),
    )


def _fix(section: Any, rng: np.random.Generator) -> Any:
    """Collapse ranges to one value, lists of kinds to one of them and probabilities to 0 or 1."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if field.name.endswith("_range"):
            is_count = all(isinstance(bound, int) for bound in value)
            drawn = draw_count(value, rng) if is_count else draw(value, rng)
            changes[field.name] = (drawn, drawn)
        elif field.name.endswith("_probability"):
            changes[field.name] = float(rng.random() < value)
        elif field.name in ("kinds", "motions"):
            changes[field.name] = (value[int(rng.integers(len(value)))],)
    return dataclasses.replace(section, **changes)


def _sections(config: SceneConfig) -> tuple[Any, ...]:
    return (
        config.background,
        config.camera,
        config.targets,
        config.distractors,
        config.sensor,
    )


_AT_MOST = {
    "crf_range": 51,
    "vignetting_range": 1,
    "exposure_range": 1,
    "mean_range": 1,
    "drift_frames_range": 1e6,
}
"""Ends of ranges; of all others it is ``RANGE_END``."""

RANGE_END = 1000
"""More pixels per frame, spots or multiples of noise are a slip of the pen, and without end."""


def _check_range(name: str, table: Range) -> None:
    if len(table) < 2 or list(table) != sorted(table):
        raise ValueError(f"{name} {list(table)} needs two or more numbers, smallest first")
    if table[0] < 0:
        if name == "scr_range":
            return  # Has its own message.
        raise ValueError(f"{name} {list(table)} begins below 0")
    if name == "drift_frames_range" and table[0] == 0:
        raise ValueError(f"{name} {list(table)} begins at 0; a drift takes time")
    if table[-1] > _AT_MOST.get(name, RANGE_END):
        raise ValueError(f"{name} {list(table)} ends above {_AT_MOST.get(name, RANGE_END):g}")


PROCEDURAL_KINDS: tuple[BackgroundKind, ...] = tuple(
    kind for kind in cast(tuple[BackgroundKind, ...], get_args(BackgroundKind)) if kind != "real"
)
"""Backgrounds made from nothing."""
