"""What the two parts of a detector for inference are given, and what their inputs are called.

``inference_parts.py`` divides a detector. A program that runs exported parts needs no more than
this.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_NAME = "frame"
"""Input of the frame part, float32 (1, channels, H, W) in [0, 1]."""

OUTPUT_NAMES = ("cls_logits", "obj_logits", "box_offsets")
"""Outputs of the clip part, as in ``HeadOutputs``."""


@dataclass(frozen=True, kw_only=True)
class ClipInput:
    """One input of the clip part.

    Attributes:
        position: Of the frame in the clip: 0 to R - 1 for the context frames in order of time, R
            for the key frame.
        map_index: Which of the frame's maps.
    """

    position: int
    map_index: int
