"""Generated moving-target sequences for tests, the sample and the README.

A still canvas larger than the frame holds sky with 1/f clouds, a treeline on the horizon, terrain
and hot spots that look like targets but never move in the scene. The camera pans and shakes over
it, so that hot spots move in the frame with everything else; targets move against it. A target is
a Gaussian spot integrated over each pixel at its exact sub-pixel position. Fixed column noise and
white noise of the sensor come on top. Grey levels are those of an 8-bit camera, without any
per-frame stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from stdet.types import SequenceAnnotation

_Float = NDArray[np.float64]

_MARGIN_PX = 8
"""Canvas beyond the outermost camera position."""
_OPTICS_SIGMA_PX = 0.6
"""Blur of the scene by the lens."""
_MEAN_LEVEL = 115
"""Grey level about which the contrast of the scene is set."""
_CONTRAST = 1.4
"""Brings the deviation of a frame to about 22 grey levels; real frames have 18 to 60."""
_COLUMN_NOISE = 0.3
"""Fixed column noise of the sensor, in units of the white noise."""
_COUNTS_PER_GREY_14BIT = 64
"""16,384 counts for 256 grey levels."""


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """What to generate; the same values give the same frames."""

    name: str = "synthetic"
    """Name of the sequence."""
    seed: int = 0
    """Fixes scene, camera, targets and noise."""
    num_frames: int = 60
    """Frames."""
    hw: tuple[int, int] = (256, 256)
    """Height and width of the frames, pixels."""
    fps: float = 25.0
    """Frames per second written into the truth."""
    bit_depth: Literal[8, 14] = 8
    """8 gives uint8; 14 gives uint16 counts of a 14-bit camera, 64 to a grey level."""
    num_targets: int = 3
    """Moving targets."""
    is_crossing: bool = False
    """Whether the first two targets meet in one point in the middle of the sequence."""
    speed_range: tuple[float, float] = (0.5, 2.5)
    """Speed against the background, pixels per frame."""
    contrast_range: tuple[float, float] = (8.0, 20.0)
    """Peak of targets and hot spots above their surroundings, standard deviations of the noise."""
    target_sigma_range: tuple[float, float] = (0.7, 1.3)
    """Standard deviation of the spots, pixels."""
    box_min_px: float = 8.0
    """Smallest side of a true box; larger spots get 4 standard deviations."""
    noise_std: float = 3.0
    """White noise, grey levels of 8 bit."""
    drift_xy: tuple[float, float] = (0.4, 0.05)
    """Steady motion of the camera, pixels per frame."""
    jitter_px: float = 0.15
    """Standard deviation of the camera's shaking, pixels."""
    horizon: float = 0.55
    """Horizon below the top, as a fraction of the frame; 0 is all ground, 1 all sky."""
    num_hot_spots: int = 6
    """Still bright spots that are not targets."""


def generate(
    config: SyntheticConfig,
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], SequenceAnnotation]:
    """Generate frames and their truth.

    Args:
        config: What to generate.

    Returns:
        Frames (T, H, W), uint8 or uint16, and the truth: boxes in continuous pixels centred on
        the target and not clipped at the border, a row for every frame in which the centre of the
        target lies inside the frame, track ids from 1.

    Example:
        >>> frames, truth = generate(SyntheticConfig(num_frames=4, hw=(32, 48), num_targets=1))
        >>> frames.shape, frames.dtype.name, truth.num_frames
        ((4, 32, 48), 'uint8', 4)
    """
    # One stream per part, so that one more target does not change the scene.
    scene_rng, camera_rng, target_rng, noise_rng = (
        np.random.default_rng([config.seed, part]) for part in range(4)
    )
    height, width = config.hw
    camera_xy = _camera_path(config, camera_rng)
    canvas = _canvas(config, scene_rng, np.ceil(camera_xy.max(axis=0)).astype(int))
    sigmas = target_rng.uniform(*config.target_sigma_range, config.num_targets)
    peaks = target_rng.uniform(*config.contrast_range, config.num_targets) * config.noise_std
    centres = _target_paths(config, target_rng, camera_xy)  # (targets, T, 2)
    columns = noise_rng.normal(0, _COLUMN_NOISE * config.noise_std, width)
    frames = np.empty((config.num_frames, height, width), np.float64)
    for index in range(config.num_frames):
        frames[index] = _window(canvas, camera_xy[index], config.hw)
        for centre, sigma, peak in zip(centres[:, index], sigmas, peaks, strict=True):
            add_spot(frames[index], centre, sigma, peak)
        frames[index] += columns + noise_rng.normal(0, config.noise_std, (height, width))
    if config.bit_depth == 8:
        return np.clip(frames.round(), 0, 255).astype(np.uint8), _truth(config, centres, sigmas)
    counts = np.clip((frames * _COUNTS_PER_GREY_14BIT).round(), 0, 2**14 - 1)
    return counts.astype(np.uint16), _truth(config, centres, sigmas)


