"""What every engine offers: the maps of a frame, and what a clip of frames shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from stdet.models.detector import Predicted
from stdet.models.head import HeadOutputs
from stdet.models.inference_parts import ClipInput, FrameMaps
from stdet.models.interfaces import TemporalState


class Engine(Protocol):
    """A trained detector, ready to run."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def frame_maps(self, frame: Tensor) -> FrameMaps:
        """Compute what is kept of a frame (1, channels, H, W) in [0, 1].

        Maps of one engine may be given to another one of the same detector.
        """
        ...

    def fuse(
        self, context: Sequence[FrameMaps], key: FrameMaps, state: TemporalState
    ) -> Predicted:
        """Predict on a key frame.

        Args:
            context: Maps of the other frames of the clip, in order of time.
            key: Maps of the key frame.
            state: ``Predicted.state`` of the key frame before, ``()`` at the start.
        """
        ...


class EngineOfParts:
    """A detector without memory, divided as in ``inference_parts.py``.

    Args:
        name: What messages call it.
        run_frame: Runs the frame part.
        run_clip: Runs the clip part on its inputs, in order; returns ``ClipOutputs``.
        clip_inputs: What they are.
        feature_stride: Of the outputs, pixels per cell.
    """

    def __init__(
        self,
        name: str,
        *,
        run_frame: Callable[[Tensor], FrameMaps],
        run_clip: Callable[[Sequence[Tensor]], tuple[Tensor, ...]],
        clip_inputs: Sequence[ClipInput],
        feature_stride: int,
    ) -> None:
        """Keep both parts."""
        self.name = name
        self.frame_maps = run_frame
        self._run_clip = run_clip
        self._clip_inputs = tuple(clip_inputs)
        self._feature_stride = feature_stride

    def fuse(
        self, context: Sequence[FrameMaps], key: FrameMaps, state: TemporalState
    ) -> Predicted:
        """Predict on a key frame."""
        clip = (*context, key)
        found = self._run_clip([clip[i.position][i.map_index] for i in self._clip_inputs])
        cls_logits, obj_logits, box_offsets = found
        outputs = HeadOutputs(
            cls_logits=cls_logits,
            obj_logits=obj_logits,
            box_offsets=box_offsets,
            feature_stride=self._feature_stride,
        )
        return Predicted(outputs=outputs, state=())
