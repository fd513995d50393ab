"""What an infrared camera adds: patterns, noise, gain, quantisation and compression."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from stdet.synthesis.settings import SensorConfig, draw, draw_count
from stdet.synthesis.spots import Float
from stdet.types import FloatArray

_GAIN_FRAMES = 1.2
"""A step of the automatic exposure is spread over about so many frames."""

_MACROBLOCK_PX = 16
_MBTREE_STEP = 8
"""x264 (build 165) propagates the costs of ``mbtree`` over so many macroblocks of a row at a time.
Where a row holds no multiple of them it reads memory that nothing has written."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensor:
    """The camera of one sequence.

    Attributes:
        vignette: float32 (H, W), factor of the light.
        patterns: Two fixed patterns with stripes, float32 (H, W), that turn into each other.
        drift_frames: Time of a quarter of that turn.
        noise_std: Of the white noise, fractions of the full scale.
        gains: Factor of the automatic exposure in each frame, float64 (T,).
        pivot: Level that the gain leaves as it is.
        bit_depth: 8, 14 or 16.
    """

    vignette: FloatArray
    patterns: tuple[FloatArray, FloatArray]
    drift_frames: float
    noise_std: float
    gains: Float
    pivot: float
    bit_depth: int

    def shade(self, scene: FloatArray, time: int) -> FloatArray:
        """Return the scene with vignetting and fixed pattern, before noise."""
        turn = np.pi / 2 * time / self.drift_frames
        shaded: FloatArray = scene * self.vignette
        shaded += np.float32(np.cos(turn)) * self.patterns[0]
        shaded += np.float32(np.sin(turn)) * self.patterns[1]
        return shaded

    def expose(self, shaded: FloatArray, time: int, rng: np.random.Generator) -> FloatArray:
        """Add white noise and apply the gain, in place.

        Args:
            shaded: float32 (H, W) with targets.
            time: Frame.
            rng: Source of chance.
        """
        if self.noise_std:
            noise = rng.standard_normal(shaded.shape, dtype=np.float32)
            noise *= np.float32(self.noise_std)
            shaded += noise
        if self.gains[time] != 1:
            shaded -= np.float32(self.pivot)
            shaded *= np.float32(self.gains[time])
            shaded += np.float32(self.pivot)
        return shaded

    def quantise(self, frame: FloatArray) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Round to the levels of the camera; ``frame`` is used up."""
        frame *= np.float32(2**self.bit_depth - 1)
        np.rint(frame, out=frame)
        np.clip(frame, 0, 2**self.bit_depth - 1, out=frame)
        if self.bit_depth == 8:
            return frame.astype(np.uint8)
        return frame.astype(np.uint16)


def draw_sensor(
    config: SensorConfig,
    num_frames: int,
    hw: tuple[int, int],
    *,
    pivot: float,
    rng: np.random.Generator,
) -> Sensor:
    """Draw the camera of a sequence.

    Args:
        config: Of one sequence (see ``draw_scene``).
        num_frames: T.
        hw: Size of the frame.
        pivot: Level that the automatic exposure leaves as it is.
        rng: Source of chance.
    """
    height, width = hw
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * 2 / height - 1
    x = (np.arange(width, dtype=np.float32) + 0.5) * 2 / width - 1
    loss = draw(config.vignetting_range, rng)
    stripe, pixel = draw(config.stripe_range, rng), draw(config.fixed_pattern_range, rng)
    return Sensor(
        vignette=(1 - loss * (x**2 + y**2) / 2).astype(np.float32),
        patterns=(_pattern(hw, stripe, pixel, rng), _pattern(hw, stripe, pixel, rng)),
        drift_frames=draw(config.drift_frames_range, rng),
        noise_std=draw(config.noise_range, rng),
        gains=_gains(config, num_frames, rng),
        pivot=pivot,
        bit_depth=config.bit_depth,
    )


def _pattern(
    hw: tuple[int, int], stripe: float, pixel: float, rng: np.random.Generator
) -> FloatArray:
    """Return one fixed pattern: stripes of columns and, half as strong, of rows; and pixels."""
    columns = stripe * rng.standard_normal(hw[1], dtype=np.float32)
    rows = 0.5 * stripe * rng.standard_normal(hw[0], dtype=np.float32)[:, None]
    pattern: FloatArray = pixel * rng.standard_normal(hw, dtype=np.float32) + columns + rows
    return pattern.astype(np.float32, copy=False)


def _gains(config: SensorConfig, num_frames: int, rng: np.random.Generator) -> Float:
    """Return the factor of each frame, near 1, with steps at random times."""
    steps = np.zeros(num_frames)
    for _ in range(draw_count(config.gain_steps_range, rng)):
        steps[int(rng.integers(num_frames))] += rng.choice([-1, 1]) * draw(
            config.gain_step_range, rng
        )
    if not steps.any():
        return np.ones(num_frames)
    gains: Float = np.exp(gaussian_filter1d(np.cumsum(steps), _GAIN_FRAMES, mode="nearest"))
    return gains


def as_jpeg(image: NDArray[np.uint8], *, quality: int) -> NDArray[np.uint8]:
    """Send an image, uint8 (H, W), through JPEG and back."""
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def compress(frames: NDArray[np.uint8], *, crf: int) -> NDArray[np.uint8]:
    """Send 8-bit frames through H.264 and back.

    Args:
        frames: uint8 (T, H, W); odd sizes are padded for the encoder, which wants even ones.
        crf: Quality, 0 to 51, smaller is better.

    Returns:
        uint8 (T, H, W).
    """
    import av

    num, height, width = frames.shape
    padded = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.height, stream.width = padded.shape[1:]
        stream.pix_fmt = "yuvj420p"  # Full range: levels come back as they were.
        # One thread and no uninitialised memory, so that the same frames give the same bytes.
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        if -(-stream.width // _MACROBLOCK_PX) % _MBTREE_STEP:
            stream.options |= {"x264-params": "mbtree=0"}
        chroma = np.full((padded.shape[1] // 2, padded.shape[2]), 128, np.uint8)
        for image in padded:
            planes = np.concatenate([image, chroma])
            frame = av.VideoFrame.from_ndarray(planes, format="yuvj420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    memory.seek(0)
    found = np.empty_like(frames)
    with av.open(memory, "r") as container:
        container.streams.video[0].thread_type = "NONE"
        count = 0
        for count, decoded in enumerate(container.decode(video=0)):
            found[count] = decoded.to_ndarray()[:height, :width]
    assert count + 1 == num, "the encoder returned another number of frames"
    return found