def add_spot(image: _Float, centre_xy: _Float, sigma: float, peak: float) -> None:
    """Add a Gaussian spot, integrated over each pixel, to an image in place.

    Args:
        image: float64 (H, W).
        centre_xy: Continuous pixels; may lie outside the image.
        sigma: Standard deviation, pixels.
        peak: Value of the brightest pixel were the spot centred on a pixel.
    """
    height, width = image.shape
    along_x = _pixel_integral(np.arange(width + 1) - centre_xy[0], sigma)
    along_y = _pixel_integral(np.arange(height + 1) - centre_xy[1], sigma)
    brightest = _pixel_integral(np.array([-0.5, 0.5]), sigma)[0] ** 2
    image += peak / brightest * np.outer(along_y, along_x)


def _pixel_integral(edges: _Float, sigma: float) -> _Float:
    """Integrate a normal density between neighbouring pixel edges."""
    integral: _Float = np.diff(erf(edges / (np.sqrt(2) * sigma))) / 2
    return integral


def _camera_path(config: SyntheticConfig, rng: np.random.Generator) -> _Float:
    """Return the top-left corner of each frame on the canvas, (T, 2), at least the margin."""
    steady = np.arange(config.num_frames)[:, None] * np.array(config.drift_xy)
    path = steady + rng.normal(0, config.jitter_px, (config.num_frames, 2))
    shifted: _Float = path - path.min(axis=0) + _MARGIN_PX
    return shifted


