"""Other palettes and cameras: polarity, noise, stripes, contrast, steps of the gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stdet.changes.footage import Footage
from stdet.synthesis.sensor import Sensor, draw_sensor
from stdet.synthesis.settings import SensorConfig
from stdet.types import FloatArray

_QUIET = SensorConfig(
    noise_range=(0.0, 0.0),
    fixed_pattern_range=(0.0, 0.0),
    stripe_range=(0.0, 0.0),
    vignetting_range=(0.0, 0.0),
    gain_steps_range=(0, 0),
)
"""A camera that adds nothing."""
_FRAMES_PER_STEP = 25
"""Of the gain."""
_LEVEL = 1 / 255
"""A grey level of 8 bits."""


def swap_polarity(footage: Footage, rng: np.random.Generator) -> Footage:
    """Show what is hot dark, as a black-hot palette does."""
    return footage.with_pixels(lambda image, position: 1 - image)


def add_noise(footage: Footage, rng: np.random.Generator, *, levels: float) -> Footage:
    """Add white noise of a standard deviation in grey levels of 8 bits."""
    config = replace(_QUIET, noise_range=(levels * _LEVEL, levels * _LEVEL))
    return _seen_by(footage, _draw(footage, config, rng), rng)


def add_stripes(footage: Footage, rng: np.random.Generator, *, levels: float) -> Footage:
    """Add column stripes that change slowly, by standard deviation in levels; rows have half."""
    config = replace(_QUIET, stripe_range=(levels * _LEVEL, levels * _LEVEL))
    return _seen_by(footage, _draw(footage, config, rng), rng)


def change_contrast(footage: Footage, rng: np.random.Generator, *, factor: float) -> Footage:
    """Multiply the differences to the mean of the first frame."""
    sensor = _draw(footage, _QUIET, rng)
    return _seen_by(footage, replace(sensor, gains=np.full(len(footage), factor)), rng)


def step_gain(footage: Footage, rng: np.random.Generator, *, least: float, most: float) -> Footage:
    """Let the automatic exposure step up and down, by shares of the gain."""
    num = max(len(footage) // _FRAMES_PER_STEP, 1)
    config = replace(_QUIET, gain_steps_range=(num, num), gain_step_range=(least, most))
    return _seen_by(footage, _draw(footage, config, rng), rng)


def _draw(footage: Footage, config: SensorConfig, rng: np.random.Generator) -> Sensor:
    pivot = float(footage.read(0).mean())
    return draw_sensor(config, len(footage), footage.truth.image_hw, pivot=pivot, rng=rng)


def _seen_by(footage: Footage, sensor: Sensor, rng: np.random.Generator) -> Footage:
    seed = int(rng.integers(2**32))

    def render(image: FloatArray, position: int) -> FloatArray:
        of_frame = np.random.default_rng([seed, position])
        return sensor.expose(sensor.shade(image, position), position, of_frame)

    return footage.with_pixels(render)
