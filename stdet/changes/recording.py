"""What recording does to frames: compression and burnt-in text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_lie_in
from stdet.changes.footage import Footage
from stdet.synthesis.distractors import Overlay, draw_overlay
from stdet.synthesis.sensor import as_jpeg, compress
from stdet.synthesis.settings import DistractorConfig
from stdet.types import BoolArray, FloatArray

KEY_FRAME_EVERY = 48
"""Frames from one key frame of H.264 to the next."""


def save_as_jpeg(footage: Footage, rng: np.random.Generator, *, quality: int) -> Footage:
    """Send each frame through JPEG and back, with 8 bits."""

    def render(image: FloatArray, position: int) -> FloatArray:
        decoded = as_jpeg(_eight_bits(image), quality=quality)
        return decoded.astype(np.float32) / np.float32(255)

    return replace(footage, largest_level=255).with_pixels(render)


def save_as_h264(footage: Footage, rng: np.random.Generator, *, crf: int) -> Footage:
    """Send frames through H.264 and back, with 8 bits."""
    group = _Group(footage, crf)
    return replace(footage, largest_level=255, read=group.read)


def burn_in_text(footage: Footage, rng: np.random.Generator, *, share: float) -> Footage:
    """Burn in a clock, other data and a reticle that stand still in the picture.

    A target whose centre is under a mark is ignored.

    Args:
        footage: Frames.
        rng: Source of chance.
        share: Probability of text, and of a reticle.
    """
    config = DistractorConfig(text_probability=share, cross_hair_probability=share)
    overlay = draw_overlay(config, footage.truth.image_hw, rng)

    def render(image: FloatArray, position: int) -> FloatArray:
        overlay.apply(image, position)
        return image

    truth = footage.truth
    is_ignored = truth.is_ignored | _is_covered(footage, overlay)
    return replace(footage.with_pixels(render), truth=replace(truth, is_ignored=is_ignored))


def _is_covered(footage: Footage, overlay: Overlay) -> BoolArray:
    """Say which rows of the truth have their centre under a mark, bool (M,)."""
    truth = footage.truth
    is_covered = np.zeros(len(truth), np.bool_)
    for position in np.unique(truth.frame_indices).tolist():
        rows = truth.rows_at(position)
        marks = np.zeros(truth.image_hw, np.float32)
        overlay.apply(marks, position)
        is_covered[rows] = centres_lie_in(marks > 0, truth.boxes_xyxy[rows])
    return is_covered


class _Group:
    """The frames from one key frame to the next, compressed together; one group is kept."""

    def __init__(self, footage: Footage, crf: int) -> None:
        self._footage = footage
        self._crf = crf
        self._first = -1
        self._frames = np.zeros((0, 0, 0), np.uint8)

    def read(self, position: int) -> FloatArray:
        """Return frame ``position``, float32 (H, W) in [0, 1]."""
        first = position - position % KEY_FRAME_EVERY
        if first != self._first:
            end = min(first + KEY_FRAME_EVERY, len(self._footage))
            frames = [_eight_bits(self._footage.read(index)) for index in range(first, end)]
            self._frames = compress(np.stack(frames), crf=self._crf)
            self._first = first
        frame: FloatArray = self._frames[position - first].astype(np.float32)
        frame /= np.float32(255)
        return frame


def _eight_bits(image: FloatArray) -> NDArray[np.uint8]:
    return np.rint(image * 255).astype(np.uint8)
