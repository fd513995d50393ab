"""Burnt-in text, reticles and marks, drawn into the frames of a training clip.

They stand still in the picture while the scene moves, and their digits change from frame to frame.
Places, sizes and colours are drawn anew for every clip: of other cameras' overlays nothing is
known but that they look like this.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stdet.types import FloatArray

_LARGEST_COUNT = 4
"""Marks in a clip; at least one."""
_FONT_PX = (7, 22)
_TICK_PX = (2, 6)
_OUTLINE_PROBABILITY = 0.3
_SWITCHING_PROBABILITY = 0.4
"""Of marks that are dark over bright ground and bright over dark ground."""
_SWITCH_QUANTILE = (0.2, 0.95)
_LARGEST_SWITCH_REACH_PX = 8
_DIGITS_CHANGE_PROBABILITY = 0.6
_CHARACTERS = string.ascii_uppercase + string.digits + ":.+-/ "

Draw = Callable[[ImageDraw.ImageDraw, int], None]
"""Draws a mark as it is at a time, in white on black."""


@dataclass(frozen=True, kw_only=True)
class _Style:
    """How a mark looks.

    Attributes:
        level: Of its strokes, in [0, 1].
        has_outline: Whether a line of the opposite level surrounds it.
        switches: Whether strokes are black over bright ground and white over dark ground.
        opacity: Share of what lies behind that it hides.
        switch_quantile: Of the frame's levels, above which ground is bright.
        switch_reach_px: Half the side of the window whose mean is the ground of a pixel. Where it
            is small, a line over uneven ground breaks up into dashes that move with the scene.
    """

    level: float
    has_outline: bool
    switches: bool
    opacity: float
    switch_quantile: float
    switch_reach_px: int


def burn_in_overlays(
    frames: FloatArray, times: Sequence[float] | NDArray[np.float64], rng: np.random.Generator
) -> FloatArray:
    """Draw the overlay of some camera into the frames of a clip.

    Args:
        frames: float32 (M, H, W) in [0, 1].
        times: (M,), of each frame, in frames: marks are equal where times are.
        rng: Source of chance.

    Returns:
        New frames, float32 (M, H, W).
    """
    height, width = frames.shape[1:]
    marks = [
        (_draw_mark((height, width), rng), _draw_style(rng))
        for _ in range(int(rng.integers(1, _LARGEST_COUNT + 1)))
    ]
    clock = [round(time - min(times)) for time in times]
    drawn = []
    for frame, time in zip(frames, clock, strict=True):
        image = frame.copy()
        for draw, style in marks:
            _burn_in(image, draw, style, time)
        drawn.append(image)
    return np.stack(drawn)


def _burn_in(image: FloatArray, draw: Draw, style: _Style, time: int) -> None:
    """Draw one mark into a frame (H, W), in place."""
    strokes = _strokes(image.shape, draw, time)
    level: FloatArray = np.full_like(image, style.level)
    if style.switches:
        side = 2 * style.switch_reach_px + 1
        is_bright = cv2.blur(image, (side, side)) > np.quantile(image, style.switch_quantile)
        level = np.where(is_bright, np.float32(0), np.float32(1))
    if style.has_outline:
        padded = np.pad(strokes, 1)
        rows, columns = image.shape
        around = np.max(
            [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0
        )
        image += style.opacity * around * ((1.0 - level) - image)
    image += style.opacity * strokes * (level - image)


def _strokes(hw: tuple[int, ...], draw: Draw, time: int) -> FloatArray:
    """Return how much of each pixel (H, W) a mark covers."""
    picture = Image.new("L", (hw[1], hw[0]), 0)
    draw(ImageDraw.Draw(picture), time)
    return np.asarray(picture, np.float32) / np.float32(255)


def _draw_style(rng: np.random.Generator) -> _Style:
    """Draw colours: mostly white, sometimes black or grey."""
    kind = rng.random()
    level = 1.0 if kind < 0.65 else 0.0 if kind < 0.8 else rng.uniform(0.2, 0.9)
    return _Style(
        level=level,
        has_outline=rng.random() < _OUTLINE_PROBABILITY,
        switches=rng.random() < _SWITCHING_PROBABILITY,
        opacity=1.0 if rng.random() < 0.7 else rng.uniform(0.2, 1.0),
        switch_quantile=rng.uniform(*_SWITCH_QUANTILE),
        switch_reach_px=int(rng.integers(_LARGEST_SWITCH_REACH_PX + 1)),
    )


def _draw_mark(hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """Draw what a mark is, and where."""
    kinds = (_text, _text, _cross, _bracket, _ticks, _dots, _dots)
    return kinds[int(rng.integers(len(kinds)))](hw, rng)


def _place(hw: tuple[int, int], rng: np.random.Generator) -> tuple[float, float]:
    """Draw a place, as x and y."""
    return float(rng.uniform(0, hw[1])), float(rng.uniform(0, hw[0]))


def _text(hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """Draw a line of text, some digits of which may change."""
    x, y = _place(hw, rng)
    place = (round(x - 20), round(y - 5))
    letters = [str(rng.choice(list(_CHARACTERS))) for _ in range(int(rng.integers(2, 16)))]
    changes, digits_first = rng.random(2) < (_DIGITS_CHANGE_PROBABILITY, 0.5)
    start, step = int(rng.integers(10**6)), int(rng.integers(1, 40))
    font = _font(int(rng.integers(*_FONT_PX, endpoint=True)))

    def draw(pen: ImageDraw.ImageDraw, time: int) -> None:
        counted = f"{start + step * time:06d}" if changes else ""
        parts = [counted, *letters] if digits_first else [*letters, counted]
        pen.text(place, "".join(parts), fill=255, font=font)

    return draw


def _cross(hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """Draw a cross-hair with or without a gap in its middle."""
    x, y = (round(value) for value in _place(hw, rng))
    inner = int(rng.integers(0, 8))
    outer = inner + int(rng.integers(3, 80))
    thickness = int(rng.integers(1, 4))

    def draw(pen: ImageDraw.ImageDraw, time: int) -> None:
        del time
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            ends = [(x + dx * inner, y + dy * inner), (x + dx * outer, y + dy * outer)]
            pen.line(ends, fill=255, width=thickness)

    return draw


def _bracket(hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """Draw the outline of a box, or its corners alone."""
    x, y = (round(value) for value in _place(hw, rng))
    half_w, half_h = (int(side) for side in rng.integers(3, 80, size=2))
    arm = int(rng.integers(2, 40)) if rng.random() < 0.6 else 2 * max(half_w, half_h)
    thickness = int(rng.integers(1, 3))

    def draw(pen: ImageDraw.ImageDraw, time: int) -> None:
        del time
        for sx in (-1, 1):
            for sy in (-1, 1):
                corner = (x + sx * half_w, y + sy * half_h)
                along_x = (corner[0] - sx * min(arm, 2 * half_w), corner[1])
                along_y = (corner[0], corner[1] - sy * min(arm, 2 * half_h))
                pen.line([along_x, corner, along_y], fill=255, width=thickness)

    return draw


def _ticks(hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """Draw a row of ticks, such as a scale has, or of dots."""
    x, y = (round(value) for value in _place(hw, rng))
    step = int(rng.integers(4, 20))
    length = int(rng.integers(*_TICK_PX, endpoint=True))
    is_vertical = rng.random() < 0.5
    count = int(rng.integers(2, 12))

    def draw(pen: ImageDraw.ImageDraw, time: int) -> None:
        del time
        for number in range(count):
            if is_vertical:
                at = y + number * step
                pen.line([(x, at), (x + length, at)], fill=255)
            else:
                at = x + number * step
                pen.line([(at, y), (at, y + length)], fill=255)

    return draw


def _dots(hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """Draw a few dots, such as bad pixels that compression has spread."""
    places = [_place(hw, rng) for _ in range(int(rng.integers(1, 6)))]
    sides = rng.integers(0, 3, size=(len(places), 2))

    def draw(pen: ImageDraw.ImageDraw, time: int) -> None:
        del time
        for (x, y), (width, height) in zip(places, sides, strict=True):
            left, top = round(x), round(y)
            pen.rectangle([left, top, left + int(width), top + int(height)], fill=255)

    return draw


@lru_cache(maxsize=32)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of Pillow at a size."""
    return ImageFont.load_default(size_px)
