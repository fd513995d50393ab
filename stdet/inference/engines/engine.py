"""What every engine offers: the maps of a frame, and what a clip of frames shows.

Arrays go in and come out, so that what uses an engine knows nothing of the library behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stdet.models.part_names import ClipInput
from stdet.types import FloatArray

FrameMaps = tuple[Any, ...]
"""What an engine keeps of a frame, (1, channels, h, w), the features first; PyTorch keeps tensors
on its device, all others arrays."""

State = tuple[Any, ...]
"""What a detector with a memory keeps from key frame to key frame; ``()`` at the start."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipOutputs:
    """What the network says of one key frame: logits and offsets of ``HeadOutputs``.

    Attributes:
        cls_logits: float32 (1, num_classes, h, w).
        obj_logits: float32 (1, 1, h, w).
        box_offsets: float32 (1, 4, h, w).
        feature_stride: Pixels per cell.
        state: For the next key frame of the same sequence.
    """

    cls_logits: FloatArray
    obj_logits: FloatArray
    box_offsets: FloatArray
    feature_stride: int
    state: State = ()

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Logits and offsets, in the order of ``OUTPUT_NAMES``."""
        return self.cls_logits, self.obj_logits, self.box_offsets


class Engine(Protocol):
    """A trained detector, ready to run."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        """Compute what is kept of a frame, float32 (1, channels, H, W) in [0, 1].

        PyTorch takes the maps of every engine of the same detector, all others their own.
        """
        ...

    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Predict on a key frame.

        Args:
            context: Maps of the other frames of the clip, in order of time.
            key: Maps of the key frame.
            state: ``ClipOutputs.state`` of the key frame before, ``()`` at the start.
        """
        ...


class EngineOfParts:
    """A detector without memory, divided as in ``inference_parts.py``.

    Args:
        name: What messages call it.
        run_frame: Runs the frame part.
        run_clip: Runs the clip part on its inputs, in order; returns ``OUTPUT_NAMES``.
        clip_inputs: What they are.
        feature_stride: Of the outputs, pixels per cell.
    """

    def __init__(
        self,
        name: str,
        *,
        run_frame: Callable[[FloatArray], FrameMaps],
        run_clip: Callable[[Sequence[Any]], Sequence[FloatArray]],
        clip_inputs: Sequence[ClipInput],
        feature_stride: int,
    ) -> None:
        """Keep both parts."""
        self.name = name
        self.frame_maps = run_frame
        self._run_clip = run_clip
        self._clip_inputs = tuple(clip_inputs)
        self._feature_stride = feature_stride

    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Predict on a key frame."""
        clip = (*context, key)
        cls_logits, obj_logits, box_offsets = (
            np.asarray(value, np.float32)
            for value in self._run_clip([clip[i.position][i.map_index] for i in self._clip_inputs])
        )
        return ClipOutputs(
            cls_logits=cls_logits,
            obj_logits=obj_logits,
            box_offsets=box_offsets,
            feature_stride=self._feature_stride,
        )