def _target_paths(config: SyntheticConfig, rng: np.random.Generator, camera_xy: _Float) -> _Float:
    """Return target centres in frame pixels, (targets, T, 2).

    A target passes its anchor in the inner half of the frame in the middle of the sequence, at
    constant speed on a slightly bent path.
    """
    height, width = config.hw
    middle = config.num_frames // 2
    anchors = rng.uniform(0.25, 0.75, (config.num_targets, 2)) * (width, height)
    headings = rng.uniform(0, 2 * np.pi, config.num_targets)
    if config.is_crossing and config.num_targets > 1:
        anchors[1] = anchors[0]
        headings[1] = headings[0] + rng.uniform(np.pi / 3, 2 * np.pi / 3)
    speeds = rng.uniform(*config.speed_range, config.num_targets)
    turns = rng.normal(0, 0.5 / max(config.num_frames, 1), config.num_targets)
    steps = np.arange(config.num_frames) - middle
    heading = headings[:, None] + turns[:, None] * steps
    velocity = speeds[:, None, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    travelled = np.cumsum(velocity, axis=1)
    travelled -= travelled[:, middle : middle + 1]
    camera_moved = camera_xy - camera_xy[middle]
    paths: _Float = anchors[:, None] + travelled - camera_moved
    return paths


def _truth(config: SyntheticConfig, centres: _Float, sigmas: _Float) -> SequenceAnnotation:
    """Build the truth from target centres (targets, T, 2)."""
    height, width = config.hw
    is_inside = ((centres >= 0) & (centres < (width, height))).all(axis=-1)
    frames, targets = np.nonzero(is_inside.T)  # Sorted by frame, then target.
    half = np.maximum(config.box_min_px, 4 * sigmas)[targets, None] / 2
    middle = centres[targets, frames]
    return SequenceAnnotation(
        name=config.name,
        num_frames=config.num_frames,
        image_hw=config.hw,
        fps=config.fps,
        frame_indices=frames.astype(np.int64),
        track_ids=targets.astype(np.int64) + 1,
        boxes_xyxy=np.concatenate([middle - half, middle + half], axis=1).astype(np.float32),
        class_ids=np.zeros(len(frames), np.int64),
        is_ignored=np.zeros(len(frames), np.bool_),
    )


def _window(canvas: _Float, corner_xy: _Float, hw: tuple[int, int]) -> _Float:
    """Cut a frame out of the canvas at a sub-pixel position, bilinearly."""
    left, top = np.floor(corner_xy).astype(int)
    right_share, lower_share = corner_xy - (left, top)
    patch = canvas[top : top + hw[0] + 1, left : left + hw[1] + 1]
    rows = patch[:-1] * (1 - lower_share) + patch[1:] * lower_share
    window: _Float = rows[:, :-1] * (1 - right_share) + rows[:, 1:] * right_share
    return window


def _canvas(
    config: SyntheticConfig, rng: np.random.Generator, extent_xy: NDArray[np.int_]
) -> _Float:
    """Paint the scene, grey levels of 8 bit."""
    height, width = (
        config.hw[0] + extent_xy[1] + _MARGIN_PX,
        config.hw[1] + extent_xy[0] + _MARGIN_PX,
    )
    rows = np.arange(height)[:, None]
    horizon = config.horizon * config.hw[0] + extent_xy[1] / 2
    ridge = horizon + config.hw[0] * 0.03 * _fractal(rng, (1, width), 1.5)
    depth = np.clip((rows - ridge) / config.hw[0], 0, None)

    clouds = np.maximum(_fractal(rng, (height, width), 1.7, stretch=3), -0.5)
    sky = 105 - 30 * (rows / max(horizon, 1)).clip(0, 1) ** 3 + 14 * clouds
    near = _fractal(rng, (height, width), 1.0, stretch=2)
    far = _fractal(rng, (height, width), 0.7, stretch=5)
    fields = np.tanh(3 * _fractal(rng, (height, width), 1.6, stretch=6))
    warm = _step(4 * (_fractal(rng, (height, width), 1.2, stretch=4) - 2.2))
    ground = 118 + 12 * near * (0.3 + depth) + 8 * far * np.exp(-6 * depth) + 15 * fields
    ground += 45 * warm
    canvas: _Float = sky + (ground - sky) * _step(rows - ridge)

    tops = ridge - config.hw[0] * 0.02 * (2.5 + _fractal(rng, (1, width), 0.6).clip(-2, 3))
    trunks = ridge + config.hw[0] * 0.03
    streaks = _fractal(rng, (height, width), 0.8, stretch=0.3)
    trees = 150 + 14 * streaks
    canvas += (trees - canvas) * 0.8 * _step(rows - tops) * _step(trunks - rows)
    canvas = _MEAN_LEVEL + _CONTRAST * (canvas - _MEAN_LEVEL)
    canvas = gaussian_filter(canvas, _OPTICS_SIGMA_PX, mode="nearest")
    for _ in range(config.num_hot_spots):
        spot_xy = rng.uniform((0, min(horizon, height - 1)), (width, height))
        sigma = rng.uniform(*config.target_sigma_range)
        add_spot(canvas, spot_xy, sigma, rng.uniform(*config.contrast_range) * config.noise_std)
    return canvas


def _step(distance: _Float) -> _Float:
    """Rise from 0 to 1 over about a pixel around 0."""
    step: _Float = (1 + np.tanh(2 * distance)) / 2
    return step


def _fractal(
    rng: np.random.Generator, hw: tuple[int, int], exponent: float, *, stretch: float = 1.0
) -> _Float:
    """Return a random field with amplitude 1 / frequency ** exponent, mean 0 and deviation 1.

    ``stretch`` above 1 draws it out along x.
    """
    fy = np.fft.fftfreq(hw[0])[:, None]
    fx = np.fft.rfftfreq(hw[1])[None, :] * stretch
    frequency = np.hypot(fy, fx)
    # The zero frequency carries the mean, which is removed.
    gain = np.divide(1, frequency**exponent, out=np.zeros_like(frequency), where=frequency > 0)
    field: _Float = np.fft.irfft2(np.fft.rfft2(rng.normal(size=hw)) * gain, s=hw)
    field /= field.std()
    return field
